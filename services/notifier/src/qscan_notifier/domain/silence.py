"""When no notice is sent, so that notices never answer notices."""

import re

from qscan_contracts.events import NOTICE_MARK_FIELD, NoticeEvent

NULL_SENDERS = frozenset({"", "#@[]"})
"""A bounce, and qmail's double bounce. Our own notices have the first."""

_OWN_MARK = re.compile(rb"^%b[ \t]*:" % re.escape(NOTICE_MARK_FIELD.encode()), re.IGNORECASE | re.MULTILINE)


def reason_for_silence(event: NoticeEvent, admin_address: str) -> str | None:
    """Why there is no notice about this message: a label of the metric `qscan_notices`; None where there is one.

    Whoever sends hostile mail can bring about this silence. That costs a notice, never the message: it is in the
    quarantine and in the log either way.
    """
    if event.mail_from in NULL_SENDERS:
        return "null_sender"
    if _OWN_MARK.search(event.header_block):
        return "own_notice"
    if event.mail_from.lower() == admin_address.lower():
        return "from_administrator"
    return None
