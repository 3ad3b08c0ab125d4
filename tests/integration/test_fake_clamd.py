"""The fake clamd says what the real one says, so that what passes against it is worth something."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from qscan_av_gateway import probes
from qscan_av_gateway.clamd_config import ClamdLimits, render, write_eicar_signatures
from qscan_av_gateway.eicar import EICAR
from qscan_testkit.clamd_server import ClamdServer, program
from qscan_testkit.fake_clamd import FakeClamd, Switches

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real_clamd,
    pytest.mark.skipif(program() is None, reason="no clamd here: make setup installs clamav-daemon"),
]
STREAM_MAX_BYTES = 200_000
SWITCHES = {
    "as shipped by qscan": ("", Switches(stream_max_bytes=STREAM_MAX_BYTES)),
    "no limits": ("AlertExceedsMax no", Switches(alert_exceeds_max=False)),
    "no archives": ("AlertEncryptedArchive no,AlertEncrypted no", Switches(alert_encrypted_archive=False)),
    "no documents": ("AlertEncryptedDoc no,AlertEncrypted no", Switches(alert_encrypted_doc=False)),
    "heuristics first": ("HeuristicScanPrecedence yes", Switches(heuristic_scan_precedence=True)),
}


def stream(data: bytes, piece: int = 65_536) -> bytes:
    """INSTREAM as a client sends it."""
    pieces = [data[start : start + piece] for start in range(0, len(data), piece)]
    return b"zINSTREAM\0" + b"".join(len(one).to_bytes(4, "big") + one for one in pieces) + bytes(4)


QUESTIONS = {
    "ping": b"zPING\0",
    "ping by lines": b"nPING\n",
    "version": b"zVERSION\0",
    "version by lines": b"nVERSION\n",
    "reload": b"zRELOAD\0",
    "bogus": b"zBOGUS\0",
    "empty": stream(b""),
    "clean": stream(os.urandom(150_000)),
    "clean in small pieces": stream(os.urandom(5_000), 7),
    "eicar": stream(EICAR),
    "eicar deep": stream(probes.nested_zips(3)),
    "nested": stream(probes.nested_zips()),
    "encrypted zip": stream(probes.encrypted_zip()),
    "encrypted PDF": stream(probes.encrypted_pdf()),
    "eicar beside encrypted": stream(probes.virus_beside_encrypted()),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, as that of a unix socket has to be."""
    with TemporaryDirectory(prefix="qscan-") as text:
        yield Path(text)


@pytest.fixture(params=SWITCHES)
async def both(request, folder: Path) -> AsyncIterator[tuple[Path, Path]]:
    """A real and a fake clamd with the same switches."""
    lines, switches = SWITCHES[request.param]
    write_eicar_signatures(folder / "signatures")
    limits = ClamdLimits(stream_max_bytes=switches.stream_max_bytes)
    text = render(database_directory=folder / "signatures", local_socket=folder / "real.sock", limits=limits)
    for line in filter(None, lines.split(",")):
        text = re.sub(rf"^{line.split()[0]} .*$", line, text, flags=re.MULTILINE)
    with ClamdServer(folder / "real", text, listens_at=str(folder / "real.sock")):
        async with FakeClamd(folder / "fake.sock", switches=switches):
            yield folder / "real.sock", folder / "fake.sock"


async def ask(path: Path, words: bytes) -> bytes:
    """Everything that a clamd says, with what differs for good reason made equal."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(words)
    reply = await reader.read()
    writer.close()
    reply = re.sub(rb"stream: \S*(Eicar|EICAR)\S* FOUND", b"stream: EICAR FOUND", reply)
    return re.sub(rb"ClamAV [0-9.]+(/[0-9]+/[A-Za-z0-9: ]+)?", b"ClamAV VERSION", reply)


async def test_same_words_for_the_same_question(both):
    """Byte for byte."""
    real, fake = both
    for name, words in QUESTIONS.items():
        assert await ask(fake, words) == await ask(real, words), name


async def test_same_words_when_it_is_too_much(folder):
    """And both hang up on a client that goes on."""
    switches = Switches(stream_max_bytes=STREAM_MAX_BYTES)
    write_eicar_signatures(folder / "signatures")
    limits = ClamdLimits(stream_max_bytes=STREAM_MAX_BYTES)
    text = render(database_directory=folder / "signatures", local_socket=folder / "real.sock", limits=limits)
    async with FakeClamd(folder / "fake.sock", switches=switches):
        with ClamdServer(folder / "real", text, listens_at=str(folder / "real.sock")):
            for path in (folder / "real.sock", folder / "fake.sock"):
                words = stream(bytes(STREAM_MAX_BYTES + 1))
                assert await asyncio.to_thread(ask_bluntly, path, words) == b"INSTREAM size limit exceeded. ERROR\0", (
                    path
                )


def ask_bluntly(path: Path, words: bytes) -> bytes:
    """The first words of a clamd; asyncio's streams may lose them when it hangs up."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        with suppress(BrokenPipeError):
            connection.sendall(words)
        return connection.recv(1000)
