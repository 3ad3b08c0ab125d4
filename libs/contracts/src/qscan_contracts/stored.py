"""The framing of a stored object: the head of `StoredMessage`, then the raw message (see its docstring)."""

import msgspec

from qscan_contracts.events import StoredMessage

LENGTH_BYTES = 4
MAX_HEAD_BYTES = 32 * 1024 * 1024
"""Above what the largest envelope (8 MiB of JSON) can grow to; a longer head is damage, and is not read into memory."""


class StoredHeadError(ValueError):
    """These bytes are not the beginning of a stored object."""


def write_head(stored: StoredMessage) -> bytes:
    """What an object begins with; the raw message follows.

    Raises:
        StoredHeadError: the envelope is too large to be stored.
    """
    head = msgspec.msgpack.encode(stored)
    if len(head) > MAX_HEAD_BYTES:
        raise StoredHeadError(f"a head of {len(head)} bytes is larger than the limit of {MAX_HEAD_BYTES}")
    return len(head).to_bytes(LENGTH_BYTES, "big") + head


def head_length(prefix: bytes) -> int:
    """How many bytes of head follow the first `LENGTH_BYTES` of an object.

    Raises:
        StoredHeadError: the prefix is too short, or names a length that no head has.
    """
    length = int.from_bytes(prefix, "big")
    if len(prefix) != LENGTH_BYTES or not 0 < length <= MAX_HEAD_BYTES:
        raise StoredHeadError("the object does not begin with the length of a head")
    return length


def read_head(head: bytes) -> StoredMessage:
    """The head itself, without its length.

    Raises:
        StoredHeadError: it cannot be decoded.
    """
    try:
        return msgspec.msgpack.decode(head, type=StoredMessage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoredHeadError(f"the head of the object cannot be decoded: {error}") from error
