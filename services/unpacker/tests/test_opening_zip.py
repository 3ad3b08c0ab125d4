"""Zips: whatever one of their many readers would show is a member, and where the readers differ it is noted."""

import bz2
import io
import lzma
import resource
import struct
import zipfile
import zlib
from contextlib import suppress

import inflate64
import pytest
from hypothesis import given, settings

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening import zip_archives, zip_encryption, zip_members
from qscan_unpacker.opening.members import Member, OpenRequest, UnreadableError
from qscan_unpacker.opening.zip_archives import open_zip
from qscan_unpacker.opening.zip_records import Header
from services.unpacker.tests.archives_made import (
    DESCRIPTOR_FLAG,
    ENCRYPTED_FLAG,
    STORED,
    Entry,
    aes_entry,
    central_header,
    deflated,
    end_record,
    overlapping_bomb,
    traditional_entry,
    zip64_end,
    zip_of,
    zstd_of,
)
from services.unpacker.tests.opened_containers import Opened, mutations

HELLO = b"hello, hello, hello, hello"
PAYLOAD = b"MZ the payload that somebody wants to hide" * 3
SMALL = zip_of(Entry("a.txt", HELLO))
UNLISTED = Entry("evil.exe", PAYLOAD, central=None)


def opened(content: bytes, *passwords: str, max_members: int = 1000, max_member_bytes: int = 10**8) -> Opened:
    """What the opener makes of a zip."""
    return Opened(open_zip, content, passwords=passwords, max_members=max_members, max_member_bytes=max_member_bytes)


def zip_lzma(content: bytes) -> bytes:
    """LZMA as zip has it, without an end mark where the size tells the end."""
    filters = [{"id": lzma.FILTER_LZMA1, "lc": 3, "lp": 0, "pb": 2, "dict_size": 1 << 16}]
    return b"\x09\x04\5\0\x5d\0\0\1\0" + lzma.compress(content, lzma.FORMAT_RAW, filters=filters)


def deflated64(*blocks: bytes) -> bytes:
    """A deflate64 stream."""
    deflater = inflate64.Deflater()
    return b"".join(map(deflater.deflate, blocks)) + bytes(deflater.flush())


class TestHonest:
    """Zips as programs write them give their members, and no defect."""

    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_of_the_standard_library(self, method: int) -> None:
        """All methods, with content of more than one piece, and a folder, which is nothing to scan."""
        made = io.BytesIO()
        big = bytes(range(256)) * 5000
        with zipfile.ZipFile(made, "w", method) as archive:
            archive.writestr("a.txt", HELLO)
            archive.mkdir("folder")
            archive.writestr("folder/big.bin", big)
            archive.writestr("empty", b"")
        found = opened(made.getvalue())
        assert found.is_whole
        assert [names for names, _, _ in found.members] == [("a.txt",), ("folder/big.bin",), ("empty",)]
        assert found.contents == [HELLO, big, b""]

    def test_written_to_a_pipe(self) -> None:
        """Sizes stand behind the content then, and zeros in the local header."""

        class Pipe(io.BytesIO):
            def seekable(self) -> bool:
                return False

            def tell(self) -> int:
                raise OSError

        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.txt", HELLO)
            archive.writestr("b.txt", PAYLOAD)
        found = opened(pipe.getvalue())
        assert found.is_whole
        assert found.contents == [HELLO, PAYLOAD]

    def test_zip64(self) -> None:
        """Sizes in the zip64 field, as Python writes them for streams."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive, archive.open("a.txt", "w", force_zip64=True) as member:
            member.write(HELLO)
        found = opened(made.getvalue())
        assert found.is_whole
        assert found.contents == [HELLO]

    @pytest.mark.parametrize(
        ("method", "data"),
        [
            (9, deflated64(HELLO)),
            (12, bz2.compress(HELLO)),
            (12, bz2.compress(HELLO[:9]) + bz2.compress(HELLO[9:])),
            (14, zip_lzma(HELLO)),
            (93, zstd_of(HELLO)),
            (95, lzma.compress(HELLO)),
        ],
    )
    def test_newer_methods(self, method: int, data: bytes) -> None:
        """Methods that clamd and others pass over are read."""
        found = opened(zip_of(Entry("a.txt", HELLO, method, data), Entry("b.txt", HELLO)))
        assert found.is_whole
        assert found.contents == [HELLO, HELLO]

    @pytest.mark.parametrize("level", [0, 9])
    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_zips_in_a_zip(self, method: int, level: int) -> None:
        """Members of members are found when the member is opened, not now, even where their bytes stand literally."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", method, compresslevel=level) as archive:
            for number in range(100):
                archive.writestr(f"{number}.zip", SMALL)
        found = opened(made.getvalue())
        assert found.is_whole
        assert found.contents == [SMALL] * 100

    def test_empty(self) -> None:
        """A zip may have no member."""
        assert opened(zip_of()).is_whole


