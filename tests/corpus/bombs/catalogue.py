"""All bombs: how each is made, and what must be said of it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.corpus.bombs import archives, documents, messages
from tests.corpus.bombs.messages import BASE64, MULTIPART, QUOTED_PRINTABLE, attached, field, parts, repeated
from tests.corpus.bombs.quine import gzip_quine

_MB = 1_000_000
_HTML = b"Content-Type: text/html\n\n"


@dataclass(frozen=True)
class Bomb:
    """A message that costs more than it looks.

    Attributes:
        named: the defect, or the reason or detail of a report, that must be there: a limit, or what makes it plausible
            that readers differ. "" where all of it is looked at, as it is only large.
    """

    name: str
    message: Callable[[], bytes]
    named: str


def bombs() -> list[Bomb]:
    """Those of the issue first, then what goes for one piece of the dissector each."""
    return [*_structure(), *_headers(), *_encodings(), *_texts(), *_archives(), *_documents()]


def _structure() -> list[Bomb]:
    return [
        Bomb("2,000 nested multiparts", lambda: messages.nested_multiparts(2_000), "budget.depth"),
        Bomb("2,000 nested messages", lambda: messages.nested_messages(2_000), "budget.depth"),
        Bomb("40 messages around 30 MB", lambda: messages.nested_messages(40, bytes(30 * _MB)), "budget.bytes"),
        Bomb("100,000 parts", lambda: repeated(MULTIPART, b"--b\n\nx\n", 700_000), "budget.components"),
        Bomb(
            "two boundaries at each of 45 levels",
            lambda: messages.two_boundaries_at_each_level(45),
            "mime.field.duplicate",
        ),
        Bomb(
            "45 boundaries, each a prefix",
            lambda: messages.boundaries_that_are_prefixes(45),
            "mime.boundary.never_closed",
        ),
        Bomb(
            "half a million lines that begin like a delimiter",
            lambda: MULTIPART + b"--b\n\nx\n" + b"".join(b"--b%d\n" % number for number in range(500_000)),
            "mime.boundary.prefix",
        ),
        Bomb(
            "half a million multiparts that end",
            lambda: repeated(MULTIPART, b"--b\n\nx\n--b--\n", 6 * _MB),
            "mime.boundary.outside",
        ),
        Bomb(
            "a multipart in each epilogue",
            lambda: repeated(b"", MULTIPART + b"--b\n\nx\n--b--\n", 10 * _MB),
            "budget.bytes",
        ),
        Bomb(
            "eight boundaries that never appear",
            lambda: repeated(
                b"Content-Type: multipart/mixed" + b"".join(b";boundary=b%d" % at for at in range(8)) + b"\n\n",
                b"\n--b",
                10 * _MB,
            ),
            "mime.boundary.never_opened",
        ),
        Bomb(
            "lines that look like delimiters, and no boundary",
            lambda: repeated(b"Content-Type: multipart/mixed\n\n", b"--" + b"x " * 100 + b"\n", 10 * _MB),
            "mime.boundary.missing",
        ),
    ]


def _headers() -> list[Bomb]:
    words = b'Content-Type: a/b; name="'
    return [
        Bomb("100,000 header lines", lambda: repeated(b"", b"A: b\n", 500_000, b"\nx"), "budget.header_bytes"),
        Bomb("40,000 short header lines", lambda: repeated(b"", b"A:b\n", 160_000, b"\nx"), "budget.header_lines"),
        Bomb("a header line of 30 MB", lambda: repeated(b"A: ", b"x", 30 * _MB), "budget.header_bytes"),
        Bomb(
            "10,000 parameters", lambda: repeated(b"Content-Type: a/b", b"; a=b", 50_000, b"\n\nx"), "budget.parameters"
        ),
        Bomb("100,000 continuations", lambda: messages.continuations(100_000), "budget.header_bytes"),
        Bomb(
            "480 continuations of 500 bytes, in 20 parts",
            lambda: parts(*[messages.continuations(480, b"a%41" * 120)] * 20),
            "budget.names",
        ),
        Bomb("2 MB of opened comments", lambda: field(b"Content-Type: ", b"(", count=8), "mime.field.comment"),
        Bomb("5 MB of empty comments in names", lambda: field(b"Content", b"()", b"-Type: a/b"), "header.name.comment"),
        Bomb("2 MB of encoded words without end", lambda: field(words, b"=?utf-8?b?", b'"', count=8), "name.too_long"),
        Bomb("2 MB of encoded words", lambda: field(words, b"=?utf-8?q?=41?= ", b'"', count=8), "name.too_long"),
        Bomb(
            "2 MB of names that begin",
            lambda: field(b'Content-Type: a/b "', b'name="', count=8),
            "mime.content_type.invalid",
        ),
        Bomb("5 MB of blank continuation lines", lambda: field(b"A: b\n", b" \n"), "header.continuation.broken"),
        Bomb(
            "5 MB of MIME fields in a field", lambda: field(b"A: ", b"content-type: a\x0b "), "header.field.disguised"
        ),
        Bomb("30 MB of fields that end in CR", lambda: repeated(b"", b"A: b\r", 30 * _MB), "budget.header_bytes"),
    ]


def _encodings() -> list[Bomb]:
    return [
        Bomb("10 MB of CR", lambda: repeated(b"A: b\n\n", b"\r", 10 * _MB), ""),
        Bomb("10 MB of A=", lambda: repeated(BASE64, b"A=A=", 10 * _MB), "base64.padding.early"),
        Bomb("10 MB of padded groups in lines", lambda: repeated(BASE64, b"QUFB=\n", 10 * _MB), "base64.padding.early"),
        Bomb("30 MB of base64 and junk", lambda: repeated(BASE64, b"Q!", 30 * _MB), "base64.junk"),
        Bomb("10 MB of = and CR", lambda: repeated(QUOTED_PRINTABLE, b"=\r", 10 * _MB), "quoted_printable.invalid"),
        Bomb("10 MB of = and spaces", lambda: repeated(QUOTED_PRINTABLE, b"= ", 10 * _MB), "quoted_printable.invalid"),
    ]


def _texts() -> list[Bomb]:
    hqx = b"\n(This file must be converted with BinHex 4.0)\n\n:"
    return [
        Bomb(
            "a million uuencoded files that begin",
            lambda: repeated(b"\n", b"begin 644 x\n", 12 * _MB),
            "budget.components",
        ),
        Bomb("a million empty uuencoded files", lambda: repeated(b"\n", b"begin 644 x\n`\nend\n", 18 * _MB), ""),
        Bomb(
            "half a million yEnc files",
            lambda: repeated(b"", b"\n=ybegin line=128 size=3 name=x\nabc\n=yend size=3\n", 12 * _MB),
            "budget.components",
        ),
        Bomb(
            "300,000 yEnc files that begin", lambda: repeated(b"", b"\n=ybegin line=128 size=9 name=x\n", 10 * _MB), ""
        ),
        Bomb("200,000 BinHex files that begin", lambda: repeated(b"", hqx, 10 * _MB), ""),
        Bomb("a BinHex file of runs", lambda: repeated(hqx, b'*"j\xff', 10 * _MB), ""),
        Bomb("a million data: URLs", lambda: repeated(_HTML, b"<a href=data:,x>", 16 * _MB), "budget.components"),
        Bomb("10 MB of references", lambda: repeated(_HTML, b"&#60;", 10 * _MB), ""),
        Bomb("UTF-7 that grows", lambda: repeated(_HTML + b"<meta charset=utf-7>", b"\x80", 10 * _MB), ""),
    ]


def _archives() -> list[Bomb]:
    a = archives
    return [
        Bomb(
            "16 zips in 16 zips in …, 5 levels", lambda: attached(a.nested_zips(4, 16, 10 * _MB)), "budget.components"
        ),
        Bomb("16 zips of 16 zips of 50 MB", lambda: attached(a.nested_zips(2, 16, 50 * _MB)), "budget.ratio"),
        Bomb("overlapping members (Fifield)", lambda: attached(a.overlapping_members(250, 2 * _MB)), "budget.ratio"),
        Bomb("2,000 overlapping members", lambda: attached(a.overlapping_members(2_000, 1_000)), "archive.overlap"),
        Bomb("one member 20,000 times", lambda: attached(a.one_member_many_times(20_000, _MB)), "archive.overlap"),
        Bomb("60,000 empty members", lambda: attached(a.many_members(60_000)), "budget.components"),
        Bomb("a gzip that holds itself", lambda: attached(gzip_quine()), "budget.depth"),
        Bomb("gzip of 300 MB", lambda: attached(a.gzip_of_zeros(300 * _MB)), "budget.ratio"),
        Bomb("gzip of gzip of gzip of 300 MB", lambda: attached(a.gzip_of_zeros(300 * _MB, 3)), "budget.ratio"),
        Bomb("gzip in gzip, 2,000 times", lambda: attached(a.gzip_nest(2_000)), "budget.depth"),
        Bomb("bzip2 of 100 MB", lambda: attached(a.bzip2_of_zeros(100 * _MB)), "budget.ratio"),
        Bomb("xz of 100 MB", lambda: attached(a.xz_of_zeros(100 * _MB)), "budget.ratio"),
        Bomb("zstd of 10 GB", lambda: attached(a.zstd_of_zeros(10_000 * _MB)), "budget.ratio"),
        Bomb(
            "zstd with a window of 2 GiB", lambda: attached(a.zstd_of_zeros(10 * _MB, window_log=31)), "budget.memory"
        ),
        Bomb(
            "LZMA with a dictionary of 4 GiB",
            lambda: attached(a.lzma_with_a_large_dictionary(), "a.lzma"),
            "budget.memory",
        ),
        Bomb(
            "zip of LZMA with a dictionary of 4 GiB",
            lambda: attached(a.zip_of_lzma_with_a_large_dictionary()),
            "budget.memory",
        ),
        Bomb("tar with a hole of 8 GiB", lambda: attached(a.sparse_tar(1 << 33)), "budget.ratio"),
        Bomb("tar with a hole of 4 EiB", lambda: attached(a.sparse_tar(1 << 62)), "budget.ratio"),
        Bomb("tar of 20,000 members", lambda: attached(a.tar_of_empty_members(20_000)), "budget.components"),
        Bomb("60 tars in each other", lambda: attached(a.tars_in_tars(60)), "budget.depth"),
        Bomb("2,000 archives", lambda: parts(*[attached(a.gzip_of_zeros(100))] * 1_990), "budget.components"),
    ]


def _documents() -> list[Bomb]:
    d = documents
    return [
        Bomb("PDF with a file of 300 MB", lambda: attached(d.pdf_of_zeros(300 * _MB, 1)), "budget.ratio"),
        Bomb(
            "PDF with a file of 300 MB, deflated three times",
            lambda: attached(d.pdf_of_zeros(300 * _MB, 3)),
            "budget.ratio",
        ),
        Bomb("PDF with a million arrays in each other", lambda: attached(d.pdf_of_arrays(_MB)), "not_unpackable"),
        Bomb("PDF with 50,000 files", lambda: attached(d.pdf_of_many_files(50_000)), "budget.components"),
        Bomb("RTF with five million braces", lambda: attached(d.rtf_of_braces(5 * _MB)), ""),
        Bomb("RTF with 100,000 objects", lambda: attached(d.rtf_of_objects(100_000)), "budget.components"),
        Bomb("RTF with 500,000 runs of 100 MB", lambda: attached(d.rtf_of_binary_runs(500_000)), ""),
        Bomb("compound file in a circle", lambda: attached(d.compound_file_in_a_circle(20_000)), "not_unpackable"),
        Bomb("TNEF with a million attributes", lambda: attached(d.tnef_of_attributes(_MB)), "budget.elements"),
        Bomb("TNEF in TNEF, 100 times", lambda: attached(d.tnef_in_tnef(100)), "budget.depth"),
        Bomb("CMS with 300 MB, compressed", lambda: attached(d.cms_of_zeros(300 * _MB)), "budget.ratio"),
        Bomb("CMS with a million strings in each other", lambda: attached(d.cms_of_sequences(_MB)), "budget.elements"),
    ]
