"""What the tests of the corpus share: the dissector, the oracle's answers, and the table in pytest's summary."""

from collections.abc import Iterator

import pytest

from tests.corpus.ambiguity.judgement import Judgement, judge, seen_in, table
from tests.corpus.ambiguity.oracle import ask, available
from tests.corpus.ambiguity.suite import cases
from tests.corpus.dissecting import Dissect, dissecting

_TABLE = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def dissected() -> Iterator[Dissect]:
    """What dissects a message."""
    with dissecting() as function:
        yield function


@pytest.fixture(scope="session")
def judgements(dissected: Dissect, request: pytest.FixtureRequest) -> list[Judgement]:
    """Each case of the crafted suite, read by all and judged."""
    readers, lacking = available()
    chosen = cases()
    answers = ask([case.message for case in chosen], readers)
    found = [judge(case, seen_in(case, answers), dissected(case.message)) for case in chosen]
    left_out = [f"{reader} is left out, it lacks {', '.join(what)}" for reader, what in lacking.items()]
    request.config.stash[_TABLE] = "\n".join([table(found), *left_out])
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The figures are printed whether tests fail or not."""
    text = config.stash.get(_TABLE, "")
    if text:
        terminalreporter.section("crafted messages: what qscan sees of them")
        terminalreporter.write_line(text)
