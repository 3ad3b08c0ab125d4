"""Archives that libarchive reads, and single compressed files: members, links, passwords, damage and bombs."""

import bz2
import gzip
import io
import lzma
import resource
import struct
import tarfile
import zlib
from collections.abc import Callable

import py7zr
import pycdlib
import pytest
from hypothesis import given, settings

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.archives import MAX_CONCATENATED, open_archive
from qscan_unpacker.opening.compressed import open_compressed
from qscan_unpacker.opening.rar import RarMember, rar_members
from services.unpacker.tests.archives_made import (
    ar_of,
    cab_of,
    cpio_of,
    lha_of,
    lz4_of,
    rar4_of,
    rar5_block,
    rar5_of,
    rpm_of,
    variable,
    xar_of,
    zstd_of,
)
from services.unpacker.tests.opened_containers import Opened, mutations

HELLO = b"hello, hello, hello, hello"
PAYLOAD = b"MZ the payload that somebody wants to hide" * 3
TWO = (("a.txt", HELLO), ("folder/b.bin", PAYLOAD))
GIGABYTE = 10**9


def opened(content: bytes, *passwords: str) -> Opened:
    """What the opener makes of an archive."""
    return Opened(open_archive, content, passwords=passwords)


def unpacked(content: bytes, *names: str) -> Opened:
    """What the opener makes of a compressed file."""
    return Opened(open_compressed, content, names=names)


def rar_members_of(content: bytes) -> list[RarMember]:
    """What the headers of a rar say."""
    return list(rar_members(memoryview(content)))


def tar_of(*members: tuple[str, bytes], dialect: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=dialect) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def tar_with(member: tarfile.TarInfo) -> bytes:
    """A tar with one member that has no content."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(member)
    return made.getvalue()


def seven_zip_of(
    *members: tuple[str, bytes],
    password: str | None = None,
    filters: list[dict[str, int]] | None = None,
    hide_names: bool = False,
) -> bytes:
    """A 7z, solid as 7-Zip writes it."""
    made = io.BytesIO()
    if filters and password:
        filters = [*filters, {"id": py7zr.FILTER_CRYPTO_AES256_SHA256}]
    with py7zr.SevenZipFile(made, "w", filters=filters, password=password, header_encryption=hide_names) as archive:
        for name, content in members:
            archive.writestr(content, name)
    return made.getvalue()


def iso_of(change: Callable[[pycdlib.PyCdlib], None] = lambda _: None) -> bytes:
    """An ISO image with all three trees."""
    image = pycdlib.PyCdlib()
    image.new(joliet=3, rock_ridge="1.09")
    image.add_directory("/D", rr_name="d", joliet_path="/d")
    name = "längerer Name.txt"
    image.add_fp(io.BytesIO(HELLO), len(HELLO), "/A.TXT;1", rr_name=name, joliet_path="/" + name)
    change(image)
    made = io.BytesIO()
    image.write_fp(made)
    image.close()
    return made.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        tar_of(*TWO, dialect=tarfile.USTAR_FORMAT),
        tar_of(*TWO, dialect=tarfile.GNU_FORMAT),
        tar_of(*TWO, dialect=tarfile.PAX_FORMAT),
        seven_zip_of(*TWO),
        seven_zip_of(*TWO, filters=[{"id": py7zr.FILTER_COPY}]),
        seven_zip_of(*TWO, filters=[{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2, "preset": 1}]),
        rar4_of(*TWO),
        rar5_of(*TWO),
        cab_of(*TWO),
        lha_of(*TWO),
        cpio_of(*TWO),
        rpm_of(gzip.compress(cpio_of(*TWO))),
        rpm_of(lzma.compress(cpio_of(*TWO))),
    ],
    ids=["ustar", "gnu", "pax", "7z", "7z copy", "7z bcj", "rar4", "rar5", "cab", "lha", "cpio", "rpm gz", "rpm xz"],
)
def test_members(content: bytes) -> None:
    """Every member with its name and its bytes, and no defect."""
    found = opened(content)
    assert found.is_whole
    assert [(names[0].replace("\\", "/"), data) for names, data, _ in found.members] == list(TWO)


def test_more_formats() -> None:
    """Formats whose writers here can do no folders."""
    assert opened(ar_of(("a.txt", HELLO)))["a.txt"] == HELLO
    assert opened(xar_of("a.txt", HELLO))["a.txt"] == HELLO


@pytest.mark.parametrize("dialect", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_that_are_not_ascii(dialect: int) -> None:
    """They come as UTF-8, and long ones whole."""
    name = "Übersicht/" + "ä" * 200 + ".txt"
    assert opened(tar_of((name, HELLO), dialect=dialect))[name] == HELLO
    for content in (seven_zip_of((name, HELLO)), rar5_of((name, HELLO))):
        assert opened(content)[name] == HELLO


@pytest.mark.parametrize(
    "content",
    [seven_zip_of(*TWO), rar4_of(*TWO), rar5_of(*TWO), cab_of(*TWO), lha_of(*TWO)],
    ids=["7z", "rar4", "rar5", "cab", "lha"],
)
def test_self_extractors(content: bytes) -> None:
    """A program in front, as long as it likes."""
    found = opened(b"MZ" + bytes(300_000) + content)
    assert found.contents == [HELLO, PAYLOAD]
    assert found.notes == ["archive.surrounded"]


def test_several_archives_in_a_program() -> None:
    """A set-up program may carry several; one that lies in another is that one's member."""
    inner = cab_of(("inner.txt", HELLO))
    found = opened(
        b"MZ" + bytes(1000) + cab_of(("a.cab", inner)) + bytes(50) + cab_of(("b.txt", PAYLOAD)) + rar5_of(*TWO)
    )
    assert sorted(found.contents) == sorted([inner, PAYLOAD, HELLO, PAYLOAD])


