"""A gzip file that decompresses to itself, after Russ Cox, «Zip Files All The Way Down» (2010).

Deflate is used as a language of two instructions, each of five bytes: print the next n bytes as they are (a stored
block), and print the last n bytes once more (a block of two matches). The checksum is part of what is printed, so the
equation crc(file with x) = x is solved; CRC-32 is affine, so that takes a matrix of 32 x 32 bits.
"""

import struct
import zlib

_UNIT = 5
_NAME = b"qqqq\0"
_PREFIX = b"\x1f\x8b\x08\x08" + bytes(6) + _NAME  # 15 bytes: with an instruction, four units
_EMPTY_FINAL_BLOCK = b"\x01\x00\x00\xff\xff"
_SUFFIX_BYTES = len(_EMPTY_FINAL_BLOCK) + 8


def gzip_quine() -> bytes:
    """The file."""
    size = len(_file(0, 0))
    base = zlib.crc32(_file(0, size))
    columns = [zlib.crc32(_file(1 << bit, size)) ^ base for bit in range(32)]
    # crc(x) = base ^ A x, and it shall be x: (A ^ 1) x = base.
    return _file(_solved([column ^ (1 << bit) for bit, column in enumerate(columns)], base), size)


def _file(crc: int, size: int) -> bytes:
    suffix = _EMPTY_FINAL_BLOCK + struct.pack("<II", crc, size)
    prefix_bytes, suffix_bytes = len(_PREFIX) + _UNIT, _SUFFIX_BYTES + _UNIT
    repeat_prefix, repeat_suffix, repeat_four = _repeat(prefix_bytes), _repeat(suffix_bytes), _repeat(4 * _UNIT)
    print_prefix, print_suffix = _print(prefix_bytes), _print(suffix_bytes)
    none, one, four = _print(0), _print(_UNIT), _print(4 * _UNIT)
    return b"".join(
        (
            *(_PREFIX, print_prefix, _PREFIX, print_prefix, repeat_prefix),
            *(one, repeat_prefix, one, one),
            *(four, repeat_prefix, one, one, four, repeat_four),
            *(four, repeat_four, four, repeat_four, four, repeat_four),
            *(four, repeat_four, none, none, print_suffix, repeat_four),
            *(none, none, print_suffix, repeat_suffix, suffix),
            *(repeat_suffix, suffix),
        )
    )


def _print(size: int) -> bytes:
    """A stored block header (RFC 1951 §3.2.4)."""
    return b"\0" + struct.pack("<HH", size, size ^ 0xFFFF)


def _repeat(size: int) -> bytes:
    """A block with fixed codes (RFC 1951 §3.2.6): two matches of half the size each, at a distance of the size."""
    not_final, fixed_codes, end_of_block = "0", "10", "0000000"
    matches = "".join(_match(length, size) for length in (size // 2, size - size // 2))
    bits = not_final + fixed_codes + matches + end_of_block
    return bytes(sum(int(bit) << place for place, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))


def _match(length: int, distance: int) -> str:
    """Lengths of 3 to 10 have a code each; distances of 17 to 24 share one, with three more bits."""
    return f"{length - 2:07b}" + f"{8:05b}" + f"{distance - 17:03b}"[::-1]


def _solved(columns: list[int], wanted: int) -> int:
    """x with the columns, those of its bits, adding up to `wanted` (modulo 2)."""
    pivots: dict[int, tuple[int, int]] = {}
    for bit, column in enumerate(columns):
        value, made_of = column, 1 << bit
        while value and value.bit_length() in pivots:
            pivot, pivot_made_of = pivots[value.bit_length()]
            value, made_of = value ^ pivot, made_of ^ pivot_made_of
        if value:
            pivots[value.bit_length()] = value, made_of
    solution = 0
    while wanted:
        pivot, made_of = pivots[wanted.bit_length()]
        wanted, solution = wanted ^ pivot, solution ^ made_of
    return solution
