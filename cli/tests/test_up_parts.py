"""The small parts of `qscan up`, each by itself."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qscan_cli.configuration.up_settings import UpSettings
from qscan_cli.errors import CommandError
from qscan_cli.places import DataDirectory
from qscan_cli.up import bus, clamd, guardian
from qscan_cli.up.child_log import ChildLog
from qscan_cli.up.leftovers import kill_leftovers
from qscan_cli.up.locking import lock
from qscan_cli.up.memory import is_in_memory
from qscan_cli.up.minimal import minimal_environment
from qscan_cli.up.passwords import kept_secret, nats_passwords
from qscan_cli.up.ports import Ports
from qscan_testkit.polling import poll_until


def listening(port: int) -> socket.socket:
    """A listener as nats-server and uvicorn make it."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


class TestPorts:
    def test_a_reserved_port_can_be_listened_on_again_and_again(self):
        """A child gets its port at each start, while nothing listens connections are refused."""
        ports = Ports()
        port = ports.reserve("127.0.0.1")
        for _ in range(3):
            with listening(port), socket.create_connection(("127.0.0.1", port)):
                pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        ports.close()

    def test_a_reserved_port_is_given_to_nobody_else(self):
        """Neither to another reservation nor to a listener that takes any port."""
        ports, others = Ports(), Ports()
        port = ports.reserve("127.0.0.1")
        assert port not in {others.reserve("127.0.0.1") for _ in range(50)}
        ports.close()
        others.close()

    def test_a_taken_port_is_told(self):
        """With what to do."""
        with listening(0) as taken, pytest.raises(CommandError, match="--http"):
            Ports().reserve_http(f"127.0.0.1:{taken.getsockname()[1]}")

    @pytest.mark.parametrize("wrong", ["8080", ":8080", "localhost", "127.0.0.1:http", "127.0.0.1:70000"])
    def test_what_is_no_address_is_told(self, wrong):
        """With an example."""
        with pytest.raises(CommandError, match="HOST:PORT"):
            Ports().reserve_http(wrong)

    def test_ipv6_addresses_have_brackets(self):
        """As in a URL."""
        ports = Ports()
        host, port = ports.reserve_http("[::1]:0")
        assert host == "::1"
        assert port > 0
        ports.close()

    def test_two_that_start_at_once_do_not_share_the_usual_port(self):
        """Neither listens yet, and still the second one takes another port."""
        first, second = Ports(), Ports()
        assert first.reserve_http("") != second.reserve_http("")
        first.close()
        second.close()


class TestSecrets:
    def test_a_secret_is_made_once_and_readable_for_its_owner_only(self, tmp_path):
        """The next run reads the same one."""
        path = tmp_path / "token"
        made = kept_secret(path)
        assert len(made) > 32
        assert path.stat().st_mode & 0o777 == 0o600
        assert kept_secret(path) == made

    def test_every_service_has_a_password_of_its_own(self, tmp_path):
        """So that none can be another."""
        passwords = nats_passwords(tmp_path)
        assert len(set(passwords.values())) == len(passwords) > 4

    def test_a_secret_that_others_may_read_is_refused(self, tmp_path):
        """With the command that corrects it."""
        path = tmp_path / "token"
        kept_secret(path)
        path.chmod(0o644)
        with pytest.raises(CommandError, match="chmod 600"):
            kept_secret(path)


class TestLock:
    def test_a_directory_is_locked_for_others(self, data):
        """The text names the holder."""
        held = lock(data)
        with pytest.raises(CommandError, match=rf"in use by another qscan up \(pid {os.getpid()}\)"):
            lock(data)
        os.close(held)
        os.close(lock(data))

    def test_a_lock_whose_holder_is_gone_is_waited_for(self, data):
        """Its guardian is clearing up; only when that takes too long it is told."""
        held = lock(data)
        os.pwrite(held, b"999999999\n", 0)
        started = time.monotonic()
        with pytest.raises(CommandError, match="in use"):
            lock(data, wait_s=0.3)
        assert time.monotonic() - started >= 0.3
        os.close(held)


class TestDataDirectory:
    def test_the_layout_is_that_of_the_design(self, data):
        """DESIGN §5; the mail is closed to others, the socket is not."""
        for folder in ("quarantine/viruses", "quarantine/policy", "quarantine/spam", "archives", "log", "nats", "run"):
            assert (data.root / folder).is_dir()
        assert data.ingress_socket == data.root / "run" / "ingress.sock"
        assert data.token == data.root / "token"
        assert data.quarantine.stat().st_mode & 0o077 == 0
        assert data.run.stat().st_mode & 0o005 == 0o005

    def test_a_path_too_long_for_a_socket_is_told(self, tmp_path):
        """Instead of a socket at a path that was cut off."""
        with pytest.raises(CommandError, match="--data"):
            DataDirectory.at(tmp_path / ("x" * 100))


