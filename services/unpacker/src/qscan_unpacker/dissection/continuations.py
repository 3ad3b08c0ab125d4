"""Parameters in pieces and with a charset (RFC 2231), put together in every way they may be."""

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from qscan_contracts.encoded_words import decode_charset
from qscan_unpacker.dissection.structured import unescaped

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTINUED = re.compile(rb"(.+?)\*(\d{0,9})(\*?)")


def continued(parameters: Iterable[tuple[bytes, bytes]], key: bytes) -> list[str]:
    """Every value that the parameters ``key*…`` may have: in order of their numbers, up to a gap, as they stand.

    Args:
        parameters: all parameters of the field, names in lower case.
        key: the name in front of the asterisk, lower case.
    """
    pieces: list[tuple[int, bytes, bytes]] = []
    for name, value in parameters:
        match = _CONTINUED.fullmatch(name)
        if match is not None and match[1] == key:
            pieces.append((int(match[2] or 0), match[3] or (b"" if match[2] else b"*"), unescaped(value)))
    if not pieces:
        return []
    in_order = sorted(pieces, key=lambda piece: piece[0])
    numbers = [number for number, _, _ in in_order]
    orders = [in_order, pieces]
    if numbers != list(range(len(numbers))):
        unbroken = [piece for index, piece in enumerate(in_order) if piece[0] == index]
        first_of_each = list({piece[0]: piece for piece in reversed(in_order)}.values())[::-1]
        orders += [unbroken, first_of_each]
    found = [text for order in orders for text in _joined(order)]
    return list(dict.fromkeys(text for text in found if text))


def _joined(pieces: list[tuple[int, bytes, bytes]]) -> Iterable[str]:
    """RFC 2231 §4.1: only pieces that end in an asterisk are percent-encoded; the first of them names the charset."""
    if not pieces:
        return
    charset, content, literal = b"", b"", b""
    for index, (_, encoded, value) in enumerate(pieces):
        rest = value
        if encoded:
            named, quote, after = value.partition(b"'")
            if index == 0 and quote and b"'" in after:
                charset, rest = named, after.partition(b"'")[2]
            content += unquote_to_bytes(rest)
        else:
            content += rest
        literal += rest
    yield decode_charset(content, charset.decode("latin-1") or "utf-8")
    yield unquote_to_bytes(literal).decode("utf-8", errors="replace")
    yield literal.decode("utf-8", errors="replace")
    if b"'" in literal:  # the charset without the language
        yield unquote_to_bytes(literal.rpartition(b"'")[2]).decode("utf-8", errors="replace")
    if _BROKEN_ESCAPE.search(literal) is not None:
        yield literal.replace(b"%", b"=").decode("utf-8", errors="replace")
