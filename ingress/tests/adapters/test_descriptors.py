import fcntl
import os
from pathlib import Path

import pytest

from qscan_ingress.adapters.descriptors import WrongSizeError, open_anew, sealed
from qscan_ingress.adapters.spool import temporary_file


@pytest.mark.parametrize("content", [b"", b"hello", b"x" * 3_000_000])
def test_sealed_bytes_can_no_longer_change(content: bytes) -> None:
    """Read-only, at the beginning, and nobody can open them for writing in another way."""
    descriptor = sealed("test", content)
    try:
        assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0
        assert os.pread(descriptor, len(content) + 1, 0) == content
        writable = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)
        for change in (lambda: os.write(writable, b"y"), lambda: os.ftruncate(writable, len(content) + 1)):
            with pytest.raises(PermissionError):
                change()
        with pytest.raises(PermissionError):
            fcntl.fcntl(writable, fcntl.F_ADD_SEALS, 0)
        os.close(writable)
    finally:
        os.close(descriptor)


def test_opened_anew_has_an_offset_of_its_own(tmp_path: Path) -> None:
    """Reading one does not move the other."""
    original = temporary_file(tmp_path)
    os.write(original, b"hello")
    first, second = open_anew(original, 5), open_anew(original, 5)
    assert os.read(first, 10) == os.read(second, 10) == b"hello"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(first, b"x")
    for descriptor in (original, first, second):
        os.close(descriptor)


def test_another_size_is_refused(tmp_path: Path) -> None:
    """A message that is shorter than it was must not be delivered; nothing stays open."""
    original = temporary_file(tmp_path)
    os.write(original, b"hello")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(WrongSizeError, match="5 bytes instead of 6"):
        open_anew(original, 6)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    os.close(original)


def test_files_on_disk_have_no_name_and_no_writer(tmp_path: Path) -> None:
    """Nothing is left after a crash, and another process of the account cannot open it for writing."""
    descriptor = temporary_file(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert os.fstat(descriptor).st_mode & 0o222 == 0
    os.close(descriptor)
