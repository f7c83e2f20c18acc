"""Edits of a spec: while it runs, while no controller runs, and after the end; also under kill -9 of the controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.cluster.conftest import StartController
from tests.cluster.support import manifests as m
from tests.cluster.support.controller import Controller
from tests.cluster.support.history import Object
from tests.cluster.support.world import PATIENCE, World, no_attempt_twice

pytestmark = pytest.mark.cluster

# A controller that finds its own identity in the Lease leads at once.
SAME = "--leader-elect-identity=the-one"


def many(after: str, replicas: int) -> Object:
    return {**m.flow("many", after), "for": {"replicas": replicas}}


FIRST = m.flow("first", of="slow", retry={"maxRetries": 1, "interval": "10s"}, timeout="1h")
MANY = many("first", 2)
SECOND = m.flow("second", "first", parameters=[{"name": "exit", "value": "0"}])

#: What is edited, the flows after that, and the tasks of the flow `many` then.
EDITS: dict[str, tuple[list[Object], int]] = {
    "parameter": ([FIRST, MANY, {**SECOND, "parameters": [*SECOND["parameters"], {"name": "run", "value": "1s"}]}], 2),
    "new": ([FIRST, MANY, SECOND, m.flow("third")], 2),
    "removed": ([MANY | {"dependsOn": {}}, SECOND | {"dependsOn": {}}], 2),
    "renamed": ([FIRST, MANY, {**SECOND, "name": "other"}], 2),
    "depends": ([FIRST, MANY, m.flow("second", "many", parameters=SECOND["parameters"])], 2),
    "up": ([FIRST, many("first", 4), SECOND], 4),
    "down": ([FIRST, many("first", 1), SECOND], 1),
}


def templates(world: World, run_for: str = "4s") -> None:
    world.create(m.template("slow", run_for=run_for))
    world.create(
        m.template(
            "step", parameters={"exit": "0", "run": "0.5s"}, exit_code="{{params.exit}}", run_for="{{params.run}}"
        )
    )


def edit(world: World, name: str, **spec: Any) -> None:
    world.patch(world.workflow_path(name), {"spec": spec})


def condition(world: World, name: str, type_: str) -> Mapping[str, Any]:
    found: list[Object] = world.status(name).get("conditions", [])
    return next((one for one in found if one["type"] == type_), {})


def wait_held(world: World, name: str) -> None:
    world.history.wait(
        lambda: (
            condition(world, name, "SpecChanged").get("status") == "True"
            and (world.status(name)["phase"], world.status(name)["reason"]) == ("Suspended", "SpecChanged")
        ),
        PATIENCE,
        lambda: f"{name} to be held; its status: {world.status(name)}",
    )


def begin(world: World) -> None:
    """A workflow for each edit; its first flow runs, the others wait for it."""
    for name in EDITS:
        world.create(m.workflow(name, FIRST, MANY, SECOND))
    for name in EDITS:
        world.wait_flow(name, "first", "Pending", "Running")


def killed(controller: Controller, start_controller: StartController) -> Controller:
    controller.kill()
    return start_controller(SAME, acting=False)


@pytest.mark.parametrize("is_down", [False, True], ids=["while it runs", "while no controller runs"])
@pytest.mark.parametrize("is_killed", [False, True], ids=["", "and the controller is killed"])
def test_an_edit_holds_and_is_taken_back(
    is_down: bool, is_killed: bool, world: World, start_controller: StartController
) -> None:
    templates(world)
    controller = start_controller(SAME)
    begin(world)
    if is_down:
        controller.kill()
    for name, (flows, _) in EDITS.items():
        edit(world, name, flows=flows)
    if is_down:
        controller = start_controller(SAME)
    for name in EDITS:
        wait_held(world, name)
    if is_killed:
        controller = killed(controller, start_controller)
    for name in EDITS:
        world.wait_flow(name, "first", "Succeeded")
        wait_held(world, name)
        assert set(world.phases(name)) == {"first", "many", "second"}
    assert len(no_attempt_twice(world)) == len(EDITS), "a held workflow makes no job"
    message = world.status("parameter")["message"]
    assert is_down or 'spec.flows[2].parameters (flow "second")' in message, message
    for name in EDITS:
        edit(world, name, flows=[FIRST, MANY, SECOND])
    if is_killed:
        killed(controller, start_controller)
    for name in EDITS:
        assert world.wait_phase(name)["phase"] == "Succeeded"
        assert condition(world, name, "SpecChanged")["status"] == "False"
        assert world.attempts(name) == {"first": 1, "many": 1, "second": 1}
    assert len(no_attempt_twice(world)) == 4 * len(EDITS)


@pytest.mark.parametrize("is_killed", [False, True], ids=["", "and the controller is killed"])
@pytest.mark.parametrize("how", ["Stop", "Terminate"])
def test_an_edit_is_adopted_after_shutdown_and_restart(
    how: str, is_killed: bool, world: World, start_controller: StartController
) -> None:
    templates(world)
    controller = start_controller(SAME)
    begin(world)
    for name, (flows, _) in EDITS.items():
        edit(world, name, flows=flows)
    for name in EDITS:
        wait_held(world, name)
    if is_killed:
        controller = killed(controller, start_controller)
    for name in EDITS:
        edit(world, name, shutdown=how)
    for name in EDITS:
        status = world.wait_phase(name)
        assert (status["phase"], status["reason"]) == ("Failed", "Stopped" if how == "Stop" else "Terminated")
    assert len(no_attempt_twice(world)) == len(EDITS), "a held workflow makes no job"
    for name in EDITS:
        edit(world, name, shutdown=None, restart={"at": "1"})
    if is_killed:
        world.history.wait(lambda: world.status("up").get("phase") == "Running", PATIENCE, "the restart")
        killed(controller, start_controller)
    judge_adopted(world)


@pytest.mark.parametrize("is_killed", [False, True], ids=["", "and the controller is killed"])
@pytest.mark.parametrize("is_down", [False, True], ids=["", "while no controller runs"])
def test_an_edit_after_the_end_is_adopted_by_a_restart_in_the_same_apply(
    is_down: bool, is_killed: bool, world: World, start_controller: StartController
) -> None:
    templates(world, run_for="1s")
    controller = start_controller(SAME)
    wrong = [{"name": "exit", "value": "3"}]
    for name in EDITS:
        world.create(m.workflow(name, FIRST, MANY, SECOND | {"parameters": wrong}))
    for name in EDITS:
        status = world.wait_phase(name)
        assert (status["phase"], status["reason"]) == ("Failed", "TaskFailed")
    if is_down:
        controller.kill()
    for name, (flows, _) in EDITS.items():
        edit(world, name, flows=flows, restart={"at": "1"})
    if is_down:
        controller = start_controller(SAME)
    if is_killed:
        world.history.wait(lambda: world.status("up").get("phase") == "Running", PATIENCE, "the restart")
        killed(controller, start_controller)
    judge_adopted(world)


def wait_restarted(world: World, name: str) -> None:
    world.history.wait(
        lambda: world.status(name).get("record", world.status(name)).get("restartedAt") == "1",
        PATIENCE,
        lambda: f"the restart of {name}; its status: {world.status(name)}",
    )


def judge_adopted(world: World) -> None:
    """Every workflow succeeded by its edited spec: its flows and indexes, and no others, are in status."""
    for name, (flows, replicas) in EDITS.items():
        wait_restarted(world, name)
        status = world.wait_phase(name)
        assert status["phase"] == "Succeeded", status
        assert world.phases(name) == {flow["name"]: "Succeeded" for flow in flows}
        assert world.flow(name, "many")["succeeded"] == ("0" if replicas == 1 else f"0-{replicas - 1}")
    no_attempt_twice(world)


def test_after_the_end_an_edit_leaves_the_verdict_and_one_event(
    world: World, start_controller: StartController
) -> None:
    templates(world)
    start_controller()
    world.create(m.workflow("w", m.flow("bad", parameters=[{"name": "exit", "value": "3"}])))
    before = wait_explained(world, "w")
    found = world.patch(world.workflow_path("w"), {"spec": {"queueName": "other"}})
    generation = found["metadata"]["generation"]
    world.history.wait(lambda: world.status("w")["observedGeneration"] == generation, PATIENCE, "the edit to be seen")
    assert world.status("w") == before | {"observedGeneration": generation}
    assert len(events(world, "w", "SpecChanged")) == 1


def wait_explained(world: World, name: str) -> Object:
    """The status once it is final and says how the container ended, which is looked up after the end."""
    world.wait_phase(name)
    world.history.wait(lambda: "exit code" in world.status(name)["message"], PATIENCE, "the exit code in the message")
    return world.status(name)


def events(world: World, workflow: str, reason: str) -> list[Object]:
    """The Events of that reason, once there is one."""
    path = f"/api/v1/namespaces/{world.namespace}/events?fieldSelector=involvedObject.name={workflow},reason={reason}"
    found: list[Object] = world.history.wait(lambda: world.api.get(path)["items"], PATIENCE, f"an Event {reason}")
    return found


def test_a_restart_of_a_spec_that_can_never_run_is_refused(world: World, start_controller: StartController) -> None:
    templates(world)
    start_controller()
    world.create(m.workflow("w", m.flow("bad", parameters=[{"name": "exit", "value": "3"}])))
    before = wait_explained(world, "w")
    edit(world, "w", flows=[m.flow("bad", "nobody")], restart={"at": "1"})
    (event,) = events(world, "w", "RestartRefused")
    assert 'no flow is named "nobody"' in event["message"]
    assert (world.status("w")["phase"], world.status("w")["message"]) == ("Failed", before["message"])


def test_the_correction_of_a_parameter_and_a_restart(world: World, start_controller: StartController) -> None:
    """Wait for Failed, set exit to "0", set restart.at: it runs again with the new value."""
    templates(world)
    start_controller()
    bad = m.flow("bad", parameters=[{"name": "exit", "value": "3"}])
    world.create(m.workflow("w", m.flow("ok"), bad))
    assert world.wait_phase("w")["reason"] == "TaskFailed"
    edit(world, "w", flows=[m.flow("ok"), {**bad, "parameters": [{"name": "exit", "value": "0"}]}])
    assert len(events(world, "w", "SpecChanged")) == 1
    assert world.status("w")["reason"] == "TaskFailed"
    edit(world, "w", restart={"at": "1"})
    assert world.wait_phase("w", ["Succeeded"])["progress"] == "2/2"
    assert world.attempts("w") == {"ok": 1, "bad": 2}


def test_the_same_spec_in_other_words_changes_nothing(world: World, start_controller: StartController) -> None:
    templates(world)
    start_controller()
    first = m.flow("first", of="slow", timeout="1h", retry={"maxRetries": 1, "interval": "10s"})
    world.create(m.workflow("w", first, m.flow("second", "first")))
    world.wait_flow("w", "first", "Running")
    reasons = ["PendingTimeout", "DeadlineExceeded", "JobDeleted", "Failed"]
    retry = {"maxRetries": 1, "interval": "10000ms", "factor": 2, "maxInterval": "300s", "reasons": reasons}
    same = [
        {**first, "timeout": "60m", "retry": retry, "dependsOn": {}, "patch": {}},
        m.flow("second", "first", retry={}),
    ]
    generation = world.patch(
        world.workflow_path("w"), {"spec": {"flows": same, "jobRetainPolicy": "retain", "successPolicy": {}}}
    )["metadata"]["generation"]
    world.history.wait(lambda: world.status("w")["observedGeneration"] == generation, PATIENCE, "the edit to be seen")
    assert (world.status("w")["phase"], condition(world, "w", "SpecChanged")) == ("Running", {})
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert len(no_attempt_twice(world)) == 2
