"""The gateway's engine on a real clamd, with the clamd.conf that qscan writes."""

import asyncio
import base64
import gzip
import io
import os
import re
import signal
import socket
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from qscan_av_gateway import probes
from qscan_av_gateway.adapters.clamd_address import parse_address
from qscan_av_gateway.adapters.clamd_control import ClamdControl
from qscan_av_gateway.adapters.clamd_engine import Clamd, ClamdEngine
from qscan_av_gateway.bootstrap import clamds
from qscan_av_gateway.clamd_config import ClamdLimits, render, write_eicar_signatures
from qscan_av_gateway.eicar import EICAR
from qscan_av_gateway.settings import AvGatewaySettings
from qscan_av_gateway.watch import Change, Standing
from qscan_contracts.reports import Clean, Detected, Outcome, Unscanned
from qscan_contracts.vocabulary import UnscannedReason
from qscan_testkit.clamd_server import ClamdServer, program

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real_clamd,
    pytest.mark.skipif(program() is None, reason="no clamd here: make setup installs clamav-daemon"),
]
FOUND = Detected("Qscan.Test.EICAR.UNOFFICIAL")
SMALL = ClamdLimits(
    stream_max_bytes=3_000_000, max_file_bytes=1_000_000, max_scan_bytes=4_000_000, max_files=20, max_recursion=5
)
MakeServer = Callable[..., ClamdServer]


@pytest.fixture(scope="module")
def folders() -> Iterator[Callable[[], Path]]:
    """Short folders, because the path of a unix socket has to be short."""
    with TemporaryDirectory(prefix="qscan-") as root:
        yield lambda: Path(root, f"{len(os.listdir(root))}")  # noqa: PTH208  # names are not needed


def unused_port(host: str) -> int:
    """A TCP port of this host that nobody uses now."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        port: int = probe.getsockname()[1]
        return port


def server_in(folder: Path, *, switched: str = "", tcp: tuple[str, int] | None = None, **options) -> ClamdServer:
    """A clamd with qscan's configuration; `switched` replaces lines such as ``AlertExceedsMax no``."""
    signatures = folder / "signatures"
    write_eicar_signatures(signatures)
    path = None if tcp else folder / "clamd.sock"
    text = render(database_directory=signatures, local_socket=path, tcp_address=tcp, **options)
    for line in filter(None, switched.split(",")):
        text, count = re.subn(rf"^{line.split()[0]} .*$", line, text, flags=re.MULTILINE)
        assert count == 1
    return ClamdServer(folder, text, listens_at=tcp or str(path))


@pytest.fixture(scope="module")
def server(folders) -> Iterator[ClamdServer]:
    """One that all tests use which leave it as it is."""
    with server_in(folders()) as running:
        yield running


@asynccontextmanager
async def engine_on(*addresses: str, watch: bool = False, **settings) -> AsyncIterator[tuple[ClamdEngine, list[Clamd]]]:
    """The engine; with `watch` its clamds are watched, else they are looked at once."""
    change = Change()
    values = {"poll_every_s": 0.1, "control_timeout_s": 1, **settings}
    found = clamds(AvGatewaySettings(clamd_addresses=addresses, **values), change)
    tasks = [asyncio.create_task(one.watched.watch()) for one in found if watch]
    if not watch:
        for one in found:
            await one.watched.look()
    engine = ClamdEngine(found, change, attempt_timeout_s=values.get("attempt_timeout_s", 100), doubt_wait_s=0.5)
    try:
        yield engine, found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def address_of(server: ClamdServer) -> str:
    """As in the settings."""
    return f"unix:{server.directory / 'clamd.sock'}"


async def scan(engine: ClamdEngine, data: bytes, timeout_s: float = 30) -> Outcome:
    """What the engine says of some bytes."""
    return (await engine.scan(probes.content(data), timeout_s=timeout_s)).outcome


