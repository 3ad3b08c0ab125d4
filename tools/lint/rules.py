"""Rules for the mistakes that are dangerous here and that no other linter looks for.

A rule is a function from a parsed file to findings. Each one may be switched off for a single line
by a comment that names it and gives the reason, on that line or alone on the line above:

    except Exception as error:  # lint: allow-broad-except because the vendor raises anything
"""

import ast
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

_ESCAPE = re.compile(r"#\s*lint:\s*allow-(?P<rule>[a-z-]+)\s+because\s+\S")
_BROAD = frozenset({"Exception", "BaseException"})
_LOG_METHODS = frozenset(
    {
        "critical",
        "debug",
        "err",
        "error",
        "exception",
        "fatal",
        "info",
        "log",
        "msg",
        "warn",
        "warning",
    },
)
_LOGGER_NAME = re.compile(r"(^|_)log(ger)?$", re.IGNORECASE)
_LOGGER_MAKERS = frozenset({"bind", "get_logger", "getLogger", "new", "unbind"})


@dataclass(frozen=True)
class Source:
    """One Python file, parsed."""

    path: Path
    tree: ast.Module
    allowed: dict[int, frozenset[str]]
    """Line number -> rules that a comment switches off there."""

    @classmethod
    def parse(cls, path: Path, text: str) -> "Source":
        """Parse a file. Raises SyntaxError for what is no Python."""
        return cls(path, ast.parse(text, str(path)), _escapes(text))


@dataclass(frozen=True, order=True)
class Finding:
    """One broken rule at one place; prints as `path:line:column: rule: text`."""

    path: Path
    line: int
    column: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.rule}: {self.text}"


def _escapes(text: str) -> dict[int, frozenset[str]]:
    """Return which rules are switched off on which lines.

    Comments are found by the tokenizer, so that the same words in a string switch off nothing.
    """
    allowed: dict[int, frozenset[str]] = {}
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type == tokenize.COMMENT and (match := _ESCAPE.match(token.string)):
            alone = not token.line[: token.start[1]].strip()
            line = token.start[0] + alone
            allowed[line] = allowed.get(line, frozenset()) | {match["rule"]}
    return allowed


def _last_name(node: ast.expr | None) -> str:
    """Return `c` for `a.b.c`, and the empty string for what has no name."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _is_broad(caught: ast.expr | None) -> bool:
    """Tell whether an except clause catches everything there is."""
    if caught is None:
        return True
    each = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(_last_name(one) in _BROAD for one in each)


def _reraises(handler: ast.ExceptHandler) -> bool:
    """Tell whether the handler ends by raising again, so that nothing is swallowed."""
    return isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None


def broad_except(source: Source) -> Iterator[Finding]:
    """Find `except Exception`, bare or in `suppress`, that does not raise again, outside kit.

    It turns a bug into an answer, and the nearest answer at hand is "clean". Kit has the few places
    where a service must survive anything; everybody else names what can go wrong.
    """
    if "qscan_kit" in source.path.parts:
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.ExceptHandler(type=caught) if _is_broad(caught) and not _reraises(node):
                what = "catches everything"
            case ast.Call(func=func, args=args) if _last_name(func) == "suppress" and any(
                _last_name(arg) in _BROAD for arg in args
            ):
                what = "suppresses everything"
            case _:
                continue
        yield Finding(
            source.path,
            node.lineno,
            node.col_offset + 1,
            "broad-except",
            f"{what}; name the exceptions, or write `# lint: allow-broad-except because …`",
        )


def _is_logger(node: ast.expr) -> bool:
    """Tell whether it looks like a logger: `log`, `self._log`, `get_logger()`, `log.bind(…)`."""
    match node:
        case ast.Call(func=func):
            return _last_name(func) in _LOGGER_MAKERS
        case _:
            return _LOGGER_NAME.search(_last_name(node)) is not None


def _is_composed(event: ast.expr) -> bool:
    """Tell whether a text is put together at run time."""
    match event:
        case ast.JoinedStr() | ast.BinOp():
            return True
        case ast.Call(func=ast.Attribute(attr="format" | "join")):
            return True
        case _:
            return False


def composed_event(source: Source) -> Iterator[Finding]:
    """Find a log event that is put together at run time: f-string, `%`, `+`, `.format`.

    The event is the name by which log lines are counted and searched, and what is pasted into it
    escapes the redaction of personal values. Values are keyword arguments.
    """
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if (
                attr.removeprefix("a") in _LOG_METHODS or attr in _LOG_METHODS
            ) and _is_logger(value):
                pass
            case _:
                continue
        # `log(level, event)` has the event second.
        events = node.args[1:2] if attr in {"log", "alog"} else node.args[:1]
        events += [keyword.value for keyword in node.keywords if keyword.arg == "event"]
        for event in events:
            if _is_composed(event):
                yield Finding(
                    source.path,
                    event.lineno,
                    event.col_offset + 1,
                    "composed-event",
                    "the event of a log line is a constant; pass the values as keyword arguments",
                )


RULES: tuple[Callable[[Source], Iterator[Finding]], ...] = (broad_except, composed_event)


def check(source: Source) -> list[Finding]:
    """Return the findings of all rules in one file, less those that a comment allows."""
    return sorted(
        finding
        for rule in RULES
        for finding in rule(source)
        if finding.rule not in source.allowed.get(finding.line, frozenset())
    )