@pytest.mark.parametrize(
    ("name", "flags", "extra", "expected"),
    [
        (b"a.txt", 0, b"", {"a.txt"}),
        ("é.txt".encode(), 1 << 11, b"", {"é.txt", "├⌐.txt"}),
        ("é.txt".encode(), 0, b"", {"é.txt", "├⌐.txt"}),
        ("é.txt".encode("cp437"), 0, b"", {"é.txt"}),
        (b"?.txt", 0, struct.pack("<HHBI", 0x7075, 11, 1, 0) + "é.txt".encode(), {"?.txt", "é.txt"}),
        (b"a.txt\0.exe", 0, b"", {"a.txt\0.exe", "a.txt"}),
    ],
    ids=["ascii", "marked as UTF-8", "UTF-8", "code page 437", "Unicode path field", "NUL"],
)
def test_names(name: bytes, flags: int, extra: bytes, expected: set[str]) -> None:
    """Every reading of a name is a candidate."""
    stated = {"name": name}
    ((names, _, _),) = opened(zip_of(Entry("", HELLO, flags=flags, extra=extra, local=stated, central=stated))).members
    assert set(names) == expected


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../up",
        "a/../../up",
        "..\\up",
        "\\\\server\\share\\x",
        "\\x",
        "C:\\x",
        "c:x",
        "a.txt:stream",
        "a\nb",
    ],
)
def test_names_that_lead_out(name: str) -> None:
    """Such names are noted; the content is a member like any other."""
    found = opened(zip_of(Entry(name, HELLO)))
    assert found.notes == ["archive.unsafe_name"]
    assert found.contents == [HELLO]


@pytest.mark.parametrize("name", ["a..b", "...", "a/b/c.txt", "http-x", "ü ber.txt", "-rf"])
def test_names_that_do_not(name: str) -> None:
    """Odd names are just names."""
    assert opened(zip_of(Entry(name, HELLO))).is_whole


@pytest.mark.parametrize(("mode", "noted"), [(0o120777, True), (0o020666, True), (0o010666, True), (0o100755, False)])
def test_links_and_devices(mode: int, noted: bool) -> None:
    """What Unix makes of a member is in its attributes."""
    found = opened(zip_of(Entry("a", b"/etc/passwd", central={"attributes": mode << 16})))
    assert found.notes == ["archive.special_member"] * noted
    assert found.contents == [b"/etc/passwd"]


class TestMethodWrong:
    """Case 17: the header says one method, the bytes are another."""

    def test_stored_says_the_header(self) -> None:
        """The zombie: engines see the compressed bytes, a loader inflates them. Both are members."""
        content = zip_of(Entry("a.exe", PAYLOAD, STORED, data=deflated(PAYLOAD)))
        found = opened(content)
        assert set(found.contents) == {deflated(PAYLOAD), PAYLOAD}
        assert "archive.method_wrong" in found.notes

    def test_checksum_of_the_compressed_bytes(self) -> None:
        """A zombie that is right by the letter: size and checksum are those of the deflated bytes."""
        data = deflated(PAYLOAD)
        found = opened(zip_of(Entry("a.exe", data, STORED)))
        assert set(found.contents) == {data, PAYLOAD}
        assert found.notes == ["archive.method_wrong"]

    def test_deflated_says_the_header(self) -> None:
        """The other way round."""
        found = opened(zip_of(Entry("a.exe", PAYLOAD, data=PAYLOAD)))
        assert PAYLOAD in found.contents
        assert "archive.method_wrong" in found.notes

    @pytest.mark.parametrize("method", [1, 6, 12, 14, 93, 95, 98, 77])
    def test_other_methods(self, method: int) -> None:
        """It may say anything."""
        found = opened(zip_of(Entry("a.exe", PAYLOAD, method, data=deflated(PAYLOAD))))
        assert PAYLOAD in found.contents
        assert "archive.method_wrong" in found.notes

    @pytest.mark.parametrize(("local", "central"), [(STORED, 8), (8, STORED)])
    def test_two_methods(self, local: int, central: int) -> None:
        """Readers of either header are followed."""
        stated = Entry("a.exe", PAYLOAD, local={"method": local}, central={"method": central})
        found = opened(zip_of(stated))
        assert set(found.contents) == {deflated(PAYLOAD), PAYLOAD}
        assert "archive.inconsistent" in found.notes