async def until(condition: Callable[[], object], timeout_s: float = 10) -> None:
    """Wait until `condition()` is true."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)


def standing(clamd: Clamd) -> Standing:
    """Where it stands now."""
    return clamd.watched.standing


def mail(transfer_encoding: str, body: bytes) -> bytes:
    """A message with `body` as an attachment that is called a text."""
    return (
        b"From: a@example.org\nTo: b@example.org\nSubject: test\nMIME-Version: 1.0\n"
        b'Content-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: text/plain\n\nhello\n'
        b'--x\nContent-Type: text/plain; name="sneaky.txt"\n'
        b"Content-Transfer-Encoding: " + transfer_encoding.encode() + b"\n\n" + body + b"\n--x--\n"
    )


def zipped(*members: bytes) -> bytes:
    """A zip file of some members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, data in enumerate(members):
            archive.writestr(f"member{number}", data)
    return file.getvalue()


async def test_clamd_takes_our_configuration_without_a_word(server):
    """No option that this clamd does not know, and none that it is sorry for."""
    async with engine_on(address_of(server)) as (_, (clamd,)):
        assert standing(clamd) is Standing.USABLE, clamd.watched.why
    assert not re.search(r"(?i)warning|error|deprecated|unknown", server.log), server.log


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_over_tcp(folders, host):
    """IPv4 and IPv6, scanning and control."""
    port = unused_port(host)
    with server_in(folders(), tcp=(host, port)):
        text = f"tcp:[{host}]:{port}" if ":" in host else f"tcp:{host}:{port}"
        async with engine_on(text) as (engine, (clamd,)):
            assert standing(clamd) is Standing.USABLE, clamd.watched.why
            assert await scan(engine, EICAR) == FOUND
            assert await scan(engine, os.urandom(1_000_000)) == Clean()


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 5_000_000])
async def test_clean(server, size):
    """Of any size."""
    async with engine_on(address_of(server)) as (engine, _):
        assert await scan(engine, os.urandom(size)) == Clean()


@pytest.mark.parametrize(
    "data",
    [
        EICAR,
        b"text before\n" + EICAR + b"\ntext after\n",
        mail("7bit", EICAR),
        mail("base64", base64.encodebytes(EICAR)),
        mail("quoted-printable", EICAR.replace(b"!", b"=21")),
        mail("base64", base64.encodebytes(zipped(b"x", EICAR))),
        zipped(zipped(zipped(EICAR))),
        os.urandom(2_000_000) + EICAR,
    ],
)
async def test_our_one_signature_finds_eicar_wherever_it_is(server, data):
    """In the raw message however it is encoded, in the decoded part, in archives, behind megabytes."""
    async with engine_on(address_of(server)) as (engine, _):
        assert await scan(engine, data) == FOUND


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (probes.encrypted_zip(), UnscannedReason.ENCRYPTED),
        (probes.encrypted_pdf(), UnscannedReason.ENCRYPTED),
        (mail("base64", base64.encodebytes(probes.encrypted_zip())), UnscannedReason.ENCRYPTED),
        (probes.nested_zips(18), UnscannedReason.ENGINE_LIMIT),
        (probes.nested_zips(), UnscannedReason.ENGINE_LIMIT),
    ],
)
async def test_what_clamd_did_not_look_at(server, data, reason):
    """Is neither clean nor a virus."""
    async with engine_on(address_of(server)) as (engine, _):
        assert await scan(engine, data) == Unscanned(reason, retryable=False, detail=cleaned_detail(reason, data))


def cleaned_detail(reason: UnscannedReason, data: bytes) -> str:
    """clamd's word for it."""
    if reason is UnscannedReason.ENGINE_LIMIT:
        return "Heuristics.Limits.Exceeded.MaxRecursion"
    return "Heuristics.Encrypted.PDF" if data.startswith(b"%PDF") else "Heuristics.Encrypted.Zip"


