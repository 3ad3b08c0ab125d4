"""Sections of OneNote: the files in them are members."""

import struct

import pytest
from hypothesis import given

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.kinds import ContainerKind, recognise
from qscan_unpacker.opening.onenote import open_onenote
from services.unpacker.tests.opened_containers import Opened, mutations

SECTION = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")
FILE = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
FOOTER = bytes.fromhex("22a7fb71790f0b4abb13899256426b24")
SCRIPT = b"<script>run('calc.exe')</script>"


def section_of(*files: bytes) -> bytes:
    """A section with files in it; the rest of it says nothing here."""
    stored = (FILE + struct.pack("<QIQ", len(file), 0, 0) + file + bytes(-len(file) % 8) + FOOTER for file in files)
    return SECTION + bytes(1000) + bytes(64).join(stored) + bytes(200)


def test_files() -> None:
    """Every file, whatever it is."""
    content = section_of(SCRIPT, b"MZ program", b"")
    assert recognise(memoryview(content), declared="", names=()) == (ContainerKind.ONENOTE,)
    found = Opened(open_onenote, content)
    assert found.contents == [SCRIPT, b"MZ program", b""]
    assert found.is_whole


def test_cut_off() -> None:
    """What is there is given, and the rest is not scanned."""
    content = section_of(SCRIPT * 100)
    found = Opened(open_onenote, content[:2000])
    assert (SCRIPT * 100).startswith(found.contents[0])
    assert [error.reason for error in found.broken] == [UnscannedReason.NOT_UNPACKABLE]


@pytest.mark.parametrize(
    ("limit", "detail"), [({"max_members": 1}, "budget.components"), ({"max_bytes": 9}, "budget.bytes")]
)
def test_limits(limit: dict[str, int], detail: str) -> None:
    """The same as everywhere."""
    found = Opened(open_onenote, section_of(SCRIPT, SCRIPT), **limit)  # type: ignore[arg-type]
    assert found.ended is not None
    assert found.ended.detail == detail


@given(mutations([section_of(SCRIPT, SCRIPT * 50)]))
def test_damage_never_crashes(content: bytes) -> None:
    """However it is damaged, all that comes of it are members and `UnreadableError`."""
    Opened(open_onenote, content)
