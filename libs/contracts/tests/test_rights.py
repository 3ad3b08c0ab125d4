"""The table of rights, by itself; what a real server makes of it is in tests/contract/test_nats_rights.py."""

import pytest

from qscan_contracts.rights import RIGHTS
from qscan_contracts.subjects import Service

SCANNERS = {"av": Service.AV_GATEWAY, "policy": Service.POLICY, "spam": Service.SPAM}


def overlaps(one: str, other: str) -> bool:
    """Whether some subject matches both patterns, as NATS has it."""
    left, right = one.split("."), other.split(".")
    for first, second in zip(left, right, strict=False):
        if ">" in {first, second}:
            return True
        if first != second and "*" not in {first, second}:
            return False
    return len(left) == len(right)


def may_say(pattern: str) -> set[Service]:
    """Who may publish to some subject of this pattern."""
    return {service for service, rights in RIGHTS.items() if any(overlaps(pattern, one) for one in rights.publish)}


def may_hear(pattern: str) -> set[Service]:
    """Who may subscribe to some subject of this pattern."""
    return {service for service, rights in RIGHTS.items() if any(overlaps(pattern, one) for one in rights.subscribe)}


@pytest.mark.parametrize(("role", "service"), SCANNERS.items())
def test_only_a_role_s_own_service_answers_for_it(role, service):
    """Whoever takes over policy cannot call a virus clean."""
    assert may_say(f"reply.v1.{role}.>") == {service}
    assert may_hear(f"scan.v1.{role}") == {service}


def test_only_the_unpacker_asks_and_hears_the_answers():
    """So nobody else can make an engine scan, or read what it found."""
    assert may_say("scan.>") == {Service.UNPACKER}
    assert may_hear("reply.>") == {Service.UNPACKER}


def test_only_the_unpacker_stores_mail_and_says_what_happened():
    """The archiver reads and deletes; nobody else touches it."""
    assert may_say("event.>") == {Service.UNPACKER}
    assert may_say("$O.>") == {Service.UNPACKER}


@pytest.mark.parametrize("service", Service)
def test_nobody_listens_to_another_s_inbox(service):
    """Nor to everything, nor to a chunk that was meant for somebody else."""
    own = f"_INBOX_{service.replace('-', '_')}.x"
    assert may_hear(own) == {service}
    assert may_hear("_INBOX.x") == set()


def test_nobody_deletes_a_stream_or_knows_the_system():
    """Not even who makes them."""
    assert may_say("$JS.API.STREAM.DELETE.*") == set()
    assert may_say("$JS.API.STREAM.MSG.DELETE.*") == set()
    assert may_say("$SYS.>") == set()
    assert may_hear("$SYS.>") == set()


def test_no_pattern_is_everything():
    """A token to begin with is always there, and `>` is only ever below one that says whose it is."""
    for rights in RIGHTS.values():
        for pattern in (*rights.publish, *rights.subscribe):
            assert pattern.split(".")[0] not in {"*", ">", ""}
            assert ">" not in pattern[:-1]