@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        (lambda: os.urandom(999_000), "Clean()"),
        (lambda: os.urandom(1_000_001), "MaxFileSize"),
        (lambda: gzip.compress(bytes(1_000_001)), "MaxFileSize"),
        (lambda: zipped(*(bytes(900_000) + os.urandom(9) for _ in range(8))), "MaxScanSize"),
        (lambda: zipped(*(os.urandom(20) for _ in range(50))), "MaxFiles"),
        (lambda: probes.nested_zips(7), "MaxRecursion"),
        (lambda: os.urandom(3_000_001), "StreamMaxLength"),
    ],
)
async def test_each_limit_of_clamd_is_told_from_clean(folders, make, outcome):
    """clamd calls all of these OK without AlertExceedsMax, except the last one, at which it hangs up."""
    folder = folders()
    with server_in(folder, limits=SMALL):
        async with engine_on(f"unix:{folder}/clamd.sock") as (engine, _):
            said = await scan(engine, make())
    if outcome == "Clean()":
        assert said == Clean()
    else:
        assert isinstance(said, Unscanned)
        assert said.reason in {UnscannedReason.ENGINE_LIMIT, UnscannedReason.TOO_BIG}
        assert outcome in said.detail
        assert not said.retryable


@pytest.mark.parametrize("before", [3_000_000, 3_999_000, 4_000_000, 10_000_000])
async def test_a_virus_behind_padding_in_a_zip_file(folders, before):
    """Of a deflated member above MaxFileSize clamd looks at the beginning and says OK: the reason of our limits."""
    limits = replace(SMALL, max_file_bytes=SMALL.max_scan_bytes)
    folder = folders()
    with server_in(folder, limits=limits):
        async with engine_on(f"unix:{folder}/clamd.sock") as (engine, _):
            said = await scan(engine, zipped(bytes(before) + EICAR))
    if before == 3_000_000:
        assert said == FOUND
    else:
        assert isinstance(said, Unscanned)
        assert said.reason is UnscannedReason.ENGINE_LIMIT


@pytest.mark.parametrize("size", [3_100_000, 20_000_000, 60_000_000])
async def test_larger_than_streammaxlength_is_no_outage(folders, size):
    """The usual misconfiguration: clamd hangs up while it is still being sent bytes, and is not blamed for it."""
    folder = folders()
    with server_in(folder, limits=SMALL):
        async with engine_on(f"unix:{folder}/clamd.sock") as (engine, (clamd,)):
            for _ in range(3):
                said = await scan(engine, bytes(size))
                assert isinstance(said, Unscanned)
                assert said.reason is UnscannedReason.TOO_BIG
            assert standing(clamd) is Standing.USABLE


@pytest.mark.parametrize(
    ("switched", "cure"),
    [
        ("AlertExceedsMax no", "AlertExceedsMax yes"),
        ("AlertEncryptedArchive no,AlertEncrypted no", "AlertEncryptedArchive yes"),
        ("AlertEncryptedDoc no,AlertEncrypted no", "AlertEncryptedDoc yes"),
        ("HeuristicScanPrecedence yes", "HeuristicScanPrecedence no"),
        ("MaxRecursion 1000", "MaxRecursion below"),
    ],
)
async def test_a_clamd_without_the_alert_switches_is_refused(folders, switched, cure):
    """And the reason says which line of its clamd.conf is to be changed."""
    folder = folders()
    with server_in(folder, switched=switched):
        async with engine_on(f"unix:{folder}/clamd.sock") as (engine, (clamd,)):
            assert standing(clamd) is Standing.REFUSED
            assert cure in clamd.watched.why
            said = await scan(engine, b"anything")
            assert isinstance(said, Unscanned)
            assert said.retryable


async def test_a_clamd_that_does_not_know_eicar_is_refused(folders):
    """It runs, but with signatures of something else."""
    folder = folders()
    with server_in(folder) as running:
        running.stop()
        (folder / "signatures" / "qscan-test.ndb").write_text(f"Other:0:*:{b'something else'.hex()}\n")
        running.start()
        async with engine_on(f"unix:{folder}/clamd.sock") as (_, (clamd,)):
            assert standing(clamd) is Standing.REFUSED
            assert "freshclam" in clamd.watched.why


