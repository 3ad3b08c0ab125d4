"""Errors, sorted by what a caller does next.

::

    QscanError
    ├── SettingsError            say what is wrong with the configuration and stop
    ├── BusUnavailableError      the bus cannot be used now: defer, or try again later
    ├── ContentUnavailableError  the bytes cannot be had, or are not the promised ones: unscanned, retryable
    └── PoisonError              this event can never be handled: bury it
"""


class QscanError(Exception):
    """The root of all errors of ours."""


class SettingsError(QscanError):
    """The configuration is wrong. The text names the setting and says what to do."""


class BusUnavailableError(QscanError):
    """Not connected to NATS, or NATS refused; nothing was sent or stored for certain."""


class ContentUnavailableError(QscanError):
    """Content could not be read, or its size or SHA-256 is not the promised one."""


class PoisonError(QscanError):
    """An event that cannot be decoded, today or ever."""
