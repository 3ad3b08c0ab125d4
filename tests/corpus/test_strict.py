"""Messages that follow the RFCs strictly have no defect, and everything in them is found."""

import email.policy
import string
from email.message import EmailMessage

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.corpus import strict_mail
from tests.corpus.dissecting import Dissect, Dissected

pytestmark = pytest.mark.timeout(300)

_EXAMPLES = 150
_every_form = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    # The dissector keeps nothing from one message to the next.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _nothing_to_complain_about(found: Dissected) -> None:
    assert found.crash == ""
    assert found.defects == ()
    assert found.unscanned == ()


@_every_form
@given(mail=strict_mail.mails())
def test_strict_messages_have_no_defect(dissected: Dissect, mail: strict_mail.Mail) -> None:
    """Whatever the RFCs leave open: all contents and names are there, and nothing is noted."""
    note(mail.raw.decode("latin-1"))
    found = dissected(mail.raw)
    _nothing_to_complain_about(found)
    contents = {content.rstrip(b"\r\n") for content in found.contents.values()}
    for content in mail.contents():
        assert content.rstrip(b"\r\n") in contents
    assert {leaf.name for leaf in mail.leaves if leaf.name} <= found.names


_words = st.text(string.ascii_letters + "äöü€日本 ", min_size=1, max_size=40).filter(str.strip)


@_every_form
@given(
    text=_words,
    html=st.none() | _words,
    charset=st.sampled_from(["utf-8", "utf-16"]),
    encoding=st.sampled_from(["base64", "quoted-printable"]),
    files=st.lists(st.tuples(strict_mail.files, _words, st.booleans()), max_size=4),
    attached=st.booleans(),
    policy=st.sampled_from([email.policy.SMTP, email.policy.default, email.policy.SMTP.clone(max_line_length=998)]),
)
def test_python_writes_no_defects(dissected: Dissect, text, html, charset, encoding, files, attached, policy) -> None:
    """What Python's email package writes: alternatives, attachments, attached messages, names of any characters."""
    message = EmailMessage(policy=policy)
    message["Subject"], message["From"], message["To"] = text.strip(), "a@example.org", "Bü <b@example.org>"
    message.set_content(text, charset="utf-8", cte=encoding)
    if html is not None:
        message.add_alternative(f"<p>{html}</p>", subtype="html", charset=charset, cte="base64")
    for content, name, is_inline in files:
        message.add_attachment(
            content,
            maintype="application",
            subtype="octet-stream",
            filename=f"{name.strip()}.dat",
            disposition="inline" if is_inline else "attachment",
        )
    if attached:
        inner = EmailMessage(policy=policy)
        inner["Subject"] = "inner"
        inner.set_content("inner text, not to be overlooked\n")
        message.add_attachment(inner)
    found = dissected(message.as_bytes())
    _nothing_to_complain_about(found)
    for content, name, _ in files:
        assert content in found.contents.values()
        assert f"{name.strip()}.dat" in found.names
    joined = b"".join(found.contents.values())
    assert text.strip().encode() in joined
    assert not attached or b"not to be overlooked" in joined
