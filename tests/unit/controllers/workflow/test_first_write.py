"""The first write of status under load: it waits, and what it will say counts until then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, WorkflowStatus
from pkg.apis.meta import seconds
from pkg.controllers.workflow.planner.status.status_write import MAX_WINDOW
from pkg.controllers.workflow.room import MAX_CREATIONS
from tests.builders import on, template, wf
from tests.property.controller import Controller
from tests.property.one_workflow import settle, world_with
from tests.property.simulation import MANY
from tests.property.world import JOBS, Fate, Trap, World

CHAIN: dict[str, Any] = {"a": "", "b": on("a")}


@pytest.fixture(autouse=True)
def _no_logs(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    capsys.readouterr()


def world_of(spec: dict[str, Any] | None = None, /, **flows: Any) -> World:
    """A world with one workflow, whose jobs end after a second."""
    return world_with(wf(spec, **flows), Fate(pends=0.5, runs=0.5))


def controller_of(world: World, backlog: int = MANY) -> Controller:
    world.backlog = backlog
    made = Controller(world, lambda _flow, _path, _index: None)
    made.informers.ensure(JOBS)
    made.deliver_all()
    return made


def begun(spec: dict[str, Any] | None = None, /, **flows: Any) -> tuple[World, Controller]:
    world = world_of(spec, **(flows or CHAIN))
    controller = controller_of(world)
    settle(controller)
    return world, controller


def run(world: World, controller: Controller, until: float) -> None:
    """Lets time pass, until so many seconds after the first one."""
    while (due := min(filter(None, (world.next_due, controller.wake_at)), default=until)) < until:
        world.advance(max(due, world.now))
        settle(controller)
    world.advance(until)
    settle(controller)


def statuses(world: World) -> list[WorkflowStatus]:
    """Every status that was written."""
    found: list[WorkflowStatus] = []
    for event in world.log[WORKFLOWS]:
        if event.obj.status.phase is not None and (not found or event.obj.status is not found[-1]):
            found.append(event.obj.status)
    return found


def test_a_short_workflow_ends_with_one_write() -> None:
    world, controller = begun()
    start = world.now
    assert (world.workflow.status.phase, [life.name for life in world.jobs()]) == (None, ["w-a"])
    run(world, controller, start + 4)
    (status,) = statuses(world)
    assert (status.phase, status.progress) == (WorkflowPhase.SUCCEEDED, "2/2")
    assert abs(seconds(status.start_time) - start) < 0.001, "when it began, not when that was written"
    assert records.record_of(status).spec_hash


def test_without_load_it_is_written_at_once() -> None:
    world = world_of(**CHAIN)
    settle(controller_of(world, backlog=0))
    assert world.workflow.status.phase == "Running"


def test_a_long_workflow_says_that_it_runs_once_the_window_is_over() -> None:
    world = world_of(a="")
    world.fate_of = lambda _flow, _index, _attempt: Fate(pends=0.5, runs=60.0)
    controller = controller_of(world)
    settle(controller)
    start = world.now
    run(world, controller, start + MAX_WINDOW - 0.1)
    assert not world.workflow.status.phase
    run(world, controller, start + MAX_WINDOW + 0.1)
    assert world.workflow.status.phase == "Running"
    assert abs(seconds(world.workflow.status.start_time) - start) < 0.001


def test_who_starts_no_job_says_at_once_why() -> None:
    world, _ = begun(a={"template": "nowhere"})
    assert world.workflow.status.phase is WorkflowPhase.PENDING


def test_a_workflow_that_begins_suspended_says_so_at_once() -> None:
    world, _ = begun({"suspend": True}, **CHAIN)
    assert world.workflow.status.phase is WorkflowPhase.SUSPENDED


def test_an_edit_before_it_holds_the_workflow() -> None:
    world, controller = begun()
    flows = wf(a="", b=on("a"), c=on("b")).spec.flows
    world.set_spec(flows=flows)
    settle(controller)
    status = world.workflow.status
    assert status.phase is WorkflowPhase.SUSPENDED
    held = conds.find(status.conditions, conds.SPEC_CHANGED)
    assert held is not None
    assert "spec.flows" in held.message
    assert [flow.name for flow in status.flows] == ["a", "b"], "the spec that it began with"
    world.set_spec(flows=flows[:2])
    settle(controller)
    run(world, controller, world.now + 5)
    assert world.workflow.status.phase is WorkflowPhase.SUCCEEDED


def test_a_timeout_counts_from_the_begin() -> None:
    world, controller = begun({"timeout": "1.5s"}, **CHAIN)
    start = world.now
    run(world, controller, start + 1.6)
    assert world.workflow.status.reason == "DeadlineExceeded"


def test_a_controller_that_takes_over_before_it_finds_the_jobs() -> None:
    world, _ = begun()
    start = world.now
    other = controller_of(world)
    settle(other)
    run(world, other, start + 4)
    assert world.workflow.status.phase is WorkflowPhase.SUCCEEDED
    assert [life.name for life in world.lives] == ["w-a", "w-b"], "each job was made once"


@pytest.mark.parametrize("backlog", [0, MANY])
def test_an_edit_and_another_controller_before_it_hold_the_workflow(backlog: int) -> None:
    world = world_of(**CHAIN)
    world.fate_of = lambda flow, *_: Fate(pends=0.5, runs=300.0 if flow == "a" else 1.0)
    controller = controller_of(world)
    settle(controller)
    before = world.workflow.spec.flows
    assert (world.workflow.status.phase, [life.name for life in world.jobs()]) == (None, ["w-a"])
    world.set_spec(flows=wf(z="").spec.flows)
    other = controller_of(world, backlog)  # the first one has not seen the edit
    settle(other)
    run(world, other, world.now + 60)
    status = world.workflow.status
    assert (status.phase, status.reason) == (WorkflowPhase.SUSPENDED, "SpecChanged")
    assert [(flow.name, flow.phase) for flow in status.flows] == [("a", "Running")]
    assert [(life.name, life.deleted_by) for life in world.lives] == [("w-a", "")]
    world.set_spec(flows=before)
    settle(other)
    run(world, other, world.now + 400)
    assert (world.workflow.status.phase, world.workflow.status.progress) == (WorkflowPhase.SUCCEEDED, "2/2")
    assert [life.name for life in world.lives] == ["w-a", "w-b"]


def test_an_edit_that_a_process_finds_before_it_knows_the_jobs_holds_the_workflow() -> None:
    """It has listed no jobs yet, and would record the spec as it is now."""
    world = world_of(**CHAIN)
    world.fate_of = lambda *_: Fate(pends=0.5, runs=300.0)
    settle(controller_of(world))
    world.set_spec(flows=wf(z="").spec.flows)
    world.backlog = 0
    other = Controller(world, lambda _flow, _path, _index: None)
    for _ in range(3):
        other.reconcile()
        assert world.workflow.status.phase is None
    other.informers.ensure(JOBS)
    settle(other)
    assert world.workflow.status.reason == "SpecChanged"
    assert [(life.name, life.deleted_by) for life in world.lives] == [("w-a", "")]


@pytest.mark.parametrize("is_taken_over", [False, True], ids=["same controller", "taken over"])
def test_a_template_that_makes_the_spec_invalid_before_it_leaves_no_job_unknown(is_taken_over: bool) -> None:
    world = world_of(**CHAIN)
    world.fate_of = lambda *_: Fate(pends=0.5, runs=60.0, lingers=30.0)
    controller = controller_of(world)
    settle(controller)
    run(world, controller, world.now + 1)
    bad = template("job", jobSpec={"x": "{{flows.b.podIP}}"})  # then flows a and b wait for each other
    world.version += 1
    version = str(world.version)
    meta = msgspec.structs.replace(bad.metadata, namespace="team", generation=2, resource_version=version)
    world.version += 1
    if is_taken_over:
        controller = controller_of(world)
    controller.templates.replace([msgspec.structs.replace(bad, metadata=meta)], world.version)
    controller.is_queued = True
    settle(controller)
    status = world.workflow.status
    assert (status.phase, status.reason) == (WorkflowPhase.FAILED, "Invalid")
    assert [flow.name for flow in status.flows] == ["a"]
    assert [kind.gvr for kind in records.record_of(status).kinds] == [str(JOBS)]
    assert [life.name for life in world.jobs()] == ["w-a"], "it is being deleted"
    assert controller.reconciler.may_have_deleting_jobs(world.workflow)


def test_that_no_job_can_be_made_is_said_at_once() -> None:
    world = world_of(a="")
    world.fate_of = lambda *_: Fate(pends=0.5, runs=1.0, refused="at first")
    settle(controller_of(world))
    status = world.workflow.status
    assert (status.phase, status.reason) == (WorkflowPhase.PENDING, "AdmissionDenied")


def test_an_error_between_does_not_move_the_begin() -> None:
    world = world_of(a="")
    world.fate_of = lambda *_: Fate(pends=0.5, runs=60.0)
    controller = controller_of(world)
    settle(controller)
    start = world.now
    run(world, controller, start + 1)
    controller.reconciler._cleanup.drop_progress(world.workflow.metadata.key)
    controller.is_queued = True
    run(world, controller, start + 8)
    assert world.workflow.status.phase is WorkflowPhase.RUNNING
    assert abs(seconds(world.workflow.status.start_time) - start) < 0.001


def test_the_room_for_creations_is_no_reason_to_look_away_from_its_jobs() -> None:
    world, controller = begun()
    start = world.now
    controller.room.take("team", MAX_CREATIONS, 0)
    run(world, controller, start + 1.5)
    memory = next(iter(controller.reconciler._memories.by_workflow.values()))
    assert memory.progress is not None
    assert memory.begun is not None
    assert "succeeded" in str({phase.field: n for phase, n in memory.progress.counts.items() if n})
    controller.room.give_back("team", MAX_CREATIONS, 0)
    run(world, controller, start + 6)
    assert world.workflow.status.phase is WorkflowPhase.SUCCEEDED


def test_its_log_lines_are_those_of_any_workflow(capsys: pytest.CaptureFixture[str]) -> None:
    world, controller = begun()
    run(world, controller, world.now + 4)
    lines = [line for line in capsys.readouterr().out.splitlines() if "[info" in line]
    assert ["started" in lines[0], "ended" in lines[-1]] == [True, True]


def test_a_first_write_that_fails_is_repeated_whole() -> None:
    world, controller = begun()
    start = world.now
    run(world, controller, start + 1.9)
    world.traps.append(Trap(1, "transient", after=False))
    run(world, controller, start + 2.1)
    assert world.traps == [], "the first write failed"
    assert (world.workflow.status.phase, world.workflow.status.progress) == (WorkflowPhase.SUCCEEDED, "2/2")
    assert abs(seconds(world.workflow.status.start_time) - start) < 0.001