class TestSeveralArchives:
    """Case 18: which archive a file is depends on where the reader begins."""

    def test_concatenated(self) -> None:
        """Most readers see the last one, some the first."""
        found = opened(zip_of(UNLISTED, Entry("evil.exe", PAYLOAD)) + SMALL)
        assert found.contents == [PAYLOAD, PAYLOAD, HELLO]
        assert "archive.concatenated" in found.notes

    def test_three(self) -> None:
        """All are opened, with the names that their own directories give."""
        found = opened(SMALL * 3)
        assert found.contents == [HELLO] * 3
        assert "archive.concatenated" in found.notes
        assert "archive.hidden_member" not in found.notes

    def test_two_directories_for_one_end_record(self) -> None:
        """By its size, counted back from the end record, or by its offset: readers do either."""
        stated = Entry("evil.exe", PAYLOAD)
        first = central_header(0, **Entry("a.txt", HELLO).fields({}))
        body = Entry("a.txt", HELLO).local_bytes()
        second = central_header(len(body), **stated.fields({}))
        whole = body + stated.local_bytes() + first + second
        found = opened(whole + end_record(1, len(second), len(whole) - len(first + second)))
        assert found.contents == [HELLO, PAYLOAD]
        assert "archive.inconsistent" in found.notes

    @pytest.mark.parametrize("believed", ["locator", "place"])
    def test_two_zip64_records(self, believed: str) -> None:
        """CVE-2025-8291: the locator leads to one record, another stands where it should be."""
        stated = Entry("evil.exe", PAYLOAD)
        body = Entry("a.txt", HELLO).local_bytes() + stated.local_bytes()
        one = central_header(0, **Entry("a.txt", HELLO).fields({}))
        other = central_header(len(Entry("a.txt", HELLO).local_bytes()), **stated.fields({}))
        if believed == "place":
            one, other = other, one
        first_at = len(body + one + other)
        lone = zip64_end(1, len(one), len(body), at=0)[:56]
        both = lone + zip64_end(1, len(other), len(body + one), at=first_at)
        found = opened(body + one + other + both + end_record(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF))
        assert set(found.contents) == {HELLO, PAYLOAD}
        assert "archive.inconsistent" in found.notes
        assert "archive.hidden_member" not in found.notes

    def test_zip64_beside_plain_values(self) -> None:
        """Some readers take the zip64 record whenever there is one, others only when they need it."""
        stated = Entry("evil.exe", PAYLOAD)
        first = Entry("a.txt", HELLO)
        body = first.local_bytes() + stated.local_bytes()
        one = central_header(0, **first.fields({}))
        other = central_header(len(first.local_bytes()), **stated.fields({}))
        both = one + other
        tail = zip64_end(1, len(one), len(body), at=len(body + both))
        found = opened(body + both + tail + end_record(1, len(other), len(body + one)))
        assert set(found.contents) == {HELLO, PAYLOAD}
        assert "archive.inconsistent" in found.notes

    @pytest.mark.parametrize("number", [0, 5])
    def test_wrong_number_of_members(self, number: int) -> None:
        """Readers that believe the number see fewer."""
        content = bytearray(zip_of(Entry("a.txt", HELLO), Entry("b.txt", PAYLOAD)))
        content[-14:-10] = struct.pack("<HH", number, number)
        found = opened(bytes(content))
        assert found.contents == [HELLO, PAYLOAD]
        assert found.notes == ["archive.inconsistent"]


