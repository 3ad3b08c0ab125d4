"""How lines end, where the header ends, and bytes that belong in no line."""

import re
from collections.abc import Callable, Iterator

from tests.corpus.ambiguity.cases import Trick

_CRLF = b"\r\n"


def _ends(end: bytes) -> Callable[[bytes], bytes]:
    return lambda message: re.sub(rb"\r?\n", end, message)


def _alternating(message: bytes) -> bytes:
    """LF and CRLF by turns."""
    lines = re.split(rb"\r?\n", message)
    return b"".join(line + (_CRLF if at % 2 else b"\n") for at, line in enumerate(lines))


def _header_and_body(header_end: bytes, body_end: bytes) -> Callable[[bytes], bytes]:
    def change(message: bytes) -> bytes:
        header, *body = re.split(rb"\r?\n\r?\n", message, maxsplit=1)
        return (header_end * 2).join([_ends(header_end)(header), *map(_ends(body_end), body)])

    return change


def _each(pattern: bytes, replacement: bytes) -> Callable[[bytes], bytes]:
    """On each line that the pattern finds."""
    return lambda message: re.sub(pattern, replacement, message)


def _wide_body(message: bytes) -> bytes:
    """Each line of the body is filled with spaces."""
    header, *body = re.split(rb"(?<=\n)\r?\n", message, maxsplit=1)
    return b"\n".join([header, *(re.sub(rb"(\r?\n)", b" " * 1200 + rb"\1", text) for text in body)])


