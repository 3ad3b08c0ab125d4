"""`qscan scan --explain`: an answer as the tree of what was found in the message, and why."""

import msgspec
from msgspec import Struct, UnsetType, field

from qscan_contracts.ids import RAW_PATH, ComponentPath
from qscan_contracts.intake import ComponentAnswer, FindingAnswer, ScanAnswer


class Node(Struct):
    """What stands at one path.

    Attributes:
        component: None for what only holds others and has no content of its own: a multipart entity.
        findings: what was found in it, in the order of the answer.
        children: what was found inside it, in the order of their indices.
    """

    path: ComponentPath
    component: ComponentAnswer | None = None
    findings: list[FindingAnswer] = field(default_factory=list)
    children: list["Node"] = field(default_factory=list)


def tree(answer: ScanAnswer) -> Node:
    """The raw message as the root, and everything in it. Linear in the size of the answer."""
    nodes = {RAW_PATH: Node(RAW_PATH)}
    components = () if isinstance(answer.components, UnsetType) else answer.components
    for component in components:
        _node(nodes, component.path, component.parent).component = component
    for finding in answer.findings:
        _node(nodes, finding.component, None).findings.append(finding)
    for node in nodes.values():
        if len(node.children) > 1:
            node.children.sort(key=_index)
    return nodes[RAW_PATH]


def as_json(answer: ScanAnswer) -> bytes:
    """The answer with a `tree` instead of its `findings` and `components`."""
    explained = msgspec.to_builtins(answer)
    explained = {key: value for key, value in explained.items() if key not in {"findings", "components"}}
    return msgspec.json.encode(explained | {"tree": tree(answer)})


def _node(nodes: dict[ComponentPath, Node], path: ComponentPath, parent: ComponentPath | None) -> Node:
    """The node at `path`, made where there is none, together with those that are missing between it and the root."""
    node = nodes.get(path)
    if node is not None:
        return node
    node = nodes[path] = Node(path)
    child = node
    above = parent if parent is not None and _is_above(parent, path) else _above(path)
    while above not in nodes:
        child = nodes[above] = Node(above, children=[child])
        above = _above(above)
    nodes[above].children.append(child)
    return node


def _is_above(parent: ComponentPath, path: ComponentPath) -> bool:
    return parent == RAW_PATH or path.startswith(f"{parent}.")


def _above(path: ComponentPath) -> ComponentPath:
    return ComponentPath(path.rpartition(".")[0])


def _index(node: Node) -> list[int]:
    return [int(index) if index.isdecimal() else 0 for index in node.path.split(".")]