class TestHidden:
    """Entries that a directory does not show."""

    @pytest.mark.parametrize(
        "content",
        [
            zip_of(UNLISTED, Entry("a.txt", HELLO)),
            zip_of(Entry("a.txt", HELLO), UNLISTED, Entry("b.txt", HELLO)),
            zip_of(Entry("a.txt", HELLO), UNLISTED),
            zip_of(Entry("a.txt", HELLO), comment=UNLISTED.local_bytes()),
            UNLISTED.local_bytes() + SMALL,
            SMALL + UNLISTED.local_bytes(),
            zip_of(UNLISTED),
            zip_of(Entry("a.txt", HELLO), Entry("evil.exe", PAYLOAD, STORED, central=None)),
        ],
        ids=["before", "between", "last", "comment", "in front", "behind", "alone", "stored"],
    )
    def test_unlisted(self, content: bytes) -> None:
        """They are members, with the name of their local header, and noted."""
        found = opened(content)
        assert found["evil.exe"] == PAYLOAD
        assert "archive.hidden_member" in found.notes

    @pytest.mark.parametrize("stated", [{"flags": 0xA900}, {"method": 0x5A08}, {"name": b"evil.exe" + b"x" * 3000}])
    def test_odd_fields(self, stated: dict[str, int | bytes]) -> None:
        """Readers that are not strict do not mind them."""
        found = opened(zip_of(Entry("evil.exe", PAYLOAD, local=stated, central=None), Entry("a.txt", HELLO)))
        assert found.contents == [PAYLOAD, HELLO]
        assert "archive.hidden_member" in found.notes

    @pytest.mark.parametrize("name", [b"", b"\1evil.exe", b"evil\nexe"])
    @pytest.mark.parametrize("method", [STORED, 8])
    def test_odd_names(self, name: bytes, method: int) -> None:
        """A name that none should have is no place to hide: the checksum of the content proves the header."""
        hidden = Entry("evil.exe", PAYLOAD, method, local={"name": name}, central=None)
        found = opened(zip_of(Entry("a.txt", HELLO), hidden))
        assert found.contents == [HELLO, PAYLOAD]
        assert "archive.hidden_member" in found.notes

    def test_sizes_that_follow(self) -> None:
        """An unlisted, stored member may not even say how long it is."""
        descriptor = struct.pack("<4sIII", b"PK\7\x08", zlib.crc32(PAYLOAD), len(PAYLOAD), len(PAYLOAD))
        lies = {"crc": 0, "size": 0, "compressed_size": 0}
        entry = Entry("evil.exe", PAYLOAD, STORED, PAYLOAD + descriptor, DESCRIPTOR_FLAG, local=lies, central=None)
        assert opened(zip_of(entry, Entry("a.txt", HELLO)))["evil.exe"] == PAYLOAD

    @pytest.mark.parametrize("method", [STORED, 8])
    def test_a_descriptor_that_is_not_there(self, method: int) -> None:
        """Readers that wait for it take what follows for content."""
        found = opened(zip_of(Entry("a.txt", HELLO, method, flags=DESCRIPTOR_FLAG), Entry("b.txt", PAYLOAD)))
        assert found.contents == [HELLO, PAYLOAD]
        assert found.notes == ["archive.inconsistent"]

    def test_behind_a_stream_that_ends_early(self) -> None:
        """The header gives a member more bytes than its stream has; the rest holds another one."""
        stuffed = Entry("a.txt", HELLO, data=deflated(HELLO) + UNLISTED.local_bytes())
        found = opened(zip_of(stuffed))
        assert found.contents == [HELLO, PAYLOAD]
        assert {"archive.hidden_member", "archive.size_wrong"} <= set(found.notes)

    def test_behind_a_size_that_is_too_small(self) -> None:
        """A stream that swallows the next header is no place to hide it from those who go by the size."""
        quote = struct.pack("<BHH", 1, len(UNLISTED.local_bytes()), len(UNLISTED.local_bytes()) ^ 0xFFFF)
        lies = {"compressed_size": len(quote)}
        swallowing = Entry("a.txt", HELLO, data=quote + UNLISTED.local_bytes(), local=lies, central=lies)
        found = opened(zip_of(swallowing))
        assert UNLISTED.local_bytes() in found.contents
        assert found["evil.exe"] == PAYLOAD

    def test_a_header_that_cannot_be_read(self) -> None:
        """Between members nothing but headers has their signature: some reader will make something of it."""
        broken = Entry("evil.exe", PAYLOAD, STORED, local={"name": b"\1", "crc": 1}, central=None)
        assert opened(zip_of(Entry("a.txt", HELLO), broken)).notes == ["archive.inconsistent"]
        assert opened(zip_of(broken)).ended is not None

    def test_chance_is_no_member(self) -> None:
        """Programs that make zips hold the signature as a constant."""
        program = b"MZ" + bytes(60) + b"PK\3\4" + b"\x90\x33\xc0\xff" * 30
        assert opened(program + SMALL).notes == ["archive.surrounded"]


