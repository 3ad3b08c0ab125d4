"""The adapter of spamd: against a fake on a real socket that does everything wrong, and against the real one."""

import asyncio
import importlib
import inspect
import pkgutil
import socket
import time

import aiospamc
import pytest
from aiospamc.exceptions import AIOSpamcConnectionFailed
from hypothesis import given, settings
from hypothesis import strategies as st

from qscan_contracts.scanning import SpamScore
from qscan_spam.adapters.spamd import MAX_ANSWER_BYTES, TRANSLATIONS, Spamd, detail, translate
from qscan_spam.address import Address
from qscan_spam.unscored import Unscored, reason
from qscan_testkit.fake_spamd import Behaviour, FakeSpamd, failed, scored
from qscan_testkit.waiting import wait_until

pytestmark = pytest.mark.anyio
HAM = (
    b"Return-Path: <ann@example.com>\nReceived: from mail.example.com (mail.example.com [192.0.2.1])\n"
    b"\tby mx.example.org with ESMTP; Mon, 02 Jun 2025 10:00:03 +0000\n"
    b"From: Ann <ann@example.com>\nTo: Bob <bob@example.org>\nSubject: Lunch tomorrow?\n"
    b"Date: Mon, 02 Jun 2025 10:00:00 +0000\nMessage-ID: <20250602100000.1234@mail.example.com>\n\n"
    b"Hi Bob,\nshall we have lunch tomorrow at noon? I have booked a table.\nAnn\n"
)
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def spamd_at(address: str) -> Spamd:
    """The adapter with little patience for connecting."""
    return Spamd(Address.parse(address), connect_timeout_s=0.5)


async def score_of(behaviour: Behaviour, *, timeout_s: float = 5.0) -> SpamScore:
    """What the adapter makes of a spamd that behaves so."""
    async with FakeSpamd(behaviour) as fake:
        return await spamd_at(fake.address).score(HAM, user=None, timeout_s=timeout_s)


@pytest.mark.parametrize("unix", [True, False])
async def test_a_score_comes_with_what_is_required_and_the_rules(tmp_path, unix):
    """Over a unix socket and over TCP; the message arrives byte for byte, and no User with it."""
    answer = scored("12.3", "5.0", spam="True", symbols=("BAYES_99", "HTML_MESSAGE"))
    async with FakeSpamd(Behaviour(answer), socket_path=tmp_path / "s" if unix else None) as fake:
        score = await spamd_at(fake.address).score(HAM, user=None, timeout_s=5)
        (request,) = fake.requests
    assert score == SpamScore("spamd", 12.3, 5.0, ("BAYES_99", "HTML_MESSAGE"))
    assert (request.verb, request.body) == ("SYMBOLS", HAM)
    assert "user" not in request.fields


async def test_a_user_is_told_where_there_is_one():
    """Whether it is safe was decided before."""
    async with FakeSpamd() as fake:
        await spamd_at(fake.address).score(HAM, user="bob@example.org", timeout_s=5)
        assert fake.requests[0].fields["user"] == "bob@example.org"


