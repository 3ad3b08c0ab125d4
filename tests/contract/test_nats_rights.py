"""Who may say and hear what: every user with every subject, asked of a real server that was given our configuration.

The expectation is written out here and not taken from `qscan_contracts.rights`: it is what DESIGN §6 asks for. A test
of its own compares the server's behaviour with the table of rights, so that neither can change alone.
"""

from collections.abc import AsyncIterator

import nats.errors
import pytest
from nats.aio.client import Client

from qscan_contracts import subjects
from qscan_contracts.ids import JobId
from qscan_contracts.rights import RIGHTS
from qscan_contracts.subjects import ScanRole, Service
from qscan_testkit.nats_server import NatsServer

pytestmark = pytest.mark.anyio

ANSWER_S = 5.0
INSTANCE = "unpacker1"

SAYING = {
    "scan.v1.av": {Service.UNPACKER},
    "scan.v1.policy": {Service.UNPACKER},
    "scan.v1.spam": {Service.UNPACKER},
    "scan.v1.other": set(),
    "scan.v2.av": set(),
    f"reply.v1.av.{INSTANCE}.job1": {Service.AV_GATEWAY},
    f"reply.v1.policy.{INSTANCE}.job1": {Service.POLICY},
    f"reply.v1.spam.{INSTANCE}.job1": {Service.SPAM},
    f"reply.v1.other.{INSTANCE}.job1": set(),
    f"chunk.v1.{INSTANCE}": {Service.AV_GATEWAY, Service.POLICY, Service.SPAM},
    "event.v1.quarantine": {Service.UNPACKER},
    "event.v1.notice": {Service.UNPACKER},
    "buried.v1": {Service.ARCHIVER, Service.NOTIFIER},
    "$O.QSCAN_MAIL.C.x": {Service.UNPACKER},
    "$O.QSCAN_MAIL.M.x": {Service.UNPACKER},
    "_INBOX_unpacker.x": set(),
    "_INBOX_av_gateway.x": {Service.UNPACKER},
    "_INBOX_policy.x": {Service.UNPACKER},
    "_INBOX_spam.x": {Service.UNPACKER},
    "_INBOX_archiver.x": set(),
    "_INBOX_notifier.x": set(),
    "_INBOX.x": set(),
    "$JS.API.INFO": set(),
    "$JS.API.STREAM.NAMES": set(),
    "$JS.API.STREAM.CREATE.QSCAN_EVENTS": {Service.UNPACKER},
    "$JS.API.STREAM.CREATE.OTHER": set(),
    "$JS.API.STREAM.DELETE.QSCAN_EVENTS": set(),
    "$JS.API.STREAM.DELETE.OBJ_QSCAN_MAIL": set(),
    "$JS.API.STREAM.PURGE.QSCAN_EVENTS": set(),
    "$JS.API.STREAM.PURGE.QSCAN_BURIED": set(),
    "$JS.API.STREAM.PURGE.OBJ_QSCAN_MAIL": {Service.UNPACKER, Service.ARCHIVER},
    "$JS.API.STREAM.INFO.OBJ_QSCAN_MAIL": {Service.UNPACKER, Service.ARCHIVER},
    "$JS.API.STREAM.INFO.QSCAN_BURIED": {Service.UNPACKER, Service.ARCHIVER},
    "$JS.API.STREAM.MSG.GET.OBJ_QSCAN_MAIL": {Service.ARCHIVER},
    "$JS.API.STREAM.MSG.GET.QSCAN_EVENTS": set(),
    "$JS.API.DIRECT.GET.OBJ_QSCAN_MAIL": {Service.ARCHIVER},
    "$JS.API.DIRECT.GET.QSCAN_EVENTS": set(),
    "$JS.API.STREAM.MSG.DELETE.QSCAN_EVENTS": set(),
    "$JS.API.CONSUMER.CREATE.QSCAN_EVENTS": set(),
    "$JS.API.CONSUMER.CREATE.QSCAN_EVENTS.archiver.event.v1.quarantine": {Service.UNPACKER},
    "$JS.API.CONSUMER.CREATE.QSCAN_EVENTS.notifier.event.v1.notice": {Service.UNPACKER},
    "$JS.API.CONSUMER.CREATE.QSCAN_EVENTS.other.event.v1.notice": set(),
    "$JS.API.CONSUMER.DURABLE.CREATE.QSCAN_EVENTS.archiver": set(),
    "$JS.API.CONSUMER.CREATE.OBJ_QSCAN_MAIL": set(),
    "$JS.API.CONSUMER.DELETE.QSCAN_EVENTS.archiver": set(),
    "$JS.API.CONSUMER.INFO.QSCAN_EVENTS.archiver": {Service.ARCHIVER},
    "$JS.API.CONSUMER.INFO.QSCAN_EVENTS.notifier": {Service.NOTIFIER},
    "$JS.API.CONSUMER.MSG.NEXT.QSCAN_EVENTS.archiver": {Service.ARCHIVER},
    "$JS.API.CONSUMER.MSG.NEXT.QSCAN_EVENTS.notifier": {Service.NOTIFIER},
    "$JS.ACK.QSCAN_EVENTS.archiver.1.1.1.1.1": {Service.ARCHIVER},
    "$JS.ACK.QSCAN_EVENTS.notifier.1.1.1.1.1": {Service.NOTIFIER},
    "$SYS.REQ.SERVER.PING": set(),
    "anything": set(),
}
HEARING = {
    "scan.v1.av": {Service.AV_GATEWAY},
    "scan.v1.policy": {Service.POLICY},
    "scan.v1.spam": {Service.SPAM},
    "scan.v1.*": set(),
    "scan.>": set(),
    f"reply.v1.*.{INSTANCE}.*": {Service.UNPACKER},
    f"reply.v1.av.{INSTANCE}.job1": {Service.UNPACKER},
    "reply.>": set(),
    f"chunk.v1.{INSTANCE}": {Service.UNPACKER},
    "event.v1.>": set(),
    "event.v1.quarantine": set(),
    "buried.v1": set(),
    "$O.>": set(),
    "$O.QSCAN_MAIL.C.x": set(),
    "_INBOX_unpacker.x": {Service.UNPACKER},
    "_INBOX_av_gateway.x": {Service.AV_GATEWAY},
    "_INBOX_policy.x": {Service.POLICY},
    "_INBOX_spam.x": {Service.SPAM},
    "_INBOX_archiver.x": {Service.ARCHIVER},
    "_INBOX_notifier.x": {Service.NOTIFIER},
    "_INBOX.>": set(),
    "$JS.API.>": set(),
    "$JS.ACK.>": set(),
    "$SYS.>": set(),
    ">": set(),
    "*": set(),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all tests here; nothing of theirs stays in it."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as running:
        yield running


class User:
    """A bare connection of one user that notices what the server forbids."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._refused: list[str] = []

    async def when_failed(self, error: Exception) -> None:
        """Remember what was forbidden (the text repeats the subject in lower case)."""
        self._refused.append(str(error))

    async def may_say(self, subject: str) -> bool:
        """Whether the server takes a publication."""
        return await self._is_allowed(self._client.publish(subject, b""))

    async def may_hear(self, subject: str, queue: str = "") -> bool:
        """Whether the server takes a subscription."""
        return await self._is_allowed(self._client.subscribe(subject, queue=queue))

    async def _is_allowed(self, asked) -> bool:
        self._refused.clear()
        await asked
        # The server answers in order, so a refusal is here before the answer to a PING that was sent after the request.
        # nats-py may send the first PING before it.
        await self._client.flush()
        await self._client.flush()
        return not self._refused


@pytest.fixture
async def users(server) -> AsyncIterator[dict[Service, User]]:
    """Every service's user."""
    clients, users = [], {}
    for service in Service:
        client = Client()
        users[service] = user = User(client)
        await client.connect(server.url, user=service, password=server.passwords[service], error_cb=user.when_failed)
        clients.append(client)
    yield users
    for client in clients:
        await client.close()


@pytest.mark.parametrize(("subject", "expected"), SAYING.items(), ids=SAYING)
async def test_only_these_may_say(users, subject, expected):
    """Each subject may be published to by exactly the services that the design names."""
    assert {service for service, user in users.items() if await user.may_say(subject)} == expected


@pytest.mark.parametrize(("subject", "expected"), HEARING.items(), ids=HEARING)
async def test_only_these_may_hear(users, subject, expected):
    """Each subject may be listened to by exactly the services that the design names."""
    assert {service for service, user in users.items() if await user.may_hear(subject)} == expected


async def test_policy_can_neither_listen_to_scans_for_engines_nor_answer_for_one(users):
    """The sentence of the specification, with and without a queue group."""
    policy = users[Service.POLICY]
    assert not await policy.may_hear(subjects.scan(ScanRole.AV))
    assert not await policy.may_hear(subjects.scan(ScanRole.AV), queue="av")
    assert not await policy.may_say(subjects.reply(ScanRole.AV, INSTANCE, JobId("job1")))
    assert await policy.may_hear(subjects.scan(ScanRole.POLICY), queue="policy")
    assert await policy.may_say(subjects.reply(ScanRole.POLICY, INSTANCE, JobId("job1")))


async def test_the_server_enforces_exactly_the_table(users):
    """For every pattern of the table: who has it may use a subject that matches; who has none that matches may not."""
    for say, patterns_of in ((True, "publish"), (False, "subscribe")):
        patterns = {pattern for rights in RIGHTS.values() for pattern in getattr(rights, patterns_of)}
        for subject in sorted(pattern.replace("*", "token1").replace(">", "token1.token2") for pattern in patterns):
            for service, user in users.items():
                allowed = any(_matches(pattern, subject) for pattern in getattr(RIGHTS[service], patterns_of))
                done = await (user.may_say(subject) if say else user.may_hear(subject))
                assert done == allowed, f"{service} {patterns_of} {subject}"


async def test_an_unknown_user_or_a_wrong_password_is_refused(server):
    """There is no user for everybody."""
    for user, password in (("unpacker", "wrong"), ("admin", "wrong"), (None, None)):
        client = Client()
        with pytest.raises(nats.errors.Error):
            await client.connect(server.url, user=user, password=password, allow_reconnect=False, error_cb=_ignore)
        await client.close()


@pytest.mark.parametrize("forger", [Service.POLICY, Service.SPAM, Service.ARCHIVER, Service.NOTIFIER])
async def test_nobody_forges_an_engine_s_answer_through_a_reply_subject(server, users, forger):
    """JetStream and the unpacker answer to any reply subject they are told: that must be no way around the rights."""
    heard: list[str] = []

    async def hear(message):
        heard.append(message.subject)

    target = subjects.reply(ScanRole.AV, INSTANCE, JobId("job1"))
    unpacker, bad = Client(), Client()
    await unpacker.connect(server.url, user="unpacker", password=server.passwords[Service.UNPACKER])
    await bad.connect(server.url, user=forger, password=server.passwords[forger], error_cb=_ignore)

    async def chunk(message):
        await unpacker.publish(message.reply, b"forged")

    await unpacker.subscribe(target, cb=hear)
    await unpacker.subscribe(subjects.chunks(INSTANCE), cb=chunk)
    await unpacker.flush()
    for subject in (target, subjects.chunks(INSTANCE), *(s for s in SAYING if s.startswith("$JS.API.DIRECT"))):
        await bad.publish(subject, b'{"seq":1}', reply=target)
    for client in (bad, bad, unpacker, unpacker):
        await client.flush()
    # What JetStream says of a stream that is not there carries no bytes of the forger's.
    assert target not in heard
    await unpacker.close()
    await bad.close()


async def _ignore(_: Exception) -> None:
    """Refusals are what is tested."""


def _matches(pattern: str, subject: str) -> bool:
    wanted, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or token not in {"*", given[index]}:
            return False
    return len(wanted) == len(given)
