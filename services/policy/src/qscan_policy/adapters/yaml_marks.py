"""YAML with places: plain values, and for each key and item the line and column that it stands at.

Read as YAML 1.2 does: only ``true`` and ``false`` are booleans, so that the action ``off`` is a word, and a size is
never an hour of the day. A key that is given twice is an error instead of a silent change of mind.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

PathStep = str | int


@dataclass(frozen=True)
class Place:
    """A position in the file, both counted from 1."""

    line: int
    column: int


@dataclass
class Document:
    """The values of a file, and where each of them stands. `places` is keyed by path: ``()`` is the top."""

    value: Any
    places: dict[tuple[PathStep, ...], Place] = field(default_factory=dict)

    def place(self, path: tuple[PathStep, ...]) -> Place:
        """Where `path` stands, or the nearest thing around it that does exist."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(1, 1))


class YamlError(Exception):
    """The file is no YAML, or not in the part of it that is used here."""

    def __init__(self, text: str, place: Place) -> None:
        """Say what is wrong at `place`."""
        super().__init__(text)
        self.text, self.place = text, place


class _Loader(yaml.SafeLoader):
    """SafeLoader with the core schema of YAML 1.2 (§10.3.2), less octal and hexadecimal numbers."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # as PyYAML has it


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:null|~|)$"), ["n", "~", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+\.[0-9]+$"), list("-+0123456789"))


def parse(text: str) -> Document:
    """Read one YAML document.

    Raises:
        YamlError: it cannot be read, a key is given twice, or an alias is used.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise YamlError("the file is empty", Place(1, 1))
        document = Document(None)
        _note_places(node, (), document.places, set())
        document.value = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(str(error.problem or error.context), _place(mark) if mark else Place(1, 1)) from None
    except (yaml.YAMLError, ValueError) as error:
        raise YamlError(str(error).partition("\n")[0], Place(1, 1)) from None
    except RecursionError:
        raise YamlError("nested too deeply for a rule file", Place(1, 1)) from None
    finally:
        if loader is not None:
            loader.dispose()
    return document


def _note_places(
    node: yaml.Node, path: tuple[PathStep, ...], places: dict[tuple[PathStep, ...], Place], seen: set[int]
) -> None:
    if id(node) in seen:
        raise YamlError("an alias (*name) is not supported: write it out", places[path])
    seen.add(id(node))
    places.setdefault(path, _place(node.start_mark))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            if here in places:
                raise YamlError(f"{key.value} is given twice: remove one of them", _place(key.start_mark))
            places[here] = _place(key.start_mark)
            _note_places(value, here, places, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_places(value, (*path, index), places, seen)


def _place(mark: yaml.Mark) -> Place:
    return Place(mark.line + 1, mark.column + 1)
