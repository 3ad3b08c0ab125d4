"""How a payload or a name is written down in a message: the right ways, and the wrong ones that some readers take.

Each function takes bytes and returns the text that stands in the message (Latin-1 stands for bytes, LF for line ends).
"""

import base64
import string
from collections.abc import Callable, Iterator
from itertools import cycle
from urllib.parse import quote_from_bytes

from tests.corpus.ambiguity.wrappings import uu

Encoder = Callable[[bytes], str]

_COVER = b"Nothing to see here."
"""What a reader sees who stops too early."""
_PRINTABLE = frozenset(string.ascii_letters + string.digits + string.punctuation) - {"=", "."}
"""Not the dot, which SMTP doubles at the start of a line."""
_UNRESERVED = frozenset((string.ascii_letters + string.digits + ".-").encode())


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _lines(text: str, length: int = 76) -> str:
    return "\n".join(text[at : at + length] for at in range(0, len(text), length))


def _pieces(data: bytes, length: int) -> Iterator[bytes]:
    return (data[at : at + length] for at in range(0, len(data), length))


# -------------------------------------------------------------------------------------------- plain text


def as_is(data: bytes) -> str:
    """7bit, 8bit and binary."""
    return data.decode("latin-1")


def nul_between(data: bytes) -> str:
    """A NUL behind each byte: what a reader without UTF-16 sees of it."""
    return "".join(f"{chr(byte)}\0" for byte in data)


# ------------------------------------------------------------------------------------------------ base64


def base64_lines(data: bytes) -> str:
    """As RFC 2045 §6.8 has it."""
    return _lines(_b64(data))


def base64_one_line(data: bytes) -> str:
    """A single line of any length."""
    return _b64(data)


def base64_odd_lines(data: bytes) -> str:
    """Lines whose lengths are no multiples of four."""
    text, lengths, lines = _b64(data), cycle((1, 2, 3, 5, 7, 75, 77)), []
    while text:
        length = next(lengths)
        lines.append(text[:length])
        text = text[length:]
    return "\n".join(lines)


def base64_one_character_lines(data: bytes) -> str:
    """One character on each line."""
    return "\n".join(_b64(data))


def base64_blank_lines(data: bytes) -> str:
    """An empty line between any two lines."""
    return base64_lines(data).replace("\n", "\n\n")


def base64_leading_blank_lines(data: bytes) -> str:
    """Empty lines, and such with spaces, in front."""
    return "\n \n\t\n\n" + base64_lines(data)


def base64_white_space(data: bytes) -> str:
    """Spaces and tabs inside and around lines."""
    return "\n".join(f"  {line[:10]} {line[10:20]}\t{line[20:]} " for line in base64_lines(data).splitlines())


def base64_padded(data: bytes) -> str:
    """With padding, whatever the length."""
    return base64_lines(data + b"\n" * ((1 - len(data)) % 3))


def base64_no_padding(data: bytes) -> str:
    """Without the padding, which it needs."""
    return _lines(_b64(data + b"\n" * ((1 - len(data)) % 3)).rstrip("="))


def base64_too_little_padding(data: bytes) -> str:
    """One ``=`` where there should be two."""
    return _lines(_b64(data + b"\n" * ((1 - len(data)) % 3)).rstrip("=") + "=")


def base64_too_much_padding(data: bytes) -> str:
    """Many ``=`` at the end."""
    return base64_lines(data).rstrip("=") + "======"


def base64_early_padding(data: bytes) -> str:
    """A padded line first; the rest on the lines behind it."""
    return f"{_b64(_COVER)}\n{base64_lines(data)}"


def base64_early_padding_short(data: bytes) -> str:
    """The shortest padded quadruple first, on the same line as the rest."""
    return f"eA=={_b64(data)}"


def base64_early_padding_excess(data: bytes) -> str:
    """More padding than any quadruple has, then the rest."""
    return f"eA======\n{base64_lines(data)}"


