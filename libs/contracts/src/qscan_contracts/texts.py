"""Texts from hostile messages, made safe for one line of a header, a log or a screen."""

from qscan_contracts.envelope import address_from_text

_ELLIPSIS = "…"


def one_line(text: str, max_characters: int) -> str:
    """Text in one line: what is not printable (controls, line ends, marks that change the direction) becomes a space.

    Runs of spaces become one; what is longer is cut and ends in an ellipsis. The result has no character that
    `str.isprintable` would not have, so nothing in it ends a header field or moves a cursor.
    """
    cleaned = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    if len(cleaned) <= max_characters:
        return cleaned
    return cleaned[: max_characters - 1].rstrip() + _ELLIPSIS


def printable_ascii(text: str) -> str:
    """Text as printable ASCII in one line, character by character; anything else becomes a question mark."""
    return "".join(character if " " <= character <= "~" else "?" for character in text)


def address_token(text: str) -> str:
    r"""An envelope address as printable ASCII; `address_from_text` reads it back to the same bytes.

    Space, comma and angle brackets are escaped too, so that ``<…>, <…>`` is a list of them.

    Args:
        text: what `address_to_text` has made of the address.
    """
    return "".join(
        chr(byte) if byte in _PLAIN else ("\\\\" if byte == _BACKSLASH else f"\\x{byte:02x}")
        for byte in address_from_text(text)
    )


_BACKSLASH = ord("\\")
_PLAIN = frozenset(range(ord("!"), ord("~") + 1)) - {_BACKSLASH, *b"<>,"}
