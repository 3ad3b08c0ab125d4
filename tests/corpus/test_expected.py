"""The messages of shared/corpus: every attachment that independent parsers agree on is among the components."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.corpus.dissecting import Dissect, Dissected

_CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
_MIN_SHARE = 0.995
_EXPLAINED = Path(__file__).parents[2] / "docs" / "corpus-misses.md"
"""Names each message of which an attachment is not found, and says why. There is no such file while there is none."""

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not _CORPUS.is_dir(), reason="shared/corpus is not beside the repository"),
]


@dataclass
class Tally:
    """What was expected and what of it was not found, in words."""

    expected: int = 0
    missed: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Of what was found."""
        return 1 - len(self.missed) / self.expected


def _normalised(content: bytes) -> str:
    """The digest without what programs change in texts: line ends, and white space at the end."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n").rstrip()).hexdigest()


def _has(found: Dissected, attachment: dict[str, str | None]) -> bool:
    if attachment["sha256"] in found.digests:
        return True
    return attachment["sha256_lf"] in {_normalised(content) for content in found.contents.values()} and (
        attachment["sha256"] is None
    )


@pytest.fixture(scope="module")
def tallies(dissected: Dissect) -> tuple[Tally, Tally]:
    """Attachments and names of all messages; tnef streams are tested where they are opened."""
    attachments, names = Tally(), Tally()
    for line in (_CORPUS / "expected.jsonl").read_text(encoding="utf-8").splitlines():
        message = json.loads(line)
        if message["kind"] != "message" or not message["attachments"]:
            continue
        found = dissected((_CORPUS / message["file"]).read_bytes())
        assert found.crash == "", message["file"]
        for number, attachment in enumerate(message["attachments"], 1):
            attachments.expected += 1
            if not _has(found, attachment):
                attachments.missed.append(f"{message['file']}: attachment {number}, {attachment}")
            if attachment.get("filename"):
                names.expected += 1
                if attachment["filename"] not in found.names:
                    names.missed.append(f"{message['file']}: {attachment['filename']!r} not in {sorted(found.names)}")
    return attachments, names


def test_attachments(tallies: tuple[Tally, Tally]) -> None:
    """99.5 % at least, and each of the others is explained."""
    attachments, _ = tallies
    assert attachments.expected > 100
    assert attachments.share >= _MIN_SHARE, "\n".join(attachments.missed)
    explained = _EXPLAINED.read_text(encoding="utf-8") if _EXPLAINED.exists() else ""
    assert [miss for miss in attachments.missed if miss.partition(":")[0] not in explained] == []


def test_names(tallies: tuple[Tally, Tally]) -> None:
    """Every file name that two parsers agree on is a candidate."""
    _, names = tallies
    assert names.expected > 50
    assert names.missed == []
