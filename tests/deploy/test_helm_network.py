"""The network policies of the chart: who may talk to whom."""

from collections.abc import Iterator

import pytest

from tests.deploy.chart import RELEASE, Manifest, component_of, pod_of, render
from tests.deploy.house import SERVICES

ALLOWED = {
    "nats": {(service, 4222) for service in SERVICES},
    "clamd": {("av-gateway", 3310)},
    "spamd": {("spam", 1783)},
}
"""Who may talk to whom, and nobody else."""


def test_every_pod_has_a_policy_for_both_directions(rendered):
    """Unless the site has switched them off, of which the notes warn."""
    policies = rendered.of("NetworkPolicy")
    if not rendered.values["networkPolicy"]["enabled"]:
        assert policies == []
        assert "WARNING: networkPolicy.enabled is false" in rendered.notes
        return
    assert {component_of(one) for one in policies} == {component_of(one) for one in rendered.workloads()}
    assert all(one["spec"]["policyTypes"] == ["Ingress", "Egress"] for one in policies)
    assert all("ingress" in one["spec"] and "egress" in one["spec"] for one in policies)


def test_policies_are_the_cards(rendered):
    """What comes in at one end goes out at the other: both say the same, and it is what the design says."""
    inward: dict[str, set[tuple[str, int]]] = {}
    outward: set[tuple[str, str, int]] = set()
    for policy in rendered.of("NetworkPolicy"):
        name = component_of(policy)
        for peer, port in _peers(policy["spec"]["ingress"], "from"):
            inward.setdefault(name, set()).add((peer, port))
        outward |= {(name, peer, port) for peer, port in _peers(policy["spec"]["egress"], "to")}
    present = {component_of(one) for one in rendered.workloads()}
    if rendered.values["networkPolicy"]["enabled"]:
        assert inward == {name: peers for name, peers in ALLOWED.items() if name in present}
    assert outward == {(peer, name, port) for name, peers in inward.items() for peer, port in peers}


def _peers(rules: list[Manifest] | None, direction: str) -> Iterator[tuple[str, int]]:
    """Components of the release in rules; each rule has peers, for one without would be for everybody."""
    for rule in rules or ():
        assert rule[direction]
        assert rule["ports"]
        for peer in rule[direction]:
            labels = peer.get("podSelector", {}).get("matchLabels", {})
            if "app.kubernetes.io/component" in labels:
                assert labels["app.kubernetes.io/instance"] == RELEASE
                yield from ((labels["app.kubernetes.io/component"], entry["port"]) for entry in rule["ports"])


@pytest.mark.parametrize("service", SERVICES)
def test_pages_are_open_to_whom_the_site_names(rendered, service):
    """The intake API and /metrics, at the port where the service listens."""
    given = rendered.values["networkPolicy"]
    if not given["enabled"]:
        return
    rules = rendered.by_name["NetworkPolicy", f"demo-qscan-{service}"]["spec"]["ingress"] or []
    named = [given["intakeFrom"] if service == "unpacker" else [], given["metricsFrom"]]
    assert [rule["from"] for rule in rules] == [peers for peers in named if peers]
    [listening] = pod_of(rendered.workload(service))["containers"][0]["ports"]
    assert all(rule["ports"] == [{"protocol": "TCP", "port": listening["containerPort"]}] for rule in rules)


def test_clamd_reaches_nothing_private(shipped):
    """freshclam is in its pod, and needs the mirror; NATS, spamd and the node's own services are private addresses."""
    rules = shipped.by_name["NetworkPolicy", "demo-qscan-clamd"]["spec"]["egress"]
    blocks = [peer["ipBlock"] for rule in rules for peer in rule["to"] if "ipBlock" in peer]
    assert {block["cidr"] for block in blocks} == {"0.0.0.0/0", "::/0"}
    assert {"10.0.0.0/8", "169.254.0.0/16", "fc00::/7"} <= {one for block in blocks for one in block["except"]}
    without = render({"clamd": {"freshclam": {"enabled": False}}})
    assert without.by_name["NetworkPolicy", "demo-qscan-clamd"]["spec"]["egress"] == []
