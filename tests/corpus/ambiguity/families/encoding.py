"""How content is encoded: transfer encodings done wrong, files wrapped in text and in files, and charsets."""

from collections.abc import Iterator

from tests.corpus.ambiguity.cases import Trick

_QP = "Content-Transfer-Encoding: quoted-printable"
_TEXT = "Content-Type: text/plain; charset=us-ascii"
_HTML = "Content-Type: text/html; charset=us-ascii"
_PLAIN = "Content-Transfer-Encoding: 7bit"
_8BIT = "Content-Transfer-Encoding: 8bit"

# The function of `encoders`; what is done stands there.
_BASE64 = [
    "lines",
    "one_line",
    "odd_lines",
    "one_character_lines",
    "blank_lines",
    "leading_blank_lines",
    "white_space",
    "no_padding",
    "too_little_padding",
    "too_much_padding",
    "early_padding",
    "early_padding_short",
    "early_padding_excess",
    "early_padding_split",
    "padding_first",
    "padded_blocks",
    "padded_blocks_joined",
    "equals_inside",
    "equals_each_line",
    "junk",
    "junk_many",
    "junk_8bit",
    "junk_nul",
    "junk_control",
    "junk_hyphens",
    "url_alphabet",
    "imap_alphabet",
    "dot_lines",
    "stuffed_dots",
    "quoted",
    "prefix_aligned",
    "prefix_misaligned",
    "footer",
    "footer_unpadded",
    "cut_off",
    "armoured",
    "escaped",
]
_QUOTED_PRINTABLE = [
    "all",
    "lower",
    "mixed_case",
    "long_line",
    "soft_breaks",
    "soft_break_spaces",
    "soft_break_twice",
    "soft_break_cr",
    "soft_break_crlf",
    "soft_break_crcrlf",
    "soft_break_nul",
    "soft_break_in_escape",
    "space_before_digits",
    "ends_in_equals",
    "ends_in_half",
    "invalid_first",
    "invalid_inside",
    "8bit",
    "literal_spaces",
]
_PAIRED = {
    "base64-early_padding",
    "base64-padded_blocks",
    "base64-junk",
    "base64-odd_lines",
    "base64-no_padding",
    "base64-equals_inside",
    "quoted-printable-soft_break_spaces",
    "quoted-printable-lower",
    "quoted-printable-invalid_first",
    "uu-plain",
    "yenc-plain",
}


def _transfer() -> Iterator[Trick]:
    for way in _BASE64:
        id_ = f"base64-{way}"
        yield Trick(
            id=id_,
            lesson=5,
            why=f"base64: encoders.base64_{way}",
            body=f"{{binary|base64_{way}}}",
            alone=True,
            pairs=id_ in _PAIRED,
        )
    yield Trick(
        id="base64-two",
        lesson=5,
        why="two padded files in one body, one behind the other",
        body="{payload|base64_padded}\n{second|base64_lines}",
        alone=True,
    )
    yield Trick(
        id="base64-text",
        lesson=5,
        why="early padding in a text",
        kind=_TEXT,
        body="{payload|base64_early_padding}",
        alone=True,
    )
    yield Trick(
        id="base64-html",
        lesson=5,
        why="junk in HTML",
        kind=_HTML,
        body="{payload|base64_junk_many}",
        alone=True,
    )
    yield Trick(
        id="quoted-printable",
        lesson=6,
        why="binary in quoted-printable",
        encoding=_QP,
        body="{binary|quoted_printable}",
        alone=True,
    )
    for way in _QUOTED_PRINTABLE:
        id_ = f"quoted-printable-{way}"
        yield Trick(
            id=id_,
            lesson=6,
            why=f"quoted-printable: encoders.qp_{way}",
            encoding=_QP,
            body=f"{{payload|qp_{way}}}",
            alone=True,
            pairs=id_ in _PAIRED,
        )
    yield Trick(id="mixed-base64-says-7bit", lesson=6, why="base64 that says 7bit", encoding=_PLAIN, alone=True)
    yield Trick(
        id="mixed-plain-says-base64",
        lesson=6,
        why="plain text that says base64",
        body="{payload}",
        alone=True,
    )
    yield Trick(
        id="mixed-plain-says-qp", lesson=6, why="plain text that says quoted-printable", encoding=_QP, body="{payload}"
    )
    yield Trick(
        id="mixed-base64-in-qp",
        lesson=6,
        why="base64 whose padding and line ends are quoted-printable, and says base64",
        body="{binary|base64_escaped}",
    )
    yield Trick(
        id="mixed-both",
        lesson=6,
        why="quoted-printable, then base64, in one body",
        body="{payload|qp_lower}\n\n{second|base64_lines}",
    )


