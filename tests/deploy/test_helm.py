"""The chart itself: lint, schema, and what is made of the configuration of other programs."""

import re
import subprocess
from pathlib import Path
from typing import Any

import helm_python
import pytest

from qscan_contracts.subjects import Service
from qscan_kit.nats_config import new_password
from qscan_spam import spamd_command
from qscan_testkit.nats_server import program
from tests.deploy.chart import CASES, CHART, NAMESPACE, environment_of, pod_of, render, values_of
from tests.deploy.house import ROOT, SERVICES, settings
from tools.deploy_files import WIRED, WIRED_EVERYWHERE, offered, password_variable

# ------------------------------------------------------------------------------------------------ the chart


@pytest.mark.parametrize("case", CASES)
def test_lint_has_nothing_to_say(case):
    """Strictly, with each set of values; an icon is only recommended."""
    report = helm_python.lint(CHART, values_of(case), strict=True, namespace=NAMESPACE)
    assert report["errors"] == []
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"]


def test_versions_are_the_members():
    """The chart installs the images of the code that it lies beside."""
    with helm_python.Chart.load(CHART) as chart:
        metadata = chart.metadata
    versions = {
        re.search(r'^version = "(.+)"$', file.read_text(), re.MULTILINE)[1]  # type: ignore[index]  # every member has one
        for file in (ROOT / "services").glob("*/pyproject.toml")
    }
    assert versions == {metadata["appVersion"]}


def test_every_value_is_in_the_schema():
    """values.yaml is valid by itself, and nothing in it is unknown to the schema; a misspelt value is refused."""
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema({})
        schema = chart.schema
        values = chart.values
    assert schema is not None
    _compare_keys(values, schema, schema["definitions"], "")
    with pytest.raises(helm_python.HelmError, match="replica"):
        render({"unpacker": {"replica": 3}})


def _compare_keys(value: Any, schema: dict[str, Any], definitions: dict[str, Any], path: str) -> None:
    schema = definitions[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    if not isinstance(value, dict) or "properties" not in schema or path.endswith(".settings"):
        return
    assert set(value) == set(schema["properties"]) - {"global"}, path
    for key, below in value.items():
        _compare_keys(below, schema["properties"][key], definitions, f"{path}.{key}")


@pytest.mark.parametrize("service", SERVICES)
def test_settings_are_offered_by_name(service):
    """`settings` takes what is in the service's class, less what the chart sets itself; wrong ones never get far."""
    key = "avGateway" if service == "av-gateway" else str(service)
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema({key: {"settings": {"log_level": "debug"}}})
        for wrong in ({"no_such_setting": 1}, {"nats_urls": "nats://elsewhere:4222"}, {"log_level": 7}):
            with pytest.raises(helm_python.HelmError):
                chart.validate_schema({key: {"settings": wrong}})
    assert not set(offered(service)) & (WIRED[service] | WIRED_EVERYWHERE)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"nats": {"maxFileStoreBytes": 1000}}, "maxFileStoreBytes must be 10512000000"),
        ({"nats": {"external": {"urls": ["nats://bus:4222"]}}}, "existingSecret"),
        ({"spam": {"replicas": 3}}, "raise spamd.maxChildren"),
        ({"spamd": {"replicas": 2}}, "persistence.enabled to false"),
        ({"avGateway": {"autoscaling": {"minReplicas": 1}}}, "minReplicas"),
        ({"listenHost": "127.0.0.1"}, "listenHost"),
    ],
)
def test_values_that_contradict_each_other_are_refused(values, told):
    """With a text that says what to do, before anything is installed."""
    with pytest.raises(helm_python.HelmError, match=told):
        render(values)


def test_fall_backs_in_templates_are_the_defaults_of_the_settings():
    """Two checks in templates need a setting's default, and cannot ask the class."""
    templates = "".join(file.read_text() for file in (CHART / "templates").iterdir())
    found = dict(re.findall(r"settings\.(\w+) \| default (\d+)", templates))
    unpacker = settings("unpacker", {})
    spam = settings("spam", {})
    assert found == {
        "events_max_bytes": str(unpacker.events_max_bytes),  # type: ignore[attr-defined]  # of the unpacker
        "mail_max_bytes": str(unpacker.mail_max_bytes),  # type: ignore[attr-defined]  # of the unpacker
        "max_in_flight": str(spam.max_in_flight),  # type: ignore[attr-defined]  # of spam
    }


# -------------------------------------------------------------------------------------------- configuration


def test_nats_server_accepts_its_configuration(rendered, tmp_path):
    """The real server reads what the chart makes of the file, with addresses and bounds of the values."""
    if rendered.values["nats"]["external"]["urls"]:
        return
    text = rendered.by_name["ConfigMap", "demo-qscan-nats"]["data"]["nats-server.conf"]
    assert f"max_file_store: {rendered.values['nats']['maxFileStoreBytes']:.0f}\n" in text
    file = tmp_path / "nats-server.conf"
    file.write_text(text.replace('"/data"', f'"{tmp_path}"'), "utf-8")
    environ = {password_variable(service): new_password() for service in Service}
    checked = subprocess.run([program(), "-t", "-c", file], env=environ, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    workload = rendered.workload("nats")
    assert set(environment_of(pod_of(workload)["containers"][0])) == set(environ)


def test_freshclam_accepts_its_configuration(shipped, tmp_path):
    """The real freshclam reads it, and it says what compose's says."""
    text = shipped.by_name["ConfigMap", "demo-qscan-clamd"]["data"]["freshclam.conf"]
    file = tmp_path / "freshclam.conf"
    file.write_text(text, "utf-8")
    read = subprocess.run(
        ["freshclam", f"--config-file={file}", "--version"], capture_output=True, text=True, check=False
    )
    assert read.returncode == 0, read.stderr
    compose = (ROOT / "deploy/clamd/freshclam.conf").read_text("utf-8").splitlines()
    assert sorted(text.splitlines()) == sorted(line for line in compose if not line.startswith("#"))


def test_clamd_has_the_configuration_of_compose(shipped):
    """The one whose alert switches the gateway proves; another address to listen on is the only difference there is."""
    text = shipped.by_name["ConfigMap", "demo-qscan-clamd"]["data"]["clamd.conf"]
    assert text.strip() == (ROOT / "deploy/clamd/clamd.conf").read_text("utf-8").strip()
    other = render({"listenHost": "::"}).by_name["ConfigMap", "demo-qscan-clamd"]["data"]["clamd.conf"]
    assert other == text.replace("TCPAddr 0.0.0.0", "TCPAddr ::")


def test_spamd_is_started_as_everywhere(shipped):
    """With the arguments of `qscan_spam.spamd_command`, as many children as the values say."""
    workload = shipped.workload("spamd")
    [container] = pod_of(workload)["containers"]
    everywhere = spamd_command.command("0.0.0.0:1783", state_dir=Path("/var/lib/spamd"), max_children=10)
    assert container["args"] == [*everywhere[1:], "--allowed-ips=0.0.0.0/0,::/0"]


def test_notes_lead_to_the_token(rendered):
    """What qscan-ingressd needs, in a command that can be copied."""
    secret = rendered.values["token"]["existingSecret"] or "demo-qscan-token"
    assert f"get secret {secret} -o go-template='{{{{.data.token | base64decode}}}}'" in rendered.notes
    assert "QSCAN_INGRESS_UNPACKER_URLS=http://demo-qscan-unpacker.mail:8080" in rendered.notes
