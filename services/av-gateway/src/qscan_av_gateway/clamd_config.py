"""The clamd.conf of qscan: what `qscan up`, compose and Helm give to clamd.

It is here because only this service knows engines: without the alert switches clamd answers `OK` for what it did not
look at, and a limit that is not written down changes with the next release. Pure, except `write_eicar_signatures`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qscan_av_gateway.eicar import EICAR

_LONGEST_SOCKET_PATH = 107
"""sun_path of unix(7) without its NUL; clamd cuts a longer one off silently."""
EICAR_SIGNATURE_NAME = "Qscan.Test.EICAR"
"""clamd says `.UNOFFICIAL` behind it, as behind every signature that is not from ClamAV."""


@dataclass(frozen=True, kw_only=True)
class ClamdLimits:
    """Every limit of clamd that matters here, explicitly.

    They fit the gateway's defaults: `max_scan_bytes` is below `stream_max_bytes`, `attempt_timeout_s` above
    `max_scan_time_ms`, `max_connections` below `max_threads`. What exceeds `max_file_bytes`, `max_scan_bytes` (of
    everything inside a file, together), `max_recursion`, `max_files` or `max_scan_time_ms` is
    `unscanned(engine_limit)`.

    `max_file_bytes` must not be below `max_scan_bytes`: of a deflated zip member above MaxFileSize clamd 1.4.6 looks
    at the beginning and says OK, whatever the alert switches. With both equal MaxScanSize is exceeded first, and said.
    """

    stream_max_bytes: int = 100 * 1024 * 1024
    max_file_bytes: int = 400 * 1024 * 1024
    max_scan_bytes: int = 400 * 1024 * 1024
    max_recursion: int = 17
    max_files: int = 10_000
    max_scan_time_ms: int = 90_000
    max_embedded_pe_bytes: int = 40 * 1024 * 1024
    max_html_normalize_bytes: int = 40 * 1024 * 1024
    max_html_no_tags_bytes: int = 8 * 1024 * 1024
    max_script_normalize_bytes: int = 20 * 1024 * 1024
    max_zip_type_recognised_bytes: int = 1024 * 1024
    max_partitions: int = 50
    max_pe_icons: int = 100
    max_hwp3_recursion: int = 16
    pcre_match_limit: int = 100_000
    pcre_recursion_match_limit: int = 2_000
    pcre_max_file_bytes: int = 400 * 1024 * 1024
    bytecode_timeout_ms: int = 10_000
    max_directory_recursion: int = 15
    max_threads: int = 12
    max_queue: int = 100
    max_waiting_connections: int = 200
    command_read_timeout_s: int = 30
    read_timeout_s: int = 120
    idle_timeout_s: int = 30
    send_timeout_ms: int = 500


def render(
    *,
    database_directory: Path,
    local_socket: Path | None = None,
    tcp_address: tuple[str, int] | None = None,
    limits: ClamdLimits | None = None,
    local_socket_mode: int = 0o660,
    user: str = "",
    temporary_directory: Path | None = None,
    self_check_s: int = 600,
    concurrent_reload: bool = True,
    disable_cache: bool = False,
) -> str:
    """The text of a clamd.conf for a clamd that runs in the foreground and logs to its standard output.

    Args:
        database_directory: where the signatures are.
        local_socket: where to listen, and/or
        tcp_address: host (IPv4 or IPv6 address) and port to listen on. clamd asks nobody who he is: anyone who
            reaches it can also shut it down, so listen on loopback or inside a network of its own.
        limits: the shipped ones when left out.
        local_socket_mode: access to the socket.
        user: whom clamd becomes when it is started by root; empty: it stays whoever started it.
        temporary_directory: where clamd unpacks; left out: what its environment says, else /tmp.
        self_check_s: how often clamd looks for changed signatures, in seconds.
        concurrent_reload: load new signatures beside the old ones: twice the memory, and no pause for scans.
        disable_cache: forget clean files at once. For benchmarks.

    Raises:
        ValueError: a value that clamd would misread or cut off.
    """
    if local_socket is None and tcp_address is None:
        message = "give clamd a local_socket or a tcp_address to listen on"
        raise ValueError(message)
    lines = [
        "# Written by qscan; changes are lost. Every limit is explicit: see qscan's page on clamd.",
        *_listening(local_socket, tcp_address, local_socket_mode),
        *([f"User {_one_line(user)}"] if user else []),
        "Foreground yes",
        "LogTime yes",
        "LogSyslog no",
        "LogClean no",
        "ExtendedDetectionInfo no",
        f"DatabaseDirectory {_one_line(str(database_directory))}",
        *([f"TemporaryDirectory {_one_line(str(temporary_directory))}"] if temporary_directory else []),
        f"SelfCheck {self_check_s}",
        f"ConcurrentDatabaseReload {_switch(on=concurrent_reload)}",
        f"DisableCache {_switch(on=disable_cache)}",
        "",
        *_ALERTS,
        "",
        *_SCANNERS,
        "",
        *_limits(limits or ClamdLimits()),
    ]
    return "\n".join(lines) + "\n"


_ALERTS = (
    "# Without these clamd answers OK for what it did not look at. The gateway refuses such a clamd.",
    "AlertExceedsMax yes",
    "AlertEncrypted yes",
    "AlertEncryptedArchive yes",
    "AlertEncryptedDoc yes",
    "# A real signature name is worth more than a heuristic one, so go on looking after a heuristic.",
    "HeuristicScanPrecedence no",
    "HeuristicAlerts yes",
)

_SCANNERS = (
    "ScanMail yes",
    "ScanPartialMessages no",
    "ScanArchive yes",
    "ScanPE yes",
    "ScanELF yes",
    "ScanOLE2 yes",
    "ScanPDF yes",
    "ScanSWF yes",
    "ScanXMLDOCS yes",
    "ScanHWP3 yes",
    "ScanOneNote yes",
    "ScanImage yes",
    "ScanHTML yes",
    "PhishingSignatures yes",
    "PhishingScanURLs yes",
    "Bytecode yes",
    "BytecodeSecurity TrustSigned",
    "OfficialDatabaseOnly no",
    "ExitOnOOM yes",
)


def _limits(limits: ClamdLimits) -> Iterator[str]:
    yield f"StreamMaxLength {limits.stream_max_bytes}"
    yield f"MaxFileSize {limits.max_file_bytes}"
    yield f"MaxScanSize {limits.max_scan_bytes}"
    yield f"MaxRecursion {limits.max_recursion}"
    yield f"MaxFiles {limits.max_files}"
    yield f"MaxScanTime {limits.max_scan_time_ms}"
    yield f"MaxEmbeddedPE {limits.max_embedded_pe_bytes}"
    yield f"MaxHTMLNormalize {limits.max_html_normalize_bytes}"
    yield f"MaxHTMLNoTags {limits.max_html_no_tags_bytes}"
    yield f"MaxScriptNormalize {limits.max_script_normalize_bytes}"
    yield f"MaxZipTypeRcg {limits.max_zip_type_recognised_bytes}"
    yield f"MaxPartitions {limits.max_partitions}"
    yield f"MaxIconsPE {limits.max_pe_icons}"
    yield f"MaxRecHWP3 {limits.max_hwp3_recursion}"
    yield f"PCREMatchLimit {limits.pcre_match_limit}"
    yield f"PCRERecMatchLimit {limits.pcre_recursion_match_limit}"
    yield f"PCREMaxFileSize {limits.pcre_max_file_bytes}"
    yield f"BytecodeTimeout {limits.bytecode_timeout_ms}"
    yield f"MaxDirectoryRecursion {limits.max_directory_recursion}"
    yield f"MaxThreads {limits.max_threads}"
    yield f"MaxQueue {limits.max_queue}"
    yield f"MaxConnectionQueueLength {limits.max_waiting_connections}"
    yield f"CommandReadTimeout {limits.command_read_timeout_s}"
    yield f"ReadTimeout {limits.read_timeout_s}"
    yield f"IdleTimeout {limits.idle_timeout_s}"
    yield f"SendBufTimeout {limits.send_timeout_ms}"


def _listening(local_socket: Path | None, tcp_address: tuple[str, int] | None, mode: int) -> Iterator[str]:
    if local_socket is not None:
        path = _one_line(str(local_socket))
        if len(path.encode()) > _LONGEST_SOCKET_PATH:
            message = (
                f"the path of clamd's socket is longer than {_LONGEST_SOCKET_PATH} bytes: {path}; use a shorter one"
            )
            raise ValueError(message)
        yield f"LocalSocket {path}"
        yield f"LocalSocketMode {mode:o}"
        yield "FixStaleSocket yes"
    if tcp_address is not None:
        host, port = tcp_address
        yield f"TCPSocket {port}"
        yield f"TCPAddr {_one_line(host.strip('[]'))}"


def _switch(*, on: bool) -> str:
    return "yes" if on else "no"


def _one_line(text: str) -> str:
    # A space is fine to clamd up to the end of the line; a line break would be another directive.
    if not text.isprintable() or text != text.strip():
        message = f"cannot be written into clamd.conf: {text!r}"
        raise ValueError(message)
    return text


def write_eicar_signatures(directory: Path) -> Path:
    """Make `directory` a signature directory that knows the EICAR test file and nothing else; returns the file.

    For machines where freshclam has never run: clamd starts with it, everything can be tried out, and no real virus
    is found. The signature matches the whole EICAR string anywhere in anything (target type 0, any offset), so in a
    mail both the raw bytes and the decoded part are hits.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "qscan-test.ndb"
    path.write_text(f"{EICAR_SIGNATURE_NAME}:0:*:{EICAR.hex()}\n", encoding="ascii")
    return path