@pytest.mark.parametrize(
    ("answer", "score", "required"),
    [
        (scored("-0.0"), 0.0, 5.0),
        (scored("-2.3"), -2.3, 5.0),
        (scored("1000.0", spam="True"), 1000.0, 5.0),
        (scored("5.0", spam="True"), 5.0, 5.0),
        (scored("5.0", spam="False"), 4.9, 5.0),
        (scored("4.9", "5.0", spam="True"), 5.0, 5.0),
        (scored("0", "0", spam="Yes"), 0.0, 0.0),
    ],
)
async def test_scores_are_numbers_on_the_side_of_spamds_verdict(answer, score, required):
    """Numbers come rounded to one digit; the verdict was found with all of them."""
    given_score = await score_of(Behaviour(answer))
    assert (given_score.score, given_score.required) == (score, required)


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        pytest.param(Behaviour(), Unscored.NO_ANSWER, id="hangs up"),
        pytest.param(Behaviour(reads_request=False), Unscored.NO_ANSWER, id="hangs up at once"),
        pytest.param(Behaviour(b"\x00\xff\xfe garbage"), Unscored.NO_ANSWER, id="garbage"),
        pytest.param(Behaviour(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Unscored.NO_ANSWER, id="wrong protocol"),
        pytest.param(Behaviour(b"220 mx ESMTP\r\n", reads_request=False), Unscored.NO_ANSWER, id="SMTP"),
        pytest.param(Behaviour(b"SPAMD/1.1 zero EX_OK\r\n\r\n"), Unscored.NO_ANSWER, id="code"),
        pytest.param(Behaviour(b"SPAMD/1.1 0 EX_OK\r\n\r\n"), Unscored.NO_ANSWER, id="no score"),
        pytest.param(Behaviour(b"SPAMD/1.1 0 EX_OK\r\nSpam: maybe\r\n\r\n"), Unscored.NO_ANSWER, id="no number"),
        pytest.param(Behaviour(b"SPAMD/1.1 0 EX_OK\r\nSp\xffam: x\r\n\r\n"), Unscored.NO_ANSWER, id="field name"),
        pytest.param(Behaviour(scored("1.0")[:40]), Unscored.NO_ANSWER, id="half an answer"),
        pytest.param(Behaviour(scored("1.0", symbols=("A", "B"))[:-1]), Unscored.NO_ANSWER, id="half the rules"),
        pytest.param(Behaviour(scored("1.0") + b"more"), Unscored.NO_ANSWER, id="more than it says"),
        pytest.param(Behaviour(scored("nan")), Unscored.NO_ANSWER, id="not a number"),
        pytest.param(Behaviour(scored("inf", spam="True")), Unscored.NO_ANSWER, id="infinite"),
        pytest.param(Behaviour(scored("1e999", spam="True")), Unscored.NO_ANSWER, id="overflow"),
        pytest.param(Behaviour(scored("100001", spam="True")), Unscored.NO_ANSWER, id="absurd score"),
        pytest.param(Behaviour(scored("1", "-1e9", spam="True")), Unscored.NO_ANSWER, id="absurd threshold"),
        pytest.param(Behaviour(scored("9.0", spam="False")), Unscored.NO_ANSWER, id="contradiction"),
        pytest.param(Behaviour(scored("1.0", spam="True")), Unscored.NO_ANSWER, id="the other contradiction"),
        pytest.param(Behaviour(b"S" * (MAX_ANSWER_BYTES + 1)), Unscored.NO_ANSWER, id="endless line"),
        pytest.param(Behaviour(scored("1", symbols=["X" * MAX_ANSWER_BYTES])), Unscored.NO_ANSWER, id="too long"),
        pytest.param(Behaviour(failed(76, "EX_PROTOCOL")), Unscored.REFUSED, id="protocol"),
        pytest.param(Behaviour(failed(70, "EX_SOFTWARE")), Unscored.REFUSED, id="software"),
        pytest.param(Behaviour(failed(99, "EX_NEW")), Unscored.REFUSED, id="unknown code"),
        pytest.param(Behaviour(failed(79, "EX_TIMEOUT")), Unscored.TIMED_OUT, id="its own time is up"),
    ],
)
async def test_whatever_is_no_score_is_no_score(behaviour, why):
    """Never an exception, never a number; the reason is one of a closed set and the detail is one printable line."""
    score = await score_of(behaviour)
    assert (score.score, score.required, score.symbols) == (None, None, ())
    assert reason(score) == why
    assert score.detail.isascii()
    assert score.detail.isprintable()


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(Behaviour(stalls=True), id="says nothing"),
        pytest.param(Behaviour(stalls=True, reads_request=False), id="reads nothing"),
        pytest.param(Behaviour(scored("1.0"), stalls=True), id="does not hang up"),
        pytest.param(Behaviour(stalls=True, drip=b"S"), id="drips"),
    ],
)
async def test_a_spamd_that_stalls_costs_the_time_out_and_no_more(behaviour):
    """Also one that always says a little more."""
    started = time.monotonic()
    score = await score_of(behaviour, timeout_s=0.3)
    assert reason(score) == Unscored.TIMED_OUT
    assert 0.3 <= time.monotonic() - started < 2.5


async def test_a_message_that_is_never_read_is_given_up():
    """A large message does not fit into the socket's buffers, so that sending it blocks, too."""
    async with FakeSpamd(Behaviour(stalls=True, reads_request=False)) as fake:
        started = time.monotonic()
        score = await spamd_at(fake.address).score(b"x" * 8_000_000, user=None, timeout_s=0.3)
        assert time.monotonic() - started < 2
    assert reason(score) == Unscored.TIMED_OUT


async def test_an_answer_before_the_message_was_read_counts():
    """spamd may refuse a message from its size and hang up; the broken pipe must not hide its answer."""
    answer = failed(76, "EX_PROTOCOL")
    async with FakeSpamd(Behaviour(answer, reads_request=False)) as fake:
        score = await spamd_at(fake.address).score(HAM, user=None, timeout_s=2)
    assert reason(score) in {Unscored.REFUSED, Unscored.NO_ANSWER}


async def test_the_connection_is_closed_when_the_time_is_up():
    """Otherwise a child of spamd would work on for nobody, and its place would be missing."""
    async with FakeSpamd(Behaviour(stalls=True, drip=b"S")) as fake:
        await spamd_at(fake.address).score(HAM, user=None, timeout_s=0.2)
        await wait_until(lambda: not fake.open_connections)


async def test_the_connection_is_closed_when_the_caller_is_cancelled():
    """As when the whole request has run out of time."""
    async with FakeSpamd(Behaviour(stalls=True, drip=b"S")) as fake:
        scoring = asyncio.create_task(spamd_at(fake.address).score(HAM, user=None, timeout_s=60))
        await wait_until(lambda: fake.open_connections)
        scoring.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scoring
        await wait_until(lambda: not fake.open_connections)


