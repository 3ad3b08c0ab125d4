"""Names in old code pages, as text.

All codecs are loaded when this module is: the sandbox, in which it is used, opens no file.
"""

import codecs
from typing import Final

_NUMBERS: Final = (437, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869, 874, 932, 936, 949)
_WINDOWS: Final = (950, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)
CODECS: Final = {number: codecs.lookup(f"cp{number}").name for number in (*_NUMBERS, *_WINDOWS)} | {65001: "utf-8"}
"""Windows code page number to Python's codec."""

UNSTATED: Final = 1252
"""What is assumed where a format does not say: the code page of western Windows."""

for _codec in ("utf-8", "utf-16-le", "utf-16-be", "latin-1", "ascii", *CODECS.values()):
    b"a.".decode(_codec)  # Some codecs load their tables with the first use only.


def readings(raw: bytes, code_page: int = 0) -> tuple[str, ...]:
    """Decode a name in every way that a reader might: UTF-8, if it is that, and the code page.

    Args:
        raw: with or without NULs at its end.
        code_page: Windows code page number, 0 or an unknown number where the format does not state it.
    """
    raw = raw.rstrip(b"\0")
    if raw.isascii():
        return (raw.decode("ascii"),) if raw else ()
    found = [raw.decode(CODECS.get(code_page, CODECS[UNSTATED]), "replace")]
    try:
        found.append(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return tuple(found)
    return tuple(dict.fromkeys(found))


def utf16(raw: bytes) -> str:
    """Decode UTF-16, little endian, up to its first NUL; what is none becomes U+FFFD."""
    return raw[: len(raw) & ~1].decode("utf-16-le", "replace").partition("\0")[0]
