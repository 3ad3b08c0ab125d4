"""Messages made by chance from the grammar of MIME: headers, boundaries, encodings and wrappings, right and wrong.

What is made at random byte by byte is a body without a header; here every choice is one that some reader acts on.
"""

import base64
import binascii
import quopri
from random import Random

from tests.corpus.fuzzing.containers import small_container

BOUNDARIES = (b"b", b"bb", b"b--", b"=_b", b"b b", b"", b"(b)", b"b" * 71, b"x" * 251, b"b\0", b"'b'")
TYPES = (
    *(b"text/plain", b"text/html", b"application/octet-stream", b"message/rfc822", b"multipart/mixed", b"text", b""),
    *(b"multipart/alternative", b"multipart/digest", b"message/partial; id=1; number=1", b"message/external-body"),
    *(b"application/ms-tnef", b"application/pkcs7-mime", b"text/plain; charset=utf-7", b"text/html; charset=utf-16"),
    *(b"MULTIPART/(c)mixed", b"multipart", b"message/global", b"text/x-uuencode", b"application/zip; name=a.zip"),
)
ENCODINGS = (
    *(b"base64", b"quoted-printable", b"7bit", b"8bit", b"binary", b"x-uuencode", b"BASE64", b"base64 7bit", b""),
    *(b"base64;x=y", b"(c)base64", b"quoted printable", b"=?us-ascii?q?base64?="),
)
NAMES = (
    *(b"a.exe", b'"a.exe"', b"=?utf-8?b?YS5leGU=?=", b'"a\\".exe"', b"a b.exe", b"", b'"', b"a.txt\0.exe"),
    *(b"\xff\xfe.exe", b'"../a.exe"', b"=?utf-16?b?2Ng=?=", b"=?utf-7?q?+2Ng-?="),
)
KEYS = (
    b"name",
    b"filename",
    b"name*",
    b"filename*0",
    b"filename*1*",
    b"name*0*",
    b"NAME",
    b"filename*01",
    b"boundary*0",
)
LINE_ENDS = (b"\n", b"\r\n", b"\r", b"\n\n", b"\n ", b"\n\t\n", b"\0\n", b"\r\r\n", b"\x0b", b"")
FIELDS = (
    *(b"Content-Type", b"content-type", b"Content-Type ", b"Content\0-Type", b"Content-(c)Type", b"=?q?Content-Type?="),
    *(b"Content-Transfer-Encoding", b"Content-Disposition", b"Content-Description", b"Content-Location", b"Subject"),
    *(b"MIME-Version", b"From ", b">From ", b"", b" ", b"X" * 300, b"\xef\xbb\xbfContent-Type"),
)
TOKENS = (
    *(FIELDS + TYPES + ENCODINGS + NAMES + KEYS + LINE_ENDS),
    *(b"--b", b"--b--", b"\n--b\n", b"\n--b--\n", b"--", b"=", b"==", b"=\n", b"=20", b"=3D", b'"', b"(", b")", b"\\"),
    *(b"begin 644 a.exe\n", b"\nend\n", b"`\n", b"=ybegin line=128 size=3 name=a\n", b"=yend size=3\n", b"=ypart "),
    *(b"(This file must be converted with BinHex 4.0)\n\n:", b":", b"data:text/html;base64,", b"data:,", b"%", b"%41"),
    *(b"boundary=", b'boundary="b"', b"charset=", b";", b"; ", b": ", b"=?", b"?=", b"=?utf-8?b?", b"*0=", b"*1*="),
    *(b"\0", b"\x1a", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x80", b"&#60;", b"+ADw-", b"\x0c", b"\xe2\x80\xa8"),
    *(b"TVqQAAMAAAAEAAAA//8AALgAAAA=", b"UEsDBAoAAAAAAA==", b"PK\x03\x04", b"PK\x05\x06", b"%PDF-1.4", b"{\\rtf1"),
)

_MAX_NESTING = 6


def message(chance: Random) -> bytes:
    """A message, a few hundred bytes as a rule."""
    return _Maker(chance).entity(0)


class _Maker:
    """Makes one message."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._line_end = chance.choice((b"\n", b"\n", b"\r\n", b"\r\n", b"\r"))

    def _rarely(self, of: int = 8) -> bool:
        return self._chance.randrange(of) == 0

    def _end(self) -> bytes:
        return self._chance.choice(LINE_ENDS) if self._rarely(24) else self._line_end

    def entity(self, nesting: int) -> bytes:
        """A header and a body."""
        chance = self._chance
        kind = chance.random()
        if kind < 0.4 and nesting < _MAX_NESTING:
            return self._multipart(nesting)
        if kind < 0.5 and nesting < _MAX_NESTING:
            type_ = chance.choice((b"message/rfc822", b"message/rfc822", b"message/global", b"text/plain"))
            return self._with_header(type_, self.entity(nesting + 1), boundary=None)
        return self._with_header(chance.choice(TYPES), self._content(), boundary=None)

    def _multipart(self, nesting: int) -> bytes:
        chance = self._chance
        boundary = chance.choice(BOUNDARIES) if self._rarely(4) else b"b%d" % chance.randrange(4)
        pieces = [self._filler()]
        for _ in range(chance.choice((0, 1, 1, 2, 2, 3))):
            used = chance.choice(BOUNDARIES) if self._rarely(16) else boundary
            pieces += [b"--", used, self._tail(), self._end(), self.entity(nesting + 1), self._end()]
        if not self._rarely():
            pieces += [b"--", boundary, b"--", self._tail(), self._end(), self._filler()]
        body = b"".join(pieces)
        type_ = chance.choice(TYPES) if self._rarely() else b"multipart/mixed"
        return self._with_header(type_, body, boundary=boundary)

    def _with_header(self, type_: bytes, body: bytes, *, boundary: bytes | None) -> bytes:
        chance = self._chance
        lines = [self._field(b"Content-Type", type_ + self._parameters(boundary))] if type_ or self._rarely(2) else []
        if self._rarely(2):
            encoding = chance.choice(ENCODINGS)
            body = self._encoded(encoding, body)
            lines.append(self._field(b"Content-Transfer-Encoding", encoding))
        if self._rarely(3):
            lines.append(self._field(b"Content-Disposition", b"attachment" + self._parameters(None)))
        while self._rarely(3):
            lines.append(self._field(chance.choice(FIELDS), chance.choice(TOKENS)))
        chance.shuffle(lines)
        return b"".join(lines) + (b"" if self._rarely(12) else self._end()) + body

    def _field(self, name: bytes, value: bytes) -> bytes:
        name = self._chance.choice(FIELDS) if self._rarely(16) else name
        if self._rarely():
            value = value.replace(b"; ", b";" + self._end() + b" ")
        return name + (b"" if self._rarely(30) else b":") + b" " + value + self._end()

    def _parameters(self, boundary: bytes | None) -> bytes:
        chance = self._chance
        found = (
            []
            if boundary is None
            else [b'boundary="' + boundary + b'"', b"boundary=" + boundary][: chance.choice((1, 1, 2))]
        )
        while self._rarely(3):
            found.append(chance.choice(KEYS) + b"=" + chance.choice(NAMES))
        if self._rarely(10):
            found.append(chance.choice(TOKENS))
        chance.shuffle(found)
        return b"".join(b"; " + one for one in found)

    def _encoded(self, encoding: bytes, body: bytes) -> bytes:
        if self._rarely(6):
            return body
        if b"base64" in encoding.lower():
            encoded = base64.encodebytes(body)
        elif b"quoted" in encoding:
            encoded = quopri.encodestring(body)
        elif b"uu" in encoding:
            encoded = (
                b"begin 644 a\n"
                + b"".join(binascii.b2a_uu(body[at : at + 45]) for at in range(0, len(body), 45))
                + b"`\nend\n"
            )
        else:
            return body
        return mutated_tokens(encoded.replace(b"\n", self._line_end), self._chance) if self._rarely(4) else encoded

    def _content(self) -> bytes:
        chance = self._chance
        kind = chance.randrange(8)
        if kind == 0:
            return small_container(chance)
        if kind == 1:
            return b"begin 644 a.exe\n#0V%T\n`\nend\n" + self._filler()
        if kind == 2:
            return b"<img src=data:text/html;base64,PGI+>" + self._filler()
        return b"".join(chance.choice(TOKENS) for _ in range(chance.choice((0, 1, 3, 10))))

    def _tail(self) -> bytes:
        return self._chance.choice((b" ", b"\t", b"--", b"-", b"b", b" x", b"\0")) if self._rarely(12) else b""

    def _filler(self) -> bytes:
        return (
            b""
            if self._rarely(2)
            else self._chance.choice((*LINE_ENDS, b"text", b"--b", b"This is MIME.")) + self._end()
        )


def mutated_tokens(text: bytes, chance: Random) -> bytes:
    """`text` with a few tokens put in, or put over what is there."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(text) + 1)
        token = chance.choice(TOKENS)
        text = text[:at] + token + text[at + chance.choice((0, 0, len(token), 1)) :]
    return text
