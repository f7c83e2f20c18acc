"""The controller's memory in status: of an older controller, and of attempts of another kind than the first."""

from __future__ import annotations

import msgspec
import pytest

from hack.cluster import Cluster
from pkg.apis.flow.v1alpha1.types import WorkflowStatus
from pkg.apis.meta import GVR
from tests.builders import as_older
from tests.cluster.conftest import StartController, wait_established
from tests.cluster.support import kinds
from tests.cluster.support import manifests as m
from tests.cluster.support.history import Object
from tests.cluster.support.world import World, no_attempt_twice

pytestmark = pytest.mark.cluster
GROUP = "record.example.com"
GADGETS = GVR(GROUP, "v1", "gadgets")


def write_as_older(world: World, name: str) -> Object:
    """Writes the status of a workflow as a controller before `status.record` did; returns it."""
    now = world.status(name)
    older: Object = msgspec.to_builtins(as_older(msgspec.convert(now, WorkflowStatus)))
    world.patch(f"{world.workflow_path(name)}/status", {"status": {**older, "record": None}})
    world.history.wait(lambda: "record" not in world.status(name), 30, "the older status")
    return older


def test_a_status_of_an_older_controller_is_moved_and_the_workflow_goes_on(
    world: World, start_controller: StartController
) -> None:
    controller = start_controller()
    world.create_all((m.template("step", run_for="0.1s"), m.template("long", run_for="15s")))
    world.create(m.template("bad", run_for="0.1s", exit_code="3"))
    taken = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "w-taken", "labels": {}}}
    pod = m.template("x")["spec"]["jobSpec"] | {"suspend": True}
    world.create({**taken, "spec": pod})
    flows = [
        {**m.flow("long", of="long"), "for": {"replicas": 2}},
        m.flow("taken"),
        m.flow("again", of="bad", retry={"maxRetries": 1, "interval": "1s"}, continueOnFail=True),
        m.flow("last", "long taken again"),
    ]
    world.create(m.workflow("w", *flows, timeout="10m"))
    for suspend in (True, False):
        world.patch(world.workflow_path("w"), {"spec": {"suspend": suspend}})
        world.wait_phase("w", ["Suspended" if suspend else "Running"])
    world.wait_flow("w", "again", "Failed")
    world.wait_flow("w", "taken", "Succeeded")
    world.wait_flow("w", "long", "Running")
    controller.kill()
    record = world.status("w")["record"]
    older = write_as_older(world, "w")
    assert {"specHash", "suspendedSeconds"} <= older.keys()
    assert {"gvr", "renamed"} <= next(flow for flow in older["flows"] if flow["name"] == "taken").keys()
    assert next(flow for flow in older["flows"] if flow["name"] == "again")["kept"]
    start_controller()
    world.history.wait(lambda: "record" in world.status("w"), 30, "the record")
    moved = world.status("w")
    assert moved["record"] == record
    assert not {"specHash", "suspendedSeconds"} & moved.keys()
    assert not any({"gvr", "renamed", "kept"} & flow.keys() for flow in moved["flows"])
    end = world.wait_phase("w")
    assert (end["phase"], end["progress"], end["record"]["suspendedSeconds"]) == (
        "Succeeded",
        "5/5",
        record["suspendedSeconds"],
    )
    assert world.attempts("w") == {"long": 1, "taken": 1, "again": 2, "last": 1}
    no_attempt_twice(world)


def test_a_restart_that_an_older_controller_carried_out_is_not_carried_out_again(
    world: World, start_controller: StartController
) -> None:
    controller = start_controller()
    world.create(m.template("step", run_for="0.1s"))
    world.create(m.workflow("w", m.flow("a"), m.flow("b")))
    world.wait_phase("w")
    world.patch(world.workflow_path("w"), {"spec": {"restart": {"at": "1", "flows": ["b"]}}})
    world.wait_flow("w", "b", "Succeeded", attempts=2)
    world.wait_phase("w", ["Succeeded"])
    controller.kill()
    older = write_as_older(world, "w")
    assert (older["restartedAt"], older["restartedFlows"]) == ("1", "1")
    start_controller()
    world.create(m.workflow("other", m.flow("a")))
    assert world.wait_phase("other")["phase"] == "Succeeded"
    assert world.status("w")["restartedAt"] == "1", "after the end nothing is written"
    world.patch(world.workflow_path("w"), {"spec": {"restart": {"at": "2", "flows": ["a"]}}})
    world.wait_flow("w", "a", "Succeeded", attempts=2)
    end = world.wait_phase("w", ["Succeeded"])
    assert (end["record"]["restartedAt"], end["record"]["restartedFlows"]) == ("2", "0")
    assert "restartedAt" not in end
    assert world.attempts("w") == {"a": 2, "b": 2}


def test_a_template_changes_its_kind_and_the_controller_restarts(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    """The template gets its first kind back, so that the cache of that kind is complete first."""
    wait_established(cluster.api(), kinds.install(cluster.api(), m.crd(GROUP, "Gadget")))
    world.follow(f"apis/{GROUP}/v1/gadgets")
    controller = start_controller()
    world.create(m.template("step", run_for="0.1s", exit_code="3"))
    retry = {"maxRetries": 2, "interval": "3s"}
    names = [f"f{number}" for number in range(8)]
    world.create(m.workflow("w", *(m.flow(name, retry=retry) for name in names)))
    world.wait_flow("w", "f0", "Backoff")
    gvr = {"group": GROUP, "version": "v1", "resource": "gadgets"}
    path = f"/apis/{m.API}/namespaces/{world.namespace}/worktemplates/step"
    world.patch(path, {"spec": {"gvr": gvr, "jobSpec": None}})
    for name in names:
        world.history.wait(lambda name=name: world.history.get("gadgets", f"w-{name}-r1"), 30, f"the gadget of {name}")  # type: ignore[misc]
        world.patch(f"{GADGETS.path(world.namespace, f'w-{name}-r1')}/status", {"status": {"phase": "Running"}})
        world.wait_flow("w", name, "Running")
    world.patch(path, {"spec": {"gvr": m.JOBS, "jobSpec": m.template("step")["spec"]["jobSpec"]}})
    for restart in range(4):
        controller.kill()
        controller = start_controller()
        # A change that it has to write: then it has looked at everything.
        found = world.patch(world.workflow_path("w"), {"spec": {"parallelism": 50 + restart}})
        generation = found["metadata"]["generation"]
        world.history.wait(
            lambda generation=generation: world.status("w")["observedGeneration"] == generation,  # type: ignore[misc]
            30,
            "the new controller to write",
        )
        assert set(world.phases("w").values()) == {"Running"}
    for name in names:
        world.patch(f"{GADGETS.path(world.namespace, f'w-{name}-r1')}/status", {"status": {"phase": "Succeeded"}})
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert world.attempts("w") == dict.fromkeys(names, 2)
