"""Jobs and pods of other users that claim to belong to a workflow, in another namespace and in its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from hack.cluster.api import Api
from pkg.apis.flow.v1alpha1 import labels
from tests.cluster.conftest import StartController, make_world
from tests.cluster.support import manifests as m
from tests.cluster.support.audit import Audit
from tests.cluster.support.history import Object
from tests.cluster.support.world import PATIENCE, World

pytestmark = pytest.mark.cluster
RETRY = {"maxRetries": 3, "interval": "1s"}


@pytest.fixture
def elsewhere(api: Api) -> Iterator[World]:
    """A namespace that comes before every other one in a list."""
    made = make_world(api, "aa-stranger")
    yield made
    made.remove()


def pod_template(**simulated: str) -> Object:
    """Of one pod; keywords are sim.workflow.sh annotations."""
    found: Object = m.template("any", parameters=None, **simulated)["spec"]["jobSpec"]["template"]
    return found


def claim(workflow: Object, flow: str, attempt: int, name: str, *, owner: str = "", uid: str = "") -> Object:
    """Metadata that claims to be of an attempt; with `owner` or `uid` the owner reference names another one.

    The finalizer keeps the object, which the garbage collector deletes as its owner does not exist in its namespace.
    """
    meta = workflow["metadata"]
    reference = {
        "apiVersion": m.API,
        "kind": "Workflow",
        "name": owner or meta["name"],
        "uid": uid or meta["uid"],
        "controller": True,
    }
    tags = {
        labels.WORKFLOW: meta["name"],
        labels.WORKFLOW_UID: meta["uid"],
        labels.FLOW: flow,
        labels.ATTEMPT: str(attempt),
    }
    return {"name": name, "labels": tags, "ownerReferences": [reference], "finalizers": ["test.workflow.sh/held"]}


def forge(world: World, metadata: Object, ends: str = "") -> None:
    """Creates a Job that no controller of the cluster acts on; with `ends` (Complete, Failed) its status says so."""
    spec = {"backoffLimit": 0, "managedBy": "test.workflow.sh/forger", "template": pod_template()}
    world.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
    if ends:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        before = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[ends]
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now, "reason": "Forged", "message": "forged"}
            for kind in (before, ends)
        ]
        status: Object = {"startTime": now, "conditions": conditions}
        if ends == "Complete":
            status |= {"completionTime": now, "succeeded": 1}
        world.patch(f"{world.job_path(metadata['name'])}/status", {"status": status})


def release(world: World) -> None:
    """Removes the finalizers, so that the namespace can be deleted."""
    for found in world.history.latest("jobs"):
        if found["metadata"].get("finalizers"):
            world.patch(world.job_path(found["metadata"]["name"]), {"metadata": {"finalizers": None}})


def forge_claims(world: World, workflow: Object, flow: str, name: Callable[[int], str]) -> None:
    """Jobs that run, have failed and have succeeded, with attempts and owners true and false."""
    names = map(name, itertools.count())
    for attempt, ends in itertools.product((0, 1, 99), ("", "Complete", "Failed")):
        forge(world, claim(workflow, flow, attempt, next(names)), ends)
    forge(world, claim(workflow, flow, 99, next(names), owner="another"), "Failed")
    forge(world, claim(workflow, flow, 99, next(names), uid="another"), "Failed")
    forge(world, {**claim(workflow, flow, 99, next(names)), "ownerReferences": []}, "Failed")


def is_undisturbed(world: World, audit: Audit, *names: str) -> None:
    """Asserts that the controller made these jobs, each once, deleted nothing, and that the workflow Succeeded."""
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert all(count == 1 for count in world.attempts("w").values()), world.attempts("w")
    world.history.wait(
        lambda: len(audit.creations(world.namespace)) >= len(names), PATIENCE, "the creations in the audit log"
    )
    assert sorted(call.name for call in audit.creations(world.namespace)) == sorted(names)
    assert [call for call in audit.calls(world.namespace) if call.verb == "delete"] == []


def test_jobs_of_another_namespace_change_nothing(
    world: World, elsewhere: World, audit: Audit, start_controller: StartController
) -> None:
    """Neither for a running controller nor for one that starts and lists them first."""
    controller = start_controller(namespace="")
    world.create_all([m.template("step", run_for="6s"), m.template("next", run_for="0.1s")])
    made = world.create(m.workflow("w", m.flow("a", retry=RETRY), m.flow("b", "a", of="next", retry=RETRY)))
    world.wait_flow("w", "a", "Running")
    ours = ("w-a", "w-b", "w-a-r1")
    forge_claims(elsewhere, made, "a", lambda number: ours[number] if number < len(ours) else f"x{number}")
    forge_claims(elsewhere, made, "b", lambda number: f"y{number}")
    controller.kill()
    start_controller(namespace="")
    is_undisturbed(world, audit, "w-a", "w-b")
    # As the garbage collector does, the controller deletes jobs whose workflow does not exist. It writes nothing else.
    assert {call.verb for call in audit.calls(elsewhere.namespace) if call.is_write} <= {"delete"}
    release(elsewhere)


def test_jobs_of_the_own_namespace_under_other_names_change_nothing(
    world: World, audit: Audit, start_controller: StartController
) -> None:
    controller = start_controller()
    world.create_all([m.template("step", run_for="6s"), m.template("next", run_for="0.1s")])
    made = world.create(m.workflow("w", m.flow("a", retry=RETRY), m.flow("b", "a", of="next", retry=RETRY)))
    world.wait_flow("w", "a", "Running")
    forge_claims(world, made, "a", lambda number: f"w-a-x{number}")
    forge_claims(world, made, "b", lambda number: f"pretender-{number}")
    controller.kill()
    start_controller()
    is_undisturbed(world, audit, "w-a", "w-b")
    release(world)


def test_a_pod_of_another_namespace_answers_no_probe(
    world: World, elsewhere: World, audit: Audit, start_controller: StartController
) -> None:
    """The forged pods serve, the flow's own pod does not: the gate gives up."""
    start_controller(namespace="")
    world.create_all([m.template("step", run_for="forever"), m.template("next", run_for="0.1s")])
    gate = {"probe": {"httpGetList": [{"taskName": "a", "port": 8080, "periodSeconds": 1}], "failAfter": "6s"}}
    made = world.create(m.workflow("w", m.flow("a"), {**m.flow("b", of="next"), "dependsOn": gate}))
    world.wait_flow("w", "a", "Running")
    owner = world.wait_job("w-a")["metadata"]
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": "w-a", "uid": owner["uid"], "controller": True}
    tags = {**claim(made, "a", 0, "x")["labels"], labels.PROBED: "true", "batch.kubernetes.io/job-name": "w-a"}
    tags["batch.kubernetes.io/controller-uid"] = owner["uid"]
    template = pod_template(run_for="forever", serve="http:8080")
    for number in range(3):
        meta = {"name": f"x{number}", "labels": tags, "annotations": template["metadata"]["annotations"]}
        meta["ownerReferences"] = [reference] if number else []
        elsewhere.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]})
    assert world.wait_flow("w", "b", "Failed", "Succeeded", "Running", "Pending")["reason"] == "ProbeTimeout"
    assert [call.name for call in audit.creations(world.namespace)] == ["w-a"]
