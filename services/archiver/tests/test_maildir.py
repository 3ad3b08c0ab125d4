"""The maildir: arrivals are final, private, and known by name wherever a mail reader has put them."""

import os
import stat
import time

import pytest

from qscan_archiver.adapters.maildir import Maildir, write_out


@pytest.fixture
def maildir(tmp_path):
    """An empty one."""
    made = Maildir(tmp_path / "quarantine" / "viruses")
    made.make()
    made.make()  # and again, as at every start
    return made


def arrive(maildir: Maildir, name: str, content: bytes = b"x") -> None:
    """All steps of an arrival."""
    path, file = maildir.create(name)
    file.write(content)
    write_out(file)
    maildir.move_to_new(path, name)
    maildir.sync()


def test_an_arrival_is_in_new_and_only_there(maildir):
    """With nothing left in tmp."""
    assert not maildir.holds("s1")
    arrive(maildir, "s1", b"content")
    assert maildir.holds("s1")
    assert (maildir.root / "new" / "s1").read_bytes() == b"content"
    assert list((maildir.root / "tmp").iterdir()) == []


def test_files_and_folders_are_for_their_owner_only(maildir):
    """Whatever the umask."""
    old = os.umask(0)
    try:
        arrive(maildir, "s1")
    finally:
        os.umask(old)
    assert stat.S_IMODE((maildir.root / "new" / "s1").stat().st_mode) == 0o600
    for folder in ("", "tmp", "new", "cur"):
        assert stat.S_IMODE((maildir.root / folder).stat().st_mode) == 0o700


@pytest.mark.parametrize("moved_to", ["cur/s1", "cur/s1:2,", "cur/s1:2,FRS"])
def test_what_somebody_has_read_is_still_there(maildir, moved_to):
    """Mail readers move a file and append flags; it must not arrive a second time."""
    arrive(maildir, "s1")
    (maildir.root / "new" / "s1").rename(maildir.root / moved_to)
    assert maildir.holds("s1")
    assert not maildir.holds("s")
    assert not maildir.holds("s11")


def test_what_is_unfinished_does_not_count(maildir):
    """A file in tmp is no arrival."""
    maildir.create("s1")[1].close()
    assert not maildir.holds("s1")


def test_only_old_files_in_tmp_are_stale(maildir):
    """What is being written now is not touched, nor is anything that has arrived."""
    arrive(maildir, "arrived")
    for name, age_s in (("old", 7200), ("young", 10)):
        path, file = maildir.create(name)
        file.close()
        os.utime(path, (time.time() - age_s,) * 2)
    os.utime(maildir.root / "new" / "arrived", (0, 0))
    assert maildir.remove_stale(3600) == 1
    assert [path.name.partition(".")[0] for path in (maildir.root / "tmp").iterdir()] == ["young"]
    assert maildir.holds("arrived")


def test_a_probe_leaves_nothing(maildir):
    """It is asked at every health check."""
    maildir.probe()
    assert list((maildir.root / "tmp").iterdir()) == []


def test_a_probe_fails_where_nothing_can_be_written(maildir):
    """Health must not say yes because a folder is there."""
    (maildir.root / "tmp").rmdir()
    with pytest.raises(OSError, match="No such file"):
        maildir.probe()
