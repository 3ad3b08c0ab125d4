"""The log of a process: one JSON line per event, and nothing in it that may be from a mail."""

import json
import os
import pty
import subprocess
import sys
from typing import Any

SECRET = "ann.private@example.org"

SETUP = f"""
import logging, sys, warnings
from qscan_kit import log
log.configure("tester")
logger = log.get_logger()
secret = {SECRET!r}
"""


def logged(program: str) -> list[dict[str, Any]]:
    """The lines that a process writes on its standard error, which must all be JSON."""
    done = subprocess.run([sys.executable, "-c", SETUP + program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_the_shape_of_a_line():
    """Event, level, time in UTC, service, and the facts."""
    (line,) = logged('logger.info("message", scan_id="abc", bytes=7, findings=["a.b"], detail=None)')
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "message",
        "level": "info",
        "service": "tester",
        "scan_id": "abc",
        "bytes": 7,
        "findings": ["a.b"],
        "detail": None,
    }


def test_nothing_breaks_out_of_its_line():
    """Line feeds, escapes and bytes of a hostile text stay in their string, and the line is ASCII."""
    program = r'logger.warning("x", text="a\nb\r\x1b[2J\u2028\udcff", raw=b"\n\xff", thing=object)'
    done = subprocess.run([sys.executable, "-c", SETUP + program], capture_output=True, check=True)
    assert done.stderr.isascii()
    assert done.stderr.count(b"\n") == 1
    assert b"\x1b" not in done.stderr
    assert json.loads(done.stderr)["text"] == "a\nb\r\x1b[2J\u2028\udcff"


def test_levels():
    """What is below the level is not written."""
    (line,) = logged('log.configure("tester", "warning"); logger.info("no"); logger.warning("yes")')
    assert line["event"] == "yes"


def test_an_exception_without_values():
    """Where it was raised and of which type; no local variable, and no text that quotes the wrong value."""
    lines = logged("""
def handle(address):
    mail = "Subject: " + address
    try:
        {}[address]
    except KeyError as error:
        raise RuntimeError("a fixed text") from error

try:
    handle(secret)
except RuntimeError:
    logger.exception("request failed", scan_id="abc")

try:
    int(secret)
except ValueError as error:
    logger.error("another", exc_info=error)

try:
    raise ExceptionGroup("some", [UnicodeDecodeError("ascii", secret.encode(), 0, 1, secret), OSError(28, "full")])
except ExceptionGroup:
    logger.exception("and a group")
""")
    assert SECRET not in json.dumps(lines)
    first, second, third = (line["exception"] for line in lines)
    assert "in handle" in first
    assert first.index("KeyError") < first.index("RuntimeError: a fixed text")
    assert "ValueError" in second
    assert "UnicodeDecodeError" in third
    assert "OSError: [Errno 28] full" in third
    assert lines[0]["scan_id"] == "abc"


def test_an_exception_that_caused_itself():
    """A cycle of causes ends."""
    (line,) = logged("""
one, other = RuntimeError("one"), RuntimeError("other")
one.__cause__, other.__cause__ = other, one
logger.error("cycle", exc_info=one)
""")
    assert line["exception"].count("RuntimeError") == 2


def test_libraries_write_the_same_lines():
    """One that uses the standard library's log, with an exception, too; what is not wrong is not written."""
    lines = logged("""
logging.getLogger("lib.part").info("not wrong")
logging.getLogger("lib.part").warning("value %s", 7)
try:
    {}[secret]
except KeyError:
    logging.getLogger("lib.part").exception("two\\nlines")
""")
    assert [line["event"] for line in lines] == ["value 7", "two\nlines"]
    assert all(line["service"] == "tester" and line["logger"] == "lib.part" for line in lines)
    assert "KeyError" in lines[1]["exception"]
    assert SECRET not in json.dumps(lines)


def test_context_is_of_the_task():
    """What is bound while a scan is handled is in its lines only."""
    lines = logged("""
import asyncio, structlog
async def scan(name):
    structlog.contextvars.bind_contextvars(scan_id=name)
    await asyncio.sleep(0)
    logger.info("done")
async def main():
    await asyncio.gather(scan("a"), scan("b"))
    logger.info("end")
asyncio.run(main())
""")
    assert [line.get("scan_id") for line in lines] == ["a", "b", None]


def test_readable_on_a_terminal():
    """A person who starts a service by hand reads lines, without values of variables in exceptions either."""
    ours, theirs = pty.openpty()
    program = """
def handle(address):
    {}[address]
logger.info("listening", port=7)
try:
    handle(secret)
except KeyError:
    logger.exception("request failed")
"""
    subprocess.run([sys.executable, "-W", "error", "-c", SETUP + program], stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert "listening" in shown
    assert "KeyError" in shown
    assert "{" not in shown.splitlines()[0]
    assert SECRET not in shown
