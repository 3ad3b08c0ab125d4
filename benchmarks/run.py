"""``make bench``: clamd alone, qscan by API and qscan through qscan-queue, side by side in one run.

The ham of shared/corpus without spam filter; one clamd, one signature, its clean cache off. The ratios are what counts:
the machines are shared and noisy.
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ham, load
from qscan_av_gateway import clamd_config
from qscan_testkit.clamd_server import ClamdServer
from qscan_testkit.recording import RecordingQmailQueue
from qscan_testkit.running_system import GUARDIAN, UP, RunningSystem, Tables

MESSAGES = 2_000
WARM_UP = 200
GENERATORS = {"clamd": 4, "api": 8, "queue": 12}
QUEUE_CPU_RUNS = 200
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Figures:
    """What one way took: `seconds` on the clock for all, and each request's own."""

    seconds: float
    requests: list[float]

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return len(self.requests) / self.seconds

    def row(self, name: str) -> str:
        """A line of the table."""
        quantiles = statistics.quantiles(self.requests, n=100)
        return f"  {name:<34}{self.per_second:>8.0f}/s{quantiles[49] * 1e3:>9.1f} ms{quantiles[98] * 1e3:>9.1f} ms"


def measure(share: load.Share) -> Figures:
    """Warm up, then measure."""
    generators = GENERATORS[share.kind]
    load.run(load.Share(share.kind, share.target, share.items, WARM_UP, share.environ), generators)
    return Figures(*load.run(share, generators))


@contextmanager
def system(directory: Path, clamd_socket: Path, *, raw: bool, trace_ratio: float) -> Iterator[RunningSystem]:
    """`qscan up` with the benchmark's clamd, and a qmail-queue that reads everything and keeps nothing."""
    tables: Tables = {
        "all": {"trace_ratio": trace_ratio, "log_level": "warning"},
        "up": {"trace_files": trace_ratio > 0, "spamd": "/nonexistent/spamd"},
        "unpacker": {"scan_raw_message": raw},
        "av-gateway": {"clamd_addresses": f"unix:{clamd_socket}"},
    }
    directory.mkdir()
    recorder = RecordingQmailQueue.build(directory / "recorder", programs=directory)
    queue = Path(sys.executable).with_name("qscan-queue")
    with RunningSystem(directory, queue, recorder, tables) as running:
        running.await_ready()
        yield running


def cpu_and_memory(running: RunningSystem) -> dict[str, tuple[float, float]]:
    """CPU seconds so far and resident MiB of every part."""
    figures = {}
    for part in running.parts():
        if part in {UP, GUARDIAN}:
            continue
        figures[part] = _figures_of(running.pid(part))
    return figures


def _figures_of(pid: int) -> tuple[float, float]:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS, int(fields[21]) * _PAGE / 2**20


def print_parts(
    before: Mapping[str, tuple[float, float]], after: Mapping[str, tuple[float, float]], messages: int
) -> None:
    """CPU per message and memory of each part."""
    total = 0.0
    for part, (cpu_s, memory) in sorted(after.items(), key=lambda item: before[item[0]][0] - item[1][0]):
        spent = cpu_s - before[part][0]
        total += spent
        print(f"    {part:<12}{spent / messages * 1e3:>8.2f} ms CPU{memory:>8.0f} MiB")
    print(f"    {'all':<12}{total / messages * 1e3:>8.2f} ms CPU a message")


def queue_cost(running: RunningSystem, message: bytes) -> None:
    """CPU and memory of qscan-queue and the program that it becomes, by the kernel's own account."""
    share = queue_share(running, [message], QUEUE_CPU_RUNS)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    load.queue(share)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"  qscan-queue with the recorder that it becomes: {spent / QUEUE_CPU_RUNS * 1e3:.2f} ms CPU a message")


def queue_share(running: RunningSystem, items: list[bytes], count: int) -> load.Share:
    """Load through qscan-queue, as a relay client so that no spam filter is asked."""
    environ = {
        **running.recorder.environment,
        "QSCAN_INGRESS_SOCKET": str(running.socket),
        "QSCAN_RECORDER_EXIT": "0",
        "RELAYCLIENT": "",
        "TCPREMOTEIP": "192.0.2.1",
    }
    return load.Share("queue", str(running.queue), items, count, environ)


def main() -> int:
    """Run all of it and print the table."""
    messages = ham.messages()
    with tempfile.TemporaryDirectory(prefix="qscan-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        signatures = directory / "signatures"
        signatures.mkdir()
        clamd_config.write_eicar_signatures(signatures)
        socket = directory / "clamd.sock"
        configuration = clamd_config.render(database_directory=signatures, local_socket=socket, disable_cache=True)
        with ClamdServer(directory / "clamd", configuration, listens_at=str(socket)) as clamd:
            _run(directory, socket, clamd, messages)
    return 0


def _run(directory: Path, socket: Path, clamd: ClamdServer, messages: list[bytes]) -> None:
    mean = statistics.mean(len(message) for message in messages)
    print(f"{len(messages)} ham, {mean / 1000:.1f} kB on average, {os.cpu_count()} cores, {MESSAGES} messages each way")
    for raw in (True, False):
        contents = [content for message in messages for content in ham.scanned_contents(message, raw=raw)]
        per_message = len(contents) / len(messages)
        print(f"\nredundant scanning {'on' if raw else 'off'}: {per_message:.2f} scans a message")
        print(f"  {'':<34}{'':>10}{'p50':>12}{'p99':>12}")
        alone = measure(load.Share("clamd", str(socket), contents, int(MESSAGES * per_message)))
        print(alone.row("clamd alone, scans"))
        alone_messages = alone.per_second / per_message
        print(f"  {'  that is messages':<34}{alone_messages:>8.0f}/s")
        for ratio in (0.0, 0.01):
            where = directory / f"raw-{raw}-{ratio}"
            with system(where, socket, raw=raw, trace_ratio=ratio) as running:
                traced = "tracing off" if ratio == 0 else "tracing 1 %"
                address = running.url.removeprefix("http://")
                shares = {
                    "api": load.Share("api", address, messages, MESSAGES),
                    "queue": queue_share(running, messages, MESSAGES),
                }
                for kind, share in shares.items():
                    before, clamd_before = cpu_and_memory(running), clamd.cpu_s()
                    figures = measure(share)
                    print(figures.row(f"{'by API' if kind == 'api' else 'through qscan-queue'}, {traced}"))
                    print(f"  {'  of clamd alone':<34}{figures.per_second / alone_messages:>8.2f}")
                    print_parts(before, cpu_and_memory(running), MESSAGES + WARM_UP)
                    print(
                        f"    {'clamd':<12}{(clamd.cpu_s() - clamd_before) / (MESSAGES + WARM_UP) * 1e3:>8.2f} ms CPU"
                    )
                if ratio == 0:
                    queue_cost(running, messages[0])


if __name__ == "__main__":
    started = time.monotonic()
    try:
        status = main()
    except ham.NoCorpusError as error:
        sys.exit(f"bench: {error}")
    print(f"\n{time.monotonic() - started:.0f} s in all")
    sys.exit(status)