@pytest.mark.parametrize(
    ("local", "central"),
    [
        ({"name": b"evil.exe"}, {}),
        ({}, {"name": b"evil.exe"}),
        ({"size": 5}, {}),
        ({}, {"size": 5}),
        ({"compressed_size": 0}, {}),
        ({"crc": 7}, {}),
        ({}, {"crc": 7}),
        ({"flags": ENCRYPTED_FLAG}, {}),
        ({}, {"flags": ENCRYPTED_FLAG}),
        ({"extra": struct.pack("<HHBI", 0x7075, 13, 1, 0) + b"evil.exe"}, {}),
    ],
    ids=repr,
)
def test_headers_that_differ(local: dict[str, int | bytes], central: dict[str, int | bytes]) -> None:
    """Case 19: what the local header says and what the directory says must be the same."""
    found = opened(zip_of(Entry("a.txt", HELLO, local=local, central=central)))
    assert "archive.inconsistent" in found.notes
    assert HELLO in found.contents
    assert {"evil.exe", "a.txt"} >= {name for names, _, _ in found.members for name in names} >= {"a.txt"}
    if b"evil.exe" in {*local.values(), *central.values()}:
        assert set(found.names_of(HELLO)) == {"a.txt", "evil.exe"}


@pytest.mark.parametrize(
    "lies",
    [{"size": 10}, {"size": 0}, {"size": 10**9}, {"crc": 1}, {"compressed_size": 4}, {"size": 10, "crc": 1}],
    ids=repr,
)
def test_sizes_that_are_wrong(lies: dict[str, int | bytes]) -> None:
    """Both headers lie in the same way: the real bytes come all the same."""
    big = HELLO * 100_000
    found = opened(zip_of(Entry("a.bin", big, local=lies, central=lies), Entry("b.txt", HELLO)))
    assert found["a.bin"] == big
    assert found["b.txt"] == HELLO
    assert found.notes == ["archive.size_wrong"]


def test_two_sizes_of_a_stored_member() -> None:
    """Each of them is a file to some reader."""
    found = opened(zip_of(Entry("a.txt", PAYLOAD, STORED, local={"compressed_size": 9, "size": 9})))
    assert set(found.contents) == {PAYLOAD, PAYLOAD[:9]}
    assert "archive.inconsistent" in found.notes


def test_a_local_header_without_its_signature() -> None:
    """Readers that look only at the length of its name find the content."""
    content = bytearray(SMALL)
    content[:4] = b"XXXX"
    found = opened(bytes(content))
    assert found.contents == [HELLO]
    assert "archive.inconsistent" in found.notes


def test_a_member_that_is_not_there() -> None:
    """The directory lists what lies outside of the file."""
    found = opened(zip_of(Entry("a.txt", HELLO), Entry("b.txt", HELLO, central={"offset": 10**6})))
    assert [(one.names, one.reason) for one in found.unopened] == [(("b.txt",), UnscannedReason.NOT_UNPACKABLE)]
    assert found.contents == [HELLO, HELLO]


@pytest.mark.parametrize("junk", [b"MZ" + bytes(70_000), b"GIF89a" + bytes(100)])
def test_something_in_front(junk: bytes) -> None:
    """Self-extractors, pictures: case 26. The offsets may count from the zip's start or from the file's."""
    for content in (junk + SMALL, zip_of(Entry("a.txt", HELLO), prefix=junk)):
        found = opened(content)
        assert found.contents == [HELLO]
        assert found.notes == ["archive.surrounded"]


