"""Writes the locks: `make lock`, which keeps every version that still fits, or `make lock UPGRADE=yes`.

`requirements/runtime.in` is derived from the members' pyproject.toml files: a dependency is named
in one place only. `build.in` and `dev.in` are written by hand. Each `.txt` pins every package with
the hashes of all its files on the index, so one lock serves x86_64 and aarch64; it names no index:
whichever one pip is set up to use is the one it installs from.

Versions younger than `COOL_DOWN_DAYS` are not taken: most poisoned releases are found within days.
"""

import datetime as dt
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
LOCKS = ("build", "runtime", "dev")
"""In this order: each later one is bound to the versions of the earlier ones."""

COOL_DOWN_DAYS = 7
WORKSPACE_PREFIX = "qscan-"
_GENERATED = """\
# Written by `make lock` from the dependencies in the members' pyproject.toml files: edit those.
"""


def members() -> list[Path]:
    """Return the members' pyproject.toml files, sorted by path."""
    patterns = ("libs/*", "ingress", "services/*", "cli")
    return sorted(file for p in patterns for file in ROOT.glob(f"{p}/pyproject.toml"))


def third_party() -> Iterator[str]:
    """Yield what the members depend on outside the workspace, as written there."""
    for file in members():
        project = tomllib.loads(file.read_text("utf-8"))["project"]
        for requirement in project.get("dependencies", []):
            if not requirement.startswith(WORKSPACE_PREFIX):
                yield requirement


def runtime_in() -> str:
    """Return what `requirements/runtime.in` must hold."""
    lines = sorted(set(third_party()), key=str.casefold)
    return _GENERATED + "".join(f"{line}\n" for line in lines)


def _compile(name: str, *, before: str, upgrade: bool) -> None:
    """Run pip-compile for one lock.

    Paths are given relative to the root, since pip-compile repeats them in its comments.
    """
    output = f"requirements/{name}.txt"
    command = [
        *(sys.executable, "-m", "piptools", "compile", "--quiet", "--no-config"),
        *("--allow-unsafe", "--strip-extras", "--generate-hashes"),
        *("--no-header", "--no-emit-options", "--annotation-style=line"),
        *("--uploaded-prior-to", before),
        *(("--upgrade",) if upgrade else ()),
        *("--output-file", output, f"requirements/{name}.in"),
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    lock = ROOT / output
    lock.write_text(f"# Written by `make lock`.\n{lock.read_text('utf-8')}", "utf-8")


def foreign_lines(lock: str) -> list[str]:
    """Return the lines of a lock that name an address, a path or an option of pip."""
    return [
        line
        for line in lock.splitlines()
        if "://" in line or re.match(r"\s*-(?!-hash=)", line) or re.search(r"(^|\s|@)/", line)
    ]


def main(*, upgrade: bool) -> int:
    """Write every lock; 1 if one of them names where its packages came from."""
    (REQUIREMENTS / "runtime.in").write_text(runtime_in(), "utf-8")
    now = dt.datetime.now(dt.UTC)
    before = (now - dt.timedelta(days=COOL_DOWN_DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for name in LOCKS:
        print(f"requirements/{name}.txt …", flush=True)
        _compile(name, before=before, upgrade=upgrade)
    status = 0
    for name in LOCKS:
        for line in foreign_lines((REQUIREMENTS / f"{name}.txt").read_text("utf-8")):
            print(f"requirements/{name}.txt names where it came from: {line}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(upgrade="--upgrade" in sys.argv[1:]))
