"""The log: one JSON line per event on standard error, or readable lines on a terminal.

Addresses, subjects and file names never go into it: log the scan id, and look the rest up in the store.
"""

import logging
import sys
import traceback
from collections.abc import Iterator

import structlog
from structlog.typing import ExcInfo, FilteringBoundLogger, Processor

_MAY_QUOTE_MAIL = (LookupError, ValueError)
"""Errors whose text usually quotes the value that was wrong (KeyError, UnicodeError …), and that may be from a mail."""


def configure(service: str, level: str = "info") -> None:
    """Set up structlog for this process. Called once, from an entry point."""
    on_terminal = sys.stderr.isatty()
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_describe),
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if on_terminal
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*before, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # Libraries that use the standard library's log speak up only when something is wrong, and in the same form.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_bind_to(service), structlog.stdlib.add_logger_name, *before],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def get_logger() -> FilteringBoundLogger:
    """A logger; events are fixed texts, facts are keyword arguments."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def _bind_to(service: str) -> Processor:
    """For lines of libraries, which also come from threads that know no context."""

    def bind(_logger: object, _method: str, event_dict: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event_dict["service"] = service
        return event_dict

    return bind


def _describe(exc_info: ExcInfo) -> str:
    """An exception with those that led to it, without the values of variables and without texts that may quote mail."""
    return "".join(_lines(exc_info[1], set()))


def _lines(error: BaseException, told: set[int]) -> Iterator[str]:
    told.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in told:
        yield from _lines(before, told)
        yield "\nand then\n"
    yield from traceback.format_tb(error.__traceback__)
    text = "(text withheld, it may quote mail)" if isinstance(error, _MAY_QUOTE_MAIL) else str(error)
    yield f"{type(error).__module__}.{type(error).__qualname__}: {text}\n"
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            if id(inner) not in told:
                yield "\none of them\n"
                yield from _lines(inner, told)
