"""Identifiers: distinct types, so that a swap of two of them is a type error."""

from typing import NewType

ScanId = NewType("ScanId", str)
"""Chosen once per message by the ingress, kept over failover, key of everything downstream. Safe in a log."""

JobId = NewType("JobId", str)
"""One request on the bus. A message has several jobs; a job may be sent twice."""

Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits."""

ComponentPath = NewType("ComponentPath", str)
"""Decimal indices joined by ``.``; never a name. The raw message itself is ``""``."""

EngineName = NewType("EngineName", str)
FindingId = NewType("FindingId", str)
"""Stable dotted id such as ``mime.boundary.duplicate``."""

RAW_PATH = ComponentPath("")
SCAN_ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
"""What a scan id may look like: it becomes part of file names, subjects and log lines. To be used with `re.fullmatch`:
for `re.match` a line feed may follow."""