# id, what is done, the body. The text around the file belongs to the trick.
_UUENCODED: list[tuple[str, str, str]] = [
    ("plain", "a file in a text", "Here it is:\n\nbegin 644 {name}\n{binary|uu}\nend\n\nBye."),
    ("first", "the file is all of the text", "begin 644 {name}\n{binary|uu}\nend"),
    ("space", "space for zero", "begin 644 {name}\n{binary|uu_space}\nend"),
    ("trimmed", "space for zero, spaces at line ends lost", "begin 644 {name}\n{binary|uu_trimmed}\nend"),
    ("checksum", "a check character behind each line", "begin 644 {name}\n{binary|uu_checksum}\nend"),
    ("short-lines", "lines of seven bytes", "begin 644 {name}\n{binary|uu_short_lines}\nend"),
    ("long-lines", "lines of 63 bytes", "begin 644 {name}\n{binary|uu_long_lines}\nend"),
    ("blank-lines", "empty lines between", "begin 644 {name}\n{binary|uu_blank_lines}\nend"),
    ("zero-inside", "a line of zero bytes between", "begin 644 {name}\n{binary|uu_zero_inside}\nend"),
    ("no-zero", "no line of zero bytes", "begin 644 {name}\n{binary|uu_no_zero}\nend"),
    ("no-end", "no end", "begin 644 {name}\n{binary|uu}"),
    ("no-end-text", "no end, and text behind it", "begin 644 {name}\n{binary|uu}\nsee you"),
    ("no-end-no-zero", "neither end nor zero line, and text", "begin 644 {name}\n{binary|uu_no_zero}\n\nsee you"),
    ("end-upper", "the end in capitals", "begin 644 {name}\n{binary|uu}\nEND"),
    ("mode-3-digits-odd", "a mode that is none", "begin 999 {name}\n{binary|uu}\nend"),
    ("mode-4-digits", "a mode of four digits", "begin 0644 {name}\n{binary|uu}\nend"),
    ("mode-6-digits", "a mode of six digits", "begin 100644 {name}\n{binary|uu}\nend"),
    ("mode-1-digit", "a mode of one digit", "begin 0 {name}\n{binary|uu}\nend"),
    ("mode-letters", "letters for a mode", "begin rwx {name}\n{binary|uu}\nend"),
    ("mode-none", "no mode", "begin {name}\n{binary|uu}\nend"),
    ("name-none", "no name", "begin 644\n{binary|uu}\nend"),
    ("name-spaces", "a name with spaces", "begin 644 my {name}\n{binary|uu}\nend"),
    ("name-quoted", "a name in quotes", 'begin 644 "{name}"\n{binary|uu}\nend'),
    ("name-path", "a name with a path", "begin 644 ../../tmp/{name}\n{binary|uu}\nend"),
    ("spaces", "many spaces in the first line", "begin   644    {name}\n{binary|uu}\nend"),
    ("tabs", "tabs in the first line", "begin\t644\t{name}\n{binary|uu}\nend"),
    ("two", "two files", "begin 644 {name}\n{binary|uu}\nend\n\nbegin 644 b.txt\n{second|uu}\nend"),
    ("two-joined", "two files without end between", "begin 644 {name}\n{binary|uu}\nbegin 644 b.txt\n{second|uu}\nend"),
    ("decoy", "a beginning without a file first", "begin 644 decoy.txt\nbegin 644 {name}\n{binary|uu}\nend"),
    ("decoy-text", "a line that only looks like a beginning", "begin 1 to 5\nno\nbegin 644 {name}\n{binary|uu}\nend"),
    ("base64", "uuencode -m", "begin-base64 644 {name}\n{binary|base64_lines}\n===="),
    ("base64-no-end", "uuencode -m without its end", "begin-base64 644 {name}\n{binary|base64_lines}"),
]

