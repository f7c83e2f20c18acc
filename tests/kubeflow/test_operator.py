"""Training jobs of the real Kubeflow operator, which creates the pods and writes the status that we read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.cluster import Cluster, exit_on_sigterm
from hack.kubeflow import TrainingOperator, ensure
from pkg.apis.meta import GVR
from tests.cluster.conftest import StartController, install_crds, make_world, start_controller, wait_established
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import API, flow, workflow
from tests.cluster.support.world import World
from tests.unit.examples.loading import load

pytestmark = pytest.mark.kubeflow
__all__ = ["start_controller"]
KINDS = ("pytorchjobs", "tfjobs", "mpijobs", "paddlejobs", "xgboostjobs")
FIELDS = {
    "pytorchjobs": ("pytorchReplicaSpecs", "Master", "pytorch"),
    "tfjobs": ("tfReplicaSpecs", "Chief", "tensorflow"),
    "mpijobs": ("mpiReplicaSpecs", "Launcher", "mpi"),
    "paddlejobs": ("paddleReplicaSpecs", "Master", "paddle"),
    "xgboostjobs": ("xgbReplicaSpecs", "Master", "xgboost"),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with the operator running."""
    ensure()
    folder = tmp_path_factory.mktemp("kubeflow")
    with exit_on_sigterm(), Cluster.start(folder) as started:
        install_crds(started.api())
        with TrainingOperator(started.kubeconfig, started.logs / "training-operator.log"):
            for kind in KINDS:
                wait_established(started.api(), f"{kind}.kubeflow.org")
            yield started


@pytest.fixture
def kubeconfig(cluster: Cluster) -> Path:
    return cluster.kubeconfig


@pytest.fixture
def world(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[World]:
    made = make_world(cluster.api(), str(request.node.name))
    yield made
    made.remove()


@pytest.fixture
def make(world: World) -> Callable[..., None]:
    """Creates a WorkTemplate of a kind: a lead and workers, with annotations for their simulated pods."""

    def create(name: str, resource: str, *, workers: int = 1, lead: Object, worker: Object) -> None:
        field, role, container = FIELDS[resource]

        def replica(count: int, notes: Object) -> Object:
            annotations = {f"sim.workflow.sh/{key}": value for key, value in notes.items()}
            pod = {"containers": [{"name": container, "image": "busybox:1.36"}]}
            template = {"metadata": {"annotations": annotations}, "spec": pod}
            return {"replicas": count, "restartPolicy": "Never", "template": template}

        spec = {
            "runPolicy": {"cleanPodPolicy": "All"},
            field: {role: replica(1, lead), "Worker": replica(workers, worker)},
        }
        gvr = {"group": "kubeflow.org", "version": "v1", "resource": resource}
        world.create(
            {
                "apiVersion": API,
                "kind": "WorkTemplate",
                "metadata": {"name": name},
                "spec": {"gvr": gvr, "jobSpec": spec},
            }
        )

    return create


def pods(world: World, flow: str) -> list[Object]:
    path = GVR("", "v1", "pods").path(world.namespace)
    found: list[Object] = world.api.get(f"{path}?labelSelector=flow.workflow.sh/flow={flow}")["items"]
    return found


def test_five_frameworks_run_side_by_side_and_the_operator_makes_their_pods(
    world: World, make: Callable[..., None], start_controller: StartController
) -> None:
    for resource in KINDS:
        make(resource, resource, workers=2, lead={"run-for": "5s"}, worker={"run-for": "5s"})
    start_controller()
    world.create(workflow("all", *(flow(resource, of=resource) for resource in KINDS)))
    for resource in KINDS:
        world.wait_flow("all", resource, "Running", "Succeeded")
        deadline = time.monotonic() + 20
        while len(found := pods(world, resource)) < 3:
            assert time.monotonic() < deadline, f"{resource}: a lead and two workers, not {len(found)} pods"
            time.sleep(0.05)
        for pod in found:
            env = {item["name"]: item.get("value") for item in pod["spec"]["containers"][0]["env"]}
            assert env["WORKFLOW_FLOW"] == resource
    assert world.wait_phase("all")["phase"] == "Succeeded"
    assert world.attempts("all") == dict.fromkeys(KINDS, 1)


def test_the_example_of_the_family_ends_as_it_announces(world: World, start_controller: StartController) -> None:
    start_controller()
    example = load("kubeflow")
    world.create_all(example.documents)
    world.wait_phase("kubeflow")
    assert world.phases("kubeflow") == example.expected["flows"]
    assert world.attempts("kubeflow") == example.expected["attempts"]


def test_workers_wait_until_every_master_answers(
    world: World, make: Callable[..., None], start_controller: StartController
) -> None:
    """A pair of flows: two masters with a server each, and workers that begin once a probe has passed on both."""
    make("masters", "pytorchjobs", lead={"run-for": "15s", "serve": "tcp:7000"}, worker={"run-for": "15s"})
    make("workers", "pytorchjobs", lead={"run-for": "1s"}, worker={"run-for": "1s"})
    start_controller()
    gate = {"probe": {"tcpSocketList": [{"taskName": "masters", "port": 7000}], "periodSeconds": 1, "role": "master"}}
    twice = {"for": {"replicas": 2}}
    workers = flow("workers", of="workers", dependsOn=gate) | twice
    world.create(workflow("pair", flow("masters", of="masters") | twice, workers))
    world.wait_flow("pair", "workers", "Running", "Succeeded")
    leads = [
        pod
        for pod in pods(world, "masters")
        if pod["metadata"]["labels"].get("training.kubeflow.org/replica-type") == "master"
    ]
    assert len(leads) == 2
    assert all(pod["status"]["phase"] == "Running" for pod in leads), "both masters ran when the workers began"
    assert world.wait_phase("pair")["phase"] == "Succeeded"


def test_a_failing_worker_fails_the_attempt_and_a_retry_makes_a_new_job(
    world: World, make: Callable[..., None], start_controller: StartController
) -> None:
    make("train", "pytorchjobs", lead={"run-for": "6s"}, worker={"run-for": "1s", "fail-until-attempt": "1"})
    start_controller()
    world.create(workflow("again", flow("train", of="train", retry={"maxRetries": 2, "interval": "500ms"})))
    assert world.wait_phase("again")["phase"] == "Succeeded"
    assert world.attempts("again") == {"train": 2}
    path = GVR("kubeflow.org", "v1", "pytorchjobs").path(world.namespace)
    names = sorted(job["metadata"]["name"] for job in world.api.get(path)["items"])
    assert names == ["again-train", "again-train-r1"]
