"""The oracle: what independent readers see in a message. They are set up by `make readers` (tools/readers.sh).

Each reader is a process that gets all messages at once; all of them run at the same time. What they said is kept in
build/readers/seen, by the digest of the reader and of the message, so that only new messages are read again.
"""

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "tests" / "corpus" / "readers"
BUILT = ROOT / "build" / "readers"
WANTED = 5
"""So many readers at the least."""
_MARKER = b"QSCAN-AMBIGUITY-"
_ANY_MARKER = _MARKER.decode()
_RUN_TIMEOUT_S = 120.0
"""For all messages; a reader that hangs at one is started again behind it."""


@dataclass(frozen=True)
class Seen:
    """What one reader saw in one message.

    Attributes:
        markers: of the payloads in decoded content; the bare prefix from readers that only tell that there is one.
        names: file names.
        error: why it gave up, "" if it did not.
    """

    markers: tuple[str, ...]
    names: tuple[str, ...]
    error: str = ""

    def payload(self, marker: str) -> bool:
        """Whether it saw this payload, or the beginning of it."""
        return marker in self.markers or _ANY_MARKER in self.markers


@dataclass(frozen=True)
class Reader:
    """An independent reader of mail.

    Attributes:
        needs: the files without which it does not run.
        read: from the paths of messages to what was seen in each.
    """

    name: str
    needs: tuple[str | Path, ...]
    read: Callable[[Sequence[Path]], dict[Path, Seen]]

    def missing(self) -> list[str]:
        """What it lacks on this machine; empty if it can run."""
        return [str(need) for need in self.needs if not (shutil.which(need) or Path(need).exists())]


def _by_lines(*command: str | Path, environment: Mapping[str, str] | None = None) -> Callable[..., dict[Path, Seen]]:
    """A reader that takes paths on standard input and answers each with a line of JSON."""

    def read(files: Sequence[Path]) -> dict[Path, Seen]:
        seen: dict[Path, Seen] = {}
        while len(seen) < len(files):
            left = files[len(seen) :]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
            )
            try:
                output, _ = process.communicate("".join(f"{file}\n" for file in left).encode(), _RUN_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                output, _ = process.communicate()
            seen.update(zip(left, map(_of_line, output.split(b"\n")[:-1]), strict=False))
            if len(seen) < len(files):
                seen[files[len(seen)]] = Seen((), (), f"{command[0]} ended with status {process.returncode} here")
        return seen

    return read


def _of_line(line: bytes) -> Seen:
    answer = json.loads(line)
    leaves = answer["leaves"]
    return Seen(
        tuple(sorted({marker for leaf in leaves for marker in leaf["markers"]})),
        tuple(sorted({name for leaf in leaves for name in leaf["names"]})),
        answer.get("error", ""),
    )


def _clamscan(files: Sequence[Path]) -> dict[Path, Seen]:
    """ClamAV with one signature of ours: it tells only that the payload is there."""
    with tempfile.TemporaryDirectory() as folder:
        signatures, names = Path(folder) / "qscan.ndb", Path(folder) / "files"
        signatures.write_text(f"Qscan.Ambiguity:0:*:{_MARKER.hex()}\n", encoding="ascii")
        names.write_text("".join(f"{file}\n" for file in files), encoding="utf-8")
        command = ["clamscan", "--stdout", "--no-summary", "--infected", f"--database={signatures}", f"-f{names}"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=2 * _RUN_TIMEOUT_S, text=True)
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"clamscan failed; it said: {done.stdout}{done.stderr}")
    found = {line.rpartition(": ")[0] for line in done.stdout.splitlines() if line.endswith(" FOUND")}
    return {file: Seen((_ANY_MARKER,) if str(file) in found else (), ()) for file in files}


_NODE_MODULES = BUILT / "node_modules"


def _javascript(reader: str) -> Reader:
    command = ("node", SOURCES / "javascript.cjs", reader)
    # Only NODE_PATH and PATH: nothing of the developer's own set-up of node.
    environment = {"NODE_PATH": str(_NODE_MODULES), "PATH": str(Path(shutil.which("node") or "/usr/bin/node").parent)}
    return Reader(reader, ("node", _NODE_MODULES / reader), _by_lines(*command, environment=environment))


READERS = (
    Reader("mimetools", ("perl", "/usr/share/perl5/MIME/Parser.pm"), _by_lines("perl", SOURCES / "mimetools.pl")),
    Reader("emailmime", ("perl", "/usr/share/perl5/Email/MIME.pm"), _by_lines("perl", SOURCES / "emailmime.pl")),
    Reader("gmime", (BUILT / "gmime",), _by_lines(BUILT / "gmime")),
    _javascript("mailparser"),
    _javascript("postal-mime"),
    Reader("clamscan", ("clamscan",), _clamscan),
)


def available() -> tuple[list[Reader], dict[str, list[str]]]:
    """The readers that can run on this machine, and for the others what they lack."""
    lacking = {reader.name: reader.missing() for reader in READERS}
    return [reader for reader in READERS if not lacking[reader.name]], {k: v for k, v in lacking.items() if v}


def ask(messages: Iterable[bytes], readers: Sequence[Reader]) -> dict[str, dict[str, Seen]]:
    """What each reader sees in each message: by the name of the reader and the SHA-256 of the message."""
    by_digest = {hashlib.sha256(message).hexdigest(): message for message in messages}
    with ThreadPoolExecutor(len(readers) or 1) as pool:
        answers = pool.map(lambda reader: _ask_one(reader, by_digest), readers)
        return {reader.name: seen for reader, seen in zip(readers, answers, strict=True)}


def _ask_one(reader: Reader, by_digest: Mapping[str, bytes]) -> dict[str, Seen]:
    kept_in = BUILT / "seen" / f"{reader.name}-{_version()}.json"
    kept = json.loads(kept_in.read_bytes()) if kept_in.exists() else {}
    seen = {digest: _kept(*kept[digest]) for digest in by_digest if digest in kept}
    new = {digest: message for digest, message in by_digest.items() if digest not in seen}
    if new:
        with tempfile.TemporaryDirectory() as folder:
            files = {Path(folder) / f"{digest}.eml": digest for digest in new}
            for file, digest in files.items():
                file.write_bytes(new[digest])
            seen |= {files[file]: one for file, one in reader.read(list(files)).items()}
        kept |= {digest: (seen[digest].markers, seen[digest].names, seen[digest].error) for digest in new}
        kept_in.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept_in.with_suffix(".new")
        unfinished.write_text(json.dumps(kept), encoding="utf-8")
        unfinished.replace(kept_in)
        for other in kept_in.parent.glob(f"{reader.name}-*.json"):
            if other != kept_in:
                other.unlink()
    return seen


def _kept(markers: list[str], names: list[str], error: str) -> Seen:
    return Seen(tuple(markers), tuple(names), error)


def _version() -> str:
    """Of our own sources of the readers, and of this module."""
    files = [Path(__file__), *sorted(file for file in SOURCES.iterdir() if file.is_file())]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]
