"""Compound files: every stream is a member, what streams wrap as well, and nothing malformed is dropped in silence."""

import hashlib
import io
import random
import struct
import zipfile

import msoffcrypto
import olefile  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher
from hypothesis import given, settings
from msoffcrypto.format.ooxml import OOXMLFile

from qscan_contracts.vocabulary import UnscannedReason
from qscan_unpacker.opening.ole import open_ole
from services.unpacker.tests.opened_containers import Opened, mutations

SECTOR = 512
FREE, END, FAT, DIFAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFC
FAT_IN_HEADER = 109
Tree = dict[str, "bytes | Tree"]


class Builder:
    """Writes compound files with sectors of 512 bytes: siblings in a chain, all tables where they belong."""

    def __init__(self) -> None:
        self.sectors: list[bytes] = []
        self.fat: list[int] = []
        self.mini = bytearray()
        self.mini_fat: list[int] = []
        self.entries: list[bytes] = []

    def add(self, content: bytes) -> int:
        """Append content in sectors that follow each other; returns the first."""
        if not content:
            return END
        first = len(self.sectors)
        count = -(-len(content) // SECTOR)
        self.sectors += [content[i * SECTOR : (i + 1) * SECTOR].ljust(SECTOR, b"\0") for i in range(count)]
        self.fat += [*range(first + 1, first + count), END]
        return first

    def add_mini(self, content: bytes) -> int:
        """Append content to the mini stream; returns the first of its sectors there."""
        first = len(self.mini_fat)
        count = -(-len(content) // 64)
        self.mini += content.ljust(count * 64, b"\0")
        self.mini_fat += [*range(first + 1, first + count), END]
        return first

    def entry(self, name: str, kind: int, *, start: int = 0, size: int = 0) -> int:
        """Append a directory entry; returns its number."""
        raw = name.encode("utf-16-le") + b"\0\0"
        self.entries.append(
            struct.pack(
                "<64sHBBIII36sIQ", raw.ljust(64, b"\0"), len(raw), kind, 1, FREE, FREE, FREE, bytes(36), start, size
            )
        )
        return len(self.entries) - 1

    def link(self, number: int, field: int, target: int) -> None:
        """Set the right sibling (72) or the child (76) of an entry."""
        raw = bytearray(self.entries[number])
        struct.pack_into("<I", raw, field, target)
        self.entries[number] = bytes(raw)

    def tree(self, tree: Tree, parent: int = 0) -> None:
        """Append storages and streams below an entry."""
        field, previous = 76, parent
        for name, content in tree.items():
            if isinstance(content, dict):
                number = self.entry(name, 1)
                self.tree(content, number)
            else:
                place = self.add if len(content) >= 4096 else self.add_mini
                start = place(content) if content else END
                number = self.entry(name, 2, start=start, size=len(content))
            self.link(previous, field, number)
            field, previous = 72, number

    def finish(self) -> bytes:
        """Write the tables behind the content, and the header before it."""
        raw = bytearray(self.entries[0])
        struct.pack_into("<IQ", raw, 116, self.add(bytes(self.mini)), len(self.mini))
        self.entries[0] = bytes(raw)
        mini_fat = self.add(struct.pack(f"<{len(self.mini_fat)}I", *self.mini_fat))
        directory = self.add(b"".join(self.entries))
        tables = difats = 0
        while tables * 128 < len(self.sectors) + tables + difats:
            tables += 1
            difats = max(0, -(-(tables - FAT_IN_HEADER) // 127))
        numbers = list(range(len(self.sectors), len(self.sectors) + tables))
        first_difat = len(self.sectors) + tables if difats else END
        fat = [*self.fat, *[FAT] * tables, *[DIFAT] * difats]
        fat += [FREE] * (tables * 128 - len(fat))
        self.sectors += [struct.pack("<128I", *fat[i * 128 : (i + 1) * 128]) for i in range(tables)]
        for i in range(difats):
            part = numbers[FAT_IN_HEADER + i * 127 : FAT_IN_HEADER + (i + 1) * 127]
            following = first_difat + i + 1 if i + 1 < difats else END
            self.sectors.append(struct.pack("<128I", *part, *[FREE] * (127 - len(part)), following))
        head = [*numbers[:FAT_IN_HEADER], *[FREE] * (FAT_IN_HEADER - len(numbers))]
        header = struct.pack(
            "<8s16sHHHHH6s9I109I",
            bytes.fromhex("d0cf11e0a1b11ae1"), b"", 0x3E, 3, 0xFFFE, 9, 6, b"",
            0, tables, directory, 0, 4096, mini_fat, -(-len(self.mini_fat) // 128), first_difat, difats, *head,
        )  # fmt: skip
        return header + b"".join(self.sectors)


def compound(tree: Tree) -> bytes:
    """A compound file with these storages and streams."""
    builder = Builder()
    builder.entry("Root Entry", 5)
    builder.tree(tree)
    return builder.finish()


def text(value: str) -> bytes:
    """A string as a message keeps it."""
    return value.encode("utf-16-le")


def package(label: str, path: str, temporary: str, content: bytes, *, utf16: bool = True) -> bytes:
    """An Ole10Native stream with an embedded file."""
    body = struct.pack("<H", 2) + label.encode() + b"\0" + path.encode() + b"\0" + struct.pack("<HH", 0, 3)
    body += struct.pack("<I", len(temporary) + 1) + temporary.encode() + b"\0"
    body += struct.pack("<I", len(content)) + content
    if utf16:
        for name in (temporary, label, path):
            body += struct.pack("<I", len(name)) + name.encode("utf-16-le")
    return struct.pack("<I", len(body)) + body


SMALL, LARGE = b"small " * 20, random.Random(1).randbytes(9000)
DOCUMENT: Tree = {"\x05SummaryInformation": b"s" * 70, "Macros": {"VBA": {"Module1": SMALL}}, "Data": LARGE}


def test_every_stream_is_a_member() -> None:
    """Small ones from the mini stream, large ones from sectors; control characters in names as 7-Zip shows them."""
    opened = Opened(open_ole, compound(DOCUMENT))
    assert opened["Macros/VBA/Module1"] == SMALL
    assert opened["Data"] == LARGE
    assert opened["[5]SummaryInformation"] == b"s" * 70
    assert len(opened.members) == 3
    assert (opened.notes, opened.unopened, opened.broken, opened.ended) == ([], [], [], None)


def test_same_as_another_reader() -> None:
    """The files that these tests write are compound files to olefile as well, with the same streams."""
    data = compound({**DOCUMENT, "Big": random.Random(7).randbytes(16_000_000), "Empty": b""})
    with olefile.OleFileIO(data) as other:
        theirs = {"/".join(path): other.openstream(path).read() for path in other.listdir()}
    ours = {names[0].replace("[5]", "\x05"): content for names, content, _ in Opened(open_ole, data).members}
    assert ours == theirs


def test_packaged_file() -> None:
    """An embedded file is given with its label, its path and its temporary path, in both alphabets."""
    stream = package("invoice.exe", "C:\\from\\invoice.exe", "C:\\temp\\tmp1.exe", LARGE)
    opened = Opened(open_ole, compound({"ObjectPool": {"_1": {"\x01Ole10Native": stream}}}))
    assert opened.names_of(LARGE) == ("invoice.exe", "C:\\from\\invoice.exe", "C:\\temp\\tmp1.exe")
    assert opened["ObjectPool/_1/[1]Ole10Native"] == stream


def test_packaged_file_with_a_wrong_length_of_its_path() -> None:
    """Where length and NUL disagree, the content behind the NUL is given as well."""
    stream = bytearray(package("a.exe", "b.exe", "c.exe", b"payload", utf16=False))
    at = stream.index(b"\x03\0\x06\0\0\0c.exe") + 2
    stream[at] = 5
    assert b"payload" in [
        content for _, content, _ in Opened(open_ole, compound({"\x01Ole10Native": bytes(stream)})).members
    ]


def test_native_data_that_is_no_package() -> None:
    """The data of some program is given without the size before it."""
    opened = Opened(open_ole, compound({"\x01Ole10Native": struct.pack("<I", 9000) + LARGE}))
    assert LARGE in [content for _, content, _ in opened.members]


def test_message_with_attachments() -> None:
    """Attachments have long, short and shown name; streams of a nested message are members; RTF is decompressed."""
    rtf = b"{\\rtf1 hello hello hello}"
    attachment: Tree = {
        "__substg1.0_37010102": LARGE,
        "__substg1.0_3707001F": text("quarterly report.exe"),
        "__substg1.0_3704001F": text("QUARTE~1.EXE"),
        "__substg1.0_3001001E": "Übersicht".encode("cp1252"),
    }
    nested: Tree = {"__substg1.0_3701000D": {"__substg1.0_1000001F": text("the nested body")}}
    message: Tree = {
        "__attach_version1.0_#00000000": attachment,
        "__attach_version1.0_#00000001": nested,
        "__substg1.0_10090102": struct.pack("<IIII", len(rtf) + 12, len(rtf), 0x414C454D, 0) + rtf,
    }
    opened = Opened(open_ole, compound(message))
    assert opened["quarterly report.exe"] == LARGE
    assert {"quarterly report.exe", "QUARTE~1.EXE", "Übersicht"} <= set(opened.names_of(LARGE))
    path = "__attach_version1.0_#00000001/__substg1.0_3701000D/__substg1.0_1000001F"
    assert opened[path] == text("the nested body")
    assert opened["body.rtf"] == rtf


def test_names_in_installers() -> None:
    """The names of an installer's streams are decoded: letters in pairs, a mark before tables."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
    code = alphabet.index
    name = chr(0x3800 + code("a") + (code("b") << 6)) + chr(0x4800 + code("c"))
    opened = Opened(open_ole, compound({name: SMALL, "\u4840" + name: b"t"}))
    assert opened["abc"] == SMALL
    assert opened["!abc"] == b"t"


@pytest.mark.parametrize(
    ("name", "content", "encrypted"),
    [
        ("WordDocument", struct.pack("<H8xH", 0xA5EC, 0x0100), True),
        ("WordDocument", struct.pack("<H8xH", 0xA5EC, 0xFEFF), False),
        ("WordDocument", b"", False),
        ("Workbook", struct.pack("<HH4xHH2xHH2x", 0x809, 4, 0x86, 2, 0x2F, 2), True),
        ("Book", struct.pack("<HH4xHHHH2x", 0x809, 4, 0x0A, 0, 0x2F, 2), False),
        ("Workbook", struct.pack("<HH2x", 0x2E, 2), False),
        ("Workbook", b"\x09\x08\x04", False),
        ("Current User", struct.pack("<12xI", 0xF3D1C4DF), True),
        ("Current User", struct.pack("<12xI", 0xE391C05F), False),
        ("EncryptedPackage", b"x", True),
        ("\x09DRMContent", b"x", True),
    ],
)
def test_encrypted_documents_are_told(name: str, content: bytes, encrypted: bool) -> None:
    """What cannot be decrypted is unscanned, in the formats before and since 2007; its streams are members still."""
    opened = Opened(open_ole, compound({name: content}))
    assert [each.reason for each in opened.unopened] == [UnscannedReason.ENCRYPTED] * encrypted
    assert len(opened.members) == 1


@pytest.fixture(scope="module")
def workbook() -> bytes:
    """A file of the kind that is in encrypted documents since 2007: the library wants a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "[Content_Types].xml", "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>"
        )
        archive.writestr("xl/workbook.xml", "x" * 5000)
    return file.getvalue()


def encrypted(workbook: bytes, password: str) -> bytes:
    """The workbook as Office encrypts it."""
    file = io.BytesIO()
    OOXMLFile(io.BytesIO(workbook)).encrypt(password, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("password", "given"), [("VelvetSweatshop", ()), ("/01Hannes Ruescher/01", ()), ("secret", ("wrong", "secret"))]
)
def test_encrypted_documents_are_opened(workbook: bytes, password: str, given: tuple[str, ...]) -> None:
    """With a password of the request; and with those that Office tries without asking, always."""
    opened = Opened(open_ole, encrypted(workbook, password), passwords=given, names=("sheet.xlsx",))
    assert (("sheet.xlsx",), workbook, True) in opened.members
    assert opened.unopened == []


def rc4_key(password: str, salt: bytes, block: int) -> bytes:
    """The key of a block of 1,024 bytes (MS-OFFCRYPTO 2.3.6.2)."""
    first = hashlib.md5(password.encode("utf-16-le")).digest()[:5]  # noqa: S324
    second = hashlib.md5((first + salt) * 16).digest()[:5]  # noqa: S324
    return hashlib.md5(second + struct.pack("<I", block)).digest()  # noqa: S324


def old_workbook(password: str, cell: bytes) -> bytes:
    """A workbook of the old format with one record that is encrypted, over several blocks."""
    salt, verifier = bytes(range(16)), bytes(range(50, 66))
    encryptor = Cipher(ARC4(rc4_key(password, salt, 0)), mode=None).encryptor()
    proof = encryptor.update(verifier) + encryptor.update(hashlib.md5(verifier).digest())  # noqa: S324
    start = struct.pack("<HH16x", 0x809, 16) + struct.pack("<HHHHH", 0x2F, 54, 1, 1, 1) + salt + proof
    clear = start + struct.pack("<HH", 0x42, len(cell)) + cell
    blocks = []
    for block in range(-(-len(clear) // 1024)):
        cipher = Cipher(ARC4(rc4_key(password, salt, block)), mode=None).encryptor()
        blocks.append(cipher.update(clear[block * 1024 : block * 1024 + 1024]))
    head = len(clear) - len(cell)
    return compound({"Workbook": clear[:head] + b"".join(blocks)[head:]})


@pytest.mark.parametrize(("password", "given"), [("VelvetSweatshop", ()), ("secret", ("secret",))])
def test_encrypted_documents_of_the_old_formats_are_opened(password: str, given: tuple[str, ...]) -> None:
    """They become a compound file in clear, which is encrypted no more."""
    opened = Opened(open_ole, old_workbook(password, LARGE[:8000]), passwords=given, names=("sheet.xls",))
    names, clear, needed = opened.members[-1]
    assert (names, needed, opened.unopened) == (("sheet.xls",), True, [])
    again = Opened(open_ole, clear)
    assert LARGE[:8000] in again["Workbook"]
    assert again.is_whole


def test_no_password_fits(workbook: bytes) -> None:
    """Then the document is unscanned."""
    opened = Opened(open_ole, encrypted(workbook, "secret"), passwords=("wrong",))
    assert [each.reason for each in opened.unopened] == [UnscannedReason.ENCRYPTED]


def test_hashing_is_bounded() -> None:
    """A document that asks for ten million rounds of hashing is not tried."""
    info = struct.pack("<HHI", 4, 4, 0x40) + b'<encryption><keyEncryptor spinCount="10000000"/></encryption>'
    opened = Opened(open_ole, compound({"EncryptionInfo": info, "EncryptedPackage": LARGE}), passwords=("a",) * 50)
    assert [each.reason for each in opened.unopened] == [UnscannedReason.ENCRYPTED]


@pytest.mark.parametrize("at", [44, 64, "EncryptionInfo", "Root Entry"])
def test_library_is_given_no_file_that_states_too_much(workbook: bytes, at: int | str) -> None:
    """Where tables or streams are said to be larger than the file, the library would follow loops to that size."""
    data = encrypted(workbook, "VelvetSweatshop")
    assert Opened(open_ole, data).unopened == []
    place = at if isinstance(at, int) else entry_at(data, at) + 120
    assert [each.reason for each in Opened(open_ole, patched(data, place, 0x7FFFFFFF)).unopened] == [
        UnscannedReason.ENCRYPTED
    ]


def test_library_writes_no_temporary_file() -> None:
    """The sandbox has no files: the library's modules for old formats make theirs in memory."""
    for module in (msoffcrypto.format.doc97, msoffcrypto.format.xls97, msoffcrypto.format.ppt97):
        assert module.tempfile.TemporaryFile is io.BytesIO


def patched(data: bytes, at: int, value: int) -> bytes:
    """The same file with another number at one place."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, at, value)
    return bytes(changed)


def entry_at(data: bytes, name: str) -> int:
    """Where the directory entry of a name begins."""
    return data.index(name.encode("utf-16-le"))


def test_stream_outside_of_the_tree() -> None:
    """An entry that the tree does not lead to is a member, and noted."""
    data = compound({"Shown": SMALL, "Hidden": LARGE})
    opened = Opened(open_ole, patched(data, entry_at(data, "Shown") + 72, FREE))
    assert opened["Hidden"] == LARGE
    assert opened.notes == ["archive.hidden_member"]


def test_stream_shorter_than_stated() -> None:
    """What is there is given, and noted."""
    data = compound({"Data": LARGE})
    opened = Opened(open_ole, patched(data, entry_at(data, "Data") + 120, 1_000_000))
    assert opened["Data"].startswith(LARGE)
    assert opened.notes == ["archive.size_wrong"]


def test_upper_half_of_a_size() -> None:
    """Files with small sectors have no sizes over 32 bits: what some writers leave there means nothing."""
    data = compound({"Data": LARGE})
    opened = Opened(open_ole, patched(data, entry_at(data, "Data") + 124, 0xFFFFFFFF))
    assert opened["Data"] == LARGE
    assert opened.is_whole


@pytest.mark.parametrize("target", [0, 3, 10])
def test_looping_chains_end(target: int) -> None:
    """A chain of sectors that leads back into itself ends behind as many sectors as the file has."""
    data = compound({"Data": LARGE})
    fat = data.index(struct.pack("<3I", 1, 2, 3))
    opened = Opened(open_ole, patched(patched(data, fat + 4 * 10, target), entry_at(data, "Data") + 120, 0xFFFFFFF0))
    assert len(opened["Data"]) <= len(data)
    assert opened.notes == ["archive.size_wrong"]


def test_looping_list_of_tables_ends() -> None:
    """A list of FAT sectors that leads back to itself ends where the table covers the file."""
    data = bytearray(compound({"Data": bytes(8_000_000)}))
    first = struct.unpack_from("<I", data, 68)[0]
    struct.pack_into("<I", data, (first + 1) * SECTOR + 508, first)
    struct.pack_into("<II", data, 44, 0xFFFFFF00, 1)
    assert len(Opened(open_ole, bytes(data)).members) <= 1


def test_looping_directory_ends() -> None:
    """Siblings and children that lead back are followed once."""
    data = compound(DOCUMENT)
    for field in (68, 72, 76):
        for name in ("Macros", "VBA", "Data"):
            for target in range(6):
                assert Opened(open_ole, patched(data, entry_at(data, name) + field, target)).ended is None


def test_many_siblings_and_deep_storages() -> None:
    """Neither a chain of 5,000 siblings nor one of 2,000 nested storages is too much; paths stay short."""
    siblings: Tree = {f"s{number}": b"x" for number in range(5000)}
    assert len(Opened(open_ole, compound(siblings), max_members=10_000).members) == 5000
    builder = Builder()
    previous = builder.entry("Root Entry", 5)
    for _ in range(2000):
        number = builder.entry("storage", 1)
        builder.link(previous, 76, number)
        previous = number
    builder.link(previous, 76, builder.entry("Leaf", 2, start=builder.add_mini(SMALL), size=len(SMALL)))
    ((names, content, _),) = Opened(open_ole, builder.finish()).members
    assert content == SMALL
    assert names[0].endswith("/storage/Leaf")
    assert len(names[0]) < 600


@pytest.mark.parametrize(
    "data",
    [b"", b"\xd0\xcf\x11\xe0", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504), bytes.fromhex("d0cf11e0a1b11ae1") * 200],
)
def test_no_compound_file(data: bytes) -> None:
    """What only begins like one is not unpackable."""
    ended = Opened(open_ole, data).ended
    assert ended is not None
    assert ended.reason is UnscannedReason.NOT_UNPACKABLE


def test_another_cutoff_is_noted() -> None:
    """Readers that take the header's word put the border of the mini stream elsewhere."""
    assert Opened(open_ole, patched(compound(DOCUMENT), 56, 64)).notes == ["archive.inconsistent"]


def test_limits() -> None:
    """Members, bytes of one member and bytes in all end at the limits of the request, with the limit's name."""
    data = compound(DOCUMENT)
    few = Opened(open_ole, data, max_members=2)
    assert (len(few.members), few.ended and (few.ended.reason, few.ended.detail)) == (
        2,
        (UnscannedReason.OVER_BUDGET, "budget.components"),
    )
    short = Opened(open_ole, data, max_member_bytes=100)
    assert (short["Data"], [error.detail for error in short.broken]) == (LARGE[:100], ["budget.component_bytes"] * 2)
    less = Opened(open_ole, data, max_bytes=100)
    assert sum(len(content) for _, content, _ in less.members) == 100
    assert less.ended is not None
    assert less.ended.detail == "budget.bytes"


def test_shared_sectors_are_charged() -> None:
    """A thousand streams in the same sectors cost what they yield, not more."""
    builder = Builder()
    builder.entry("Root Entry", 5)
    builder.add(bytes(1_000_000))
    for number in range(1000):
        builder.entry(f"s{number}", 2, start=0, size=1_000_000)
    opened = Opened(open_ole, builder.finish(), max_bytes=5_000_000)
    assert sum(len(content) for _, content, _ in opened.members) == 5_000_000
    assert opened.ended is not None


SEEDS = [
    compound(DOCUMENT),
    compound({"\x01Ole10Native": package("a", "b", "c", b"d"), "WordDocument": struct.pack("<H8xH", 0xA5EC, 0x0100)}),
    compound({"EncryptionInfo": struct.pack("<HHI", 4, 4, 0x40) + b"<e spinCount='1'/>", "EncryptedPackage": SMALL}),
    compound({"Workbook": struct.pack("<HH4xHH2xHH2x", 0x809, 4, 0x86, 2, 0x2F, 2), "__substg1.0_10090102": SMALL}),
]


@settings(deadline=None)
@given(mutations(SEEDS))
def test_mutated_files(data: bytes) -> None:
    """Whatever is changed, it ends, within the limits, and with nothing but what openers may raise."""
    opened = Opened(open_ole, data, max_members=50, max_bytes=10**6)
    assert sum(len(content) for _, content, _ in opened.members) <= 10**6