def base64_early_padding_split(data: bytes) -> str:
    """The two ``=`` of the padding on two lines, then the rest."""
    return f"eA=\n=\n{base64_lines(data)}"


def base64_padding_first(data: bytes) -> str:
    """The first line is padding alone."""
    return f"====\n{base64_lines(data)}"


def base64_padded_blocks(data: bytes) -> str:
    """Blocks of ten bytes, padded one by one, each on a line."""
    return "\n".join(map(_b64, _pieces(data, 10)))


def base64_padded_blocks_joined(data: bytes) -> str:
    """Blocks of ten bytes, padded one by one, all on a line."""
    return "".join(map(_b64, _pieces(data, 10)))


def base64_equals_inside(data: bytes) -> str:
    """A ``=`` in the middle of a quadruple: ignored as junk by some, the end for others."""
    text = _b64(data)
    return _lines(text[:6] + "=" + text[6:])


def base64_equals_each_line(data: bytes) -> str:
    """Each line ends in ``=``, as soft line breaks of quoted-printable do."""
    return base64_lines(data).replace("\n", "=\n")


def base64_junk(data: bytes) -> str:
    """Characters outside the alphabet all over, which RFC 2045 wants ignored."""
    return "!".join(_pieces_of(base64_lines(data), 5))


def base64_junk_many(data: bytes) -> str:
    """Each character is followed by another kind of junk."""
    junk = cycle("!#$%&'()*,.:;<>?@[]^`{|}~\"\\")
    return _lines("".join(character + next(junk) for character in _b64(data)))


def base64_junk_8bit(data: bytes) -> str:
    """Bytes above 127 as junk."""
    return "\xe4\xf6".join(_pieces_of(base64_lines(data), 7))


def base64_junk_nul(data: bytes) -> str:
    """NUL as junk."""
    return "\0".join(_pieces_of(base64_lines(data), 7))


def base64_junk_control(data: bytes) -> str:
    """Form feed, vertical tab, escape and delete as junk."""
    return "\f\v\x1b\x7f".join(_pieces_of(base64_lines(data), 9))


def base64_junk_hyphens(data: bytes) -> str:
    """A hyphen, which another alphabet has for a digit, as junk."""
    return "-".join(_pieces_of(base64_lines(data), 11))


def base64_url_alphabet(data: bytes) -> str:
    """``-`` and ``_`` in the places of ``+`` and ``/`` (RFC 4648 §5)."""
    return base64_lines(data).replace("+", "-").replace("/", "_")


def base64_imap_alphabet(data: bytes) -> str:
    """``,`` in the place of ``/`` (RFC 3501 §5.1.3)."""
    return base64_lines(data).replace("/", ",")


def base64_dot_lines(data: bytes) -> str:
    """A lone dot between lines, where some see the end of the mail."""
    return base64_lines(data).replace("\n", "\n.\n")


def base64_stuffed_dots(data: bytes) -> str:
    """Each line begins with a dot, as if SMTP's dots had not been taken away."""
    return "." + base64_lines(data).replace("\n", "\n.")


def base64_quoted(data: bytes) -> str:
    """Each line is quoted as in an answer."""
    return "> " + base64_lines(data).replace("\n", "\n> ")


def base64_prefix_aligned(data: bytes) -> str:
    """A line of words whose letters make whole quadruples."""
    return f"Look here\n{base64_lines(data)}"


def base64_prefix_misaligned(data: bytes) -> str:
    """A line of words that shifts what follows for whoever does not decode line by line."""
    return f"Hello\n{base64_lines(data)}"


def base64_footer(data: bytes) -> str:
    """A mailing list's footer behind the padding."""
    return f"{base64_lines(data + b'.' * ((1 - len(data)) % 3))}\n-- \nto unsubscribe write to list-off@example.org"


def base64_footer_unpadded(data: bytes) -> str:
    """A mailing list's footer where there is no padding."""
    return f"{base64_lines(data + b'.' * (-len(data) % 3))}\n_____\nto unsubscribe write to list-off@example.org"


