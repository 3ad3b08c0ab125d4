"""Messages that follow the RFCs to the letter, in all the forms that these leave open: strategies for hypothesis.

Structure (RFC 2046), fields with folding and comments (RFC 5322 §3.2.2, RFC 2045 §4 and §5.1), boundaries of all
characters and lengths (RFC 2046 §5.1.1), transfer encodings (RFC 2045 §6), names (RFC 2183, RFC 2231).
"""

import base64
import string
from dataclasses import dataclass
from itertools import permutations
from urllib.parse import quote

from hypothesis import strategies as st

_TOKEN = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`{|}~")
_BOUNDARY = string.ascii_letters + string.digits + "'()+_,-./:=? "
_TEXT = string.ascii_letters + string.digits + " .,;:!?-()'\""
_MAX_BOUNDARY = 70
_SOFT_AT = 24
"""Bytes of quoted-printable on a line; three characters each at most."""
_PIECE = 20
"""Characters of a name in one piece of RFC 2231."""


@dataclass(frozen=True)
class Leaf:
    """A part with content.

    Attributes:
        fields: of its header, without line ends.
        body: as it stands in the message, with LF.
        content: what it holds, with LF where it is text.
        is_text: its line ends are those of the message.
        name: its file name, if it has one.
    """

    fields: tuple[str, ...]
    body: bytes
    content: bytes
    is_text: bool
    name: str | None


@dataclass(frozen=True)
class Group:
    """A multipart, or a message in a message if it has no boundary."""

    fields: tuple[str, ...]
    boundary: str
    preamble: str
    children: tuple["Leaf | Group", ...]


@dataclass(frozen=True)
class Mail:
    """A message and what is in it."""

    raw: bytes
    leaves: tuple[Leaf, ...]
    line_end: bytes

    def contents(self) -> list[bytes]:
        """What each leaf holds, byte for byte; texts without the line end behind their last line."""
        return [leaf.content.replace(b"\n", self.line_end) if leaf.is_text else leaf.content for leaf in self.leaves]


# ------------------------------------------------------------------------------------------------ fields


@st.composite
def _field(draw: st.DrawFn, name: str, *words: str) -> str:
    """A field of these words, folded between any of them; names of fields have no case (RFC 5322 §1.2.2)."""
    written = draw(st.sampled_from([name, name.lower(), name.upper(), name.replace("Type", "type")]))
    value = words[0] + "".join(draw(st.sampled_from([" ", "\n ", "\n\t", "  "])) + word for word in words[1:])
    return f"{written}:{draw(st.sampled_from([' ', '  ', chr(9)]))}{value}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def _value(draw: st.DrawFn, value: str) -> str:
    """A parameter's value; quotes may be left out where it is a token (RFC 2045 §5.1)."""
    return value if set(value) <= _TOKEN and draw(st.booleans()) else _quoted(value)


_comments = st.sampled_from(["", "", "", " (Plain text)", " (produced by a (nested) program)", " (a; b=c)", " (\\))"])


@st.composite
def _name_parameters(draw: st.DrawFn, parameter: str, name: str) -> list[str]:
    """A name as parameters: plain if it is short ASCII, else as RFC 2231 has it."""
    if name.isascii() and len(name) <= _PIECE * 2:
        return [f"{parameter}={draw(_value(name))}"]
    if name.isascii() and draw(st.booleans()):
        pieces = [name[at : at + _PIECE] for at in range(0, len(name), _PIECE)]
        return [f"{parameter}*{number}={_quoted(piece)};" for number, piece in enumerate(pieces)]
    charset = draw(st.sampled_from(["utf-8", "UTF-8"]))
    language = draw(st.sampled_from(["", "en", "de-at"]))
    if len(name) <= _PIECE:
        return [f"{parameter}*={charset}'{language}'{quote(name, safe='')}"]
    pieces = [quote(name[at : at + _PIECE], safe="") for at in range(0, len(name), _PIECE)]
    pieces[0] = f"{charset}'{language}'{pieces[0]}"
    return [f"{parameter}*{number}*={piece};" for number, piece in enumerate(pieces)]


# ------------------------------------------------------------------------------------------------ leaves

files = st.lists(st.sampled_from(b"\x00\t\n\r !=-.0\x7f\x80\xe4\xff"), min_size=1, max_size=300).map(bytes)
"""Content of all kinds but letters, which could spell the beginning of an archive."""

_lines = st.lists(st.text(_TEXT, max_size=70).map(str.rstrip), min_size=1, max_size=8).map("\n".join)
_texts = _lines.filter(str.strip)
_name_characters = string.ascii_letters + string.digits + " -_+,;=@()[]'\"\\%&äöüßé€日本"
_names = st.builds(
    "{}{}".format,
    st.text(_name_characters, min_size=1, max_size=70).map(str.strip).filter(bool),
    st.sampled_from([".txt", ".dat", ""]),
)


def _quoted_printable(data: bytes, *, is_text: bool) -> str:
    """Lines of at most 76 characters; line ends of text stay, those of binary content are escaped."""
    pieces = data.split(b"\n") if is_text else [data]
    return "\n".join(_quoted_printable_line(piece) for piece in pieces)


def _quoted_printable_line(line: bytes) -> str:
    kept = frozenset(string.ascii_letters + string.digits + " ,:;!?-()'")
    escaped = [chr(byte) if chr(byte) in kept else f"={byte:02X}" for byte in line]
    if escaped and escaped[-1] == " ":
        escaped[-1] = "=20"
    return "=\n".join("".join(escaped[at : at + _SOFT_AT]) for at in range(0, len(escaped), _SOFT_AT))


def _base64(data: bytes) -> str:
    return base64.encodebytes(data).decode("ascii").rstrip("\n")


@st.composite
def _text_leaves(draw: st.DrawFn) -> Leaf:
    subtype, charset = draw(st.sampled_from(["plain", "html", "x-any"])), draw(st.sampled_from(["utf-8", "iso-8859-1"]))
    text = draw(_texts)
    encoding = draw(st.sampled_from(["7bit", "8bit", "quoted-printable", "base64", ""]))
    is_ascii = encoding in {"7bit", ""}
    content = (text if is_ascii else text.replace("a", "ä")).encode(charset)
    body = content
    if encoding == "quoted-printable":
        body = _quoted_printable(content, is_text=True).encode("ascii")
    elif encoding == "base64":
        body = _base64(content).encode("ascii")
    fields = [
        draw(
            _field(
                "Content-Type",
                f"text/{subtype};",
                f"charset={draw(_value('us-ascii' if is_ascii else charset))}{draw(_comments)}",
            )
        )
    ]
    if encoding:
        fields.append(draw(_field("Content-Transfer-Encoding", draw(st.sampled_from([encoding, encoding.upper()])))))
    return Leaf(tuple(fields), body, content, encoding != "base64", None)


@st.composite
def _file_leaves(draw: st.DrawFn) -> Leaf:
    content = draw(files)
    encoding = draw(st.sampled_from(["base64", "quoted-printable"]))
    body = _base64(content) if encoding == "base64" else _quoted_printable(content, is_text=False)
    name = draw(st.none() | _names)
    kind = draw(st.sampled_from(["application/octet-stream", "application/x-any", "image/x-any", "Application/X-ANY"]))
    type_words, disposition_words = [kind], [draw(st.sampled_from(["attachment", "inline", "ATTACHMENT"]))]
    if name is not None:
        disposition_words += draw(_name_parameters("filename", name))
        if draw(st.booleans()):
            type_words += draw(_name_parameters("name", name))
    fields = draw(
        st.permutations(
            [
                draw(_field("Content-Type", *_separated(type_words))),
                draw(_field("Content-Transfer-Encoding", encoding)),
                draw(_field("Content-Disposition", *_separated(disposition_words))),
                "Content-ID: <part@example.org>",
                "Content-Description: a file (so they say)",
            ]
        )
    )
    return Leaf(tuple(fields), body.encode("ascii"), content, is_text=False, name=name)


def _separated(words: list[str]) -> list[str]:
    return [f"{word.rstrip(';')};" for word in words[:-1]] + [words[-1].rstrip(";")]


# ------------------------------------------------------------------------------------------------ groups

_boundaries = st.text(_BOUNDARY, min_size=1, max_size=_MAX_BOUNDARY - 8).filter(lambda text: not text.endswith(" "))


@st.composite
def _multiparts(draw: st.DrawFn, children: st.SearchStrategy["Leaf | Group"]) -> Group:
    # A number in front, so that no line of text begins like it.
    boundary = f"{draw(st.integers(10**6, 10**7 - 1))}_{draw(_boundaries)}"
    subtype = draw(st.sampled_from(["mixed", "alternative", "related", "x-any", "Mixed"]))
    field = draw(
        _field(
            "Content-Type",
            f"multipart/{subtype};",
            *draw(st.sampled_from([(), ('x-any="a;b";',), ("x-any=c;",)])),
            f"boundary={draw(_value(boundary))}{draw(_comments)}",
        )
    )
    preamble = draw(st.sampled_from(["", "This is a multi-part message in MIME format."]))
    return Group((field,), boundary, preamble, tuple(draw(st.lists(children, min_size=1, max_size=3))))


@st.composite
def _messages(draw: st.DrawFn, children: st.SearchStrategy["Leaf | Group"]) -> Group:
    fields = (draw(_field("Content-Type", "message/rfc822")), "Content-Transfer-Encoding: 8bit")
    return Group(fields, "", "", (draw(children),))


_trees = st.recursive(
    _text_leaves() | _file_leaves(),
    lambda children: _multiparts(children) | _messages(children),
    max_leaves=6,
)

# ------------------------------------------------------------------------------------------------ writing

_HEADER = (
    "Received: from a.example.org (a.example.org [192.0.2.1])\n by b.example.org (x (y)) with SMTP;\n"
    ' Fri, 1 Mar 2024 12:00:00 +0000 (UTC)\nFrom: "A. Sender" <sender@example.org>\nTo: recipient@example.net (you)\n'
    "Subject: =?utf-8?Q?gr=C3=BC=C3=9Fe?= and more\nDate: Fri, 1 Mar 2024 12:00:00 +0000\n"
    "Message-ID: <strict@example.org>\n"
)


def _written(node: Leaf | Group) -> bytes:
    """An entity, with LF, without a line end behind it."""
    header = "".join(f"{field}\n" for field in node.fields).encode("ascii") + b"\n"
    if isinstance(node, Leaf):
        return header + node.body
    if not node.boundary:
        return header + _message(node.children[0], "1.0")
    parts = [b"--" + node.boundary.encode("ascii") + b"\n" + _written(child) + b"\n" for child in node.children]
    preamble = f"{node.preamble}\n".encode("ascii") if node.preamble else b""
    return header + preamble + b"".join(parts) + b"--" + node.boundary.encode("ascii") + b"--"


def _message(node: Leaf | Group, version: str) -> bytes:
    return f"{_HEADER}MIME-Version: {version}\n".encode("ascii") + _written(node) + b"\n"


def _leaves(node: Leaf | Group) -> tuple[Leaf, ...]:
    return (node,) if isinstance(node, Leaf) else tuple(leaf for child in node.children for leaf in _leaves(child))


def _boundaries_of(node: Leaf | Group) -> list[str]:
    if isinstance(node, Leaf):
        return []
    return [node.boundary] * bool(node.boundary) + [one for child in node.children for one in _boundaries_of(child)]


def _tell_apart(node: Leaf | Group) -> bool:
    """No boundary is another one, or the beginning of another one (RFC 2046 §5.1.2)."""
    return not any(first.startswith(second) for first, second in permutations(_boundaries_of(node), 2))


@st.composite
def mails(draw: st.DrawFn) -> Mail:
    """A message, with LF or CRLF all over."""
    tree = draw(_trees.filter(_tell_apart))
    version = draw(st.sampled_from(["1.0", "1.0 (produced by Metasend Vx.x)", "(by x) 1.0", "1.(x)0"]))
    line_end = draw(st.sampled_from([b"\n", b"\r\n"]))
    return Mail(_message(tree, version).replace(b"\n", line_end), _leaves(tree), line_end)
