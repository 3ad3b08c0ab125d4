"""All files that stand encoded in a text, and the limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_unpacker.dissection.wrapped.finding import TooManyFilesError, wrapped_files
from qscan_unpacker.dissection.wrapped.wrapped_file import MAX_FILES_IN_TEXT

UUENCODED = b"begin 644 a.exe\n#86)C\n`\nend\n"
YENC = b"=ybegin line=128 size=3 name=b.exe\n\x8b\x8c\x8d\n=yend size=3\n"
BINHEX = b'(This file must be converted with BinHex 4.0)\n:"f)ZBAKP!*!%)3#3"`"-!!!!!!!!:\n'
DATA_URL = b'<a download="d.exe" href="data:;base64,YWJj">\n'


def test_all_kinds() -> None:
    """One of each in one text, whatever type the text has."""
    text = b"Hello,\n" + DATA_URL + YENC + UUENCODED + b"bye\n"
    for content in (text, memoryview(text), memoryview(bytearray(text))):
        found = [(one.kind, one.names, b"".join(one.pieces)) for one in wrapped_files(content)]
        assert found == [
            ("uuencode", ("a.exe",), b"abc"),
            ("yenc", ("b.exe",), b"abc"),
            ("data_url", ("d.exe",), b"abc"),
        ]


def test_ordinary_text_has_none() -> None:
    """Sentences that begin with «begin», end with «end», and speak of data: this and that."""
    text = b"Dear all,\nbegin with data: all of it, then\nbegin 3 more\nend\n" + b"-" * 70 + b"\n: x\n"
    assert list(wrapped_files(text)) == []


@pytest.mark.parametrize("one", [UUENCODED, YENC, DATA_URL])
def test_too_many_files_are_no_silence(one: bytes) -> None:
    """So many are given, then the text is given up by name."""
    assert len(list(wrapped_files(one * MAX_FILES_IN_TEXT))) == MAX_FILES_IN_TEXT
    files = wrapped_files(one * (MAX_FILES_IN_TEXT + 1))
    assert len([next(files) for _ in range(MAX_FILES_IN_TEXT)]) == MAX_FILES_IN_TEXT
    with pytest.raises(TooManyFilesError):
        next(files)


@given(
    st.lists(st.sampled_from([UUENCODED, YENC, BINHEX, DATA_URL, b"begin", b"=ybegin ", b":", b"data:", b"\n", b"x"]))
)
def test_any_mixture_ends(parts: list[bytes]) -> None:
    """And every file lies within the text."""
    text = b"".join(parts)
    for one in wrapped_files(text):
        assert one.offset >= 0
        assert one.offset + one.length <= len(text)
        b"".join(one.pieces)
