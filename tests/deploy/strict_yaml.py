"""YAML as a reviewer reads it: what stands there twice is an error, not a silent «the last one wins»."""

from typing import Any

import yaml


def load(text: str) -> Any:
    """The only document in `text`. Raises ValueError for a key that stands twice in a mapping, yaml.YAMLError else."""
    documents = load_all(text)
    if len(documents) != 1:
        message = f"expected one document, found {len(documents)}"
        raise ValueError(message)
    return documents[0]


def load_all(text: str) -> list[Any]:
    """All documents in `text` that are not empty; raises like `load`."""
    for root in yaml.compose_all(text, yaml.SafeLoader):
        _refuse_duplicates(root, set())
    return [document for document in yaml.safe_load_all(text) if document is not None]


def _refuse_duplicates(node: yaml.Node | None, seen: set[int]) -> None:
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    match node:
        case yaml.MappingNode(value=pairs):
            keys = [key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode)]
            twice = sorted({key for key in keys if keys.count(key) > 1})
            if twice:
                message = f"line {node.start_mark.line + 1}: {', '.join(twice)} stands there twice"
                raise ValueError(message)
            for key, value in pairs:
                _refuse_duplicates(key, seen)
                _refuse_duplicates(value, seen)
        case yaml.SequenceNode(value=items):
            for item in items:
                _refuse_duplicates(item, seen)
        case _:
            pass
