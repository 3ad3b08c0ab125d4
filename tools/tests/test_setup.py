"""What tools/setup.sh finds missing on a machine, as far as it can be tried without installing anything."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qscan_unpacker.sandbox import shared_libraries
from tools.generated import ROOT

LINES = {
    library.package: f"\t{library.file} (libc6,x86-64) => /lib/{library.file}" for library in shared_libraries.needed()
}


def missing_with(libraries: list[str], directory: Path) -> list[str]:
    """What an ordinary user without sudo and compiler is told to install, where `ldconfig -p` knows these packages'."""
    tree, fakes = directory / "tree", directory / "bin"
    shutil.copytree(ROOT / "tools", tree / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    read = [
        *ROOT.glob("libs/*/pyproject.toml"),
        *ROOT.glob("services/*/pyproject.toml"),
        *ROOT.glob("requirements/*.txt"),
    ]
    read += [ROOT / name for name in ("ingress/pyproject.toml", "cli/pyproject.toml")]
    read += [*(ROOT / "ingress/qscan-queue").iterdir(), Path(shared_libraries.__file__).with_suffix(".txt")]
    for file in read:
        copy = tree / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    fakes.mkdir()
    known = "\n".join(LINES[package] for package in libraries)
    for name, script in {"ldconfig": f"echo '{known}'", "id": "echo 1000", "sudo": "exit 1", "cc": "exit 1"}.items():
        (fakes / name).write_text(f"#!/bin/sh\n{script}\n")
        (fakes / name).chmod(0o755)
    run = subprocess.run(
        ["sh", "tools/setup.sh"],
        cwd=tree,
        env={"PATH": f"{fakes}:/usr/local/bin:/usr/bin:/bin", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    (told,) = (line for line in run.stderr.splitlines() if "these Debian packages are missing" in line)
    return told.partition("missing: ")[2].split()


@pytest.mark.parametrize(
    "there", [[], ["libseccomp2"], ["libarchive13"], ["libarchive13", "libseccomp2"]], ids=" ".join
)
def test_shared_libraries_that_are_missing_are_installed(tmp_path: Path, there: list[str]) -> None:
    """All that the unpacker's sandbox stands on, and nothing that is there; pip cannot bring them."""
    found = missing_with(there, tmp_path)
    assert set(found) & set(LINES) == set(LINES) - set(there)
    assert "gcc" in found
