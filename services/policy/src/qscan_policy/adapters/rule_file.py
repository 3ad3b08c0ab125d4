"""The rule file: from bytes on disk to rules in force, or to errors that say where and what to do."""

import hashlib
import re
from importlib import resources
from pathlib import Path

import msgspec

from qscan_contracts.decisions import DECISION_TABLE_VERSION
from qscan_kit.errors import SettingsError
from qscan_policy.adapters.yaml_marks import Document, PathStep, YamlError, parse
from qscan_policy.domain.entries import RuleFile
from qscan_policy.domain.problems import RulesError
from qscan_policy.domain.rules import LoadedRules, compile_rules

MAX_FILE_BYTES = 16 * 1024 * 1024
VERSION_HEX_DIGITS = 12
SHIPPED_NAME = "default_rules.yaml"


def load(path: Path | None) -> LoadedRules:
    """The rules in the file at `path`, or those that are shipped.

    Raises:
        SettingsError: the file cannot be read or used; one line per problem, with file, line and column.
    """
    origin = str(path or SHIPPED_NAME)
    try:
        content = shipped() if path is None else _read(path)
    except OSError as error:
        raise SettingsError(f"cannot read the rule file {origin}: {error.strerror or error}") from error
    return parse_rules(content, origin)


def shipped() -> bytes:
    """The shipped rule file, which is what a site starts its own from."""
    return resources.files("qscan_policy").joinpath(SHIPPED_NAME).read_bytes()


def parse_rules(content: bytes, origin: str) -> LoadedRules:
    """The rules in `content`; `origin` is what errors call it. Raises SettingsError."""
    try:
        text = content.decode("utf-8")
        document = parse(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{origin}:{line}: not UTF-8: save the file in that encoding") from error
    except YamlError as error:
        raise SettingsError(f"{origin}:{error.place.line}:{error.place.column}: {error.text}") from error
    try:
        rules = compile_rules(msgspec.convert(document.value, RuleFile, strict=True))
    except msgspec.ValidationError as error:
        raise SettingsError(_describe(error, document, origin)) from error
    except RulesError as error:
        lines = (_line(document, origin, problem.path, problem.text) for problem in error.problems)
        raise SettingsError("\n".join(lines)) from error
    return LoadedRules(rules, rules_version(content), origin)


def rules_version(content: bytes) -> str:
    """What answers carry, so that a decision can be traced to the rules that led to it."""
    digest = hashlib.sha256(b"%d\n" % DECISION_TABLE_VERSION + content)
    return digest.hexdigest()[:VERSION_HEX_DIGITS]


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise SettingsError(f"the rule file {path} is larger than {MAX_FILE_BYTES} bytes: is it the right file?")
    return content


_MSGSPEC_ERROR = re.compile(r"(?P<text>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?", re.DOTALL)
_PATH_STEP = re.compile(r"\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\[(?P<index>\d+)\]|\[\.\.\.\]")
_UNKNOWN_FIELD = re.compile(r"unknown field `(?P<name>[^`]*)`")
_UNKNOWN_KEY = re.compile(r"Invalid enum value '(?P<name>[^']*)'")


def _describe(error: msgspec.ValidationError, document: Document, origin: str) -> str:
    """msgspec's text, with its path (like ``$.rules[2].when``) turned into a line and column."""
    parts = _MSGSPEC_ERROR.fullmatch(str(error))
    text, written = (parts["text"], parts["path"] or "") if parts else (str(error), "")
    path: tuple[PathStep, ...] = ()
    for step in _PATH_STEP.finditer(written):
        if step["name"]:
            path = (*path, step["name"])
        elif step["index"]:
            path = (*path, int(step["index"]))
        else:
            text = f"{text} (somewhere below)"  # msgspec does not say under which key of a mapping
            break
    unknown = _UNKNOWN_FIELD.search(text)
    key = _UNKNOWN_KEY.search(text) if parts and parts["key"] else None
    if unknown or key:
        name = (unknown or key)["name"]  # type: ignore[index]  # one of them is there
        path = (*path, name)
        text = f"there is no {name} here: correct or remove it"
    return _line(document, origin, path, text)


def _line(document: Document, origin: str, path: tuple[PathStep, ...], text: str) -> str:
    place = document.place(path)
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
    return f"{origin}:{place.line}:{place.column}: {steps or 'top'}: {text}"
