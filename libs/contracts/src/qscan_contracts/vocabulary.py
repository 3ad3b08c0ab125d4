"""The closed enumerations of qscan (DESIGN §7 and §8)."""

from enum import StrEnum


class Verdict(StrEnum):
    """The name of a message's class. It decides nothing; see `Disposition`."""

    CLEAN = "clean"
    SPAM = "spam"
    POLICY = "policy"
    UNSCANNABLE = "unscannable"
    VIRUS = "virus"


class Disposition(StrEnum):
    """What is done with the message for one recipient, in ascending strictness."""

    DELIVER = "deliver"
    DEFER = "defer"
    REJECT = "reject"
    HOLD = "hold"
    QUARANTINE = "quarantine"
    DISCARD = "discard"


STRICTNESS: dict[Disposition, int] = {disposition: rank for rank, disposition in enumerate(Disposition)}
"""DESIGN §7: discard > quarantine > hold > reject > defer > deliver."""


class ActionKind(StrEnum):
    """What a rule asks for. The riders leave the disposition at `deliver`; the others name a disposition."""

    OFF = "off"
    LOG = "log"
    TAG = "tag"
    RENAME = "rename"
    REDIRECT = "redirect"
    NOTIFY = "notify"
    DLP_MONITOR = "dlp-monitor"
    DEFER = "defer"
    REJECT = "reject"
    HOLD = "hold"
    QUARANTINE = "quarantine"
    DISCARD = "discard"


RIDERS = frozenset(
    {
        ActionKind.OFF,
        ActionKind.LOG,
        ActionKind.TAG,
        ActionKind.RENAME,
        ActionKind.REDIRECT,
        ActionKind.NOTIFY,
        ActionKind.DLP_MONITOR,
    }
)


class UnscannedReason(StrEnum):
    """Why something was not looked at. Closed: a new reason is a new version of the wire types."""

    ENGINE_FAILED = "engine_failed"
    """The engine answered with an error or with something that is not an answer."""
    ENGINE_CRASHED = "engine_crashed"
    """The engine went away while it was scanning."""
    TIMED_OUT = "timed_out"
    BUSY = "busy"
    NO_RESPONDERS = "no_responders"
    """No worker of the service is connected to the bus."""
    UNPACKER_FAILED = "unpacker_failed"
    CONTENT_UNAVAILABLE = "content_unavailable"
    """The worker could not get the bytes, or they did not have the promised SHA-256."""
    OVER_BUDGET = "over_budget"
    BOMB = "bomb"
    ENGINE_LIMIT = "engine_limit"
    """A limit inside the engine was hit, so it did not look at everything."""
    TOO_BIG = "too_big"
    """Larger than what the engine is given."""
    ENCRYPTED = "encrypted"
    NOT_UNPACKABLE = "not_unpackable"
    MASKED = "masked"
    """The engine stopped at a hit that says nothing about viruses (DLP), so a virus may hide behind it."""


RETRYABLE_REASONS = frozenset(
    {
        UnscannedReason.ENGINE_FAILED,
        UnscannedReason.ENGINE_CRASHED,
        UnscannedReason.TIMED_OUT,
        UnscannedReason.BUSY,
        UnscannedReason.NO_RESPONDERS,
        UnscannedReason.UNPACKER_FAILED,
        UnscannedReason.CONTENT_UNAVAILABLE,
    }
)
"""The reasons that another try may cure. Everything else is a property of the message."""


class Origin(StrEnum):
    """How a component came to be."""

    RAW = "raw"
    """The message as it was received."""
    PART = "part"
    """The body of a MIME entity, its transfer encoding removed."""
    PREAMBLE = "preamble"
    EPILOGUE = "epilogue"
    MEMBER = "member"
    """A member of an archive or container."""
    DECODED = "decoded"
    """Another reading of bytes that some component holds already: uuencode in a text, a second decoding …"""


class NameSource(StrEnum):
    """Which reading of which header gave a candidate file name."""

    DISPOSITION_FILENAME = "disposition.filename"
    CONTENT_TYPE_NAME = "content_type.name"
    CONTENT_DESCRIPTION = "content_description"
    CONTENT_LOCATION = "content_location"
    MEMBER = "member"
    UUENCODE = "uuencode"
    YENC = "yenc"
    BINHEX = "binhex"


class EngineRole(StrEnum):
    """What an engine is asked for."""

    VIRUS = "virus"
    DLP = "dlp"


class QuarantineClass(StrEnum):
    """The maildir that a quarantined message goes to, below ``quarantine/`` of the data directory."""

    VIRUSES = "viruses"
    POLICY = "policy"
    SPAM = "spam"


class SpamFilter(StrEnum):
    """Whether the sender wants the spam filter: `auto` means yes unless the client may relay."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Effects(StrEnum):
    """Whether a scan has effects downstream (quarantine, archive, notices, logs)."""

    NONE = "none"
    FULL = "full"
