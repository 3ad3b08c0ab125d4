"""qscan.toml: what is wrong is told with its line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qscan_cli.configuration.reading import ConfigurationError, locate, read
from qscan_cli.errors import CommandError


def problems(folder: Path, text: str) -> list[str]:
    """What is wrong with a file, as ``LINE: TEXT``."""
    file = folder / "qscan.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read(file)
    assert all(problem.file == file for problem in caught.value.problems)
    return [f"{problem.line}: {problem.text}" for problem in sorted(caught.value.problems)]


def test_a_right_file_gives_its_values(tmp_path):
    """The service's own table wins over [all]; lists, numbers and paths come as TOML has them."""
    file = tmp_path / "qscan.toml"
    file.write_text(
        '[all]\nlog_level = "debug"\ntrace_ratio = 0\n[av-gateway]\nclamd_addresses = [\n "tcp:127.0.0.1:3310",\n]\n'
        'log_level = "error"\n',
        encoding="utf-8",
    )
    configuration = read(file)
    assert configuration.of_service("av-gateway") == {
        "log_level": "error",
        "trace_ratio": 0,
        "clamd_addresses": ["tcp:127.0.0.1:3310"],
    }
    assert configuration.of_service("policy") == {"log_level": "debug", "trace_ratio": 0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[unpacker]\nmax_depth = 3\n\n# ten\nmax_detph = 10\n",
            "5: unknown setting max_detph in [unpacker]; did you mean max_depth?",
        ),
        ("\n[av_gateway]\nlog_level = 'info'\n", "2: unknown table [av_gateway]; did you mean [av-gateway]?"),
        ("[unpacker]\nmax_depth = '3'\n", "2: max_depth in [unpacker]: Input should be a valid integer"),
        ("[unpacker]\nmax_depth = 0\n", "2: max_depth in [unpacker]: Input should be greater than 0"),
        ("[unpacker]\nscan_raw_message = 1\n", "2: scan_raw_message in [unpacker]: Input should be a valid boolean"),
        ("[unpacker]\nmax_depth = 1979-05-27\n", "2: max_depth in [unpacker]: a date or time is not expected here"),
        ("[ingress]\nsocket = 'run/x'\n", "2: socket in [ingress]: Value error, must be an absolute path"),
        ("[up]\nrestart_delay_s = 0\n", "2: restart_delay_s in [up]: Input should be greater than 0"),
        ("[unpacker]\nengine_roles = [1]\n", "2: engine_roles in [unpacker]: every item must be a text in quotes"),
        ("[unpacker]\nengine_roles = ['magic']\n", "2: engine_roles in [unpacker]: Input should be 'virus' or 'dlp'"),
        ("max_depth = 3\n", "1: max_depth stands outside of any table"),
        ("unpacker = 3\n", "1: unpacker is a table"),
        ("[all]\nlog_level = 'loud'\n", "2: log_level in [all]: String should match pattern"),
        ("[all]\nlog_levle = 'info'\n", "2: unknown setting log_levle in [all]; did you mean log_level?"),
        ("[unpacker]\nmax_depth = \n", "2: not valid TOML: Invalid value"),
        ("[unpacker]\nmax_depth = 1\nmax_depth = 2\n", "3: not valid TOML: Cannot overwrite a value"),
        ("[unpacker]\nx = [1,\n", "2: not valid TOML"),
    ],
)
def test_a_problem_has_its_line_and_what_would_be_right(tmp_path, text, expected):
    """Unknown names, wrong types, values out of range and broken TOML."""
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(expected)


def test_all_problems_are_told_at_once(tmp_path):
    """Nobody has to correct a file one run at a time."""
    text = "[unpacker]\nmax_depth = 'x'\nnonsense_of_mine = 1\n[nowhere]\n"
    assert [problem.partition(":")[0] for problem in problems(tmp_path, text)] == ["2", "3", "4"]


def test_the_value_is_never_told(tmp_path):
    """A wrong value may be a password in the wrong place."""
    text = "[unpacker]\nnats_password = 4711\nhealth_port = 'hunter2'\n"
    assert not any("4711" in problem or "hunter2" in problem for problem in problems(tmp_path, text))


def test_what_is_no_text_is_told_with_its_line(tmp_path):
    """A file in another encoding."""
    file = tmp_path / "qscan.toml"
    file.write_bytes(b"[up]\n# Gr\xfc\xdfe\n")
    with pytest.raises(ConfigurationError, match=r"qscan\.toml:2: not UTF-8"):
        read(file)


def test_a_missing_file_is_told(tmp_path):
    """A file that was named and is not there is no reason to take the defaults."""
    with pytest.raises(CommandError, match=r"cannot read .*nowhere"):
        read(tmp_path / "nowhere.toml")


def test_lines_are_right_around_what_spans_several_lines():
    """A text over several lines may hold what looks like settings."""
    text = '[a]\nx = """\ny = 1\n[b]\n"""\ny = [\n  1,\n]\n\n[c]\nz = 1\nd.e = 2\n'
    assert locate(text) == {("a", ""): 1, ("a", "x"): 2, ("a", "y"): 6, ("c", ""): 10, ("c", "z"): 11, ("c", "d"): 12}


@given(
    st.lists(
        st.sampled_from(["", "# x = 1", "k{} = 1", "k{} = [\n 1,\n 2]", 'k{} = """\n[t]\nk = 1\n"""', "k{} = 'a#b'"])
    )
)
def test_every_key_is_found_on_the_line_where_it_is_written(statements):
    """For any mix of comments, plain values, lists and texts."""
    text = "[t]\n" + "\n".join(statement.format(number) for number, statement in enumerate(statements))
    lines = text.split("\n")
    found = locate(text)
    assert set(found) == {("t", "")} | {("t", f"k{number}") for number, one in enumerate(statements) if one[:1] == "k"}
    assert all(lines[line - 1].startswith(f"{key} =") for (_, key), line in found.items() if key)
