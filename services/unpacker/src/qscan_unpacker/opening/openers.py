"""Which opener opens which kind. Imported by the forkserver only: it loads every parser there is."""

from qscan_unpacker.opening.archives import open_archive
from qscan_unpacker.opening.cms import open_cms
from qscan_unpacker.opening.compressed import open_compressed
from qscan_unpacker.opening.kinds import ContainerKind
from qscan_unpacker.opening.members import Opener
from qscan_unpacker.opening.ole import open_ole
from qscan_unpacker.opening.onenote import open_onenote
from qscan_unpacker.opening.pdf import open_pdf
from qscan_unpacker.opening.rtf import open_rtf
from qscan_unpacker.opening.tnef import open_tnef
from qscan_unpacker.opening.zip_archives import open_zip

OPENERS: dict[ContainerKind, Opener] = {
    ContainerKind.ARCHIVE: open_archive,
    ContainerKind.CMS: open_cms,
    ContainerKind.COMPRESSED: open_compressed,
    ContainerKind.OLE: open_ole,
    ContainerKind.ONENOTE: open_onenote,
    ContainerKind.PDF: open_pdf,
    ContainerKind.RTF: open_rtf,
    ContainerKind.TNEF: open_tnef,
    ContainerKind.ZIP: open_zip,
}
"""A kind that is not here is `unscanned(not_unpackable)`."""