async def test_restarted_with_another_configuration_it_is_refused(folders):
    """Also when the outage was too short to be seen."""
    folder = folders()
    with server_in(folder) as running:
        async with engine_on(f"unix:{folder}/clamd.sock") as (_, (clamd,)):
            assert standing(clamd) is Standing.USABLE
            running.stop()
            running.configuration = running.configuration.replace("AlertExceedsMax yes", "AlertExceedsMax no")
            running.start()
            await clamd.watched.look()
            assert standing(clamd) is Standing.REFUSED


async def test_killed_while_it_scans(folders):
    """The scan says so at once, and when clamd is back it is proved and used, with another epoch."""
    folder = folders()
    with server_in(folder) as running:
        async with engine_on(f"unix:{folder}/clamd.sock", watch=True) as (engine, (clamd,)):
            await until(lambda: standing(clamd) is Standing.USABLE)
            running.send(signal.SIGSTOP)
            scanning = asyncio.create_task(scan(engine, EICAR))
            await until(lambda: clamd.load == 1)
            running.kill()
            said = await scanning
            assert isinstance(said, Unscanned)
            assert said.reason in {UnscannedReason.ENGINE_CRASHED, UnscannedReason.ENGINE_FAILED}
            await until(lambda: standing(clamd) is Standing.REFUSED)
            running.start()
            await until(lambda: standing(clamd) is Standing.USABLE)
            assert await scan(engine, EICAR) == FOUND
            assert clamd.watched.signatures_version == "local+2"


async def test_one_of_two_is_killed_under_load(folders):
    """Every scan is answered, by the other one."""
    with server_in(folders()) as doomed, server_in(folders()) as other:
        async with engine_on(address_of(doomed), address_of(other), watch=True) as (engine, found):
            await until(lambda: all(standing(one) is Standing.USABLE for one in found))
            # A second attempt needs the time of a whole one.
            scans = [asyncio.create_task(scan(engine, EICAR + b" " * (n % 50), 200)) for n in range(400)]
            await until(lambda: any(task.done() for task in scans))
            doomed.kill()
            assert set(await asyncio.gather(*scans)) == {FOUND}


async def test_a_stopped_clamd_is_given_up(folders):
    """SIGSTOP: connections are taken and nothing is said; after SIGCONT it is used again."""
    folder = folders()
    with server_in(folder) as running:
        times = {"attempt_timeout_s": 0.5, "connect_timeout_s": 0.5, "send_timeout_s": 0.5, "control_timeout_s": 0.3}
        async with engine_on(f"unix:{folder}/clamd.sock", watch=True, **times) as (engine, (clamd,)):
            await until(lambda: standing(clamd) is Standing.USABLE)
            running.send(signal.SIGSTOP)
            said = await scan(engine, b"anything")
            assert isinstance(said, Unscanned)
            assert said.retryable
            await until(lambda: standing(clamd) is Standing.REFUSED)
            running.send(signal.SIGCONT)
            await until(lambda: standing(clamd) is Standing.USABLE)


async def test_a_reload_brings_a_sites_own_signatures(folders):
    """VERSION does not change with them; the epoch does."""
    folder = folders()
    with server_in(folder):
        async with engine_on(f"unix:{folder}/clamd.sock", reload_settle_s=0.1) as (engine, (clamd,)):
            before = clamd.watched.signatures_version
            assert await scan(engine, b"our own malware") == Clean()
            (folder / "signatures" / "site.ndb").write_text(f"Site.Own:0:*:{b'our own malware'.hex()}\n")
            await clamd.watched.reload(step_aside=False)
            async with asyncio.timeout(10):
                while await scan(engine, b"our own malware") == Clean():
                    pass
            assert await scan(engine, b"our own malware") == Detected("Site.Own.UNOFFICIAL")
            assert clamd.watched.signatures_version != before


async def test_control_asks_the_real_clamd(server):
    """PING, VERSION and RELOAD by the PyPI package."""
    control = ClamdControl(parse_address(address_of(server)), timeout_s=3)
    await control.ping()
    assert re.fullmatch(r"ClamAV \d+\.\d+\.\d+", (await control.version()).engine)
    await control.reload()