def base64_cut_off(data: bytes) -> str:
    """Ends within a quadruple, as after a broken transfer; the payload itself is whole."""
    return _lines(_b64(data + b"......")[:-3])


def base64_armoured(data: bytes) -> str:
    """Between lines of dashes and words."""
    return f"-----BEGIN FILE-----\n{base64_lines(data)}\n-----END FILE-----"


def base64_escaped(data: bytes) -> str:
    """The padding and line ends are written as quoted-printable."""
    return base64_lines(data + b"." * ((1 - len(data)) % 3)).replace("=", "=3D")


def _pieces_of(text: str, length: int) -> Iterator[str]:
    return (text[at : at + length] for at in range(0, len(text), length))


# -------------------------------------------------------------------------------------- quoted-printable


def quoted_printable(data: bytes) -> str:
    """As RFC 2045 §6.7 has it for binary content: line ends are escaped too."""
    escaped = [chr(byte) if chr(byte) in _PRINTABLE else f"={byte:02X}" for byte in data]
    return "=\n".join("".join(escaped[at : at + 25]) for at in range(0, len(escaped), 25))


def qp_all(data: bytes) -> str:
    """Every byte escaped."""
    return "=\n".join("".join(f"={byte:02X}" for byte in piece) for piece in _pieces(data, 25))


def qp_lower(data: bytes) -> str:
    """Every byte escaped, in lower case."""
    return "=\n".join("".join(f"={byte:02x}" for byte in piece) for piece in _pieces(data, 25))


def qp_mixed_case(data: bytes) -> str:
    """Digits in both cases: ``=6a`` and ``=4B``."""
    return "=\n".join("".join(f"={byte:02{'xX'[byte % 2]}}" for byte in piece) for piece in _pieces(data, 25))


def qp_long_line(data: bytes) -> str:
    """Every byte escaped, all on one line."""
    return "".join(f"={byte:02X}" for byte in data)


def _soft(data: bytes, end: str, length: int = 5) -> str:
    return end.join(piece.decode("ascii") for piece in _pieces(data, length))


def qp_soft_breaks(data: bytes) -> str:
    """A soft line break every five characters."""
    return _soft(data, "=\n")


def qp_soft_break_spaces(data: bytes) -> str:
    """White space behind the ``=`` of soft line breaks."""
    return _soft(data, "= \t\n")


def qp_soft_break_twice(data: bytes) -> str:
    """Two soft line breaks in a row."""
    return _soft(data, "=\n=\n")


def qp_soft_break_cr(data: bytes) -> str:
    """Soft line breaks made with a bare CR."""
    return _soft(data, "=\r")


def qp_soft_break_crlf(data: bytes) -> str:
    """Soft line breaks with CRLF in a message with LF."""
    return _soft(data, "=\r\n")


def qp_soft_break_crcrlf(data: bytes) -> str:
    """Soft line breaks that went through a bad transfer."""
    return _soft(data, "=\r\r\n")


def qp_soft_break_nul(data: bytes) -> str:
    """A NUL behind the ``=`` of soft line breaks."""
    return _soft(data, "=\0\n")


def qp_soft_break_in_escape(data: bytes) -> str:
    """A soft line break between the two digits of an escape."""
    return "".join(f"={byte >> 4:X}=\n{byte & 15:X}" if at % 7 == 3 else chr(byte) for at, byte in enumerate(data))


def qp_space_before_digits(data: bytes) -> str:
    """A space between the ``=`` and the digits of an escape."""
    return "".join(f"= {byte:02X}" if at % 7 == 3 else chr(byte) for at, byte in enumerate(data))


def qp_ends_in_equals(data: bytes) -> str:
    """The last character of the part is ``=``."""
    return quoted_printable(data) + "="


def qp_ends_in_half(data: bytes) -> str:
    """The part ends in the middle of an escape."""
    return quoted_printable(data) + "=4"


