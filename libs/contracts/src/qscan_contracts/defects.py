"""Defects: what the dissector notes about the form of a message. Ids are stable: sites act on them."""

from msgspec import Struct

from qscan_contracts.ids import RAW_PATH, ComponentPath, FindingId


class DefectKind(Struct, frozen=True):
    """An entry of the catalogue.

    Attributes:
        rfc: the rule that is broken, for example ``RFC 2046 §5.1.1``.
        hides_content: whether readers that differ here may see content that another does not see.
        title: one line for people.
    """

    id: FindingId
    rfc: str
    hides_content: bool
    title: str


class Defect(Struct, frozen=True, omit_defaults=True):
    """One defect at one place.

    Attributes:
        component: the entity in which it was seen.
        offset: bytes from the start of the content of `within`.
        length: bytes concerned; 0 for «here».
        detail: what was seen there, in one line for people: which limit, which names ….
        within: the component in whose decoded content the place is; the raw message where it is literally in that.
    """

    id: FindingId
    component: ComponentPath
    offset: int
    length: int
    rfc: str
    hides_content: bool
    detail: str = ""
    within: ComponentPath = RAW_PATH


def _kind(id_: str, rfc: str, *, hides: bool, title: str) -> tuple[FindingId, DefectKind]:
    return FindingId(id_), DefectKind(FindingId(id_), rfc, hides, title)


