"""The contracts of .importlinter: each one fires, and every member is under them."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import lock

RULES = lock.ROOT / ".importlinter"
PACKAGES = [next(file.parent.glob("src/*")).name for file in lock.members()]

WRONG = {
    "layers": {"qscan_spam/x.py": "import qscan_policy", "qscan_kit/x.py": "import qscan_cli"},
    "pure": {"qscan_policy/domain/x.py": "import time", "qscan_contracts/x.py": "import socket"},
    "nats": {"qscan_unpacker/x.py": "def f():\n    import nats"},
    "clamd": {"qscan_av_gateway/x.py": "import clamd"},
    "aiospamc": {"qscan_spam/x.py": "from aiospamc import ping"},
    "fastapi": {"qscan_policy/x.py": "import fastapi"},
    "httpx": {"qscan_kit/x.py": "import httpx"},
    "openers": {"qscan_unpacker/dissection/x.py": "import libarchive"},
}
"""Contract -> files that break it, each in a way of its own."""

RIGHT = {
    "qscan_cli/x.py": "import qscan_spam, httpx",
    "qscan_spam/x.py": "import qscan_kit, qscan_contracts",
    "qscan_kit/x.py": "import nats, qscan_contracts",
    "qscan_ingress/x.py": "import httpx",
    "qscan_unpacker/x.py": "import fastapi",
    "qscan_av_gateway/adapters/x.py": "import clamd",
    "qscan_spam/adapters/x.py": "import aiospamc",
    "qscan_policy/domain/x.py": "import re, qscan_contracts",
}


def broken_contracts(tree: Path, files: dict[str, str]) -> set[str]:
    """Run import-linter over bare members that hold only these files; return the identifiers of what broke."""
    for package in PACKAGES:
        (tree / package).mkdir()
        (tree / package / "__init__.py").touch()
    for module in named_modules():
        file = (tree / module.replace(".", "/")).with_suffix(".py")
        for folder in reversed(file.relative_to(tree).parents[:-1]):
            (tree / folder).mkdir(exist_ok=True)
            (tree / folder / "__init__.py").touch()
        if not file.with_suffix("").is_dir():
            file.touch()
    for name, text in files.items():
        file = tree / name
        file.parent.mkdir(exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(text + "\n")
    shutil.copy(RULES, tree)
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    kept, broken = re.findall(r"Contracts: (\d+) kept, (\d+) broken", ran.stdout)[0]
    assert int(kept) + int(broken) == len(WRONG), ran.stdout
    names = {rules["name"]: section.rpartition(":")[2] for section, rules in contracts().items()}
    return {names[name] for name in re.findall(r"^(.+) BROKEN", ran.stdout, re.MULTILINE)}


def named_modules() -> list[str]:
    """Modules of ours that some contract names, the deepest first: import-linter wants to find them all."""
    named = {
        module
        for rules in contracts().values()
        for module in f"{rules.get('source_modules', '')} {rules.get('forbidden_modules', '')}".split()
    }
    return sorted(
        (name for name in named if re.fullmatch(r"qscan_\w+(\.\w+)+", name)), key=lambda name: -name.count(".")
    )


def contracts() -> dict[str, configparser.SectionProxy]:
    """Return the contracts' sections of .importlinter."""
    rules = configparser.ConfigParser()
    rules.read(RULES)
    return {name: rules[name] for name in rules.sections() if ":contract:" in name}


def test_every_member_is_under_the_rules():
    """A new member that is not listed would be looked at by no contract."""
    rules = configparser.ConfigParser()
    rules.read(RULES)
    assert sorted(rules["importlinter"]["root_packages"].split()) == sorted(PACKAGES)


def test_every_contract_has_a_case_here():
    """A contract without a case might never fire."""
    assert {name.rpartition(":")[2] for name in contracts()} == set(WRONG)


def test_imports_as_designed_break_nothing(tmp_path):
    """What DESIGN §2 asks for is allowed."""
    assert broken_contracts(tmp_path, RIGHT) == set()


@pytest.mark.parametrize(
    ("contract", "file"),
    [(contract, file) for contract, files in WRONG.items() for file in files],
)
def test_a_contract_fires(contract, file, tmp_path):
    """One forbidden import, at the top or inside a function, breaks the contract and no other."""
    assert broken_contracts(tmp_path, {file: WRONG[contract][file]}) == {contract}
