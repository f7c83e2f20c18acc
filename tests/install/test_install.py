"""The whole installation: the image of this checkout, a node with real containers, and the manifests as they are.

Pods reach the API server at the address of the Service `kubernetes`, as on any cluster: the node of the test cluster
has that address and passes connections on (hack/cluster/containers). The API server reaches the webhook through its
Service too: it looks up the pods behind it by itself (--enable-aggregator-routing), since no kube-proxy routes the
addresses of Services.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster import Cluster
from hack.cluster.errors import ClusterError
from hack.cluster.processes import wait_until
from hack.manifests.sources import NETWORK, objects
from hack.scrape import total
from pkg.version import VERSION
from tests.install.conftest import ROOT, why_not
from tests.install.requests import Requests
from tests.network_policies import OUTSIDE, Pod, allows

MANIFESTS = ROOT / "installer" / "controller"
NAMESPACE = "workflow-system"
DEPLOYMENTS = ("workflow-controller", "workflow-webhook")


_reason = why_not()
pytestmark = [
    pytest.mark.install,
    pytest.mark.skipif(bool(_reason), reason=_reason or "an image can be built and run here"),
    pytest.mark.timeout(540),
]


def image_names() -> set[str]:
    """The images that the manifests name."""
    documents = [document for file in MANIFESTS.glob("*.yaml") for document in yaml.safe_load_all(file.read_text())]
    return {
        container["image"]
        for document in documents
        if document["kind"] == "Deployment"
        for container in document["spec"]["template"]["spec"]["containers"]
    }


@pytest.fixture(scope="module")
def cluster(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with one real node, which has the image and on which the manifests were applied."""
    with Cluster.start(tmp_path_factory.mktemp("install"), runtime="containers") as started:
        started.load_image(archive, *(f"docker.io/library/{name}" for name in image_names()))
        apply_manifests(started)
        yield started
        for name in DEPLOYMENTS:
            logs = started.kubectl("-n", NAMESPACE, "logs", "--prefix", f"--selector=app.kubernetes.io/name={name}")
            print(f"---- {name}\n{logs[-10_000:]}")
        print(started.kubectl("-n", NAMESPACE, "get", "events", "--sort-by=.lastTimestamp", check=False)[-5_000:])


def apply_manifests(cluster: Cluster) -> None:
    """`kubectl apply -f installer/controller/`, and once more if something came before what it needs."""
    try:
        cluster.kubectl("apply", f"--filename={MANIFESTS}")
    except ClusterError:
        cluster.kubectl("apply", f"--filename={MANIFESTS}")


@pytest.fixture(scope="module")
def ready(cluster: Cluster) -> Cluster:
    """The same, once every pod is Ready."""
    for name in DEPLOYMENTS:
        cluster.kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{name}", "--timeout=240s")
    return cluster