def test_something_behind() -> None:
    """What lies behind is a member without a name: another archive may begin there."""
    found = opened(SMALL + b"Rar!" * 100)
    assert found.contents == [HELLO, b"Rar!" * 100]
    assert found.notes == ["archive.surrounded"]


def test_a_long_comment() -> None:
    """So is the comment, where there is room for something."""
    found = opened(zip_of(Entry("a.txt", HELLO), comment=PAYLOAD))
    assert found.contents == [HELLO, PAYLOAD]
    assert found.notes == []


@pytest.mark.parametrize("cut", [30, 60, 100])
def test_cut_off(cut: int) -> None:
    """Without its end a zip still gives what is there."""
    content = zip_of(Entry("a.txt", HELLO), Entry("b.bin", bytes(range(256)) * 4))
    found = opened(content[:-cut])
    assert found["a.txt"] == HELLO
    assert found["b.bin"] == bytes(range(256)) * 4
    assert "archive.inconsistent" in found.notes


def test_damaged_in_the_middle_of_a_member() -> None:
    """What comes before the damage is kept, and the member is not scanned."""
    big = bytes(range(256)) * 100
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = compressor.compress(big) + compressor.flush(zlib.Z_FULL_FLUSH) + b"\0\5\0\0\0wrong"
    found = opened(zip_of(Entry("a.bin", big * 2, data=data), Entry("b.txt", HELLO)))
    assert found["a.bin"] == big
    assert [error.reason for error in found.broken] == [UnscannedReason.NOT_UNPACKABLE]
    assert found["b.txt"] == HELLO


def test_unknown_methods() -> None:
    """Nothing here undoes them: the member has its name and is not scanned."""
    found = opened(zip_of(Entry("a.txt", HELLO, 6, b"\xff" * 20), Entry("b.txt", HELLO)))
    (lost,) = found.unopened
    assert (lost.names, lost.size, lost.reason) == (("a.txt",), len(HELLO), UnscannedReason.NOT_UNPACKABLE)
    assert found.contents == [HELLO]


def test_several_volumes() -> None:
    """The last of several files."""
    content = SMALL[:-22] + end_record(1, len(SMALL) - 22 - len(Entry("a.txt", HELLO).local_bytes()), 0, disk=2)
    found = opened(content)
    assert found.contents == [HELLO]
    assert found.ended is not None
    assert found.ended.reason == UnscannedReason.NOT_UNPACKABLE


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"PK\3\4", b"PK\5\6" + b"\xff" * 18, b"nothing at all", b"PK\3\4" * 1000]
)
def test_no_zip(content: bytes) -> None:
    """What was taken for a zip and is none."""
    found = opened(content)
    assert found.members == []
    assert found.ended is not None
    assert found.ended.reason == UnscannedReason.NOT_UNPACKABLE