_YENC: list[tuple[str, str, str]] = [
    (
        "plain",
        "a file",
        "=ybegin line=128 size={binary|yenc_size} name={name}\n{binary|yenc}\n=yend size={binary|yenc_size} crc32={binary|yenc_crc}",
    ),
    (
        "around",
        "text around it",
        "Here:\n\n=ybegin line=128 size={binary|yenc_size} name={name}\n{binary|yenc}\n=yend size=1\n\nBye.",
    ),
    ("wrong-size", "a wrong size", "=ybegin line=128 size=17 name={name}\n{binary|yenc}\n=yend size=17"),
    (
        "wrong-crc",
        "a wrong checksum",
        "=ybegin line=128 size={binary|yenc_size} name={name}\n{binary|yenc}\n=yend size={binary|yenc_size} crc32=00000000",
    ),
    ("no-end", "no end", "=ybegin line=128 size={binary|yenc_size} name={name}\n{binary|yenc}"),
    ("no-size", "no size", "=ybegin line=128 name={name}\n{binary|yenc}\n=yend"),
    ("no-name", "no name", "=ybegin line=128 size={binary|yenc_size}\n{binary|yenc}\n=yend size={binary|yenc_size}"),
    (
        "name-spaces",
        "a name with spaces and quotes",
        '=ybegin line=128 size={binary|yenc_size} name="my {name}" \n{binary|yenc}\n=yend size={binary|yenc_size}',
    ),
    (
        "line-length",
        "another line length than stated",
        "=ybegin line=64 size={binary|yenc_size} name={name}\n{binary|yenc}\n=yend size={binary|yenc_size}",
    ),
    (
        "two-parts",
        "one file in two parts",
        "=ybegin part=1 total=2 line=128 size={binary|yenc_size} name={name}\n=ypart begin=1 end={half|yenc_size}\n"
        "{half|yenc}\n=yend size={half|yenc_size} part=1\n"
        "=ybegin part=2 total=2 line=128 size={binary|yenc_size} name={name}\n=ypart begin={half|yenc_next} end={binary|yenc_size}\n"
        "{other_half|yenc}\n=yend size={other_half|yenc_size} part=2",
    ),
    (
        "two-files",
        "two files",
        "=ybegin line=128 size={binary|yenc_size} name={name}\n{binary|yenc}\n=yend size={binary|yenc_size}\n"
        "=ybegin line=128 size={second|yenc_size} name=b.txt\n{second|yenc}\n=yend size={second|yenc_size}",
    ),
    (
        "part-1-of-1",
        "the first part of one",
        "=ybegin part=1 total=1 line=128 size={binary|yenc_size} name={name}\n=ypart begin=1 end={binary|yenc_size}\n"
        "{binary|yenc}\n=yend size={binary|yenc_size} part=1",
    ),
]

_BINHEX: list[tuple[str, str, str]] = [
    ("plain", "a file", "(This file must be converted with BinHex 4.0)\n\n{binary|binhex}"),
    ("around", "text around it", "Here:\n\n(This file must be converted with BinHex 4.0)\n\n{binary|binhex}\n\nBye."),
    ("no-blank", "no empty line", "(This file must be converted with BinHex 4.0)\n{binary|binhex}"),
    ("other-words", "another version's words", "(This file must be converted with BinHex 4.1b3)\n\n{binary|binhex}"),
    ("no-words", "without the words that announce it", "{binary|binhex}"),
]

_DATA_URLS: list[tuple[str, str, str]] = [
    (
        "base64",
        "a link",
        '<a href="data:application/octet-stream;base64,{binary|base64_one_line}" download="{name}">x</a>',
    ),
    ("percent", "percent escapes", '<a href="data:application/octet-stream,{binary|url}">x</a>'),
    ("base64-percent", "both", '<a href="data:application/octet-stream;base64,{binary|url_base64}">x</a>'),
    ("no-type", "no type", '<a href="data:;base64,{binary|base64_one_line}">x</a>'),
    ("upper", "in capitals", '<A HREF="DATA:application/octet-stream;BASE64,{binary|base64_one_line}">x</A>'),
    ("parameters", "parameters", '<a href="data:text/html;charset=utf-8;x=y;base64,{binary|base64_one_line}">x</a>'),
    ("folded", "line ends inside", '<a href="data:application/octet-stream;base64,\n{binary|base64_lines}\n">x</a>'),
    ("apostrophes", "in apostrophes", "<a href='data:application/octet-stream;base64,{binary|base64_one_line}'>x</a>"),
    ("unquoted", "without quotes", "<a href=data:application/octet-stream;base64,{binary|base64_one_line}>x</a>"),
    ("references", "letters as references", '<a href="&#100;ata&colon;x/y;base64,{binary|base64_one_line}">x</a>'),
    ("style", "in a style", "<style>x { background: url(data:x/y;base64,{binary|base64_one_line}) }</style>"),
    ("script", "in a script", '<script>var a = "data:x/y;base64,{binary|base64_one_line}";</script>'),
    ("meta", "a refresh", '<meta http-equiv="refresh" content="0;url=data:x/y;base64,{binary|base64_one_line}">'),
]


