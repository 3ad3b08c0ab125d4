"""What doctor makes of the machine."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from qscan_cli.__main__ import main
from qscan_cli.configuration.reading import Configuration
from qscan_cli.doctor import apparmor, installed, sandbox
from qscan_cli.doctor.findings import State, as_text, ok, problem
from qscan_cli.signatures import has_signatures, newest
from qscan_unpacker.sandbox import shared_libraries
from qscan_unpacker.sandbox.shared_libraries import SharedLibrary

DATA = Path("/var/lib/qscan")


def cvd(file: Path, made: int) -> None:
    """A database with ClamAV's header."""
    header = f"ClamAV-VDB:07 Sep 2026 08-24 -0400:27450:2060000:90:{'0' * 32}:x:builder:{made}"
    file.write_bytes(header.encode().ljust(512) + b"\x1f\x8b")


class TestSignatures:
    def test_the_youngest_official_database_counts(self, tmp_path):
        """By its own header, not by the file's time."""
        cvd(tmp_path / "main.cvd", 1_700_000_000)
        cvd(tmp_path / "daily.cld", 1_800_000_000)
        (tmp_path / "own.ndb").touch()
        assert has_signatures(tmp_path)
        assert newest(tmp_path) == datetime.fromtimestamp(1_800_000_000, tz=UTC)

    def test_broken_and_foreign_files_have_no_age(self, tmp_path):
        """They are there all the same."""
        (tmp_path / "daily.cvd").write_bytes(b"ClamAV-VDB:x")
        (tmp_path / "bytecode.cvd").write_bytes(b"")
        assert has_signatures(tmp_path)
        assert newest(tmp_path) is None

    def test_a_missing_folder_has_none(self, tmp_path):
        """As one without anything that clamd loads."""
        (tmp_path / "freshclam.dat").touch()
        assert not has_signatures(tmp_path)
        assert not has_signatures(tmp_path / "nowhere")

    @pytest.mark.parametrize(("age_h", "state"), [(3, State.OK), (47, State.OK), (49, State.PROBLEM)])
    def test_old_ones_are_a_problem(self, tmp_path, age_h, state):
        """With what to do."""
        cvd(tmp_path / "daily.cvd", int(datetime.now(tz=UTC).timestamp()) - age_h * 3600)
        found = installed._signatures(tmp_path)  # noqa: SLF001  # the one line of the diagnosis that is about age
        assert found.state is state
        assert ("freshclam" in found.advice) == (state is State.PROBLEM)


class TestAppArmor:
    @pytest.mark.parametrize(
        ("profiles", "data", "is_problem"),
        [
            ("/usr/sbin/clamd (enforce)\n/usr/bin/man (enforce)\n", DATA, True),
            ("/usr/sbin/clamd (complain)\n", DATA, False),
            ("/usr/bin/freshclam (enforce)\n", DATA, False),
            ("/usr/sbin/clamd (enforce)\n", Path("/tmp/demo"), False),
        ],
    )
    def test_an_enforced_profile_is_a_problem_for_our_directories(self, tmp_path, profiles, data, is_problem):
        """Debian's allows /tmp and /var/lib/clamav."""
        (tmp_path / "profiles").write_text(profiles, encoding="utf-8")
        found = apparmor.clamd_problem(data, tmp_path / "profiles", tmp_path / "local")
        assert (found is not None) is is_problem

    def test_what_to_do_is_told_until_it_is_done(self, tmp_path):
        """The line for the local rules, which then satisfies doctor."""
        (tmp_path / "profiles").write_text("/usr/sbin/clamd (enforce)\n", encoding="utf-8")
        found = apparmor.clamd_problem(DATA, tmp_path / "profiles", tmp_path / "local")
        assert found is not None
        assert f"{DATA}/clamd/** rwk," in found.advice
        (tmp_path / "local").write_text(f"{DATA}/clamd/** rwk,\n", encoding="utf-8")
        assert apparmor.clamd_problem(DATA, tmp_path / "profiles", tmp_path / "local") is None

    def test_a_kernel_without_it_confines_nobody(self, tmp_path):
        """There is no list of profiles."""
        assert apparmor.clamd_problem(DATA, tmp_path / "none", tmp_path / "none") is None


class TestSandbox:
    def test_it_is_tried(self):
        """By starting it; and the version of libarchive is told with those of what it stands on."""
        libarchive, confined, memory = sandbox.look(Configuration())
        assert re.match(r"3\.\d+\.\d+ zlib/", libarchive.what)
        assert (libarchive.state, confined.state, memory.state) == (State.OK,) * 3
        assert "seccomp" in confined.what

    def test_a_library_that_is_missing_is_a_problem(self):
        """With the package that has it; what stands on it is not tried then."""
        lost = SharedLibrary("libqscan-nowhere.so.1", "libqscan-nowhere1")
        found, _ = sandbox.look(Configuration(), [*shared_libraries.needed(), lost])
        assert (found.topic, found.state) == ("libqscan-nowhere", State.PROBLEM)
        assert found.advice == "apt-get install --no-install-recommends libqscan-nowhere1"

    @pytest.mark.parametrize(("is_required", "state"), [(True, State.PROBLEM), (False, State.NOTE)])
    def test_without_seccomp_the_site_decides(self, is_required, state):
        """Either way the reason is told, which says what to do."""
        found = sandbox.without_seccomp("use another kernel", is_required=is_required)
        assert (found.state, found.advice) == (state, "use another kernel")

    def test_settings_count(self):
        """More processes than the machine has memory for are worth a note."""
        tables = {"unpacker": {"max_sandbox_processes": 30_000}}
        assert [found.state for found in sandbox.look(Configuration(tables=tables))] == [State.OK, State.OK, State.NOTE]


def test_every_problem_has_its_advice_below_it():
    """Lines of advice stand below the text that they are about."""
    text = as_text([ok("a", "fine"), problem("long topic", "broken\nbadly", "do this\nthen that")])
    assert text.splitlines() == [
        "ok       a           fine",
        "PROBLEM  long topic  broken",
        "                     badly",
        "                     → do this",
        "                       then that",
    ]


def test_a_system_that_does_not_run_is_a_problem(tmp_path, capsys):
    """Exit status 1, and what to do."""
    assert main(["doctor", "--data", str(tmp_path), "--url", "http://127.0.0.1:1"]) == 1
    out = capsys.readouterr().out
    assert "start it with `qscan up`" in out
    assert "nats-server" in out


def test_a_wrong_configuration_is_one_problem_among_others(tmp_path, capsys):
    """It does not keep doctor from looking at the rest."""
    (tmp_path / "qscan.toml").write_text("[nowhere]\n", encoding="utf-8")
    assert main(["doctor", "--data", str(tmp_path), "--config", str(tmp_path / "qscan.toml")]) == 1
    out = capsys.readouterr().out
    assert "qscan.toml:1: unknown table [nowhere]" in out
    assert "spamd" in out
