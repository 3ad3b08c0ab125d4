"""Options of the tests that need two or more members."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make chaos` asks for more than `make test` does."""
    parser.addoption(
        "--chaos-kills",
        type=int,
        default=2,
        metavar="N",
        help="how often tests/chaos kills, and stops, each process (default: 2; make chaos: 20)",
    )
    parser.addoption("--chaos-seed", type=int, default=None, metavar="N", help="repeat a run's random choices")
