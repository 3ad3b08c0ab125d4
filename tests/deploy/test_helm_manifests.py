"""The manifests that come out of the chart with each of its ci/*-values.yaml.

No cluster is asked. Kubernetes' own schemas are compared with by hand; see deploy/README.md.
"""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from qscan_unpacker.settings import MEMORY_WITHOUT_SANDBOX_BYTES
from tests.deploy import strict_yaml
from tests.deploy.chart import (
    NAMESPACE,
    RELEASE,
    component_of,
    containers_of,
    environment_of,
    pod_of,
    references_of,
    render,
    selects,
)
from tests.deploy.house import ROOT, SERVICES, bytes_of, house, image_environment, names_set, others, settings
from tools.deploy_files import WIRED, WIRED_EVERYWHERE

# ------------------------------------------------------------------------------------------------ manifests


def test_all_of_the_house_is_there(rendered):
    """And clamd, spamd and NATS, unless the site has its own."""
    own = {
        "nats": not rendered.values["nats"]["external"]["urls"],
        "clamd": not rendered.values["clamd"]["externalAddresses"],
        "spamd": not rendered.values["spamd"]["externalAddress"],
    }
    expected = house() | {name for name, is_own in own.items() if is_own}
    assert {component_of(workload) for workload in rendered.workloads()} == expected


def test_manifests_are_in_the_namespace_and_told_apart(rendered):
    """Names are unique by kind, and short enough for what Kubernetes appends."""
    assert len(rendered.by_name) == len(rendered.manifests)
    for manifest in rendered.manifests:
        assert manifest["metadata"]["namespace"] == NAMESPACE
        assert len(manifest["metadata"]["name"]) <= 52
        assert manifest["metadata"]["labels"]["app.kubernetes.io/instance"] == RELEASE


def test_two_releases_do_not_meet():
    """In one namespace: nothing of one is selected by the other, nothing has the same name."""
    ours, theirs = render({}), render({}, release="other")
    assert not set(ours.by_name) & set(theirs.by_name)
    for workload in theirs.workloads():
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert not any(selects(one["spec"]["selector"], labels) for one in ours.workloads())


# ------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("service", SERVICES)
def test_settings_are_right(rendered, service):
    """The service itself reads its variables: unknown ones and wrong values are what it would refuse to start with."""
    workload = rendered.workload(service)
    [container] = pod_of(workload)["containers"]
    environ = image_environment(service) | environment_of(container)
    read = settings(service, environ)
    assert not others(service, environ)
    given = rendered.values["avGateway" if service == "av-gateway" else service]["settings"]
    for name, value in given.items():
        assert getattr(read, name) == value
    wired = names_set(service, environ) - set(given) - {"log_level", "trace_ratio"}
    assert wired <= WIRED[service] | WIRED_EVERYWHERE
    assert read.nats_urls
    assert read.trace_endpoint == rendered.values["tracing"]["endpoint"]


def test_large_numbers_stay_numbers():
    """Helm makes 1e+08 of a hundred million if it is let."""
    one = render({"unpacker": {"settings": {"max_message_bytes": 100000001, "body_timeout_s": 0.5}}})
    workload = one.workload("unpacker")
    environ = environment_of(pod_of(workload)["containers"][0])
    assert environ["QSCAN_UNPACKER_MAX_MESSAGE_BYTES"] == "100000001"
    assert environ["QSCAN_UNPACKER_BODY_TIMEOUT_S"] == "0.5"


def test_kubernetes_adds_no_variables(rendered):
    """QSCAN_UNPACKER_SERVICE_HOST and its like would be unknown settings, with which no service starts."""
    assert all(pod_of(workload)["enableServiceLinks"] is False for workload in rendered.workloads())


