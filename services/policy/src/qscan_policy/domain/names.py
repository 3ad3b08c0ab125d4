"""File names as rules compare them."""

from dataclasses import dataclass

from qscan_contracts.components import Component

# Windows drops these from the end of a name, so `pif.` would be started as `pif`.
_IGNORED_AT_END = ". \t"


@dataclass(frozen=True)
class Name:
    """One way to call an attachment; `encoded` is its `text` in UTF-8."""

    text: str
    encoded: bytes


def fold(name: str) -> str:
    """A name without what the comparison ignores."""
    return name.rstrip(_IGNORED_AT_END).casefold()


def suffix(extension: str) -> str:
    """How a folded name with this extension ends; the extension is given with or without its dot."""
    return f".{fold(extension).removeprefix('.')}"


def names_of(component: Component) -> tuple[Name, ...]:
    """Every name of a component, and the last element of each that is a path; without duplicates, in order."""
    texts = dict.fromkeys(
        fold(text) for candidate in component.names for text in (candidate.text, _last_element(candidate.text))
    )
    return tuple(Name(text, text.encode("utf-8", errors="replace")) for text in texts if text)


def _last_element(path: str) -> str:
    """What follows the last separator of either system."""
    return path[max(path.rfind("/"), path.rfind("\\")) + 1 :]