class TestEncrypted:
    """Case 25: the old cipher and WinZip's."""

    @pytest.mark.parametrize("password", ["infected", "Passwort", "grün", "p" * 60])
    @pytest.mark.parametrize("strength", [0, 1, 2, 3])
    def test_with_the_password_of_the_mail(self, strength: int, password: str) -> None:
        """One of the words fits: the member is opened, and known to have been encrypted."""
        raw = password.encode()
        make = traditional_entry if not strength else lambda *given: aes_entry(*given, strength=strength)
        entries = [make("a.txt", HELLO, raw), make("b.txt", PAYLOAD, raw)]
        found = opened(zip_of(*entries, Entry("c.txt", HELLO)), "wrong", "words", password, "more")
        assert [(content, encrypted) for _, content, encrypted in found.members] == [
            (HELLO, True),
            (PAYLOAD, True),
            (HELLO, False),
        ]
        assert set(found.notes) == {"archive.encrypted"}

    @pytest.mark.parametrize(
        "entry",
        [traditional_entry("Rechnung.exe", HELLO, b"secret"), aes_entry("Rechnung.exe", HELLO, b"secret")],
        ids=["old", "AES"],
    )
    def test_without(self, entry: Entry) -> None:
        """No word fits: name and size are there for the policy."""
        found = opened(zip_of(entry), *(f"word{number}" for number in range(64)))
        (lost,) = found.unopened
        assert (lost.names, lost.size, lost.reason) == (("Rechnung.exe",), len(HELLO), UnscannedReason.ENCRYPTED)
        assert found.members == []
        assert found.notes == ["archive.encrypted"]

    def test_stored_and_encrypted(self) -> None:
        """Only the checksum tells whether the password was right."""
        found = opened(zip_of(aes_entry("a.txt", HELLO, b"right", method=STORED)), "wrong", "right")
        assert found.contents == [HELLO]

    def test_a_wrong_password_that_looks_right(self) -> None:
        """The old cipher checks one byte: of 2,000 words some fit there, and only one gives the content."""
        words = [f"word{number}" for number in range(2000)]
        found = opened(zip_of(traditional_entry("a.txt", HELLO, b"right")), *words, "right")
        assert found.contents == [HELLO]

    def test_many_members_are_not_tried_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """When no word fitted the first members, the others are only named."""
        tried = []

        def counting(header: Header, content: memoryview, password: bytes) -> bytes | None:
            tried.append(password)
            return decrypted(header, content, password)

        decrypted = zip_encryption.decrypted
        monkeypatch.setattr(zip_encryption, "decrypted", counting)
        found = opened(zip_of(*(traditional_entry(f"{n}", HELLO, b"secret") for n in range(50))), "one", "two")
        assert len(found.unopened) == 50
        # Two words on the local and on the central header.
        assert len(tried) == 2 * 2 * zip_members.MAX_MEMBERS_TRIED

    @pytest.mark.parametrize("method", [STORED, 8])
    def test_marked_and_not_encrypted(self, method: int) -> None:
        """Some readers do not care for the mark, scanners give up at it."""
        found = opened(zip_of(Entry("a.exe", PAYLOAD, method, flags=ENCRYPTED_FLAG)))
        assert found.contents == [PAYLOAD]
        assert found.notes == ["archive.inconsistent"]

    def test_strong_encryption(self) -> None:
        """It takes more than a password."""
        found = opened(zip_of(Entry("a.exe", PAYLOAD, data=b"\xff" * 50, flags=ENCRYPTED_FLAG | 1 << 6)), "infected")
        assert [one.reason for one in found.unopened] == [UnscannedReason.ENCRYPTED]

    def test_encrypted_directory(self) -> None:
        """Names are hidden as well."""
        entry = Entry("", PAYLOAD, data=b"\xff" * 50, flags=ENCRYPTED_FLAG | 1 << 6 | 1 << 13, central=None)
        body = Entry("1", b"", local={"name": b"1"}, flags=entry.flags, data=b"\xff" * 50, central=None).local_bytes()
        directory = b"PK\6\x08" + bytes(100)
        found = opened(body + directory + end_record(1, len(directory), len(body)))
        assert found.ended is not None
        assert found.ended.reason == UnscannedReason.ENCRYPTED


