"""The catalogue of defects: stable ids that sites write into their rules."""

import inspect
import re

import pytest

from qscan_contracts import defects
from qscan_contracts.defects import CATALOGUE, defect
from qscan_contracts.ids import RAW_PATH, ComponentPath

ID = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*(\.[a-z0-9]+(_[a-z0-9]+)*)+")
RFC = re.compile(r"RFC (\d{4}) §\d+(\.\d+)*")


@pytest.mark.parametrize("id_", CATALOGUE)
def test_an_id_is_well_formed(id_):
    """Dotted lower-case words, at least two: a pattern such as ``mime.*`` finds its family."""
    kind = CATALOGUE[id_]
    assert kind.id == id_
    assert ID.fullmatch(id_)
    assert kind.rfc == "" or RFC.fullmatch(kind.rfc)
    assert kind.title.strip() == kind.title != ""
    assert kind.title.isprintable()
    assert len(kind.title) <= 60


def test_no_id_is_there_twice():
    """A dictionary keeps the last one of two without a word, so the source is asked."""
    written = re.findall(r'_kind\("([^"]+)"', inspect.getsource(defects))
    assert len(written) == len(set(written)) == len(CATALOGUE)


def test_titles_tell_them_apart():
    """A person sees the title."""
    titles = [kind.title for kind in CATALOGUE.values()]
    assert len(titles) == len(set(titles))


def test_no_id_is_the_beginning_of_another():
    """``a.b`` beside ``a.b.c`` would make a pattern for the one look like one for the family."""
    assert not [(one, other) for one in CATALOGUE for other in CATALOGUE if other.startswith(f"{one}.")]


def test_a_defect_takes_its_facts_from_the_catalogue():
    """The dissector only says where."""
    noted = defect("mime.boundary.duplicate", ComponentPath("1.2"), offset=7, length=3, detail="twice")
    assert (noted.id, noted.rfc, noted.hides_content) == ("mime.boundary.duplicate", "RFC 2046 §5.1.2", True)
    assert (noted.component, noted.offset, noted.length, noted.detail) == ("1.2", 7, 3, "twice")


def test_a_defect_outside_the_catalogue_is_a_bug():
    """No rule could name it."""
    with pytest.raises(KeyError):
        defect("mime.made_up", RAW_PATH, offset=0)
