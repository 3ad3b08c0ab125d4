"""The one place where these tests touch the dissector."""

import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from qscan_contracts.vocabulary import Origin
from qscan_unpacker.dissection.budget import Budget, Limits
from qscan_unpacker.dissection.holding import Holding
from qscan_unpacker.dissection.mime import MimeDissector, content_of


@dataclass(frozen=True)
class Dissected:
    """What qscan sees in a message.

    Attributes:
        contents: of each component but the raw message, by path and origin.
        names: all candidate file names.
        defects: ids, in order.
        hiding: those of them behind which content can hide.
        crash: the traceback, if the dissector raised something; "" if not.
    """

    contents: dict[str, bytes]
    names: frozenset[str]
    defects: tuple[str, ...]
    hiding: tuple[str, ...]
    crash: str = ""


def dissected(raw: bytes) -> Dissected:
    """Dissect `raw` within the limits that qscan has by default. Never raises."""
    try:
        return _dissected(raw)
    except Exception:  # a suite is of use only if it goes on to the next case
        return Dissected({}, frozenset(), (), (), crash=traceback.format_exc(limit=-5))


def _dissected(raw: bytes) -> Dissected:
    content, sha256 = content_of(raw)
    with Holding(Path(tempfile.gettempdir())) as holding:
        dissection = MimeDissector(raw, sha256, holding, Budget(Limits(), time.process_time), content).dissect()
        return Dissected(
            {
                f"{one.component.path} {one.component.origin}": one.content.read(0, one.content.size)
                for one in dissection.found
                if one.component.origin is not Origin.RAW and one.content is not None
            },
            frozenset(name.text for one in dissection.found for name in one.component.names),
            tuple(one.id for one in dissection.defects),
            tuple(one.id for one in dissection.defects if one.hides_content),
        )