class TestMemory:
    MOUNTS = "/dev/sda1 / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/sdb1 /tmp/a\\040disk xfs rw 0 0\n"

    @pytest.mark.parametrize(
        ("folder", "expected"), [("/srv/x", False), ("/tmp/x", True), ("/tmp/a disk/x", False), ("/tmpx", False)]
    )
    def test_the_nearest_mount_counts(self, folder, expected):
        """Names with blanks are written as octal numbers in the list."""
        assert is_in_memory(Path(folder), self.MOUNTS) is expected

    def test_a_root_that_is_not_listed_is_a_disk(self):
        """As in a chroot."""
        assert is_in_memory(Path("/srv/x"), "proc /proc proc rw 0 0\n") is False


class TestChildLog:
    def test_the_last_words_are_those_since_the_last_start(self, tmp_path):
        """What an earlier start said says nothing about this one."""
        log = ChildLog(tmp_path / "x.log", max_bytes=1000)
        for start in (1, 2):
            log.begin("x", start)
            with log.open() as file:
                file.write(f"line of start {start}\n".encode())
        assert log.last_words() == "line of start 2"

    def test_it_is_bounded_while_the_child_writes(self, tmp_path):
        """The child goes on appending; the old content is kept once."""
        log = ChildLog(tmp_path / "x.log", max_bytes=1000)
        with log.open() as file:
            file.write(b"old\n" * 300)
            log.bound()
            file.write(b"new\n")
            log.bound()
        assert log.path.read_bytes() == b"new\n"
        assert (tmp_path / "x.log.1").read_bytes() == b"old\n" * 300


class TestNatsServer:
    def fake(self, folder: Path, says: str) -> Path:
        """A program that says this for --version."""
        program = folder / "nats-server"
        program.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
        program.chmod(0o755)
        return program

    def test_the_installed_one_is_new_enough(self):
        """It comes with qscan."""
        assert bus.version_of(bus.program(None)) >= bus.OLDEST_VERSION

    def test_an_older_one_is_refused(self, tmp_path):
        """Debian's has 2.9."""
        with pytest.raises(CommandError, match=r"is version 2\.9\.10; qscan needs 2\.11"):
            bus.program(self.fake(tmp_path, "nats-server: v2.9.10"))

    def test_something_else_is_refused(self, tmp_path):
        """With a question."""
        with pytest.raises(CommandError, match="is it a nats-server"):
            bus.program(self.fake(tmp_path, "GNU bash"))


class TestSignatures:
    def test_the_sites_signatures_are_used_when_there_are_some(self, data, tmp_path):
        """Freshclam's or anybody's that clamd loads."""
        (tmp_path / "daily.cld").touch()
        chosen = clamd.choose_signatures(UpSettings(signatures_dir=tmp_path), data)
        assert chosen.folder == tmp_path
        assert not chosen.is_own

    @pytest.mark.parametrize("file", [None, "freshclam.dat", "mirrors.dat"])
    def test_otherwise_qscans_own_and_it_says_so(self, data, tmp_path, file):
        """A folder in which freshclam has not finished yet has none."""
        if file:
            (tmp_path / file).touch()
        chosen = clamd.choose_signatures(UpSettings(signatures_dir=tmp_path), data)
        assert chosen.is_own
        assert "NO REAL VIRUS" in chosen.text
        assert list(chosen.folder.glob("*.ndb"))

    def test_without_clamd_it_says_what_to_install(self, tmp_path):
        """And how to name one that runs elsewhere."""
        with pytest.raises(CommandError, match=r"(?s)clamav-daemon.*clamd_addresses"):
            clamd.check_installed(UpSettings(clamd=tmp_path / "none"))


class TestGuardian:
    def sleeper(self, environ: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """A process group with a child of its own that ignores SIGTERM."""
        script = "trap '' TERM; sleep 1000 & echo ready; wait"
        process = subprocess.Popen(["/bin/sh", "-c", script], process_group=0, stdout=subprocess.PIPE, env=environ)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        return process

    def test_it_kills_what_is_registered_when_the_pipe_ends(self):
        """The whole group, and it ends itself after that; what was taken back is left alone."""
        with self.sleeper() as victim, self.sleeper() as spared:
            guard = subprocess.Popen([sys.executable, "-I", "-S", guardian.__file__], stdin=subprocess.PIPE)
            guard.communicate(b"+%d\n+%d\n-%d\n" % (victim.pid, spared.pid, spared.pid), timeout=20)
            assert guard.returncode == 0
            assert not guardian.living({victim.pid})
            assert len(guardian.living({spared.pid})) == 2
            guardian.kill_until_gone({spared.pid})

    def test_what_an_earlier_one_left_behind_is_found_by_its_mark(self, data):
        """It has no parent any more and nobody has its number; another directory's children are left alone."""
        other = DataDirectory(data.root / "other")
        with (
            self.sleeper(minimal_environment(data)) as left,
            self.sleeper(minimal_environment(other)) as spared,
        ):
            assert kill_leftovers(data)
            poll_until(lambda: not guardian.living({left.pid}))
            assert guardian.living({spared.pid})
            guardian.kill_until_gone({spared.pid})
        assert not kill_leftovers(data)
