"""Whether a folder is on a disk."""

from pathlib import Path

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def is_in_memory(folder: Path, mounts: str | None = None) -> bool:
    """Whether `folder` is on a file system in memory, by the text of ``/proc/self/mounts``."""
    lines = (mounts if mounts is not None else Path("/proc/self/mounts").read_text(encoding="utf-8")).splitlines()
    kinds = {}
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        kinds[Path(point.encode("ascii", "replace").decode("unicode_escape"))] = kind  # blanks are written as \040
    place = folder.resolve()
    # In a chroot the root itself may not be in the list.
    nearest = next((point for point in (place, *place.parents) if point in kinds), None)
    return nearest is not None and kinds[nearest] in _IN_MEMORY