CATALOGUE: dict[FindingId, DefectKind] = dict(
    [
        # Headers (RFC 5322)
        _kind("header.line_without_colon", "RFC 5322 §2.2", hides=True, title="header line is no field"),
        _kind("header.name.comment", "RFC 5322 §3.6.8", hides=True, title="comment inside a field name"),
        _kind("header.name.space", "RFC 5322 §2.2", hides=True, title="white space before the colon"),
        _kind("header.name.control", "RFC 5322 §2.2", hides=True, title="control character in a field name"),
        _kind("header.continuation.broken", "RFC 5322 §2.2.3", hides=True, title="malformed folded field"),
        _kind("header.cr", "RFC 5322 §2.2", hides=True, title="bare CR in a MIME header"),
        _kind("header.nul", "RFC 5322 §2.2", hides=True, title="NUL in a MIME header"),
        _kind("header.control", "RFC 5322 §2.2", hides=True, title="control character in a MIME header"),
        _kind("header.field.disguised", "RFC 5322 §2.2", hides=True, title="MIME field where none can be"),
        _kind("header.line_too_long", "RFC 5322 §2.1.1", hides=False, title="header line over 998 octets"),
        _kind("header.field_too_long", "", hides=False, title="overlong Date, Mime-Version or Resent-Date"),
        _kind("header.after_blank_line", "RFC 5322 §2.1", hides=True, title="header fields behind an empty line"),
        _kind("header.missing_blank_line", "RFC 5322 §2.1", hides=True, title="no empty line before the body"),
        # MIME structure (RFC 2045, 2046)
        _kind("mime.field.duplicate", "RFC 2045 §3", hides=True, title="MIME field given more than once"),
        _kind("mime.field.encoded_word", "RFC 2047 §5", hides=True, title="encoded word in a structural field"),
        _kind("mime.field.comment", "RFC 2045 §5.1", hides=True, title="comment in a structural field"),
        _kind("mime.content_type.invalid", "RFC 2045 §5.1", hides=True, title="Content-Type is not type/subtype"),
        _kind("mime.parameter.duplicate", "RFC 2045 §5.1", hides=True, title="parameter given more than once"),
        _kind("mime.parameter.malformed", "RFC 2045 §5.1", hides=True, title="malformed parameter"),
        _kind("mime.boundary.missing", "RFC 2046 §5.1.1", hides=True, title="multipart without boundary"),
        _kind("mime.boundary.empty", "RFC 2046 §5.1.1", hides=True, title="empty boundary"),
        _kind("mime.boundary.too_long", "RFC 2046 §5.1.1", hides=True, title="boundary over 70 octets"),
        _kind("mime.boundary.over_250", "RFC 2046 §5.1.1", hides=True, title="boundary over 250 octets"),
        _kind("mime.boundary.duplicate", "RFC 2046 §5.1.2", hides=True, title="same boundary declared twice"),
        _kind("mime.boundary.prefix", "RFC 2046 §5.1.2", hides=True, title="boundary is a prefix of another"),
        _kind("mime.boundary.never_opened", "RFC 2046 §5.1.1", hides=True, title="boundary never appears"),
        _kind("mime.boundary.never_closed", "RFC 2046 §5.1.1", hides=False, title="closing boundary missing"),
        _kind("mime.boundary.unexpected", "RFC 2046 §5.1", hides=True, title="boundary in what is no multipart"),
        _kind("mime.boundary.outside", "RFC 2046 §5.1.1", hides=True, title="boundary in preamble or epilogue"),
        _kind("mime.multipart.encoded", "RFC 2045 §6.4", hides=True, title="transfer encoding on a multipart"),
        _kind("mime.message.encoded", "RFC 2046 §5.2.1", hides=True, title="transfer encoding on a message/rfc822"),
        _kind("mime.message.partial", "RFC 2046 §5.2.2", hides=True, title="message/partial"),
        _kind("mime.message.external_body", "RFC 2046 §5.2.3", hides=True, title="message/external-body"),
        _kind("mime.version.missing", "RFC 2045 §4", hides=False, title="MIME fields without MIME-Version"),
        # Transfer encodings (RFC 2045 §6)
        _kind("encoding.unknown", "RFC 2045 §6.1", hides=True, title="unknown transfer encoding"),
        _kind("base64.padding.early", "RFC 2045 §6.8", hides=True, title="base64 goes on after its padding"),
        _kind("base64.padding.missing", "RFC 2045 §6.8", hides=False, title="base64 without its padding"),
        _kind("base64.junk", "RFC 2045 §6.8", hides=True, title="characters outside the base64 alphabet"),
        _kind("quoted_printable.invalid", "RFC 2045 §6.7", hides=True, title="invalid quoted-printable"),
        _kind("uuencode.in_text", "", hides=False, title="uuencoded file in a text"),
        _kind("yenc.in_text", "", hides=False, title="yEnc file in a text"),
        _kind("binhex.in_text", "", hides=False, title="BinHex file in a text"),
        _kind("wrapped.damaged", "", hides=True, title="damaged file in a text, which readers decode differently"),
        _kind("base64.in_text", "", hides=False, title="base64 in the middle of a text"),
        _kind("data_url.in_text", "RFC 2397 §3", hides=False, title="data: URL in a text"),
        # Names
        _kind("name.differ", "RFC 2183 §2.3", hides=True, title="different names for one part"),
        _kind("name.too_long", "", hides=False, title="file name over 256 characters"),
        _kind("name.double_barrelled", "", hides=False, title="harmless extension before an executable one"),
        _kind("name.clsid", "", hides=False, title="file name ends in a CLSID"),
        _kind("name.control", "RFC 2183 §2.3", hides=True, title="control character in a file name"),
        # Content
        _kind("type.clash", "", hides=False, title="harmless type, executable extension"),
        _kind("type.disguised_executable", "", hides=False, title="executable not marked application/…"),
        _kind("archive.inconsistent", "", hides=True, title="archive can be read in several ways"),
        _kind("archive.encrypted", "", hides=False, title="encrypted archive member"),
        _kind("archive.hidden_member", "", hides=True, title="member that the archive's directory does not list"),
        _kind("archive.method_wrong", "", hides=True, title="member compressed in another way than stated"),
        _kind("archive.size_wrong", "", hides=True, title="member's size or checksum is not the stated one"),
        _kind("archive.overlap", "", hides=True, title="members overlap"),
        _kind("archive.concatenated", "", hides=True, title="several archives in one"),
        _kind("archive.surrounded", "", hides=False, title="bytes before or behind the archive"),
        _kind("archive.unsafe_name", "", hides=False, title="member's name leads out of its folder"),
        _kind("archive.special_member", "", hides=False, title="link or device in an archive"),
        # Lines
        _kind("line.bare_cr", "RFC 5322 §2.3", hides=False, title="bare CR in the body"),
        _kind("line.mixed_endings", "RFC 5322 §2.3", hides=False, title="CRLF and LF mixed"),
        _kind("line.nul", "RFC 5322 §4", hides=False, title="NUL in the body"),
        # Budget (DESIGN §1 rule 4): each limit has its name here
        _kind("budget.depth", "", hides=True, title="nested too deeply"),
        _kind("budget.components", "", hides=True, title="too many components"),
        _kind("budget.bytes", "", hides=True, title="too many decoded bytes"),
        _kind("budget.component_bytes", "", hides=True, title="a component has too many bytes"),
        _kind("budget.ratio", "", hides=True, title="expands too much"),
        _kind("budget.parameters", "", hides=True, title="too many parameters"),
        _kind("budget.elements", "", hides=True, title="too many elements in a container, or too deeply nested ones"),
        _kind("budget.names", "", hides=True, title="too many characters in file names"),
        _kind("budget.header_bytes", "", hides=True, title="too many header bytes"),
        _kind("budget.header_lines", "", hides=True, title="too many header lines"),
        _kind("budget.seconds", "", hides=True, title="dissection took too long"),
        _kind("budget.memory", "", hides=True, title="opening takes too much memory"),
    ]
)
"""Every defect that the dissector can note (facts §5, field-lessons §4.1). Ids are added, never renamed."""


def defect(
    id_: str,
    component: ComponentPath,
    *,
    offset: int,
    length: int = 0,
    detail: str = "",
    within: ComponentPath = RAW_PATH,
) -> Defect:
    """A defect of a kind in the catalogue.

    Raises:
        KeyError: `id_` is not in the catalogue: a bug of ours.
    """
    kind = CATALOGUE[FindingId(id_)]
    return Defect(kind.id, component, offset, length, kind.rfc, kind.hides_content, detail, within)