def qp_invalid_first(data: bytes) -> str:
    """An escape that is none, first."""
    return "=WW=ZZ " + qp_all(data)


def qp_invalid_inside(data: bytes) -> str:
    """A bare ``=`` in front of letters: kept by some, dropped by others."""
    return f"1+1=two\n{qp_all(data)}\n=\x01"


def qp_8bit(data: bytes) -> str:
    """Unescaped bytes above 127 beside escapes."""
    return f"\xe4\xf6\xfc {qp_all(data)} \xff"


def qp_literal_spaces(data: bytes) -> str:
    """White space at the ends of lines, which is to be dropped, and soft breaks behind white space."""
    return "cover   \n\t\n" + _soft(data, "=\n") + "  \t "


# -------------------------------------------------------------------------------------------------- text


def utf_16(data: bytes) -> str:
    """UTF-16 with its mark, in base64."""
    return base64_lines(data.decode("ascii").encode("utf-16"))


def utf_16_le(data: bytes) -> str:
    """UTF-16, little end first, without a mark, in base64."""
    return base64_lines(data.decode("ascii").encode("utf-16-le"))


def utf_16_be(data: bytes) -> str:
    """UTF-16, big end first, without a mark, in base64."""
    return base64_lines(data.decode("ascii").encode("utf-16-be"))


def utf_32(data: bytes) -> str:
    """UTF-32 with its mark, in base64."""
    return base64_lines(data.decode("ascii").encode("utf-32"))


def utf_7(data: bytes) -> str:
    """Every character in UTF-7's own base64."""
    return "+" + _b64(data.decode("ascii").encode("utf-16-be")).rstrip("=") + "-"


def percent(data: bytes) -> str:
    """Percent escapes, of what is no letter or digit (RFC 2231 §4)."""
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)


def percent_all(data: bytes) -> str:
    """Percent escapes of everything."""
    return "".join(f"%{byte:02X}" for byte in data)


def percent_lower(data: bytes) -> str:
    """Percent escapes of everything, in lower case."""
    return "".join(f"%{byte:02x}" for byte in data)


def url(data: bytes) -> str:
    """Percent escapes as in a data: URL."""
    return quote_from_bytes(data, safe="")


def url_base64(data: bytes) -> str:
    """Base64 with its special characters percent-escaped, as in a data: URL."""
    return quote_from_bytes(base64.b64encode(data), safe="")


def word_b(data: bytes) -> str:
    """The text of a B word of RFC 2047."""
    return _b64(data)


def word_b_unpadded(data: bytes) -> str:
    """The same without padding."""
    return _b64(data).rstrip("=")


def word_q(data: bytes) -> str:
    """The text of a Q word of RFC 2047, everything escaped."""
    return "".join(f"={byte:02X}" for byte in data)


def word_utf_16(data: bytes) -> str:
    """The text of a B word in UTF-16, big end first."""
    return _b64(data.decode("ascii").encode("utf-16-be"))


def backslashes(data: bytes) -> str:
    """Each character behind a backslash: quoted pairs."""
    return "".join(f"\\{chr(byte)}" for byte in data)


# ------------------------------------------------------------------------------------ encodings in encodings


def base64_twice(data: bytes) -> str:
    """Base64 of base64, the inner one with its own line ends."""
    return base64_lines(base64_lines(data).encode("ascii"))


def multipart_base64(data: bytes) -> str:
    """A whole multipart with the boundary ``in``, in base64."""
    header = "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
    return base64_lines(f"--in\n{header}\n{base64_lines(data)}\n--in--\n".encode("ascii"))


def uu_in_qp(data: bytes) -> str:
    """The lines of a uuencoded file, every byte of them in quoted-printable."""
    return qp_long_line(uu(data).encode("ascii"))


def word_in_word(data: bytes) -> str:
    """The text of a B word that holds a B word."""
    return word_b(f"=?utf-8?B?{word_b(data)}?=".encode("ascii"))
