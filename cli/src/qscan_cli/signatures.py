"""ClamAV's signature files, as far as an administrator asks about them."""

from datetime import UTC, datetime
from pathlib import Path

_SIGNATURE_SUFFIXES = frozenset({".cvd", ".cld", ".cud", ".hdb", ".hsb", ".mdb", ".msb", ".ndb", ".ldb", ".cdb"}) | {
    *(".db", ".gdb", ".pdb", ".wdb", ".cbc", ".yar", ".yara", ".hdu", ".mdu", ".ndu", ".ldu"),
}
"""What clamd loads. `.ign2`, `.fp` and the like only take away."""
_OFFICIAL_SUFFIXES = frozenset({".cvd", ".cld"})
_HEADER_BYTES = 512


def has_signatures(folder: Path) -> bool:
    """Whether clamd would find something in a folder. One that we may not read has nothing for our clamd."""
    try:
        return any(file.suffix in _SIGNATURE_SUFFIXES for file in folder.iterdir())
    except OSError:
        return False


def newest(folder: Path) -> datetime | None:
    """When the youngest official database in a folder was made, by its own header; None when there is none."""
    made = [_made(file) for file in folder.iterdir() if file.suffix in _OFFICIAL_SUFFIXES]
    return max((when for when in made if when is not None), default=None)


def _made(file: Path) -> datetime | None:
    """A header is ``ClamAV-VDB:07 Sep 2026 08-24 -0400:version:…:seconds since the epoch``, padded to 512 bytes."""
    try:
        with file.open("rb") as database:
            fields = database.read(_HEADER_BYTES).rstrip().split(b":")
        if fields[0] != b"ClamAV-VDB":
            return None
        return datetime.fromtimestamp(int(fields[-1]), tz=UTC)
    except (OSError, ValueError, OverflowError):
        return None
