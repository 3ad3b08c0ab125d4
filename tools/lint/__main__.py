"""`python -m tools.lint PATH…`: our own rules over every Python file below the paths."""

import sys
from collections.abc import Iterator
from pathlib import Path

from tools.lint.rules import Source, check


def _python_files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file():
            yield path
        else:
            yield from sorted(path.rglob("*.py"))


def main(arguments: list[str]) -> int:
    """Print every finding; 0 without any, 1 with some, 2 when there was nothing to look at."""
    files = list(_python_files([Path(argument) for argument in arguments]))
    if not files:
        print("tools.lint: no Python file below the paths given", file=sys.stderr)
        return 2
    findings = [finding for file in files for finding in check(Source.parse(file, file.read_text("utf-8")))]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