async def test_a_spamd_that_is_not_there_costs_nothing(tmp_path):
    """A closed port and a missing socket are told at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for address in (f"127.0.0.1:{port}", str(tmp_path / "nothing")):
        started = time.monotonic()
        score = await spamd_at(address).score(HAM, user=None, timeout_s=30)
        assert reason(score) == Unscored.NOT_RUNNING
        assert time.monotonic() - started < 1


async def test_a_host_that_does_not_answer_costs_the_connect_time_out():
    """A listener whose queue is full drops what comes, as a firewall does."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        started = time.monotonic()
        score = await spamd_at(f"127.0.0.1:{address[1]}").score(HAM, user=None, timeout_s=30)
        assert reason(score) == Unscored.NOT_RUNNING
        assert time.monotonic() - started < 2.5
        for one in waiting:
            one.close()


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=60).map(lambda tail: b"SPAMD/1.1 0 EX_OK\r\n" + tail),
        st.text(alphabet="0123456789.-+einfa/; ", max_size=30).map(
            lambda value: b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; " + value.encode() + b"\r\n\r\n"
        ),
    )
)
async def test_no_answer_raises(answer):
    """Any bytes end as a score of two finite numbers or of none."""
    score = await score_of(Behaviour(answer))
    assert (score.score is None) == (score.required is None)
    assert score.score is None or abs(score.score) <= 100_000


async def test_health_says_what_to_do(tmp_path):
    """PING for one that is there; for one that is not, where it was looked for."""
    async with FakeSpamd() as fake:
        health = await spamd_at(fake.address).health()
        assert health.ok
    missing = tmp_path / "nothing"
    health = await spamd_at(str(missing)).health()
    assert not health.ok
    assert f"spamd at {missing}: not_running" in health.detail
    assert "start spamd, or correct address" in health.detail


def exceptions_of_aiospamc() -> list[type[Exception]]:
    """Every exception class that the package defines, in any of its modules."""
    modules = [
        importlib.import_module(f"aiospamc.{module.name}")
        for module in pkgutil.iter_modules(aiospamc.__path__)
        if module.name not in {"cli", "__main__"}
    ]
    return sorted(
        {
            member
            for module in modules
            for _, member in inspect.getmembers(module, inspect.isclass)
            if issubclass(member, Exception) and member.__module__.startswith("aiospamc")
        },
        key=lambda member: member.__name__,
    )


def test_every_exception_of_aiospamc_has_a_translation():
    """A release that brings a new one fails here instead of in a message."""
    found = exceptions_of_aiospamc()
    assert len(found) >= 20
    untranslated = [one.__name__ for one in found if not issubclass(one, tuple(TRANSLATIONS))]
    assert untranslated == []


def test_translations_go_by_the_nearest_class():
    """A time-out of the server is a time-out although it came as a response; a stranger is no translation."""
    assert translate(AIOSpamcConnectionFailed("x")) is Unscored.NOT_RUNNING
    assert translate(ConnectionResetError()) is Unscored.NO_ANSWER
    with pytest.raises(ZeroDivisionError):
        translate(ZeroDivisionError())
    assert detail(OSError("a\r\nX-Spam: no\x00é")) == "a?X-Spam: no?"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/run/spamd.sock", Address(path="/run/spamd.sock")),
        ("localhost:783", Address(host="localhost", port=783)),
        ("[::1]:783", Address(host="::1", port=783)),
    ],
)
def test_addresses_read_back_as_written(text, address):
    """A path, a host, an IPv6 address."""
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "localhost", "localhost:", ":783", "localhost:0", "localhost:65536", "run/spamd", "a:b"]
)
def test_what_is_no_address_is_refused(text):
    """Told when the service starts."""
    with pytest.raises(ValueError, match="absolute path"):
        Address.parse(text)


@pytest.mark.real_spamd
async def test_the_real_spamd_knows_gtube_from_ham(real_spamd):
    """Local tests only, started as `qscan up` starts it; three at a time on two children."""
    spamd = Spamd(Address.parse(real_spamd.address), connect_timeout_s=3)
    assert (await spamd.health()).ok
    spam, ham, again = await asyncio.gather(
        spamd.score(HAM + GTUBE + b"\n", user=None, timeout_s=30),
        spamd.score(HAM, user=None, timeout_s=30),
        spamd.score(HAM, user="nobody@example.org", timeout_s=30),
    )
    assert spam.score is not None
    assert spam.required is not None
    assert spam.score >= spam.required
    assert "GTUBE" in spam.symbols
    for score in (ham, again):
        assert score.score is not None, score.detail
        assert score.required is not None
        assert score.score < score.required


@pytest.mark.real_spamd
async def test_the_real_spamd_starts_in_seconds(real_spamd):
    """`qscan up` waits for it."""
    assert real_spamd.start_s < 20


@pytest.mark.real_spamd
async def test_the_real_spamd_takes_a_message_of_any_bytes(real_spamd):
    """Empty, binary, CRLF, and as large as the service lets through."""
    spamd = Spamd(Address.parse(real_spamd.address), connect_timeout_s=3)
    for message in (b"", b"\x00\xff" * 500, HAM.replace(b"\n", b"\r\n"), HAM + b"line of text\n" * 19_000):
        score = await spamd.score(message, user=None, timeout_s=30)
        assert score.score is not None, (message[:20], score)