class TestBombs:
    """Cases 20 and 21: what comes out is counted while it comes."""

    def test_overlapping(self) -> None:
        """250 names for one stream, each of which would give 2 MB: a few are inflated, the rest is named a bomb."""
        found = opened(overlapping_bomb(250, 2_000_000))
        assert len(found.members) <= zip_archives.MAX_OVERLAPPING + 1
        assert {one.reason for one in found.unopened} == {UnscannedReason.BOMB}
        assert len(found.members) + len(found.unopened) == 250
        assert "archive.overlap" in found.notes

    def test_one_member_listed_a_thousand_times(self) -> None:
        """It is inflated once."""
        body = Entry("x", HELLO).local_bytes()
        directory = b"".join(central_header(0, **Entry(f"{n}", HELLO).fields({})) for n in range(1000))
        found = opened(body + directory + end_record(1000, len(directory), len(body)))
        assert found.contents == [HELLO]
        assert len(found.names_of(HELLO)) == 1001
        assert {"archive.overlap", "archive.inconsistent"} <= set(found.notes)

    def test_member_limit(self) -> None:
        """The member is given as far as the limit, and those behind it are opened."""
        found = opened(zip_of(Entry("zeros", bytes(10**6)), Entry("a.txt", HELLO)), max_member_bytes=10**5)
        assert found["zeros"] == bytes(10**5)
        assert found["a.txt"] == HELLO
        assert [(error.reason, error.detail) for error in found.broken] == [
            (UnscannedReason.OVER_BUDGET, "budget.component_bytes")
        ]

    def test_limit_of_all(self) -> None:
        """The limit of all members together ends the container."""
        content = zip_of(*(Entry(f"{number}", bytes(1000)) for number in range(100)))
        found = Opened(open_zip, content, max_bytes=5500)
        assert sum(map(len, found.contents)) == 5500
        assert found.ended is not None
        assert found.ended.detail == "budget.bytes"

    def test_limit_of_members(self) -> None:
        """So does the number of members."""
        found = opened(zip_of(*(Entry(f"{number}", HELLO) for number in range(100))), max_members=10)
        assert len(found.members) == 10
        assert found.ended is not None
        assert found.ended.detail == "budget.components"

    @pytest.mark.parametrize("method", [8, 9, 12, 14, 95])
    def test_memory(self, method: int) -> None:
        """A gigabyte of zeros in every method takes no more memory than some pieces of it."""
        data = _zeros(method)
        lies = {"size": 10**9, "crc": 0}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        counted = 0
        request = OpenRequest("zip", (), 10, 3 * 10**8, 10**9)
        zeros = Entry("zeros", b"", method, data, local=lies, central=lies)
        with suppress(UnreadableError):
            for event in open_zip(memoryview(zip_of(zeros)), request):
                if isinstance(event, Member):
                    with suppress(UnreadableError):
                        for piece in event.pieces:
                            counted += len(piece)
        assert counted == 3 * 10**8
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024

    def test_floods(self) -> None:
        """A file of nothing but signatures ends, and says that not all of it was followed or that it is no zip."""
        long = Entry("", bytes(10**6), STORED, local={"name": b"\1", "crc": 1}).local_bytes()[:31]
        for flood in (long * 50_000, b"PK\3\4" * 300_000, b"PK\5\6" * 300_000, (b"PK\3\4" + bytes(26)) * 50_000):
            found = opened(flood)
            assert found.ended is not None


def _zeros(method: int) -> bytes:
    """Some 400 MB of zeros, compressed."""
    block = bytes(10**7)
    if method == 8:
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        return b"".join(deflater.compress(block) for _ in range(40)) + deflater.flush()
    if method == 9:
        return deflated64(*[block] * 40)
    if method == 12:
        return bz2.compress(block) * 40
    if method == 14:
        filters = [{"id": lzma.FILTER_LZMA1, "lc": 3, "lp": 0, "pb": 2, "dict_size": 1 << 16, "preset": 0}]
        compressor = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=filters)
        return (
            b"\x09\x04\5\0\x5d\0\0\1\0" + b"".join(compressor.compress(block) for _ in range(40)) + compressor.flush()
        )
    compressor = lzma.LZMACompressor(preset=0)
    return b"".join(compressor.compress(block) for _ in range(40)) + compressor.flush()


SEEDS = [
    SMALL,
    zip_of(Entry("a.txt", HELLO), UNLISTED, Entry("b.txt", PAYLOAD, STORED), comment=b"comment"),
    zip_of(Entry("a", HELLO, 14, zip_lzma(HELLO)), Entry("b", HELLO, 12, bz2.compress(HELLO))),
    zip_of(traditional_entry("a.txt", HELLO, b"infected"), aes_entry("b.txt", HELLO, b"infected")),
    zip_of(Entry("a", HELLO, 93, zstd_of(HELLO)), Entry("b", HELLO, 95, lzma.compress(HELLO))),
    SMALL + zip_of(Entry("c.txt", SMALL)),
    overlapping_bomb(4, 1000),
]


@settings(max_examples=300, deadline=None)
@given(mutations(SEEDS))
def test_damage_never_crashes(content: bytes) -> None:
    """However a zip is damaged, all that comes of it are members, notes and `UnreadableError`."""
    opened(content, "infected", max_members=50, max_member_bytes=10**6)