def pods(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    """The pods of a Deployment that are not being deleted."""
    found = cluster.kubectl(
        "-n", NAMESPACE, "get", "pods", f"--selector=app.kubernetes.io/name={name}", "--output=json"
    )
    return [pod for pod in json.loads(found)["items"] if "deletionTimestamp" not in pod["metadata"]]


def leader(cluster: Cluster) -> str:
    """The name of the pod that holds the Lease; empty for none."""
    path = "jsonpath={.spec.holderIdentity}"
    holder = cluster.kubectl("-n", NAMESPACE, "get", "lease", "workflow-controller", f"--output={path}", check=False)
    return holder.rpartition("_")[0]


def finish(cluster: Cluster, example: str, workflow: str) -> None:
    """Applies an example and waits until it has succeeded."""
    cluster.kubectl("apply", f"--filename={ROOT / 'examples' / f'{example}.yaml'}")
    cluster.kubectl("wait", f"workflow/{workflow}", "--for=condition=Finished", "--timeout=180s")
    assert cluster.kubectl("get", "workflow", workflow, "--output=jsonpath={.status.phase}") == "Succeeded"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_replica_is_ready(ready: Cluster, name: str) -> None:
    found = pods(ready, name)
    assert len(found) == 2
    for pod in found:
        (status,) = pod["status"]["containerStatuses"]
        assert (status["ready"], status["restartCount"]) == (True, 0)


def test_pods_are_held_to_the_restricted_standard(ready: Cluster) -> None:
    namespace = json.loads(ready.kubectl("get", "namespace", NAMESPACE, "--output=json"))
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_container_is_no_root_and_cannot_write_to_its_image(ready: Cluster, name: str) -> None:
    script = (
        "import os\n"
        "wanted = ('CapEff', 'NoNewPrivs')\n"
        "print(os.getuid(), os.getgid(), *(line for line in open('/proc/self/status') if line.startswith(wanted)))\n"
        "open('/tmp/file', 'w').close()\n"
        "try:\n    open('/opt/work-flow/file', 'w')\n"
        "except OSError as error:\n    print(error.strerror)\n"
    )
    said = ready.kubectl("-n", NAMESPACE, "exec", f"deployment/{name}", "--", "python", "-c", script)
    assert " ".join(said.split()) == "65532 65532 CapEff: 0000000000000000 NoNewPrivs: 1 Read-only file system"


def test_the_image_says_what_it_is(ready: Cluster) -> None:
    said = ready.kubectl(
        "-n", NAMESPACE, "exec", "deployment/workflow-controller", "--", "workflow-controller", "--version"
    )
    assert VERSION in said


def test_an_example_runs_to_its_end(ready: Cluster) -> None:
    finish(ready, "01-sequential", "sequential")


def test_the_webhook_is_asked_through_its_service(ready: Cluster) -> None:
    """Nothing else can have answered: with no webhook behind the Service the same request fails."""
    manifest = str(ROOT / "examples" / "02-parallel-for.yaml")
    ready.kubectl("apply", "--dry-run=server", f"--filename={manifest}")
    ready.kubectl("-n", NAMESPACE, "scale", "deployment/workflow-webhook", "--replicas=0")
    selector = "--selector=app.kubernetes.io/name=workflow-webhook"
    ready.kubectl("-n", NAMESPACE, "wait", "pods", selector, "--for=delete", "--timeout=120s")
    try:
        with pytest.raises(ClusterError, match=r"failed calling webhook .*workflow-webhook\.workflow-system\.svc"):
            ready.kubectl("apply", "--dry-run=server", f"--filename={manifest}")
    finally:
        apply_manifests(ready)
        ready.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/workflow-webhook", "--timeout=240s")
    ready.kubectl("apply", "--dry-run=server", f"--filename={manifest}")


def answered(cluster: Cluster, pod: str) -> float:
    """How many requests of the API server a replica of the webhook has answered."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics"
    return total(cluster.kubectl("get", "--raw", path), "webhook_requests_total")


def test_no_request_fails_while_the_webhooks_are_replaced_one_by_one(ready: Cluster) -> None:
    """One of two is deleted, then a rolling update ends both, while the API server asks through the Service."""
    (one, other) = (pod["metadata"]["name"] for pod in pods(ready, "workflow-webhook"))
    before = {name: answered(ready, name) for name in (one, other)}
    wait = ("-n", NAMESPACE, "rollout", "status", "deployment/workflow-webhook", "--timeout=180s")
    with Requests(ready, threads=4) as requests:
        asked = wait_until(lambda: all(answered(ready, name) > before[name] for name in before), 60, 0.5)
        assert asked, "both replicas are asked"
        together = requests.count
        ready.kubectl("-n", NAMESPACE, "delete", "pod", one)  # returns when it is gone
        ready.kubectl(*wait)
        alone = requests.count
        ready.kubectl("-n", NAMESPACE, "rollout", "restart", "deployment/workflow-webhook")
        ready.kubectl(*wait)
        # The old ones still serve for a while after the new ones are Ready.
        gone = wait_until(lambda: len(ready.kubectl(*all_webhooks(), "--output=name").split()) == 2, 60, 0.5)
    assert gone
    assert requests.failed == []
    assert requests.count > alone > together, "requests were made all the while"


def all_webhooks() -> tuple[str, ...]:
    """The arguments of kubectl that list the pods of the webhook, those that end included."""
    return ("-n", NAMESPACE, "get", "pods", "--selector=app.kubernetes.io/name=workflow-webhook")


SOCKETS = """\
import json
rows = [line.split() for name in ("tcp", "tcp6") for line in list(open("/proc/net/" + name))[1:]]
port = lambda end: int(end.rpartition(":")[2], 16)
listening = {port(row[1]) for row in rows if row[3] == "0A"}
dialled = {port(row[2]) for row in rows if row[3] == "01" and port(row[1]) not in listening}
print(json.dumps([sorted(listening), sorted(dialled)]))
"""
NEEDED = {
    "workflow-controller": {"metrics": Pod("monitoring"), "health": OUTSIDE},
    "workflow-webhook": {"metrics": Pod("monitoring"), "health": OUTSIDE, "https": OUTSIDE},
}
"""Who connects to which port: Prometheus in any namespace; the kubelet and the API server, which are no pods."""


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_network_policies_fit_the_ports_that_a_program_opens_and_dials(ready: Cluster, name: str) -> None:
    """No plugin of this cluster heeds policies, so they are evaluated."""
    policies = objects(*sorted((NETWORK / "manifests").glob("*.yaml")))
    meta = pods(ready, name)[0]["metadata"]
    (container,) = pods(ready, name)[0]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    pod = Pod(meta["namespace"], meta["labels"], ports)
    said = ready.kubectl("-n", NAMESPACE, "exec", f"pod/{meta['name']}", "--", "python", "-c", SOCKETS)
    listening, dialled = json.loads(said)
    assert listening == sorted(ports.values())
    for port_name, peer in NEEDED[name].items():
        assert allows(policies, "Ingress", pod, peer, ports[port_name]), port_name
    assert set(NEEDED[name]) == set(ports)
    assert dialled == [443], "the API server alone"
    assert allows(policies, "Egress", pod, OUTSIDE, 443)


def test_the_other_replica_takes_over_from_a_leader_that_is_killed(ready: Cluster) -> None:
    before = leader(ready)
    assert before in {pod["metadata"]["name"] for pod in pods(ready, "workflow-controller")}
    ready.kubectl("-n", NAMESPACE, "delete", "pod", before, "--grace-period=0", "--force")
    finish(ready, "03-retry", "retry")
    assert leader(ready) not in {before, ""}
    ready.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/workflow-controller", "--timeout=240s")


def test_a_second_apply_changes_nothing(ready: Cluster) -> None:
    """kubectl reports disruption budgets as configured each time; the API server stores nothing new."""

    def generations() -> list[tuple[str, int, str]]:
        found = ready.kubectl("get", f"--filename={MANIFESTS}", "--output=json")
        return [
            (item["kind"], item["metadata"].get("generation", 0), str(item.get("data", "")))
            for item in json.loads(found)["items"]
        ]

    before = generations()
    said = ready.kubectl("apply", f"--filename={MANIFESTS}")
    changed = [line for line in said.splitlines() if not line.endswith(" unchanged")]
    assert [line for line in changed if not line.startswith("poddisruptionbudget.policy/")] == []
    assert generations() == before
