"""Settings: whatever is wrong is said with its name and never with its value."""

import os
from enum import StrEnum
from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from qscan_kit.errors import SettingsError
from qscan_kit.settings import (
    AbsolutePath,
    CommaList,
    CommaSeparated,
    ServiceSettings,
    as_environment,
    environment,
    load,
    prefix,
    read_secret,
)


class Fruit(StrEnum):
    APPLE = "apple"
    PEAR = "pear"


class Settings(ServiceSettings):
    model_config = environment("test-er")

    names: CommaList = Field(("one",), description="Texts.")
    fruits: CommaSeparated[Fruit] = Field((Fruit.APPLE,), description="Words.")
    places: tuple[int, ...] = Field((), description="Not with commas: JSON.")
    directory: AbsolutePath = Field(Path("/var"), description="A path.")
    max_bytes: int = Field(10, gt=0, description="A limit.")
    careful: bool = Field(default=False, description="A switch.")
    token: SecretStr = Field(SecretStr(""), description="A secret.")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of ours, whoever runs the tests."""
    for name in os.environ:
        if name.startswith("QSCAN_"):
            monkeypatch.delenv(name)


def loaded(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> Settings:
    """The settings that these variables give."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return load(Settings)


def test_prefixes():
    """A hyphen is no character of a variable's name."""
    assert prefix("av-gateway") == "QSCAN_AV_GATEWAY_"


def test_without_variables_it_is_the_defaults():
    """Nothing has to be set that has a default."""
    assert (load(Settings).names, load(Settings).max_bytes) == (("one",), 10)


@pytest.mark.parametrize("name", ["QSCAN_TEST_ER_MAX_BYTE", "QSCAN_TEST_ER_", "QSCAN_TEST_ER_NAMES_"])
def test_a_misspelt_variable_is_refused(monkeypatch, name):
    """It is named, the known ones, too; its value is not."""
    with pytest.raises(SettingsError, match=f"unknown setting {name}: .*QSCAN_TEST_ER_MAX_BYTES") as caught:
        loaded(monkeypatch, {name: "s3cret"})
    assert "s3cret" not in str(caught.value)


def test_variables_of_others_are_ignored(monkeypatch):
    """All services of one machine may share an environment."""
    others = {"QSCAN_OTHER_X": "1", "QSCAN_TEST_X": "1", "QSCAN_DATA": "/x", "MAX_BYTES": "7"}
    assert loaded(monkeypatch, others) == load(Settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_BYTES", "s3cret"),
        ("MAX_BYTES", "0"),
        ("MAX_BYTES", ""),
        ("DIRECTORY", "s3cret/relative"),
        ("FRUITS", "apple,s3cret"),
        ("PLACES", "s3cret"),
        ("PLACES", '["s3cret"]'),
        ("LOG_LEVEL", "s3cret"),
        ("TRACE_RATIO", "1.5"),
        ("HEALTH_PORT", "65536"),
    ],
)
def test_a_wrong_value_is_told_by_the_variables_name_only(monkeypatch, name, value):
    """As it may be a secret that was put into the wrong variable."""
    with pytest.raises(SettingsError) as caught:
        loaded(monkeypatch, {f"QSCAN_TEST_ER_{name}": value})
    text = str(caught.value)
    assert "QSCAN_TEST_ER_" in text
    assert name in text.upper()
    assert "s3cret" not in text
    assert "\n" not in text


def test_every_wrong_value_is_told(monkeypatch):
    """At once, not one after the other."""
    with pytest.raises(SettingsError) as caught:
        loaded(monkeypatch, {"QSCAN_TEST_ER_MAX_BYTES": "x", "QSCAN_TEST_ER_CAREFUL": "perhaps"})
    assert {"QSCAN_TEST_ER_MAX_BYTES", "QSCAN_TEST_ER_CAREFUL"} <= set(str(caught.value).replace(":", "").split())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", ("a",)),
        ("a,b", ("a", "b")),
        (" a , b ,", ("a", "b")),
        ("", ()),
        (" , ", ()),
        ('["a", "b,c"]', ("a", "b,c")),
        ("[::1]:80,[::2]:80", ("[::1]:80", "[::2]:80")),
        ("[", ("[",)),
    ],
)
def test_lists_are_written_with_commas(monkeypatch, text, names):
    """Or as JSON."""
    assert loaded(monkeypatch, {"QSCAN_TEST_ER_NAMES": text}).names == names


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"names": ["a", "b"], "fruits": ["pear", "apple"], "careful": True, "max_bytes": 5, "directory": "/srv/größe"},
        {"names": [], "careful": False, "trace_ratio": 0.25, "trace_file": "/tmp/spans"},
        {"names": ["with, a comma", "with space"], "token": "x y"},
        {"names": ["[::1]:80"], "nats_urls": ["nats://a:1", "nats://b:2"], "health_port": 0},
    ],
)
def test_a_table_of_qscan_toml_reads_back_from_the_environment(monkeypatch, table):
    """What `qscan up`, compose and Helm hand over is what was written."""
    assert loaded(monkeypatch, as_environment("test-er", table)) == Settings.model_validate(table)


def test_settings_cannot_be_changed():
    """They are read once, at the start."""
    with pytest.raises(ValueError, match="frozen"):
        load(Settings).max_bytes = 3


def test_secrets_are_not_printed(monkeypatch):
    """Neither alone nor with all settings."""
    settings = loaded(monkeypatch, {"QSCAN_TEST_ER_TOKEN": "s3cret", "QSCAN_TEST_ER_NATS_PASSWORD": "s3cret"})
    assert "s3cret" not in f"{settings!r} {settings} {settings.token} {settings.model_dump()}"
    assert settings.token.get_secret_value() == "s3cret"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_secret_is_read_from_a_file_of_its_owner(tmp_path, mode):
    """Without the line feed that an editor adds."""
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    file.chmod(mode)
    assert read_secret(file) == "s3cret"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o601])
def test_a_secret_that_others_can_read_is_none(tmp_path, mode):
    """The text has the command that mends it."""
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    file.chmod(mode)
    with pytest.raises(SettingsError, match=f"chmod 600 {file}") as caught:
        read_secret(file)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b" \n", b"s\xff"])
def test_a_secret_that_cannot_be_one_is_refused(tmp_path, content):
    """An empty one would be open to everybody."""
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(SettingsError, match=str(file)):
        read_secret(file)


def test_a_secret_that_is_missing(tmp_path):
    """Or is a folder: the path is told."""
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(SettingsError, match=f"cannot read the secret in {path}"):
            read_secret(path)
