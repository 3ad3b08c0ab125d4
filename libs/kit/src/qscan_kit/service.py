"""The life of a service process: set up, run until a signal, end in order."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from qscan_kit import log, telemetry
from qscan_kit.errors import SettingsError
from qscan_kit.settings import ServiceSettings, SettingsT, load

GC_THRESHOLD = 20_000
"""New objects between two looks for cycles; Python's 700 would look several times per message. What is loaded at the
start is never looked at again. Together a tenth of the processor time of a message (docs/benchmarks.md)."""
EXIT_FAILED = 1
EXIT_SETTINGS = 78
"""EX_CONFIG of sysexits: starting again will not help until the configuration is changed."""


def run(
    service: str, settings_class: type[SettingsT], main: Callable[[SettingsT, asyncio.Event], Awaitable[None]]
) -> int:
    """Run a service until SIGTERM or SIGINT and return its exit status.

    Args:
        service: the name, such as ``av-gateway``.
        settings_class: read from the environment before anything else.
        main: gets the settings and an event that is set when the service is to end; it returns when it has ended.
    """
    try:
        settings = load(settings_class)
        if not isinstance(settings, ServiceSettings):
            message = f"{settings_class.__name__} is no ServiceSettings"
            raise TypeError(message)
        log.configure(service, settings.log_level)
        provider = telemetry.configure(service, settings)
    except SettingsError as error:
        sys.stderr.write(f"qscan-{service}: {error}\n")
        return EXIT_SETTINGS

    async def until_signalled() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await main(settings, stop)
        # The loop gives the signals back when it is closed; a second one must not turn an orderly end into a killing.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})

    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    try:
        uvloop.run(until_signalled())
    except SettingsError as error:
        sys.stderr.write(f"qscan-{service}: {error}\n")
        return EXIT_SETTINGS
    except Exception:  # what supervises it starts it anew; the cause goes to the log in the form of all else
        log.get_logger().exception("service failed")
        return EXIT_FAILED
    finally:
        if provider is not None:
            provider.shutdown()
    return 0
