"""Our own lint rules: what fires, and what does not."""

from pathlib import Path

import pytest

from tools.lint.__main__ import main
from tools.lint.rules import Source, check


def fired(text: str, path: str = "services/spam/src/qscan_spam/filter.py") -> list[str]:
    """Return the rules that a file of this text breaks."""
    return [finding.rule for finding in check(Source.parse(Path(path), text))]


def handler(clause: str, body: str = "return None", comment: str = "") -> str:
    """Return a function with one except clause."""
    return f"def f():\n    try:\n        g()\n    {clause}:{comment}\n        {body}\n"


@pytest.mark.parametrize(
    "clause",
    [
        "except",
        "except Exception",
        "except BaseException as error",
        "except (OSError, Exception)",
        "except builtins.Exception",
        "except* Exception",
    ],
)
def test_a_clause_that_catches_everything_fires(clause):
    """Every way to write "whatever happens" is seen."""
    body = "pass" if "*" in clause else "return None"
    assert fired(handler(clause, body)) == ["broad-except"]


def test_suppressing_everything_fires():
    """`contextlib.suppress(Exception)` is the same thing in other words."""
    assert fired("with contextlib.suppress(Exception):\n    g()\n") == ["broad-except"]


@pytest.mark.parametrize(
    "text",
    [
        handler("except OSError"),
        handler("except (OSError, ValueError) as error"),
        handler("except BaseException", "raise"),
        "with suppress(OSError):\n    g()\n",
    ],
)
def test_named_exceptions_and_raising_again_are_fine(text):
    """What is named, and what is not swallowed, does not fire."""
    assert fired(text) == []


def test_raising_another_error_is_still_swallowing():
    """A bug that is translated into an expected error is a bug that nobody sees."""
    assert fired(handler("except Exception as e", "raise EngineError from e")) == ["broad-except"]


def test_kit_may_catch_everything():
    """Kit holds the few places where a service must survive anything."""
    assert fired(handler("except Exception"), "libs/kit/src/qscan_kit/service.py") == []


def test_the_written_escape_switches_one_line_off():
    """With a reason, at the end of the line or alone above it."""
    reason = "# lint: allow-broad-except because the vendor raises anything"
    assert fired(handler("except Exception", comment=f"  {reason}")) == []
    assert fired(handler("except Exception").replace("    except", f"    {reason}\n    except")) == []


@pytest.mark.parametrize(
    "comment",
    [
        "  # lint: allow-broad-except",
        "  # lint: allow-broad-except because",
        "  # lint: allow-composed-event because of another rule",
        "  # noqa: BLE001",
    ],
)
def test_an_escape_without_a_reason_or_for_another_rule_is_none(comment):
    """The reason is the point of the escape."""
    assert fired(handler("except Exception", comment=comment)) == ["broad-except"]


def test_an_escape_inside_a_string_is_none():
    """Only a comment switches a rule off."""
    text = 'x = """\n# lint: allow-broad-except because it is quoted\n"""; f = suppress(Exception)\n'
    assert fired(text) == ["broad-except"]


@pytest.mark.parametrize(
    "call",
    [
        'log.info(f"scanned {n}")',
        'self._log.warning("scanned " + n)',
        'logger.error("scanned %s" % n)',
        '_LOG.debug("scanned {}".format(n))',
        'structlog.get_logger().info(f"{n}")',
        'log.bind(a=1).exception(f"{n}")',
        'log.info(event=f"{n}")',
        'log.log(20, f"{n}")',
        'await_me = log.ainfo(f"{n}")',
    ],
)
def test_an_event_put_together_at_run_time_fires(call):
    """Whatever the way it is put together and whatever the logger is called."""
    assert fired(call) == ["composed-event"]


@pytest.mark.parametrize(
    "call",
    [
        'log.info("scanned", components=n)',
        'log.info("scanned", detail=f"{n} parts")',
        "log.info(EVENT)",
        'parser.error(f"no such file: {n}")',
        'warnings.warn(f"{n}")',
        'catalog.info(f"{n}")',
        'math.log(f"{n}")',
    ],
)
def test_constant_events_and_other_calls_are_fine(call):
    """Values as keyword arguments, and methods of the same name on things that are no logger."""
    assert fired(call) == []


def test_the_command_reports_place_and_rule(tmp_path, capsys):
    """Exit status 1 and one line per finding, in the form that editors jump to."""
    bad = tmp_path / "bad.py"
    bad.write_text(handler("except Exception"))
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith(f"{bad}:4:5: broad-except: ")


def test_the_command_passes_clean_files_and_refuses_to_look_at_nothing(tmp_path):
    """No file at all is a mistake of the caller, not a pass."""
    assert main([str(tmp_path)]) == 2
    (tmp_path / "good.py").write_text("x = 1\n")
    assert main([str(tmp_path)]) == 0
