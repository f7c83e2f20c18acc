"""Jobs that people delete or take off their task while they run."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hack.cluster import Cluster
from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.meta import GVR
from tests.cluster.conftest import StartController, wait_established
from tests.cluster.support import kinds
from tests.cluster.support import manifests as m
from tests.cluster.support.history import Object
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
GROUP = "lost.example.com"
GADGETS = GVR(GROUP, "v1", "gadgets")
PODS = GVR("", "v1", "pods")
HELD = ["example.com/held"]
RETRY = {"maxRetries": 2, "interval": "1s"}

TAKEN_OFF: dict[str, Object] = {
    f"its label {labels.FLOW} was removed": {"labels": {labels.FLOW: None}},
    f"its label {labels.FLOW} was changed from 'a' to 'b'": {"labels": {labels.FLOW: "b"}},
    f"its label {labels.INDEX} was added to '3'": {"labels": {labels.INDEX: "3"}},
    f"its label {labels.ATTEMPT} was removed": {"labels": {labels.ATTEMPT: None}},
    f"its label {labels.WORKFLOW_UID} was changed": {"labels": {labels.WORKFLOW_UID: "u"}},
    f"its label {labels.WORKFLOW_UID} was removed": {"labels": {labels.WORKFLOW_UID: None}},
    "its owner reference to the Workflow was removed": {"ownerReferences": None},
}


def test_a_job_that_is_taken_off_its_task_is_not_waited_for_and_the_message_says_so(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(m.template("step", run_for="60s"))
    cases = dict(enumerate(TAKEN_OFF.items()))
    retry = {"maxRetries": 1, "interval": "5m"}
    for number in cases:
        world.create(m.workflow(f"w{number}", m.flow("a", retry=retry)))
    for number, (_, change) in cases.items():
        world.wait_flow(f"w{number}", "a", "Running")
        world.patch(world.job_path(f"w{number}-a"), {"metadata": change})
    for number, (says, _) in cases.items():
        flow = world.wait_flow(f"w{number}", "a", "Backoff", reason="JobDeleted")
        if "uid was removed" in says:  # the watch shows this as a deletion, so the job is looked up
            text = f"job w{number}-a was taken off"
            world.history.wait(lambda: text in world.flow(f"w{number}", "a")["message"], 30, text)  # noqa: B023
            flow = world.flow(f"w{number}", "a")
        assert f"job w{number}-a was taken off the task before it ended: {says}" in flow["message"]
        assert world.wait_job(f"w{number}-a")["metadata"].get("deletionTimestamp") is None
        selector = f"involvedObject.name=w{number},reason=TaskRetry"
        wait_event(world, selector, f"job w{number}-a was taken off the task before it ended: {says}")


def wait_event(world: World, selector: str, text: str) -> None:
    """Waits for the only Event of a kind, and compares its message."""
    path = f"/api/v1/namespaces/{world.namespace}/events?fieldSelector={selector}"
    deadline = time.monotonic() + 30
    while not (found := world.api.get(path)["items"]):
        assert time.monotonic() < deadline, f"no Event {selector}"
        time.sleep(0.2)
    assert [text in event["message"] for event in found] == [True], found


def test_the_next_attempt_of_a_job_that_was_taken_off_runs_beside_it(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(m.template("step", run_for="3s"))
    world.create(m.workflow("w", m.flow("a", retry=RETRY)))
    world.wait_flow("w", "a", "Running")
    world.patch(world.job_path("w-a"), {"metadata": {"labels": {labels.FLOW: None}}})
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert world.flow("w", "a")["attempts"] == 2


def pods() -> Object:
    """A WorkTemplate of Pods that no scheduler takes."""
    containers = [{"name": "main", "image": "busybox:1.36"}]
    spec: Object = {
        "gvr": {"group": "", "version": "v1", "resource": "pods"},
        "metadata": {"annotations": {}},
        "jobSpec": {"schedulerName": "nobody", "containers": containers},
    }
    return {"apiVersion": m.API, "kind": "WorkTemplate", "metadata": {"name": "pod"}, "spec": spec}


def ended(at: str) -> Object:
    """A container that ended at that time."""
    state: Object = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": at, "startedAt": at}}
    return {"name": "main", "image": "busybox:1.36", "imageID": "", "ready": False, "restartCount": 0, "state": state}


@pytest.fixture
def gadgets(cluster: Cluster, world: World) -> World:
    """A world with Gadgets and Pods, followed, and templates of them."""
    wait_established(cluster.api(), kinds.install(cluster.api(), m.crd(GROUP, "Gadget")))
    world.follow(f"apis/{GROUP}/v1/gadgets")
    world.follow("api/v1/pods")
    world.create_all((pods(), m.custom("gadget", GROUP, "gadgets"), m.template("step", run_for="0.1s")))
    return world


def made(world: World, gvr: GVR, name: str) -> str:
    """The path of a job once it exists, with a finalizer that holds it."""
    world.history.wait(lambda: world.history.get(gvr.resource, name), 30, f"{gvr.resource} {name}")
    path = gvr.path(world.namespace, name)
    world.patch(path, {"metadata": {"finalizers": HELD}})
    return path


def free(world: World, path: str) -> None:
    world.patch(path, {"metadata": {"finalizers": None}})


def say(world: World, path: str, phase: str, **more: Any) -> None:
    world.patch(f"{path}/status", {"status": {"phase": phase, **more}})


KINDS = {"a Pod": ("pod", PODS), "a custom resource": ("gadget", GADGETS)}


def test_a_job_that_is_deleted_is_said_to_be_deleted(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("step", run_for="60s"))
    world.create(m.workflow("w", m.flow("a", retry={"maxRetries": 1, "interval": "5m"})))
    world.wait_flow("w", "a", "Running")
    world.delete(world.job_path("w-a"))
    world.wait_flow("w", "a", "Backoff", reason="JobDeleted", message="job w-a was deleted before it ended")


@pytest.mark.parametrize(("of", "gvr"), KINDS.values(), ids=KINDS)
def test_a_job_that_ends_well_after_its_deletion_began_is_tried_again(
    gadgets: World, start_controller: StartController, of: str, gvr: GVR
) -> None:
    world = gadgets
    start_controller()
    world.create(m.workflow("w", m.flow("a", of=of, retry=RETRY), m.flow("next", "a")))
    path = made(world, gvr, "w-a")
    say(world, path, "Running")
    world.wait_flow("w", "a", "Running")
    world.delete(path)
    say(world, path, "Succeeded")
    free(world, path)
    again = made(world, gvr, "w-a-r1")
    assert world.flow("w", "next")["phase"] == "Waiting"
    say(world, again, "Succeeded")
    assert world.wait_phase("w")["phase"] == "Succeeded"
    free(world, again)
    assert world.flow("w", "a")["attempts"] == 2


def test_a_controller_that_was_away_judges_by_the_times(gadgets: World, start_controller: StartController) -> None:
    world = gadgets
    controller = start_controller()
    names = ("before", "after", "unknown")
    world.create(
        m.workflow("w", *(m.flow(name, of="pod", retry={"maxRetries": 1, "interval": "5m"}) for name in names))
    )
    paths = {name: made(world, PODS, f"w-{name}") for name in names}
    for name, path in paths.items():
        say(world, path, "Running")
        world.wait_flow("w", name, "Running")
    controller.kill()
    ends = {"before": [ended("2020-01-01T00:00:00Z")], "after": [ended("2099-01-01T00:00:00Z")], "unknown": []}
    for name, path in paths.items():
        world.delete(path)
        say(world, path, "Succeeded", containerStatuses=ends[name])
    start_controller()
    world.wait_flow("w", "before", "Succeeded")
    for path in paths.values():
        free(world, path)
    for name in ("after", "unknown"):
        world.wait_flow("w", name, "Backoff", reason="JobDeleted")
    assert world.flow("w", "before")["phase"] == "Succeeded"


def test_a_job_under_foreground_deletion_counts_as_deleted(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("step", run_for="2s"))
    world.create(m.workflow("w", m.flow("a", retry=RETRY)))
    world.wait_flow("w", "a", "Running")
    world.patch(world.job_path("w-a"), {"metadata": {"finalizers": HELD}})
    world.delete(world.job_path("w-a"), "Foreground")
    free(world, world.job_path("w-a"))
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert world.flow("w", "a")["attempts"] == 2


def test_a_job_that_had_ended_first_counts_as_it_ended(gadgets: World, start_controller: StartController) -> None:
    world = gadgets
    start_controller()
    world.create(m.workflow("w", m.flow("a", of="gadget"), m.flow("hold", of="gadget")))
    path = made(world, GADGETS, "w-a")
    say(world, path, "Succeeded")
    world.wait_flow("w", "a", "Succeeded")
    world.delete(path)
    free(world, path)
    hold = made(world, GADGETS, "w-hold")
    say(world, hold, "Succeeded")
    assert world.wait_phase("w")["phase"] == "Succeeded"
    free(world, hold)
    assert world.flow("w", "a")["attempts"] == 1
