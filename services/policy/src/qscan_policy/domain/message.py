"""A message as conditions see it. What few rules ask for is worked out only when one does."""

from collections.abc import Mapping
from functools import cached_property

from qscan_contracts.components import Component
from qscan_contracts.scanning import MessageStructure
from qscan_policy.domain.header import FieldValue, parse_fields
from qscan_policy.domain.names import Name, names_of


class Message:
    """One message, for the time of its evaluation."""

    def __init__(self, structure: MessageStructure) -> None:
        """See `structure` through rules' eyes."""
        self.structure = structure

    @cached_property
    def attachments(self) -> tuple[tuple[Component, tuple[Name, ...]], ...]:
        """Every component that has a name, with its names."""
        return tuple((component, names_of(component)) for component in self.structure.components if component.names)

    @cached_property
    def fields(self) -> Mapping[str, list[FieldValue]]:
        """The fields of the header by lower-case name."""
        return parse_fields(self.structure.header_block)