def _wrapped() -> Iterator[Trick]:
    for id_, why, body in _UUENCODED:
        yield Trick(
            id=f"uu-{id_}",
            lesson=7,
            why=f"uuencode: {why}",
            kind=_TEXT,
            encoding=_PLAIN,
            disposition="",
            body=body,
            alone=True,
            pairs=f"uu-{id_}" in _PAIRED,
        )
    for id_, why, encoding in [
        ("x-uuencode", "declared", "x-uuencode"),
        ("uuencode", "declared without x", "uuencode"),
        ("x-uue", "declared by another name", "x-uue"),
        ("uue", "declared by another name", "uue"),
        ("base64", "declared as base64", "base64"),
    ]:
        yield Trick(
            id=f"uu-declared-{id_}",
            lesson=7,
            why=f"uuencode: {why}",
            encoding=f"Content-Transfer-Encoding: {encoding}",
            body="begin 644 x\n{binary|uu}\nend",
            alone=True,
        )
    yield Trick(
        id="uu-declared-bare",
        lesson=7,
        why="uuencode: declared, without its first line and end",
        encoding="Content-Transfer-Encoding: x-uuencode",
        body="{binary|uu}",
    )
    yield Trick(
        id="uu-in-html",
        lesson=7,
        why="uuencode: in HTML",
        kind=_HTML,
        encoding=_PLAIN,
        disposition="",
        body="<pre>\nbegin 644 {name}\n{binary|uu}\nend\n</pre>",
    )
    yield Trick(
        id="uu-in-base64",
        lesson=7,
        why="uuencode: in a text in quoted-printable",
        kind=_TEXT,
        encoding=_QP,
        disposition="",
        body="begin 644 x=0A{payload|uu_in_qp}=0Aend",
    )
    yield Trick(
        id="uu-no-mime",
        lesson=7,
        why="uuencode: in a message without MIME",
        whole="From: a@example.org\nSubject: {name}\n\nHello\n\nbegin 644 {name}\n{binary|uu}\nend\n\nBye\n",
    )
    yield Trick(
        id="uu-octets",
        lesson=7,
        why="uuencode: in what is no text",
        encoding=_PLAIN,
        body="begin 644 x\n{binary|uu}\nend",
    )
    for id_, why, body in _YENC:
        yield Trick(
            id=f"yenc-{id_}",
            lesson=7,
            why=f"yEnc: {why}",
            kind=_TEXT,
            encoding=_8BIT,
            disposition="",
            body=body,
            alone=True,
            pairs=f"yenc-{id_}" in _PAIRED,
        )
    yield Trick(
        id="yenc-declared",
        lesson=7,
        why="yEnc: declared as an encoding",
        encoding="Content-Transfer-Encoding: x-yenc",
        body=_YENC[0][2],
    )
    for id_, why, body in _BINHEX:
        yield Trick(
            id=f"binhex-{id_}",
            lesson=7,
            why=f"BinHex: {why}",
            kind=_TEXT,
            encoding=_PLAIN,
            disposition="",
            body=body,
            alone=True,
        )
    yield Trick(
        id="binhex-typed",
        lesson=7,
        why="BinHex: declared by its type",
        kind="Content-Type: application/mac-binhex40",
        encoding=_PLAIN,
        body=_BINHEX[0][2],
    )
    yield Trick(
        id="binhex-declared",
        lesson=7,
        why="BinHex: declared as an encoding",
        encoding="Content-Transfer-Encoding: mac-binhex40",
        body=_BINHEX[0][2],
    )
    for id_, why, body in _DATA_URLS:
        yield Trick(
            id=f"data-{id_}",
            lesson=13,
            why=f"data: URL in HTML: {why}",
            kind=_HTML,
            encoding=_PLAIN,
            disposition="",
            body=f"<html><body>\n{body}\n</body></html>",
        )


