"""Outputs from the termination messages of pods with roles, and of pods that are late. The tests act as the operator:
they make the pods of a job, and say how it and they ended.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

from hack.cluster.api import Api, ApiStatusError
from tests.cluster.conftest import CRDS, StartController, wait_established
from tests.cluster.support import manifests as m
from tests.cluster.support.history import Object
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
GVR: Object = {"group": "kubeflow.org", "version": "v1", "resource": "pytorchjobs"}
ROLE = "training.kubeflow.org/replica-type"
POD: Object = {"containers": [{"name": "main", "image": "busybox:1.36"}]}
TEMPLATE: Object = {
    "apiVersion": m.API,
    "kind": "WorkTemplate",
    "metadata": {"name": "train"},
    "spec": {
        "gvr": GVR,
        "jobSpec": {"pytorchReplicaSpecs": {role: {"template": {"spec": POD}} for role in ("Master", "Worker")}},
    },
}


@pytest.fixture
def world_with_kind(api: Api, world: World) -> World:
    crd = m.crd("kubeflow.org", "PyTorchJob")
    with contextlib.suppress(ApiStatusError):  # another test has made it
        api.request("POST", CRDS, crd)
    wait_established(api, crd["metadata"]["name"])
    world.follow("apis/kubeflow.org/v1/pytorchjobs")
    world.create(TEMPLATE)
    world.create(m.template("step", run_for="0.1s"))
    return world


def succeed(world: World, name: str) -> Object:
    """The operator says that the job has succeeded."""
    world.history.wait(lambda: world.history.get("pytorchjobs", name) is not None, 60, f"the job {name}")
    job = world.history.get("pytorchjobs", name)
    assert job is not None
    path = f"/apis/kubeflow.org/v1/namespaces/{world.namespace}/pytorchjobs/{name}/status"
    world.patch(path, {"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "Done"}]}})
    return job


def pod_of(world: World, job: Object, role: str) -> str:
    """The path of a new pod of the job, which no node runs; the labels are those that the operator takes over."""
    template = job["spec"]["pytorchReplicaSpecs"][role]["template"]
    name, owner = f"{job['metadata']['name']}-{role.lower()}-0", job["metadata"]
    reference = {"apiVersion": job["apiVersion"], "kind": job["kind"], "name": owner["name"], "uid": owner["uid"]}
    metadata = {
        "name": name,
        "labels": {**template["metadata"]["labels"], ROLE: role.lower()},
        "ownerReferences": [{**reference, "controller": True}],
    }
    spec = {**POD, "schedulerName": "nobody"}
    world.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    return f"/api/v1/namespaces/{world.namespace}/pods/{name}/status"


def end(world: World, pod: str, message: str) -> None:
    terminated = {"exitCode": 0, "message": message, "startedAt": None, "finishedAt": None}
    state: dict[str, Any] = {"name": "main", "image": "", "imageID": "", "ready": False, "restartCount": 0}
    state["state"] = {"terminated": terminated}
    world.patch(pod, {"status": {"phase": "Succeeded", "containerStatuses": [state]}})


def test_the_lead_pod_is_read_unless_a_role_names_another(
    world_with_kind: World, start_controller: StartController
) -> None:
    world = world_with_kind
    start_controller()
    worker = {"terminationMessage": {"role": "Worker", "container": "main"}}
    outputs = [{"name": "lead", "from": {"terminationMessage": {}}}, {"name": "worker", "from": worker}]
    world.create(m.workflow("w", m.flow("a", of="train", outputs=outputs)))
    job = succeed(world, "w-a")
    pods = {role: pod_of(world, job, role) for role in ("Master", "Worker")}
    for role in ("Worker", "Master"):
        end(world, pods[role], f"from the {role.lower()}\n")
    assert world.wait_phase("w")["phase"] == "Succeeded"
    found = {one["name"]: one["value"] for one in world.flow("w", "a")["outputs"]}
    assert found == {"lead": "from the master", "worker": "from the worker"}


def test_a_message_is_waited_for_30_seconds_and_the_task_is_running_meanwhile(
    world_with_kind: World, start_controller: StartController
) -> None:
    """One pod shows its end late, and another never: then the default counts, or the value is missing."""
    world = world_with_kind
    start_controller()
    plain: Object = {"name": "x", "from": {"terminationMessage": {}}}
    world.create(m.workflow("late", m.flow("a", of="train", outputs=[plain]), m.flow("b", "a")))
    world.create(m.workflow("never", m.flow("a", of="train", outputs=[plain], timeout="5s"), m.flow("b", "a")))
    world.create(m.workflow("default", m.flow("a", of="train", outputs=[{**plain, "default": "none"}])))
    names = ("late", "never", "default")
    jobs = {name: succeed(world, f"{name}-a") for name in names}
    since = time.monotonic()
    pods = {name: pod_of(world, jobs[name], "Master") for name in names}
    for name in names:
        found = world.wait_flow(name, "a", "Running", reason="WaitingForOutput")
        assert "output" in found["message"]
        assert world.flow(name, "b").get("phase", "Waiting") == "Waiting"
    assert time.monotonic() - since < 25, "too slow to say anything"
    end(world, pods["late"], "in time")
    assert world.wait_phase("late")["phase"] == "Succeeded"
    assert [one["value"] for one in world.flow("late", "a")["outputs"]] == ["in time"]
    assert world.flow("never", "a")["phase"] == "Running"
    assert world.wait_phase("never")["phase"] == "Failed"
    assert time.monotonic() - since >= 29.0
    missing = world.flow("never", "a")
    assert missing["reason"] == "OutputMissing", "its timeout of 5 s does not run while the message is waited for"
    assert "the first container of pod never-a-master-0 did not show its end within 30s" in missing["message"]
    assert world.wait_phase("default")["phase"] == "Succeeded"
    assert [one["value"] for one in world.flow("default", "a")["outputs"]] == ["none"]
