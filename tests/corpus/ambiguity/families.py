"""The families of tricks, read from their descriptions in tricks/*.yaml.

A description is a list of groups. What a group may say:

- group: its title; lesson: the case of field-lessons §4.1.
- prefix: in front of the ids of its tricks.
- pieces: of the draft, for all of its tricks. ``$word`` in them stands for what the trick says under that word.
- defaults: for words that a trick leaves out.
- texts: ``$word`` in any text of the group stands for these.
- names: for tricks that say none.
- fields: instead of pieces: each trick is played on each of these pieces, with the prefix that stands here.
- pairs: tricks that are combined with several of each other family.
- tricks: by id. Each says `why`, and pieces, words, `names`, `whole`, `lesson` of its own, `field` (an edit of each of
  `fields`, but those in `not_on`), or `finish`.

A piece is a text, or an edit of the one that is there (`tricks.edit`).
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.corpus.ambiguity.tricks import (
    PIECES,
    Change,
    Finish,
    Trick,
    alternating_line_ends,
    edit,
    line_ends,
    substitution,
)
from tests.corpus.ambiguity.values import repeated
from tests.deploy import strict_yaml

_DESCRIPTIONS = Path(__file__).parent / "tricks"
_OF_GROUP = {"group", "lesson", "prefix", "pieces", "defaults", "texts", "names", "fields", "pairs", "tricks"}
_OF_TRICK = {"why", "lesson", "names", "whole", "field", "not_on", "finish"}


class Family(StrEnum):
    """Where a trick is played; PAIR for two of different families at once."""

    STRUCTURE = "structure"
    HEADER = "header"
    ENCODING = "encoding"
    NAME = "name"
    LINE = "line"
    PAIR = "pair"


def tricks_of(family: Family) -> list[Trick]:
    """The tricks of a family, in the order of its description; raises like `tricks_in`."""
    return tricks_in((_DESCRIPTIONS / f"{family}.yaml").read_text(encoding="utf-8"), f"{family}.yaml")


def tricks_in(description: str, where: str) -> list[Trick]:
    """The tricks of a description, in its order.

    Raises:
        ValueError: it says something that is not understood, or the same thing twice.
    """
    found = [trick for group in strict_yaml.load(description) for trick in _tricks(group)]
    ids = [trick.id for trick in found]
    twice = sorted({id_ for id_ in ids if ids.count(id_) > 1})
    if twice:
        raise ValueError(f"{where}: two tricks have the same id, give one of them another: {', '.join(twice)}")
    return found


def _tricks(group: Mapping[str, Any]) -> Iterator[Trick]:
    _refuse_others(group, _OF_GROUP, group["group"])
    pairs = set(group.get("pairs", ()))
    unknown = pairs - group["tricks"].keys()
    if unknown:
        raise ValueError(f"{group['group']}: pairs names tricks that the group does not have: {', '.join(unknown)}")
    for id_, said in group["tricks"].items():
        if "field" in said:
            for piece, prefix in group["fields"].items():
                if piece not in said.get("not_on", ()):
                    change: dict[str, Change] = {piece: edit(**_filled(said["field"], group.get("texts", {})))}
                    yield _trick(group, f"{prefix}{id_}", said, change, pairs=id_ in pairs)
        else:
            yield _trick(group, f"{group.get('prefix', '')}{id_}", said, _changes(group, id_, said), pairs=id_ in pairs)


def _trick(
    group: Mapping[str, Any], id_: str, said: Mapping[str, Any], changes: dict[str, Change], *, pairs: bool
) -> Trick:
    names = said.get("names", group.get("names"))
    return Trick(
        id=id_,
        lesson=said.get("lesson", group["lesson"]),
        why=said["why"],
        changes=changes,
        whole=_filled(said.get("whole", ""), group.get("texts", {})),
        finish=_finish(said["finish"]) if "finish" in said else None,
        names=None if names is None else tuple(names),
        pairs=pairs,
    )


def _changes(group: Mapping[str, Any], id_: str, said: Mapping[str, Any]) -> dict[str, Change]:
    pieces: dict[str, Any] = {} if said.get("whole") else dict(group.get("pieces", {}))
    pieces |= {key: value for key, value in said.items() if key in PIECES}
    words = group.get("texts", {}) | group.get("defaults", {})
    words |= {key: value for key, value in said.items() if key not in PIECES | _OF_TRICK}
    used = str(group.get("pieces", {}))
    strange = [word for word in words.keys() - group.get("texts", {}).keys() if f"${word}" not in used]
    if strange:
        raise ValueError(f"{group['group']}, {id_}: neither pieces nor words of the group: {', '.join(strange)}")
    filled = _filled(pieces, words)
    return {piece: edit(**change) if isinstance(change, dict) else change for piece, change in filled.items()}


def _filled(said: Any, words: Mapping[str, str]) -> Any:
    """All texts in it with their ``$word`` replaced; longer words first, so that none is taken for another."""
    if isinstance(said, dict):
        return {key: _filled(value, words) for key, value in said.items()}
    for word in sorted(words, key=len, reverse=True):
        said = said.replace(f"${word}", words[word])
    return said


def _finish(said: Mapping[str, Any]) -> Finish:
    match dict(said):
        case {"header": header, "body": body}:
            return line_ends(repeated(header), repeated(body))
        case {"alternating": True}:
            return alternating_line_ends
        case {"find": find, "instead": instead, **more}:
            _refuse_others(more, {"every"}, "finish")
            return substitution(find, repeated(instead), every=more.get("every", False))
        case _:
            raise ValueError(f"this is no way to finish a message: {said}")


def _refuse_others(said: Mapping[str, Any], known: set[str], where: str) -> None:
    strange = said.keys() - known
    if strange:
        raise ValueError(f"{where}: not understood: {', '.join(sorted(strange))}")