@pytest.mark.parametrize("name", ["/etc/passwd", "../../up", "C:\\x"])
def test_names_that_lead_out(name: str) -> None:
    """Case 22: nothing is ever written, so such a name is only noted."""
    found = opened(tar_of((name, HELLO)))
    assert found.notes == ["archive.unsafe_name"]
    assert found.contents == [HELLO]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices(kind: bytes) -> None:
    """Case 22: they are noted, and where a link leads is its content."""
    member = tarfile.TarInfo("a")
    member.type, member.linkname = kind, "/etc/passwd"
    found = opened(tar_with(member))
    assert found.notes == ["archive.special_member"]
    assert found.contents == [b"/etc/passwd" if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else b""]


def test_content_of_a_hard_link() -> None:
    """A cpio may give a link content of its own; it is not passed over."""
    found = opened(cpio_of(("a.txt", b"/etc/passwd"), mode=0o120777))
    assert found.notes == ["archive.special_member"]
    assert found.contents == [b"/etc/passwd"]


def test_folders_are_no_members() -> None:
    """There is nothing in them to scan."""
    member = tarfile.TarInfo("folder")
    member.type = tarfile.DIRTYPE
    assert opened(tar_with(member)).is_whole
    assert opened(tar_with(member)).members == []


class TestTar:
    """What only tars do."""

    def test_concatenated(self) -> None:
        """Most programs stop at the zeros of the first one, some go on."""
        found = opened(tar_of(("a.txt", HELLO)) + bytes(512) + tar_of(("evil.exe", PAYLOAD)))
        assert found.contents == [HELLO, PAYLOAD]
        assert found.notes == ["archive.concatenated"]

    def test_very_many(self) -> None:
        """They are followed up to a number."""
        assert len(opened(tar_of(("a.txt", HELLO)) * 40).members) == MAX_CONCATENATED

    def test_cut_off(self) -> None:
        """What is there is given, and the rest is not scanned."""
        found = opened(tar_of(("a.txt", HELLO), ("b.bin", PAYLOAD * 100))[: 512 * 5])
        assert found["a.txt"] == HELLO
        assert (PAYLOAD * 100).startswith(found["b.bin"])
        assert found.broken
        assert found.ended is not None
        assert found.ended.reason == UnscannedReason.NOT_UNPACKABLE

    def test_sparse(self) -> None:
        """Case 21: a terabyte of holes ends at the limit of a member."""
        sparse = b"1\n1099511627776\n5\n"
        pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1099511627781"}
        member = tarfile.TarInfo("sparse")
        member.pax_headers = pax
        content = sparse.ljust(512, b"\0") + b"hello"
        member.size = len(content)
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as archive:
            archive.addfile(member, io.BytesIO(content))
        found = Opened(open_archive, made.getvalue(), max_member_bytes=10**7)
        assert found.contents == [bytes(10**7)]
        assert found.broken[0].detail == "budget.component_bytes"

    def test_negative_size(self) -> None:
        """CVE-2025-8194: a size below zero must not send the reader back."""
        header = bytearray(tar_of(("a.txt", b""))[:512])
        header[124:136] = b"\xff" * 12
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        found = opened(bytes(header) * 2 + bytes(1024))
        assert found.members == [] or found.contents == [b""] * len(found.members)


