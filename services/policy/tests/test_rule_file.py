"""The rule file: what is read, and what is said of one that is wrong."""

import re

import pytest

from qscan_contracts.vocabulary import ActionKind
from qscan_kit.errors import SettingsError
from qscan_policy.adapters import rule_file
from qscan_policy.adapters.rule_file import parse_rules
from qscan_policy.domain.actions import NOT_DONE_YET
from qscan_policy.domain.rules import RuleSet
from qscan_policy.schema import rule_file_schema

SHIPPED = rule_file.shipped().decode()


def changed(old: str, new: str) -> str:
    """The shipped file with one thing changed, which must be there."""
    assert old in SHIPPED
    return SHIPPED.replace(old, new, 1)


def place_of(text: str, needle: str) -> str:
    """``line:column`` of the first occurrence, counted from 1."""
    before = text[: text.index(needle)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def error_of(text: str | bytes) -> str:
    """What is said of a file that is wrong."""
    with pytest.raises(SettingsError) as caught:
        parse_rules(text if isinstance(text, bytes) else text.encode(), "rules.yaml")
    return str(caught.value)


def rules_of(entries: str) -> RuleSet:
    """The shipped decisions with these rules."""
    decisions = SHIPPED[SHIPPED.index("decisions:") :]
    return parse_rules(f"version: 1\nrules:\n{entries}\n{decisions}".encode(), "rules.yaml").rules


EICAR_WHEN = "attachment: {name: Eicar.com, size: 68}"
OFF_LINE = '    - {pattern: "*", hides_content: false, action: log}\n'
BUSY_LINE = "    busy: {kind: defer, text: virus scanner is busy}\n"


@pytest.mark.parametrize(
    ("text", "needle", "says"),
    [
        pytest.param(changed("com, size: 68", "com, size: 68b"), "size: 68b", "<", id="size"),
        pytest.param(
            changed("com, size: 68", "com, sise: 68"), "sise", "there is no sise here: correct or remove it", id="key"
        ),
        pytest.param(changed("busy:", "buzy:"), "buzy:", "there is no buzy here: correct or remove it", id="reason"),
        pytest.param(changed(BUSY_LINE, ""), "unscanned:", "no action for busy: add a line", id="missing reason"),
        pytest.param(changed(OFF_LINE, ""), "defects:", "does not hide content may meet no row", id="missing row"),
        pytest.param(
            changed('- {pattern: "*", role: dlp', '- {pattern: "x*", role: dlp'),
            "signatures:",
            "engine of role dlp may meet no row",
            id="missing role",
        ),
        pytest.param(
            changed("{kind: defer, text: virus scanner failed}", "log"),
            "engine_failed: log",
            "use defer, or reject",
            id="rider",
        ),
        pytest.param(
            changed("{kind: defer, text: virus scanner failed}", "hold"),
            "engine_failed: hold",
            "use defer, or reject",
            id="hold, which would never be done",
        ),
        pytest.param(
            changed("header.after_blank_line", "header.after_blanks"),
            "pattern: header.after_blanks",
            "no defect",
            id="defect",
        ),
        pytest.param(
            changed("header.after_blank_line,", "header.after_blank_line, hides_content: false,"),
            "hides_content: false",
            "different for every defect",
            id="flag",
        ),
        pytest.param(
            changed("executable-script", "eicar-test-file"),
            "id: eicar-test-file\n    description: Script",
            "another",
            id="id",
        ),
        pytest.param(changed("version: 1", "version: 2"), "version: 2", "2", id="version"),
        pytest.param(changed("version: 1", "version: 1\nversion: 1"), "version: 1\n\n", "given twice", id="twice"),
        pytest.param(
            changed(EICAR_WHEN, "header: {field: Subject, matches: '(a'}"), "matches: '(a", "missing )", id="expression"
        ),
        pytest.param(changed(EICAR_WHEN, "attachment: {}"), "attachment: {}", "at least one of name", id="empty"),
        pytest.param(changed(EICAR_WHEN, "attachment: {extension: .}"), "attachment: {ext", "only dots", id="dot"),
        pytest.param(changed("over_required: 0,", ""), "{ action: {kind: tag, sub", "either over_required", id="score"),
        pytest.param(
            changed(
                "      - {over_required: 0,", "      - {over_required: 0, action: log}\n      - {over_required: 3,"
            ),
            "{over_required: 3",
            "put this before it",
            id="score order",
        ),
        pytest.param(changed("version: 1", "version: [1"), "rules:", "expected", id="yaml"),
        pytest.param(changed("version: 1", "version: &a 1\nother: *a"), "other:", "alias", id="alias"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, needle, says):
    """File, line and column of the key, and what to do."""
    message = error_of(text)
    assert message.startswith(f"rules.yaml:{place_of(text, needle)}: "), message
    assert says in message


def test_everything_that_is_wrong_is_told_at_once():
    """Mending a file is one round, not one for each mistake."""
    text = changed(BUSY_LINE, "").replace("Eicar.com, size: 68", "., size: 68")
    assert len(error_of(text).splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "rules.yaml:1:1: the file is empty"),
        (b"# only a comment\n", "rules.yaml:1:1: the file is empty"),
        (b"version: 1\n# caf\xe9\n", "rules.yaml:2: not UTF-8"),
        (b"version: 1\n", "rules.yaml:1:1: top: Object missing required field `decisions`"),
        (b"- 1\n", "rules.yaml:1:1: top: Expected `object`, got `array`"),
        (b"[" * 100_000, "rules.yaml:1:1: nested too deeply"),
        (b"version: !!python/object:os.system 1\n", "rules.yaml:1:10: could not determine a constructor"),
        (b"a: \x00", "rules.yaml:1:1: "),
        (b"version: !!int abc\n", "rules.yaml:1:1: "),
    ],
)
def test_a_file_that_is_none_is_an_error(content, says):
    """Nothing that is in a file makes policy fail in another way."""
    assert error_of(content).startswith(says)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    """The text names the file and the cause."""
    with pytest.raises(SettingsError, match=r"rules.yaml: No such file"):
        rule_file.load(tmp_path / "rules.yaml")
    with pytest.raises(SettingsError, match="cannot read"):
        rule_file.load(tmp_path)


def test_a_site_file_is_read_from_disk(tmp_path):
    """A copy of the shipped file has the version of the shipped file, and its own name."""
    path = tmp_path / "rules.yaml"
    path.write_bytes(rule_file.shipped())
    loaded, shipped = rule_file.load(path), rule_file.load(None)
    assert loaded.version == shipped.version
    assert loaded.origin == str(path)


def test_the_version_follows_the_content():
    """Twelve hexadecimal digits, another for each other file."""
    version = rule_file.rules_version(rule_file.shipped())
    assert re.fullmatch("[0-9a-f]{12}", version)
    assert rule_file.rules_version(rule_file.shipped() + b"\n") != version


def test_off_is_a_word():
    """YAML 1.1 would make a boolean of it, and an error or a surprise of the rule."""
    rules = rules_of("  - {id: a, description: x, when: {attachment: {extension: exe}}, action: off}")
    assert rules.rules == ()


@pytest.mark.parametrize("word", ["no", "yes", "on", "1:30", "0x10", "2024-01-01", "1e3", "<<"])
def test_words_that_yaml_1_1_would_change_stay_words(word):
    """A file called `no` or `on` can be named without quotes."""
    (rule,) = rules_of(f"  - {{id: a, description: x, when: {{attachment: {{name: {word}}}}}, action: log}}").rules
    assert rule.attachment is not None
    assert rule.attachment.names == frozenset([word])


ACTIONS = {
    ActionKind.TAG: "{kind: tag, subject_tag: '[X] ', header_fields: {X-A: b}}",
    ActionKind.REJECT: "{kind: reject, text: no programs please}",
    ActionKind.HOLD: "{kind: hold, quarantine_class: policy}",
}


@pytest.mark.parametrize("kind", sorted(set(ActionKind) - NOT_DONE_YET - {ActionKind.OFF}))
def test_every_action_can_be_written(kind):
    """As a bare name or with its particulars."""
    entry = ACTIONS.get(kind, kind.value)
    (rule,) = rules_of(
        f"  - {{id: a, description: x, when: {{attachment: {{extension: exe}}}}, action: {entry}}}"
    ).rules
    assert rule.action.kind is kind


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("tag", "tag needs"),
        ("{kind: tag}", "tag needs"),
        ("redirect", "redirect needs"),
        ("{kind: redirect, redirect_to: nobody}", "redirect needs"),
        ("{kind: redirect, redirect_to: 'a@b c@d'}", "redirect needs"),
        ("{kind: log, text: x}", "text has no meaning"),
        ("{kind: reject, redirect_to: a@b.c}", "redirect_to has no meaning"),
        ("{kind: reject, text: 'schön'}", "printable ASCII"),
        ('{kind: reject, text: "a\\r\\nb"}', "printable ASCII"),
        (f"{{kind: reject, text: '{'x' * 201}'}}", "at most 200"),
        ('{kind: tag, subject_tag: "a\\nBcc: x"}', "printable ASCII"),
        ('{kind: tag, header_fields: {X-A: "a\\nBcc: x"}}', "printable ASCII"),
        ('{kind: tag, header_fields: {"X-A: b\\nBcc": x}}', "matching regex"),
        ('{kind: tag, header_fields: {"X-A\\n": x}}', "matching regex"),
        ("{kind: explode}", "explode"),
        ("{kind: redirect, redirect_to: a@example.com}", "redirect is not done"),
        *((kind.value, f"{kind} is not done by this version") for kind in sorted(NOT_DONE_YET)),
    ],
)
def test_an_action_that_could_do_harm_or_nothing_is_refused(entry, says):
    """No line break gets into a header or an answer of SMTP, and no particular is silently ignored."""
    with pytest.raises(SettingsError, match=re.escape(says)):
        rules_of(f"  - {{id: a, description: x, when: {{attachment: {{extension: exe}}}}, action: {entry}}}")


def test_the_schema_describes_the_file():
    """For editors: every block is closed against unknown keys, and the top asks for what must be there."""
    schema = rule_file_schema()
    definitions = schema["$defs"]
    assert definitions["RuleFile"]["required"] == ["version", "decisions"]
    assert all(one["additionalProperties"] is False for one in definitions.values() if "properties" in one)
