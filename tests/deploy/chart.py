"""The chart as Helm's own library (helm-python-sdk) renders it, and how to find one's way in what comes out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import helm_python

from tests.deploy import strict_yaml
from tests.deploy.house import ROOT

CHART = ROOT / "deploy/helm/qscan"
CASES = sorted(file.name.removesuffix("-values.yaml") for file in (CHART / "ci").glob("*-values.yaml"))
NAMESPACE = "mail"
RELEASE = "demo"

Manifest = dict[str, Any]


@dataclass
class Rendered:
    """All manifests of one set of values."""

    values: dict[str, Any]
    manifests: list[Manifest]
    notes: str
    by_name: dict[tuple[str, str], Manifest] = field(init=False)

    def __post_init__(self) -> None:
        self.by_name = {(one["kind"], one["metadata"]["name"]): one for one in self.manifests}

    def of(self, *kinds: str) -> list[Manifest]:
        """The manifests of some kinds."""
        return [one for one in self.manifests if one["kind"] in kinds]

    def workloads(self) -> list[Manifest]:
        """Everything that makes pods."""
        return self.of("Deployment", "StatefulSet")

    def workload(self, component: str) -> Manifest:
        """The workload of a component. Raises ValueError when there is not exactly one."""
        [found] = [one for one in self.workloads() if component_of(one) == component]
        return found


def values_of(case: str) -> dict[str, Any]:
    """The values of ci/CASE-values.yaml."""
    return helm_python.values_from_yaml((CHART / f"ci/{case}-values.yaml").read_text("utf-8"))


def render(given: dict[str, Any], release: str = RELEASE) -> Rendered:
    """Render the chart. Raises helm_python.HelmError where Helm would refuse to."""
    with helm_python.Chart.load(CHART) as chart:
        texts = chart.render(given, name=release, namespace=NAMESPACE)
        merged = chart.merge_values(given)
    manifests = [one for name, text in texts.items() if name.endswith(".yaml") for one in strict_yaml.load_all(text)]
    [notes] = [text for name, text in texts.items() if name.endswith("NOTES.txt")]
    return Rendered(merged, manifests, notes)


def component_of(manifest: Manifest) -> str:
    """Whose manifest it is."""
    return str(manifest["metadata"]["labels"]["app.kubernetes.io/component"])


def pod_of(workload: Manifest) -> Manifest:
    """The pod that a workload makes."""
    made: Manifest = workload["spec"]["template"]["spec"]
    return made


def containers_of(pod: Manifest) -> list[Manifest]:
    """All containers of a pod, those that run first included."""
    return [*pod.get("initContainers", ()), *pod["containers"]]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a selector fits; all of ours are matchLabels."""
    assert set(selector) <= {"matchLabels"}
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def environment_of(container: Manifest) -> dict[str, str]:
    """The variables of a container; those from secrets have a value that stands for it."""
    names = [entry["name"] for entry in container.get("env", ())]
    assert len(names) == len(set(names))
    return {entry["name"]: entry.get("value", "qSecret") for entry in container.get("env", ())}


def references_of(pod: Manifest) -> Iterator[tuple[str, str, str | None]]:
    """What a pod refers to by name: (kind, name, key or None)."""
    for container in containers_of(pod):
        for entry in container.get("env", ()):
            if "valueFrom" in entry:
                yield "Secret", entry["valueFrom"]["secretKeyRef"]["name"], entry["valueFrom"]["secretKeyRef"]["key"]
    for volume in pod["volumes"]:
        match volume:
            case {"secret": {"secretName": name, "items": items}}:
                yield from (("Secret", name, item["key"]) for item in items)
            case {"configMap": {"name": name}}:
                yield "ConfigMap", name, None
            case {"persistentVolumeClaim": {"claimName": name}}:
                yield "PersistentVolumeClaim", name, None
            case _:
                pass
