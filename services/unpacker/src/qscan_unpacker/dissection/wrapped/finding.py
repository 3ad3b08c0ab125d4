"""The one way in: all files that stand encoded in a text."""

import itertools
from collections.abc import Iterator

from qscan_unpacker.dissection.wrapped import base64_blocks, binhex, data_urls, uuencode, yenc
from qscan_unpacker.dissection.wrapped.wrapped_file import MAX_FILES_IN_TEXT, TooManyFilesError, WrappedFile

__all__ = ["TooManyFilesError", "wrapped_files"]


def wrapped_files(text: bytes | memoryview) -> Iterator[WrappedFile]:
    """Find what is encoded in `text`, kind by kind and in order; never fails for what is in it.

    It takes time in proportion to the text, little where there is nothing in it, and no memory beyond a copy of a
    `text` that is no bytes. Files inside a file are not looked for: ask again with its content.

    Raises:
        TooManyFilesError: behind the last file that was looked for.
    """
    whole = bytes(text)
    files = itertools.chain(
        uuencode.find(whole), yenc.find(whole), binhex.find(whole), data_urls.find(whole), base64_blocks.find(whole)
    )
    yield from itertools.islice(files, MAX_FILES_IN_TEXT)
    if next(files, None) is not None:
        raise TooManyFilesError
