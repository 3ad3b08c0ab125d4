"""Whether containers in mail can be opened on this machine: what that stands on, and what it may take."""

import ctypes
import os
from collections.abc import Iterator, Sequence

from qscan_cli.configuration.reading import Configuration
from qscan_cli.doctor.findings import Found, note, ok, problem
from qscan_kit.errors import SettingsError
from qscan_unpacker.sandbox import shared_libraries
from qscan_unpacker.sandbox.sandbox import Sandbox, SandboxError
from qscan_unpacker.sandbox.shared_libraries import SharedLibrary
from qscan_unpacker.settings import Settings

_GB = 1e9


def look(configuration: Configuration, libraries: Sequence[SharedLibrary] | None = None) -> Iterator[Found]:
    """Start a sandbox as the unpacker does, and end it again: about a second. `libraries`: all, if not given."""
    libraries = shared_libraries.needed() if libraries is None else libraries
    # Not from the environment, which `qscan up` does not ask either.
    settings = Settings.model_construct(**configuration.of_service("unpacker"))  # type: ignore[arg-type]  # was checked
    lost = [library for library in libraries if not library.loads()]
    for library in lost:
        yield problem(
            library.name,
            f"{library.file} cannot be loaded; the unpacker does not start without it",
            f"apt-get install --no-install-recommends {library.package}",
        )
    if not lost:
        yield ok("libarchive", _libarchive())
        yield _sandbox(settings)
    yield memory(settings, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _libarchive() -> str:
    version = ctypes.CDLL("libarchive.so.13").archive_version_details
    version.restype = ctypes.c_char_p
    return str(version().decode("ascii", "replace")).removeprefix("libarchive ").strip()


def _sandbox(settings: Settings) -> Found:
    sandbox = Sandbox(
        memory_bytes=settings.sandbox_memory_bytes,
        max_children=1,
        opening_timeout_s=settings.opening_timeout_s,
        require_seccomp=True,
    )
    try:
        sandbox.start()
    except SettingsError as error:
        return without_seccomp(str(error), is_required=settings.require_seccomp)
    except SandboxError as error:
        return problem("sandbox", str(error), "see above; without it the unpacker does not start")
    finally:
        sandbox.stop()
    return ok("sandbox", "parsers of archives are confined, and their system calls filtered (seccomp)")


def without_seccomp(why: str, *, is_required: bool) -> Found:
    """What is said where no system calls can be filtered; the reason is the unpacker's own."""
    if is_required:
        return problem("sandbox", "the unpacker does not start: parsers of archives could not be confined", why)
    return note("sandbox", "parsers of archives run without a filter of system calls, as require_seccomp is off", why)


def memory(settings: Settings, machine_bytes: int) -> Found:
    """What mail full of archives may take at most, beside what there is."""
    what = (
        f"the unpacker takes up to {settings.most_memory_bytes / _GB:.1f} GB of {machine_bytes / _GB:.1f} GB "
        f"({settings.max_sandbox_processes} messages' archives at a time)"
    )
    if settings.most_memory_bytes <= machine_bytes:
        return ok("memory", what)
    return note("memory", what, "set max_sandbox_processes lower, or the kernel ends processes when such mail comes")