# id, what is done, the type, the encoding, the body
_CHARSETS: list[tuple[str, str, str, str, str]] = [
    ("utf-16", "UTF-16 with its mark", "text/plain; charset=utf-16", "base64", "{payload|utf_16}"),
    ("utf-16-no-mark", "UTF-16 without its mark", "text/plain; charset=utf-16", "base64", "{payload|utf_16_be}"),
    ("utf-16-no-mark-le", "UTF-16, the other end", "text/plain; charset=utf-16", "base64", "{payload|utf_16_le}"),
    ("utf-16le", "UTF-16LE", "text/plain; charset=utf-16le", "base64", "{payload|utf_16_le}"),
    ("utf-16be", "UTF-16BE", "text/html; charset=utf-16be", "base64", "{payload|utf_16_be}"),
    ("utf-16-undeclared", "UTF-16 that says ASCII", "text/plain; charset=us-ascii", "base64", "{payload|utf_16}"),
    ("utf-16-file", "UTF-16 in a file", "application/octet-stream", "base64", "{payload|utf_16}"),
    ("utf-32", "UTF-32", "text/plain; charset=utf-32", "base64", "{payload|utf_32}"),
    ("utf-7", "UTF-7", "text/plain; charset=utf-7", "7bit", "{payload|utf_7}"),
    ("utf-7-html", "UTF-7 in HTML", "text/html; charset=utf-7", "7bit", "<p>{payload|utf_7}</p>"),
    ("utf-7-meta", "UTF-7 that HTML declares", "text/html", "7bit", '<meta charset="utf-7"><p>{payload|utf_7}</p>'),
    ("utf-7-unicode", "UTF-7 by its old name", "text/plain; charset=unicode-1-1-utf-7", "7bit", "{payload|utf_7}"),
    ("nul-text", "a NUL behind each letter of a text", "text/plain; charset=us-ascii", "8bit", "{payload|nul_between}"),
    (
        "nul-html",
        "a NUL behind each letter of HTML",
        "text/html; charset=us-ascii",
        "8bit",
        "<p>{payload|nul_between}</p>",
    ),
    ("two-charsets", "two charsets", "text/plain; charset=utf-7; charset=us-ascii", "7bit", "{payload|utf_7}"),
    ("two-charsets-last", "two charsets", "text/plain; charset=us-ascii; charset=utf-7", "7bit", "{payload|utf_7}"),
    ("charset-unknown", "an unknown charset", "text/plain; charset=x-unknown", "7bit", "{payload}"),
    ("charset-empty", "an empty charset", 'text/plain; charset=""', "7bit", "{payload}"),
    ("charset-ebcdic", "a charset of mainframes", "text/plain; charset=ebcdic-us", "7bit", "{payload}"),
    ("charset-8bit", "bytes above 127 that are no UTF-8", "text/plain; charset=utf-8", "8bit", "\xff\xfe{payload}\xc0"),
    (
        "meta-differs",
        "HTML that says another charset",
        "text/html; charset=utf-16",
        "7bit",
        "<meta charset=us-ascii>{payload}",
    ),
    (
        "html-as-plain",
        "HTML that says it is plain text",
        "text/plain",
        "7bit",
        "<html><script>{payload}</script></html>",
    ),
    ("enriched", "a text of another kind", "text/enriched", "7bit", "<bold>{payload}</bold>"),
    ("text-unknown", "a text of no known kind", "text/x-unknown", "7bit", "{payload}"),
    ("format-flowed", "text in format=flowed", "text/plain; format=flowed; delsp=yes", "7bit", "{payload}"),
]


def _charsets() -> Iterator[Trick]:
    for id_, why, kind, encoding, body in _CHARSETS:
        yield Trick(
            id=f"charset-{id_}",
            lesson=13,
            why=why,
            kind=f"Content-Type: {kind}",
            encoding=f"Content-Transfer-Encoding: {encoding}",
            disposition="",
            body=body,
            alone=True,
        )


def _containers() -> Iterator[Trick]:
    """Files that hold files, as mail programs make them."""
    for id_, why, kind, body in [
        ("tnef", "winmail.dat", "application/ms-tnef; name=winmail.dat", "{binary|tnef_base64}"),
        ("tnef-other-type", "by another type", "application/vnd.ms-tnef; name=winmail.dat", "{binary|tnef_base64}"),
        ("tnef-no-type", "by no type", "application/octet-stream; name=x.bin", "{binary|tnef_base64}"),
        (
            "tnef-checksum",
            "with wrong checksums",
            "application/ms-tnef; name=winmail.dat",
            "{binary|tnef_bad_checksum}",
        ),
        ("tnef-nested", "in another", "application/ms-tnef; name=winmail.dat", "{binary|tnef_nested}"),
        ("smime", "signed", "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m", "{binary|signed}"),
        ("smime-x", "by its old type", "application/x-pkcs7-mime; name=smime.p7m", "{binary|signed}"),
        (
            "smime-ber",
            "in pieces",
            "application/pkcs7-mime; smime-type=signed-data; name=smime.p7m",
            "{binary|signed_ber}",
        ),
        ("smime-no-type", "by no type", "application/octet-stream; name=smime.p7m", "{binary|signed}"),
        (
            "smime-lies",
            "that says it is encrypted",
            "application/pkcs7-mime; smime-type=enveloped-data",
            "{binary|signed}",
        ),
    ]:
        yield Trick(
            id=id_,
            lesson=15,
            why=f"{id_.partition('-')[0]}: {why}",
            kind=f"Content-Type: {kind}",
            disposition="",
            body=body,
        )


TRICKS = [*_transfer(), *_wrapped(), *_charsets(), *_containers()]