def test_addresses_are_of_services_in_reach(rendered):
    """Every host that a setting names is a Service of the release with that port, unless it is the site's own."""
    ports = {
        one["metadata"]["name"]: {entry["port"] for entry in one["spec"]["ports"]} for one in rendered.of("Service")
    }
    for workload in rendered.workloads():
        for container in pod_of(workload)["containers"]:
            for address in _addresses(environment_of(container)):
                host, port = address.rsplit(":", 1)
                one_of_them, _, service = host.rpartition(".")
                if service.startswith(f"{RELEASE}-qscan"):
                    assert int(port) in ports[service]
                    if one_of_them:  # of a StatefulSet behind a headless service
                        name, _, index = one_of_them.rpartition("-")
                        of = rendered.by_name["StatefulSet", name]["spec"]
                        assert int(index) < of["replicas"]
                        assert of["serviceName"] == service


def _addresses(environ: dict[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        if name.endswith(("_NATS_URLS", "_CLAMD_ADDRESSES", "QSCAN_SPAM_ADDRESS")):
            yield from (re.sub(r"^(nats://|tcp:)", "", address) for address in value.split(","))


def test_every_clamd_has_an_address_of_its_own():
    """The gateway proves each of them; behind one name it would prove whichever answers."""
    workload = render({"clamd": {"replicas": 3}}).workload("av-gateway")
    addresses = environment_of(pod_of(workload)["containers"][0])["QSCAN_AV_GATEWAY_CLAMD_ADDRESSES"].split(",")
    assert addresses == [f"tcp:demo-qscan-clamd-{index}.demo-qscan-clamd:3310" for index in range(3)]


# ---------------------------------------------------------------------------------------------- confinement


def test_pods_are_restricted(rendered):
    """Pod Security Standard «restricted»: nobody is root, can become more than he is, or write where he should not."""
    for workload in rendered.workloads():
        pod = pod_of(workload)
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["runAsGroup"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod)
        for container in containers_of(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "privileged": False,
                "readOnlyRootFilesystem": True,
            }
            assert "limits" in container["resources"]
            assert "memory" in container["resources"]["limits"]
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        for volume in pod["volumes"]:
            assert set(volume) - {"name"} < {"emptyDir", "secret", "configMap", "persistentVolumeClaim"}
            if "emptyDir" in volume:
                assert volume["emptyDir"]["sizeLimit"]


def test_memory_of_the_unpacker_is_enough_for_its_sandbox(rendered):
    """For the service and as many children as there may be; a container that takes more is ended as a whole."""
    workload = rendered.workload("unpacker")
    [container] = pod_of(workload)["containers"]
    read = settings("unpacker", image_environment("unpacker") | environment_of(container))
    most = read.most_memory_bytes  # type: ignore[attr-defined]  # unpacker's
    assert bytes_of(container["resources"]["limits"]["memory"]) >= most > MEMORY_WITHOUT_SANDBOX_BYTES


def test_no_pod_has_a_token_of_kubernetes(rendered):
    """There is one account, without rights, and nobody gets its token."""
    [account] = rendered.of("ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    for workload in rendered.workloads():
        assert pod_of(workload)["automountServiceAccountToken"] is False
        assert pod_of(workload)["serviceAccountName"] == account["metadata"]["name"]
    assert not rendered.of("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")


def test_images_are_pinned(rendered):
    """By a version; a digest is appended where one is given."""
    for workload in rendered.workloads():
        for container in containers_of(pod_of(workload)):
            assert re.search(r":\d+(\.\d+)+(-alpine)?$", container["image"])
    digest = f"sha256:{64 * 'a'}"
    pinned = render({"policy": {"digest": digest}, "clamd": {"image": {"digest": digest}}})
    for name in ("policy", "clamd"):
        workload = pinned.workload(name)
        assert pod_of(workload)["containers"][0]["image"].endswith(f"@{digest}")


def test_images_are_the_ones_of_compose(shipped):
    """The same versions are run by both."""
    compose = strict_yaml.load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    clamd, nats = shipped.workload("clamd"), shipped.workload("nats")
    assert {container["image"] for container in containers_of(pod_of(clamd))} == {compose["clamd"]["image"]}
    dockerfile = (ROOT / compose["nats"]["build"]["dockerfile"]).read_text()
    assert f"ARG NATS_IMAGE={pod_of(nats)['containers'][0]['image']}\n" in dockerfile


# --------------------------------------------------------------------------------------------------- health


@pytest.mark.parametrize("service", SERVICES)
def test_services_are_asked_the_right_questions(rendered, service):
    """Alive by /healthz, ready by /readyz, at the port where the service listens."""
    workload = rendered.workload(service)
    [container] = pod_of(workload)["containers"]
    [port] = container["ports"]
    assert container["startupProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    environ = environment_of(container)
    kind = "HTTP" if service == "unpacker" else "HEALTH"
    own = f"QSCAN_{service.upper().replace('-', '_')}_{kind}"
    assert environ[f"{own}_PORT"] == str(port["containerPort"])
    assert environ[f"{own}_HOST"] == rendered.values["listenHost"]


def test_every_container_is_watched(rendered):
    """All three probes; freshclam has none, since its failures show in the age of the signatures."""
    for workload in rendered.workloads():
        for container in pod_of(workload)["containers"]:
            probes = {name for name in container if name.endswith("Probe")}
            all_of_them = {"startupProbe", "livenessProbe", "readinessProbe"}
            assert probes == (set() if container["name"] == "freshclam" else all_of_them)


def test_clamd_has_time_to_load(shipped):
    """Ten minutes at least, and it is asked by PING."""
    workload = shipped.workload("clamd")
    clamd = pod_of(workload)["containers"][0]
    assert clamd["startupProbe"]["periodSeconds"] * clamd["startupProbe"]["failureThreshold"] >= 600
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert "--ping" in clamd[probe]["exec"]["command"]


# -------------------------------------------------------------------------------------- what refers to what


def test_selectors_select_their_own_pods_only(rendered):
    """Every selector fits exactly the pods of the component that it is named after."""
    labels = {component_of(one): one["spec"]["template"]["metadata"]["labels"] for one in rendered.workloads()}
    for manifest in rendered.manifests:
        spec = manifest.get("spec", {})
        match manifest["kind"]:
            case "Deployment" | "StatefulSet" | "PodDisruptionBudget":
                selector = spec["selector"]
            case "Service":
                selector = {"matchLabels": spec["selector"]}
            case "NetworkPolicy":
                selector = spec["podSelector"]
            case _:
                continue
        assert {name for name, own in labels.items() if selects(selector, own)} == {component_of(manifest)}


def test_ports_that_services_name_are_there(rendered):
    """A Service whose targetPort no container has would lead nowhere."""
    for service in rendered.of("Service"):
        workload = rendered.workload(component_of(service))
        names = {port["name"] for one in pod_of(workload)["containers"] for port in one.get("ports", ())}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


def test_what_pods_refer_to_exists(rendered):
    """Secrets with their keys, config maps and claims: in the release, or named by the site as its own."""
    own = {
        ("Secret", rendered.values["nats"]["existingSecret"]),
        ("Secret", rendered.values["token"]["existingSecret"]),
        ("PersistentVolumeClaim", rendered.values["archiver"]["quarantine"]["existingClaim"]),
    }
    for workload in rendered.workloads():
        pod = pod_of(workload)
        for kind, name, key in references_of(pod):
            if (kind, name) in own:
                continue
            there = rendered.by_name[kind, name]
            assert key is None or key in there["data"]
        claimed = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())}
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert not claimed & volumes
        mounted = {mount["name"] for container in containers_of(pod) for mount in container["volumeMounts"]}
        assert mounted == claimed | volumes


def test_each_service_gets_its_own_password_only(rendered):
    """nats-server gets all; the token goes to the unpacker and to nobody else."""
    for workload in rendered.workloads():
        keys = {key for kind, _, key in references_of(pod_of(workload)) if kind == "Secret"}
        component = component_of(workload)
        if component == "nats":
            assert keys == set(SERVICES)
        elif component in house():
            assert keys == ({component, "token"} if component == "unpacker" else {component})
        else:
            assert keys == set()


def test_generated_secrets_fit_nats(shipped):
    """They begin with a letter, since nats-server reads them as a piece of its configuration."""
    secret = shipped.by_name["Secret", "demo-qscan-nats"]["data"]
    values = [base64.b64decode(value).decode() for value in secret.values()]
    assert set(secret) == set(SERVICES)
    assert len(set(values)) == len(SERVICES)
    assert all(re.fullmatch(r"q[A-Za-z0-9]{63}", value) for value in values)
    assert shipped.by_name["Secret", "demo-qscan-nats"]["metadata"]["annotations"] == {
        "helm.sh/resource-policy": "keep"
    }


def test_token_is_the_unpackers_alone(shipped):
    """A secret's file belongs to root and is readable for a group; the unpacker wants one that is 0600 and its own."""
    workload = shipped.workload("unpacker")
    pod = pod_of(workload)
    [init] = pod["initContainers"]
    program_name, mode, source, target = init["command"]
    assert (program_name, mode) == ("install", "--mode=0600")
    mounts = {mount["mountPath"]: mount["name"] for mount in init["volumeMounts"]}
    assert mounts[str(Path(source).parent)] == "token-secret"
    [container] = pod["containers"]
    assert environment_of(container)["QSCAN_UNPACKER_TOKEN_FILE"] == target
    assert str(Path(target).parent) in {mount["mountPath"] for mount in container["volumeMounts"]}
    [memory] = [volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "token"]
    assert memory["medium"] == "Memory"


def test_written_paths_are_mounted(rendered):
    """The root file system is read-only, so whatever a setting lets a service write to is a volume."""
    for service, name in (("unpacker", "SPOOL_DIR"), ("archiver", "QUARANTINE_DIR")):
        workload = rendered.workload(service)
        [container] = pod_of(workload)["containers"]
        path = Path(environment_of(container)[f"QSCAN_{service.upper()}_{name}"])
        writable = {Path(mount["mountPath"]) for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert writable & {path, *path.parents}


def test_rules_reach_policy():
    """As a file that is mounted where the setting says, and pods are changed when it changes."""
    one, other = (render({"policy": {"rules": text}}) for text in ("a: 1\nb: |\n  c\n", "a: 2\n"))
    assert one.by_name["ConfigMap", "demo-qscan-policy"]["data"] == {"rules.yaml": "a: 1\nb: |\n  c\n"}
    workloads = [rendered.workload("policy") for rendered in (one, other)]
    templates = [workload["spec"]["template"] for workload in workloads]
    assert templates[0]["metadata"] != templates[1]["metadata"]
    [container] = templates[0]["spec"]["containers"]
    path = Path(environment_of(container)["QSCAN_POLICY_RULES_FILE"])
    assert path.name == "rules.yaml"
    assert str(path.parent) in {mount["mountPath"] for mount in container["volumeMounts"]}


# --------------------------------------------------------------------------------------------- availability


def test_budgets_are_for_what_there_are_several_of(rendered):
    """One pod may be away at a time; a budget for a single pod would only keep nodes from being emptied."""
    budgets = {component_of(one): one["spec"]["maxUnavailable"] for one in rendered.of("PodDisruptionBudget")}
    scaled = {component_of(one): one["spec"]["minReplicas"] for one in rendered.of("HorizontalPodAutoscaler")}
    replicas = {component_of(one): one["spec"].get("replicas") for one in rendered.workloads()} | scaled
    wanted = rendered.values["podDisruptionBudget"]["enabled"]
    assert budgets == {name: 1 for name, count in replicas.items() if wanted and count > 1}


def test_gateways_are_scaled_above_two_warm_ones(rendered):
    """And nobody but the autoscaler says how many there are."""
    scalers = rendered.of("HorizontalPodAutoscaler")
    gateway = rendered.workload("av-gateway")
    assert (
        bool(scalers) == rendered.values["avGateway"]["autoscaling"]["enabled"] == ("replicas" not in gateway["spec"])
    )
    for scaler in scalers:
        assert 2 <= scaler["spec"]["minReplicas"] <= scaler["spec"]["maxReplicas"]
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in rendered.by_name


def test_who_owns_a_claim_is_alone(rendered):
    """A second pod could not mount it, so the first has to go before."""
    for workload in rendered.of("Deployment"):
        if any("persistentVolumeClaim" in volume for volume in pod_of(workload)["volumes"]):
            assert workload["spec"]["replicas"] == 1
            assert workload["spec"]["strategy"] == {"type": "Recreate"}
