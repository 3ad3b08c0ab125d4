"""What one run of qscan-queue costs: 2 ms of processor time and 3 MiB at most (DESIGN §3)."""

import statistics
import threading
from pathlib import Path

from qscan_contracts.vocabulary import Disposition
from qscan_testkit.fake_unpacker import Reply, answer
from qscan_testkit.ingress_process import Ingressd
from qscan_testkit.qmail_callers import envelope

RUNS = 200
MAX_CPU_S = 0.002
MAX_MEMORY_KIB = 3 * 1024


def test_processor_time(ingressd: Ingressd) -> None:
    """Measured by wait4 over 200 runs that end in an exit of its own; start and exec of it included."""
    ingressd.unpacker.script = lambda call: answer(call, Disposition.QUARANTINE)
    caller = ingressd.caller()
    cpu_s = [caller.send(b"x" * 3000).cpu_s for _ in range(RUNS)]
    assert statistics.median(cpu_s) <= MAX_CPU_S


def test_memory(ingressd: Ingressd) -> None:
    """The most it ever had resident, asked of the kernel while it waits for the answer."""
    event = threading.Event()
    ingressd.unpacker.script = lambda call: Reply(body=answer(call).body, wait_for=event)
    with ingressd.caller(TCPREMOTEINFO="x" * 100_000).open() as call:
        call.write_message(b"x" * 3_000_000)
        call.end_message()
        call.write_envelope(envelope(b"a@x", [b"b@x"] * 1000))
        assert ingressd.unpacker.called.acquire(timeout=10)
        status = Path(f"/proc/{call.pid}/status").read_text()
        event.set()
        assert call.finish().accepted
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    assert int(peak.split()[1]) <= MAX_MEMORY_KIB
