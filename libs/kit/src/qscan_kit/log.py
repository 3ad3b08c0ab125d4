"""The log: one JSON line per event on standard error, or readable lines on a terminal.

Addresses, subjects and file names never go into it: log the scan id, and look the rest up in the store.
"""

import logging
import sys

import structlog
from structlog.typing import FilteringBoundLogger


def configure(service: str, level: str = "info") -> None:
    """Set up structlog for this process. Called once, from an entry point."""
    on_terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # Libraries that use the standard library's log speak up only when something is wrong.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(levelname)s: %(message)s")


def get_logger() -> FilteringBoundLogger:
    """A logger; events are fixed texts, facts are keyword arguments."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger
