"""Reading `qscan.toml`: every problem is told with its line, and with what would be right."""

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from qscan_cli.configuration.tables import ALL, SERVICES, TABLES, UP, adapter, splits_itself
from qscan_cli.configuration.up_settings import UpSettings
from qscan_cli.errors import CommandError
from qscan_cli.places import default_config_files

_MOST_NAMES = 12
"""More names than this help nobody in an error message."""


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong in a file. `str` gives ``file:line: text``."""

    file: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class ConfigurationError(CommandError):
    """The file has problems; the text lists them all."""

    def __init__(self, problems: list[Problem]) -> None:
        """List `problems`, one a line."""
        super().__init__("\n".join(str(problem) for problem in sorted(problems)))
        self.problems = problems


@dataclass(frozen=True)
class Configuration:
    """What the file sets: table → key → value as TOML gives it. Everything else keeps its default."""

    file: Path | None = None
    tables: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    lines: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(table, key) → line of the file; a key of ``""`` is the table's own line."""

    def of_service(self, service: str) -> dict[str, object]:
        """What the file sets for a service, the settings for all services included."""
        return {**self.tables.get(ALL, {}), **self.tables.get(service, {})}

    @property
    def up(self) -> UpSettings:
        """The settings of `qscan up`."""
        return UpSettings.model_validate(dict(self.tables.get(UP, {})))

    def where(self, table: str, key: str) -> str:
        """``file:line`` of a key, for messages."""
        return f"{self.file}:{self.lines.get((table, key), 0)}"


def find(named: Path | None) -> Configuration:
    """Read the file `named` on the command line, else the first of the usual ones, else take the defaults.

    Raises:
        CommandError: it cannot be read.
        ConfigurationError: something in it is wrong.
    """
    if named is not None:
        return read(named)
    for usual in default_config_files():
        if usual.exists():
            return read(usual)
    return Configuration()


def read(file: Path) -> Configuration:
    """Read and check one file.

    Raises:
        CommandError: it cannot be read.
        ConfigurationError: something in it is wrong; all problems are in it.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        message = f"cannot read {file}: {error.strerror}"
        raise CommandError(message, os.EX_NOINPUT) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigurationError([Problem(file, line, "not UTF-8: save the file as UTF-8")]) from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([_syntax_problem(file, text, error)]) from error
    lines = locate(text)
    problems = [
        Problem(file, lines.get(place, lines.get((place[0], ""), 1)), wrong) for place, wrong in _problems(content)
    ]
    if problems:
        raise ConfigurationError(problems)
    return Configuration(file, content, lines)


def _syntax_problem(file: Path, text: str, error: tomllib.TOMLDecodeError) -> Problem:
    """tomllib says «(at line 3, column 5)» at the end of its text, or «(at end of document)»."""
    what, _, place = str(error).partition(" (at ")
    numbers = [word.strip(",)") for word in place.split()]
    line = int(numbers[1]) if numbers[:1] == ["line"] else max(len(text.splitlines()), 1)
    return Problem(file, line, f"not valid TOML: {what}")


def locate(text: str) -> dict[tuple[str, str], int]:
    """The line of each table and each of its keys in a valid TOML document.

    tomllib tells no lines, so the document is cut into statements: the shortest runs of lines that are valid alone.
    """
    found: dict[tuple[str, str], int] = {}
    table, statement, first = "", "", 1
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if not statement:
            first = number
        statement += line
        try:
            content = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # a text or list over several lines
        is_header = statement.lstrip().startswith("[")
        statement = ""
        if not content:
            continue
        name = next(iter(content))
        if is_header:
            table = name
            found.setdefault((table, ""), first)
        elif table:
            found.setdefault((table, name), first)
        else:
            # Written as `table.key = …`, or a value that stands in no table.
            found.setdefault((name, ""), first)
            inner = content[name]
            if isinstance(inner, dict):
                for key in inner:
                    found.setdefault((name, key), first)
    return found


def _problems(content: Mapping[str, object]) -> Iterator[tuple[tuple[str, str], str]]:
    for table, values in content.items():
        if table not in TABLES:
            if isinstance(values, dict):
                yield (table, ""), f"unknown table [{table}]{_suggestion(table, TABLES, '[{}]')}"
            else:
                yield (table, ""), f"{table} stands outside of any table: write it below [service]"
        elif not isinstance(values, dict):
            yield (table, ""), f"{table} is a table: write [{table}] on a line of its own"
        else:
            yield from _table_problems(table, values)


def _table_problems(table: str, values: Mapping[str, object]) -> Iterator[tuple[tuple[str, str], str]]:
    fields = TABLES[table].model_fields
    is_sound = True
    for key, value in values.items():
        if key not in fields:
            wrong: str | None = f"unknown setting {key} in [{table}]{_suggestion(key, fields, '{}')}"
        else:
            wrong = _value_problem(fields[key], value)
            wrong = wrong and f"{key} in [{table}]: {wrong}"
        if wrong:
            is_sound = False
            yield (table, key), wrong
    if is_sound and table in SERVICES:
        yield from (((table, ""), wrong) for wrong in _together(table, values))


def _value_problem(setting: FieldInfo, value: object) -> str | None:
    """Checked as JSON and strictly: TOML has types, so a number is not written as text."""
    try:
        as_json = json.dumps(value)
    except TypeError:
        return f"a date or time is not expected here: {setting.description}"
    try:
        if isinstance(value, list) and splits_itself(setting):
            # What it splits itself is text; strictly, a list from JSON would be no tuple to it.
            if not all(isinstance(item, str) for item in value):
                return f"every item must be a text in quotes. It is: {setting.description}"
            adapter(setting).validate_python(tuple(value))
        else:
            adapter(setting).validate_json(as_json, strict=True)
    except ValidationError as error:
        messages = dict.fromkeys(problem["msg"] for problem in error.errors(include_input=False, include_url=False))
        return f"{'; '.join(messages)}. It is: {setting.description}"
    return None


def _together(table: str, values: Mapping[str, object]) -> Iterator[str]:
    """What is wrong with the values of a table as a whole; settings that are still missing come from `qscan up`."""
    try:
        TABLES[table].model_validate(dict(values))
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            if problem["type"] != "missing" and not problem["loc"]:
                yield f"[{table}]: {problem['msg']}"


def _suggestion(wrong: str, known: Mapping[str, object], pattern: str) -> str:
    for spelling in (wrong, wrong.replace("_", "-"), wrong.replace("-", "_")):
        near = difflib.get_close_matches(spelling, known, n=1)
        if near:
            return f"; did you mean {pattern.format(near[0])}?"
    if len(known) > _MOST_NAMES:
        return "; `qscan config show --defaults` lists what there is"
    return f" (known: {', '.join(pattern.format(name) for name in known)})"