class TestSevenZip:
    """What only 7z does."""

    @pytest.mark.parametrize("hide_names", [False, True])
    @pytest.mark.parametrize(
        "filters",
        [
            None,
            [{"id": py7zr.FILTER_COPY}],
            [{"id": py7zr.FILTER_LZMA}],
            [{"id": py7zr.FILTER_BZIP2}],
            [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
        ],
        ids=["lzma2", "copy", "lzma", "bzip2", "bcj"],
    )
    def test_with_the_password_of_the_mail(self, filters: list[dict[str, int]] | None, hide_names: bool) -> None:
        """Case 25: names encrypted or not."""
        content = seven_zip_of(*TWO, ("empty", b""), password="grün", filters=filters, hide_names=hide_names)
        found = opened(content, "wrong", "grün", "more")
        assert [(names[0], data, encrypted) for names, data, encrypted in found.members if data] == [
            ("a.txt", HELLO, True),
            ("folder/b.bin", PAYLOAD, True),
        ]
        assert found.notes == ["archive.encrypted"]
        assert not found.unopened

    def test_without(self) -> None:
        """Names and sizes are there for the policy."""
        found = opened(seven_zip_of(*TWO, password="secret"), "wrong")
        assert [(one.names[0], one.size, one.reason) for one in found.unopened] == [
            ("a.txt", len(HELLO), UnscannedReason.ENCRYPTED),
            ("folder/b.bin", len(PAYLOAD), UnscannedReason.ENCRYPTED),
        ]
        assert not found.members

    def test_without_and_names_encrypted(self) -> None:
        """Not even those."""
        found = opened(seven_zip_of(*TWO, password="secret", hide_names=True), "wrong")
        assert found.ended is not None
        assert found.ended.reason == UnscannedReason.ENCRYPTED

    def test_a_method_that_nothing_here_knows(self) -> None:
        """The names of all members are there all the same."""
        found = opened(seven_zip_of(*TWO, filters=[{"id": py7zr.FILTER_ZSTD}]))
        names = [names for names, _, _ in found.members] + [one.names for one in found.unopened]
        assert [name[0] for name in names] == ["a.txt", "folder/b.bin"]
        assert found.contents == [b""]
        assert found.broken[0].reason == UnscannedReason.NOT_UNPACKABLE

    def test_cut_off(self) -> None:
        """The first file of several."""
        found = opened(seven_zip_of(*TWO)[:-10])
        assert found.ended is not None
        assert found.ended.reason == UnscannedReason.NOT_UNPACKABLE


class TestRar:
    """What only rar does."""

    @pytest.mark.parametrize("make", [rar4_of, rar5_of])
    def test_encrypted(self, make: Callable[..., bytes]) -> None:
        """Nothing here decrypts it; its names are there."""
        found = opened(make(*TWO, encrypted=True), "secret")
        assert [(one.names[0], one.size, one.reason) for one in found.unopened] == [
            ("a.txt", len(HELLO), UnscannedReason.ENCRYPTED),
            ("folder/b.bin", len(PAYLOAD), UnscannedReason.ENCRYPTED),
        ]
        assert not found.members
        assert set(found.notes) == {"archive.encrypted"}

    @pytest.mark.parametrize(
        "content",
        [
            rar4_of(main_flags=0x80) + bytes(100),
            b"Rar!\x1a\x07\x01\0" + rar5_block(4, 0, 0, 15, bytes(16)) + bytes(100),
        ],
        ids=["rar4", "rar5"],
    )
    def test_encrypted_headers(self, content: bytes) -> None:
        """Not even names."""
        found = opened(content)
        assert found.ended is not None
        assert found.ended.reason == UnscannedReason.ENCRYPTED

    @pytest.mark.parametrize(
        "content", [rar4_of(*TWO, main_flags=1), rar5_of(*TWO, archive_flags=1)], ids=["rar4", "rar5"]
    )
    def test_volumes(self, content: bytes) -> None:
        """What is in this one is opened; there are others."""
        found = opened(content)
        assert found.contents == [HELLO, PAYLOAD]
        assert found.ended is not None
        assert found.ended.reason == UnscannedReason.NOT_UNPACKABLE

    def test_a_stream_of_ntfs(self) -> None:
        """CVE-2025-8088: a program beside a harmless file, in a stream whose name leads out."""
        stream = b":..\\..\\Startup\\evil.exe"
        service = variable(7) + stream
        extra = variable(len(service)) + service
        fields = (0, len(PAYLOAD), 0, 0, 1, 3, b"STM")
        content = rar5_of(("a.txt", HELLO))[: -len(rar5_block(5, 0))]
        found = opened(content + rar5_block(3, *fields, extra=extra, data=PAYLOAD) + rar5_block(5, 0))
        assert found["a.txt"] == HELLO
        assert found["a.txt:..\\..\\Startup\\evil.exe"] == PAYLOAD
        assert {"archive.hidden_member", "archive.unsafe_name"} <= set(found.notes)

    @pytest.mark.parametrize("make", [rar4_of, rar5_of])
    def test_damaged(self, make: Callable[..., bytes]) -> None:
        """A member with another checksum is given, and noted."""
        content = make(*TWO).replace(HELLO, HELLO.upper())
        found = opened(content)
        assert found.contents == [HELLO.upper(), PAYLOAD]
        assert found.notes == ["archive.size_wrong"]

    def test_a_method_that_nothing_here_knows(self) -> None:
        """Its members have names all the same."""
        content = bytearray(rar4_of(*TWO))
        method_at = content.index(b"a.txt") - 7
        assert content[method_at] == 0x30
        content[method_at] = 0x39
        found = opened(bytes(content))
        names = [names[0] for names, _, _ in found.members] + [one.names[0] for one in found.unopened]
        assert sorted(names) == ["a.txt", "folder/b.bin"]
        assert found.broken or found.unopened

    def test_sizes_beyond_all_memory(self) -> None:
        """A member whose packed size has 64 bits leads nowhere."""
        huge = b"\xff" * 8
        large = bytearray(rar4_of(("x" * 8, HELLO)))
        start = large.index(b"x" * 8)
        large[start : start + 8] = huge
        flags_at = start - 32 + 3
        large[flags_at + 1] |= 0x01
        assert not opened(bytes(large)).contents or opened(bytes(large)).broken
        assert rar_members_of(bytes(large))[0].end > 1 << 63


class TestIso:
    """What only ISO images do."""

    def test_names_of_all_trees(self) -> None:
        """A file that several trees show is one member with all its names."""
        found = opened(iso_of())
        assert found.is_whole
        assert set(found.names_of(HELLO)) >= {"längerer Name.txt", "A.TXT"}
        assert len(found.members) == 1

    def test_a_file_in_one_tree_only(self) -> None:
        """Windows shows it, Linux does not, and a scanner that reads one tree neither."""

        def change(image: pycdlib.PyCdlib) -> None:
            image.add_fp(io.BytesIO(PAYLOAD), len(PAYLOAD), joliet_path="/evil.exe")

        found = opened(iso_of(change))
        assert found["evil.exe"] == PAYLOAD
        assert "archive.inconsistent" in found.notes

    def test_links(self) -> None:
        """A symbolic link of Rock Ridge is an empty file elsewhere, which is no difference."""

        def change(image: pycdlib.PyCdlib) -> None:
            image.add_symlink("/S.;1", rr_symlink_name="link", rr_path="/etc/passwd")

        found = opened(iso_of(change))
        assert found.notes == ["archive.special_member"]
        assert found["link"] == b"/etc/passwd"


def test_cabinets_that_belong_together() -> None:
    """What is in this one is opened; there are others."""
    spanned = bytearray(cab_of(*TWO))
    spanned[30] = 2
    found = opened(bytes(spanned[:36]) + b"next.cab\0disk\0" + bytes(spanned[36:]))
    assert found.ended is not None
    assert found.ended.reason == UnscannedReason.NOT_UNPACKABLE


@pytest.mark.parametrize(
    "content", [b"", b"7z\xbc\xaf\x27\x1c", b"7z\xbc\xaf\x27\x1c" + b"\xff" * 60, b"MZ" + bytes(1000), b"a text"]
)
def test_no_archive(content: bytes) -> None:
    """What was taken for an archive and is none."""
    found = opened(content)
    assert not found.members
    assert found.ended is not None
    assert found.ended.reason == UnscannedReason.NOT_UNPACKABLE


def test_limits() -> None:
    """The same three as everywhere."""
    many = tar_of(*((f"{number}", bytes(1000)) for number in range(50)))
    assert Opened(open_archive, many, max_members=10).ended.detail == "budget.components"  # type: ignore[union-attr]
    assert Opened(open_archive, many, max_bytes=5500).ended.detail == "budget.bytes"  # type: ignore[union-attr]
    assert sum(map(len, Opened(open_archive, many, max_bytes=5500).contents)) == 5500
    assert {error.detail for error in Opened(open_archive, many, max_member_bytes=100).broken} == {
        "budget.component_bytes"
    }


class TestCompressed:
    """One file in a wrapping."""

    @pytest.mark.parametrize(
        ("suffix", "content"),
        [
            (".gz", gzip.compress(HELLO, mtime=0)),
            (".bz2", bz2.compress(HELLO)),
            (".bz2", bz2.compress(HELLO[:9]) + bz2.compress(HELLO[9:])),
            (".xz", lzma.compress(HELLO)),
            (".xz", lzma.compress(HELLO[:9]) + bytes(8) + lzma.compress(HELLO[9:])),
            (".lzma", lzma.compress(HELLO, lzma.FORMAT_ALONE)),
            (".zst", zstd_of(HELLO)),
            (".zst", b"\x50\x2a\x4d\x18\4\0\0\0skip" + zstd_of(HELLO[:9]) + zstd_of(HELLO[9:])),
            (".lz4", lz4_of(HELLO)),
        ],
        ids=["gz", "bz2", "bz2 twice", "xz", "xz twice", "lzma", "zst", "zst frames", "lz4"],
    )
    def test_formats(self, suffix: str, content: bytes) -> None:
        """The content, and the name without what compressing added to it."""
        found = unpacked(content, "Übersicht.txt" + suffix, "other" + suffix.upper())
        assert found.is_whole
        assert found.members == [(("Übersicht.txt", "other"), HELLO, False)]

    def test_compress(self) -> None:
        """The program that gzip replaced."""
        assert unpacked(bytes.fromhex("1f9d9061c48c01"), "a.Z").members == [(("a",), b"abc", False)]

    def test_lzip(self) -> None:
        """LZMA with a frame of its own."""
        filters = [{"id": lzma.FILTER_LZMA1, "lc": 3, "lp": 0, "pb": 2, "dict_size": 1 << 16}]
        stream = lzma.compress(HELLO, lzma.FORMAT_RAW, filters=filters)
        content = b"LZIP\1\x10" + stream + struct.pack("<IQQ", zlib.crc32(HELLO), len(HELLO), len(stream) + 26)
        assert unpacked(content, "a.txt.lz").contents == [HELLO]

    @pytest.mark.parametrize(
        ("name", "expected"),
        [("a.tgz", "a.tar"), ("a.TBZ2", "a.tar"), ("b.svgz", "b.svg"), ("invoice.pdf", "invoice.pdf")],
    )
    def test_suffixes(self, name: str, expected: str) -> None:
        """Two suffixes in one; and a compressed file that is called something else keeps its name."""
        assert unpacked(gzip.compress(HELLO), name).members[0][0] == (expected,)

    def test_name_in_the_header(self) -> None:
        """gzip keeps the name of the file; both are candidates."""
        made = io.BytesIO()
        with gzip.GzipFile("evil.exe", "wb", fileobj=made) as file:
            file.write(HELLO)
        assert unpacked(made.getvalue(), "a.txt.gz").members == [(("evil.exe", "a.txt"), HELLO, False)]

    def test_several_members(self) -> None:
        """gunzip shows one file; each member is given by itself too, since some readers stop at the first."""
        found = unpacked(gzip.compress(HELLO) + gzip.compress(PAYLOAD), "a.gz")
        assert found.contents == [HELLO + PAYLOAD, HELLO, PAYLOAD]
        assert found.notes == []

    def test_very_many_members(self) -> None:
        """Parallel compressors write thousands."""
        assert unpacked(gzip.compress(b"x") * 5000).contents == [b"x" * 5000]

    def test_wrong_checksum(self) -> None:
        """The content is there all the same."""
        content = bytearray(gzip.compress(HELLO))
        content[-6] ^= 1
        found = unpacked(bytes(content))
        assert found.contents == [HELLO]
        assert found.notes == ["archive.size_wrong"]

    @pytest.mark.parametrize("content", [gzip.compress(PAYLOAD * 2000), lzma.compress(PAYLOAD), bz2.compress(PAYLOAD)])
    def test_cut_off(self, content: bytes) -> None:
        """What can be had is given, and the rest is not scanned."""
        found = unpacked(content[:-20])
        assert (PAYLOAD * 2000).startswith(found.contents[0])
        assert [error.reason for error in found.broken] == [UnscannedReason.NOT_UNPACKABLE]

    @pytest.mark.parametrize("content", [gzip.compress(HELLO), bz2.compress(HELLO), lzma.compress(HELLO)])
    def test_something_behind(self, content: bytes) -> None:
        """Zeros are padding, everything else is a member."""
        assert unpacked(content + bytes(1000)).is_whole
        found = unpacked(content + PAYLOAD)
        assert found.contents == [HELLO, PAYLOAD]
        assert found.notes == ["archive.surrounded"]

    @pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08", b"a text"])
    def test_nothing_compressed(self, content: bytes) -> None:
        """What was taken for a compressed file and is none."""
        found = unpacked(content)
        assert not b"".join(found.contents)
        assert found.ended or found.broken

    @pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
    def test_bombs(self, compress: Callable[[bytes], bytes]) -> None:
        """Case 21: a bomb gives what the limit allows, in little memory."""
        block = compress(bytes(10**8))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = Opened(open_compressed, block * 10, max_member_bytes=10**7)
        assert found.contents == [bytes(10**7)]
        assert found.broken[0].detail == "budget.component_bytes"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


ARCHIVES = [
    tar_of(*TWO),
    tar_of(*TWO, dialect=tarfile.GNU_FORMAT),
    seven_zip_of(*TWO),
    seven_zip_of(*TWO, password="secret"),
    seven_zip_of(*TWO, password="secret", hide_names=True),
    rar4_of(*TWO),
    rar5_of(*TWO),
    rar5_of(*TWO, encrypted=True),
    cab_of(*TWO),
    lha_of(*TWO),
    cpio_of(*TWO),
    ar_of(("a.txt", HELLO)),
    xar_of("a.txt", HELLO),
    rpm_of(gzip.compress(cpio_of(*TWO))),
    iso_of(),
]


@settings(max_examples=400, deadline=None)
@given(mutations(ARCHIVES))
def test_damage_never_crashes(content: bytes) -> None:
    """However an archive is damaged, all that comes of it are members, notes and `UnreadableError`."""
    Opened(open_archive, content, passwords=("secret",), max_members=50, max_member_bytes=10**6, max_bytes=10**7)


FILES = [
    gzip.compress(HELLO) + gzip.compress(PAYLOAD),
    bz2.compress(HELLO) * 2,
    lzma.compress(HELLO) * 2,
    lzma.compress(HELLO, lzma.FORMAT_ALONE),
    zstd_of(HELLO) * 2,
    lz4_of(HELLO),
    bytes.fromhex("1f9d9061c48c01"),
]


@settings(max_examples=300, deadline=None)
@given(mutations(FILES))
def test_damaged_files_never_crash(content: bytes) -> None:
    """Nor does a compressed file."""
    Opened(open_compressed, content, names=("a.lzma",), max_member_bytes=10**6, max_bytes=10**7)


@pytest.mark.parametrize("dictionary", [1 << 31, 0xFFFFFFFF])
def test_streams_that_want_all_memory(dictionary: int) -> None:
    """Another program may give it to them: that is over budget, not damage."""
    content = b"\x5d" + struct.pack("<I", dictionary) + lzma.compress(HELLO, lzma.FORMAT_ALONE)[5:]
    found = unpacked(content, "a.lzma")
    assert [(error.reason, error.detail) for error in found.broken] == [(UnscannedReason.OVER_BUDGET, "budget.memory")]
