"""Which opener opens which kind. Imported by the forkserver only: it loads every parser there is."""

from qscan_unpacker.opening.kinds import ContainerKind
from qscan_unpacker.opening.members import Opener

OPENERS: dict[ContainerKind, Opener] = {}
"""A kind that is not here is `unscanned(not_unpackable)`."""