# id, what is done, the change to the message
_LINES: list[tuple[str, str, Callable[[bytes], bytes]]] = [
    ("crlf", "CRLF all over", _ends(_CRLF)),
    ("cr", "bare CR all over", _ends(b"\r")),
    ("crcrlf", "CR CR LF all over", _ends(b"\r\r\n")),
    ("lfcr", "LF CR all over", _ends(b"\n\r")),
    ("alternating", "LF and CRLF by turns", _alternating),
    ("header-lf-body-crlf", "LF in the header, CRLF in the body", _header_and_body(b"\n", _CRLF)),
    ("header-crlf-body-lf", "CRLF in the header, LF in the body", _header_and_body(_CRLF, b"\n")),
    ("header-cr-body-lf", "CR in the header, LF in the body", _header_and_body(b"\r", b"\n")),
    ("header-cr-body-crlf", "CR in the header, CRLF in the body", _header_and_body(b"\r", _CRLF)),
    ("header-lf-body-cr", "LF in the header, CR in the body", _header_and_body(b"\n", b"\r")),
    ("header-crlf-body-cr", "CRLF in the header, CR in the body", _header_and_body(_CRLF, b"\r")),
    ("header-crcrlf", "CR CR LF in the header", _header_and_body(b"\r\r\n", _CRLF)),
    ("body-crcrlf", "CR CR LF in the body", _header_and_body(_CRLF, b"\r\r\n")),
    ("form-feed-end", "a form feed in front of each line end", _ends(b"\f\n")),
    ("next-line", "the next line character of Latin-1 for each line end of the body", _header_and_body(b"\n", b"\x85")),
    (
        "separator",
        "the line separator of Unicode for each line end of the body",
        _header_and_body(b"\n", b"\xe2\x80\xa8"),
    ),
    ("nul-end", "a NUL in front of each line end", _ends(b"\0\n")),
    ("nul-start", "a NUL behind each line end", _ends(b"\n\0")),
    ("trailing-space", "a space in front of each line end", _ends(b" \n")),
    ("trailing-tab", "a tab in front of each line end", _ends(b"\t\n")),
    ("leading-space-body", "a space in front of each line of the body", _header_and_body(b"\n", b"\n ")),
    ("quoted-body", "each line of the body as in an answer", _header_and_body(b"\n", b"\n> ")),
    ("doubled", "each line end twice in the body", _header_and_body(b"\n", b"\n\n")),
    ("wide-body", "1,200 spaces behind each line of the body", _wide_body),
    ("no-final-end", "no line end at the end", lambda message: message.rstrip(b"\r\n")),
    ("nothing-behind", "ends behind the last hyphen but one", lambda message: message.rstrip(b"\r\n")[:-1]),
    ("nul-final", "NULs at the end", lambda message: message + b"\0" * 20),
    ("control-z", "an end-of-file character at the end", lambda message: message + b"\x1a"),
    ("dot-final", "a lone dot at the end, as of SMTP", lambda message: message + b".\n"),
    ("dot-first", "a lone dot behind the header", lambda message: message.replace(b"\n\n", b"\n\n.\n", 1)),
    ("dot-all", "a lone dot behind each empty line", lambda message: message.replace(b"\n\n", b"\n\n.\n")),
    ("stuffed", "dots that SMTP doubled", _each(rb"(?m)^\.", b"..")),
    ("from-body", "an mbox's line in the body, quoted", lambda message: message.replace(b"\n\n", b"\n\n>From x\n", 1)),
    ("from-delimiter", "an mbox's line in front of delimiters", _each(rb"(?m)^--cut", b"From a Fri Mar  1\n--cut")),
    ("cr-before-delimiter", "a bare CR for the line end in front of delimiters", _each(rb"\n--cut", b"\r--cut")),
    ("crcr-before-delimiter", "two CR and LF in front of delimiters", _each(rb"\n--cut", b"\r\r\n--cut")),
    ("cr-inside-delimiter", "a CR inside delimiters", _each(rb"--cut", b"--c\rut")),
    ("cr-after-delimiter", "a bare CR behind delimiters", _each(rb"(--cut(--)?)\n", rb"\1\r")),
    ("crcr-after-delimiter", "two CR and LF behind delimiters", _each(rb"(--cut(--)?)\n", b"\\1\r\r\n")),
    ("nul-before-delimiter", "a NUL in front of delimiters", _each(rb"\n--cut", b"\n\0--cut")),
    ("nul-inside-delimiter", "a NUL inside delimiters", _each(rb"--cut", b"--c\0ut")),
    ("nul-after-delimiter", "a NUL behind delimiters", _each(rb"--cut", b"--cut\0")),
    ("nul-in-header", "a NUL in each field's value", _each(rb"(?m)^(Content-[^:]*): ", b"\\1: \0")),
    (
        "nul-in-subject",
        "a NUL in a field that tells nothing",
        lambda message: message.replace(b"crafted\n", b"cra\0fted\n", 1),
    ),
    (
        "cr-in-subject",
        "a CR in a field that tells nothing",
        lambda message: message.replace(b"crafted\n", b"cra\rfted\n", 1),
    ),
    (
        "cr-field-in-subject",
        "a field behind a CR",
        lambda message: message.replace(b"crafted\n", b"c\rContent-Type: text/plain\n", 1),
    ),
    (
        "cr-blank-in-subject",
        "an empty line of CR",
        lambda message: message.replace(b"crafted\n", b"c\r\rContent-Type: text/plain\n", 1),
    ),
    ("nul-in-base64", "a NUL inside lines", _each(rb"(?m)^([A-Za-z0-9+/]{40})([A-Za-z0-9+/]{36})$", b"\\1\0\\2")),
    ("cr-in-base64", "a CR inside lines", _each(rb"(?m)^([A-Za-z0-9+/]{40})([A-Za-z0-9+/]{36})$", b"\\1\r\\2")),
    ("long-base64", "the base64 on one line", _each(rb"(?<=[A-Za-z0-9+/]{76})\n", b"")),
    ("part-blank-early", "an empty line before the part's fields", _each(rb"(--cut\n)(?=Content-Type: app)", b"\\1\n")),
    ("part-blank-early-space", "a line of spaces before them", _each(rb"(--cut\n)(?=Content-Type: app)", b"\\1  \n")),
    ("part-blank-inside", "an empty line between the part's fields", _each(rb"(?=Content-Transfer-Encoding)", b"\n")),
    ("part-blank-inside-space", "a line of spaces between them", _each(rb"(?=Content-Transfer-Encoding)", b"  \n")),
]
# id, what is done, what stands for the empty line
_BLANKS: list[tuple[str, str, str]] = [
    ("space", "a space on it", " \n"),
    ("tab", "a tab on it", "\t\n"),
    ("cr", "a CR on it", "\r\r\n"),
    ("cr-only", "a CR for it", "\r"),
    ("crs", "two CR for it", "\r\r"),
    ("nul", "a NUL on it", "\0\n"),
    ("form-feed", "a form feed on it", "\f\n"),
    ("no-break", "a no-break space on it", "\xa0\n"),
    ("zero-width", "a zero width space on it", "\xe2\x80\x8b\n"),
    ("missing", "it is missing", ""),
    ("many", "ten of them", "\n" * 10),
    ("space-then", "a line of a space, then an empty one", " \n\n"),
    ("junk", "a line that is no field for it", "no field\n"),
    ("junk-then", "a line that is no field, then an empty one", "no field\n\n"),
    ("comment", "a line with a comment for it", "(x)\n"),
    ("colon", "a line with a colon alone for it", ":\n"),
    ("dots", "a line of dots for it", "...\n"),
]
_PAIRED = {
    "alternating",
    "header-crlf-body-lf",
    "crcrlf",
    "nul-end",
    "trailing-space",
    "top-blank-space",
    "part-blank-missing",
    "part-blank-space",
    "cr-before-delimiter",
}


def _lines() -> Iterator[Trick]:
    for id_, why, change in _LINES:
        yield Trick(id=id_, lesson=14, why=why, finish=change, pairs=id_ in _PAIRED)


def _blanks() -> Iterator[Trick]:
    for id_, why, text in _BLANKS:
        yield Trick(
            id=f"top-blank-{id_}",
            lesson=14,
            why=f"the empty line behind the header: {why}",
            gap=text,
            pairs=f"top-blank-{id_}" in _PAIRED,
        )
        yield Trick(
            id=f"part-blank-{id_}",
            lesson=14,
            why=f"the empty line behind a part's header: {why}",
            part_gap=text,
            alone=True,
            pairs=f"part-blank-{id_}" in _PAIRED,
        )


TRICKS = [*_lines(), *_blanks()]
