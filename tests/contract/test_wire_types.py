"""What was ever published can still be read, a newer sender may say more, and what is wrong is refused."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_contracts import defects, subjects, vocabulary
from qscan_kit.bus import decode, encode
from tools.generated import DIGESTS, EXAMPLES, ROOT, WIRE_TYPES

WORDS = sorted(file.name for file in (ROOT / EXAMPLES).glob("words*.json"))
FILES = sorted({file.name for file in (ROOT / EXAMPLES).glob("*.json")} - set(WORDS))
OBJECTS = [name for name in FILES if not name.startswith(("chunk.", "chunk-request."))]
"""The examples of structs that are maps; the two others are arrays."""


def wire_type(name: str) -> Any:
    """What an example is an example of."""
    return WIRE_TYPES[name.partition(".")[0]]


def published(name: str) -> Any:
    """An example as plain values."""
    return json.loads((ROOT / EXAMPLES / name).read_bytes())


def read(name: str) -> Any:
    """An example as the type that it is of now."""
    return msgspec.json.decode((ROOT / EXAMPLES / name).read_bytes(), type=wire_type(name))


def is_within(old: Any, new: Any) -> bool:
    """Whether all that `old` says `new` says, too; it may say more."""
    match old, new:
        case dict(), dict():
            return all(key in new and is_within(value, new[key]) for key, value in old.items())
        case list(), list():
            return len(old) <= len(new) and all(is_within(one, other) for one, other in zip(old, new, strict=False))
        case _:
            return bool(old == new)


def structs(value: object) -> Iterator[msgspec.Struct]:
    """A struct and every struct in it."""
    if isinstance(value, msgspec.Struct):
        yield value
        for name in value.__struct_fields__:
            yield from structs(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from structs(item)


def struct_types(type_: Any) -> set[type[msgspec.Struct]]:
    """Every struct that a value of this type may hold."""
    found: set[type[msgspec.Struct]] = set()

    def walk(node: Any) -> None:
        if isinstance(node, msgspec.inspect.StructType):
            if node.cls in found:
                return
            found.add(node.cls)
            for one in node.fields:
                walk(one.type)
        for name in ("types", "item_type", "item_types", "value_type"):
            inner = getattr(node, name, ())
            for one in inner if isinstance(inner, tuple) else (inner,):
                walk(one)

    walk(msgspec.inspect.type_info(type_))
    return found


@pytest.mark.parametrize("line", (ROOT / DIGESTS).read_text("utf-8").splitlines())
def test_a_published_example_is_never_edited(line):
    """Somebody may send exactly this. Add another example instead."""
    digest, _, name = line.partition("  ")
    assert hashlib.sha256((ROOT / EXAMPLES / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", FILES)
def test_a_published_example_still_means_what_it_meant(name):
    """It reads, and nothing of it is lost: a renamed field with a default would read, too, but as its default."""
    assert is_within(published(name), json.loads(msgspec.json.encode(read(name))))


@pytest.mark.parametrize("name", FILES)
def test_over_the_bus_and_back(name):
    """In MessagePack it is the same value."""
    value = read(name)
    assert decode(encode(value), wire_type(name)) == value


@pytest.mark.parametrize("name", OBJECTS)
def test_a_newer_sender_may_say_more(name):
    """Unknown fields are ignored at every depth, so that a rolling update stops nobody."""

    def more(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: more(inner) for key, inner in value.items()} | {"colour": {"of": ["the", "future", None]}}
        return [more(inner) for inner in value] if isinstance(value, list) else value

    said = more(published(name))
    if "timing_ms" in said:  # a map of names to numbers, not a struct
        del said["timing_ms"]["colour"]
    assert msgspec.json.decode(json.dumps(said), type=wire_type(name)) == read(name)


@pytest.mark.parametrize("name", ["chunk.found.json", "chunk-request.middle.json"])
def test_a_newer_sender_may_say_more_in_an_array(name):
    """What stands behind the known fields is ignored."""
    assert msgspec.json.decode(json.dumps([*published(name), {"colour": 1}]), type=wire_type(name)) == read(name)


@pytest.mark.parametrize("name", FILES)
def test_another_type_is_refused(name):
    """Each value in turn replaced by one that no field of ours has; nothing is made to fit."""
    for wrong in each_value_replaced(published(name), {"not": ["any", "type", "of", "ours"]}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(json.dumps(wrong), type=wire_type(name))


def each_value_replaced(value: Any, by: Any) -> Iterator[Any]:
    """`value` many times, each time with another one of the plain values in it replaced."""
    match value:
        case dict():
            for key, inner in value.items():
                for replaced in each_value_replaced(inner, by):
                    yield value | {key: replaced}
        case list():
            for index, inner in enumerate(value):
                for replaced in each_value_replaced(inner, by):
                    yield [*value[:index], replaced, *value[index + 1 :]]
        case _:
            yield by


@pytest.mark.parametrize("name", WIRE_TYPES)
def test_every_field_stands_in_an_example(name):
    """With another value than its default, and every struct of a union: so a change of any of them is noticed."""
    seen: set[tuple[type, str]] = set()
    for file in FILES:
        if wire_type(file) is WIRE_TYPES[name]:
            for struct in structs(read(file)):
                defaults = {one.encode_name: one.default for one in msgspec.structs.fields(struct)}
                seen |= {
                    (type(struct), field)
                    for field in struct.__struct_fields__
                    if getattr(struct, field) != defaults[field]
                }
                seen.add((type(struct), ""))
    expected = {(type_, field) for type_ in struct_types(WIRE_TYPES[name]) for field in ("", *type_.__struct_fields__)}
    assert expected - seen == set()


def test_published_words_are_still_words():
    """Nothing is taken away from an enumeration, and what is new is published."""
    words = {
        (name, str(word))
        for module in (vocabulary, subjects)
        for name, thing in vars(module).items()
        if isinstance(thing, type) and issubclass(thing, StrEnum)
        for word in thing
    }
    words |= {("FindingId", id_) for id_ in defects.CATALOGUE}
    assert {(name, word) for file in WORDS for name, some in published(file).items() for word in some} == words


@given(payload=st.binary(max_size=200))
@pytest.mark.parametrize("name", WIRE_TYPES)
def test_any_bytes_are_a_message_or_are_refused(name, payload):
    """There is no third way, whatever a stranger sends."""
    with suppress(msgspec.DecodeError):
        decode(payload, WIRE_TYPES[name])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "damage",
    [b"\xc1", b"\xa2\xff\xfe", b"\x91" * 100_000, b"\x81\xa1x" * 100_000, b"\xdd\xff\xff\xff\xff", b"\xa1\xff"],
    ids=["reserved", "not UTF-8", "nested arrays", "nested maps", "announces 4 G items", "short text"],
)
def test_damage_in_the_middle_is_refused(name, damage):
    """Cut short, or going on with something else, at any place: an error of decoding, never another one."""
    payload = encode(read(name))
    for length in range(0, len(payload), max(1, len(payload) // 20)):
        with suppress(msgspec.DecodeError):
            decode(payload[:length] + damage, wire_type(name))
