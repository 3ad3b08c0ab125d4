"""The locks under requirements/."""

import re

import pytest

from tools import lock

LOCKS = [lock.REQUIREMENTS / f"{name}.txt" for name in lock.LOCKS]


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_a_lock_names_no_address_no_path_and_no_option(file):
    """Whoever installs chooses the index; the lock only says what the files must be."""
    assert lock.foreign_lines(file.read_text("utf-8")) == []
    assert "://" not in file.read_text("utf-8")


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://index.example/all",
        "--find-links /opt/wheels",
        "--trusted-host index.example",
        "-f wheels",
        "clamd @ file:///tmp/clamd.whl",
        "    # via -r /home/somebody/requirements/dev.in",
    ],
)
def test_a_line_that_names_where_a_package_came_from_is_found(line):
    """The guard above sees every form of it."""
    text = f"clamd==1.0.2 \\\n    --hash=sha256:00\n    # via -r requirements/dev.in\n{line}\n"
    assert lock.foreign_lines(text) == [line]


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_every_package_is_pinned_with_a_hash(file):
    """pip --require-hashes would refuse others only on the day of the set-up."""
    packages = re.split(r"\n(?=[a-z])", file.read_text("utf-8").partition("\n")[2])
    assert len(packages) > 3
    for package in packages:
        assert re.match(r"[a-z0-9-]+==[\w.]+", package), package
        assert "--hash=sha256:" in package, package


def test_the_runtime_input_is_what_the_members_ask_for():
    """A dependency added to a member is in the lock, or `make lock` was forgotten."""
    assert (lock.REQUIREMENTS / "runtime.in").read_text("utf-8") == lock.runtime_in()


def test_the_locks_agree_on_every_version():
    """What is tested is what runs."""

    def versions(name: str) -> set[str]:
        text = (lock.REQUIREMENTS / f"{name}.txt").read_text("utf-8")
        return set(re.findall(r"^[a-z0-9-]+==\S+", text, re.MULTILINE))

    assert versions("runtime") <= versions("dev")
    assert versions("build") <= versions("dev")
