"""Ordinary mail flows: the shipped decisions on the defects that the dissector finds in real ham."""

import time
from pathlib import Path

import pytest

from qscan_contracts.decisions import FindingRow
from qscan_contracts.vocabulary import RIDERS
from qscan_policy.adapters import rule_file
from qscan_policy.domain.patterns import id_matches
from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.dissector import Dissector
from qscan_unpacker.dissection.holding import Holding, content_of

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "sa-corpus"
TABLE = rule_file.load(None).rules.table
STOPPED: dict[str, str] = {}
"""Ham that is stopped all the same, by the beginning of its name, with the reason. None at present."""


def stops(id_: str, *, hides_content: bool) -> bool:
    """Whether the first row for a defect keeps the message from being delivered."""
    row = next(
        row
        for row in TABLE.rows
        if isinstance(row, FindingRow) and id_matches(row.pattern, id_) and row.hides_content in {None, hides_content}
    )
    return row.action.kind not in RIDERS


def stopping_defects(raw: bytes, folder: Path) -> set[str]:
    """The ids of the defects of a message that stop it."""
    content, sha256 = content_of(raw)
    with Holding(folder) as holding:
        dissection = Dissector(raw, sha256, holding, Budget(Limits(), time.thread_time), content).dissect()
    return {defect.id for defect in dissection.defects if stops(defect.id, hides_content=defect.hides_content)}


@pytest.mark.parametrize("folder", ["easy-ham-1", "hard-ham-1"])
def test_no_ham_is_stopped_by_a_defect(folder, tmp_path):
    """Real mail of 2002 to 2005, with all its oddities; what is stopped is listed with the reason."""
    messages = sorted((CORPUS / folder).glob("*.eml"))
    assert len(messages) > 50
    stopped = {message.name: stopping_defects(message.read_bytes(), tmp_path) for message in messages}
    unexpected = {
        name: ids for name, ids in stopped.items() if ids and not any(name.startswith(start) for start in STOPPED)
    }
    assert unexpected == {}


def test_a_hidden_attachment_is_stopped(tmp_path):
    """The counterpart: without it the test above would pass for a table that stops nothing."""
    raw = b"Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--a\n\nhello\n--a--\n"
    assert stopping_defects(raw, tmp_path) == {"mime.parameter.duplicate"}
