"""Recordings of runs, made from the jobs that are still there and from times in the status."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import FlowStatus, Workflow
from pkg.apis.meta import GVR
from pkg.dashboard.model.recording import MAX_FRAMES, Recording, recording_of, steps
from pkg.dashboard.model.state import FlowState, State, state_of
from pkg.views.attempts import AttemptView
from pkg.views.durations import seconds_of
from tests.builders import wf
from tests.unit.dashboard.model.test_frames import at

P = Phase
START = "2026-01-01T00:00:00Z"
T0 = seconds_of(START) or 0.0
JOBS = GVR("batch", "v1", "jobs")


def attempt(number: int, started: float, ended: float | None) -> AttemptView:
    """Times in seconds after T0."""
    return AttemptView(number, f"job-{number}", JOBS, T0 + started, None if ended is None else T0 + ended)


def flow(phase: Phase, started: float | None = None, ended: float | None = None, **fields: Any) -> FlowState:
    return FlowState(
        phase=phase,
        started=None if started is None else T0 + started,
        ended=None if ended is None else T0 + ended,
        **fields,
    )


CASES: dict[str, tuple[FlowState, list[AttemptView], list[tuple[float, str]]]] = {
    "a task runs from the creation of its job to its end": (
        flow(P.SUCCEEDED, 1, 5),
        [attempt(0, 1, 4)],
        [(1, "Running"), (4, "Succeeded")],
    ),
    "between two attempts it is in Backoff": (
        flow(P.SUCCEEDED, 1, 9),
        [attempt(0, 1, 3), attempt(1, 5, 8)],
        [(1, "Running"), (3, "Backoff"), (5, "Running"), (8, "Succeeded")],
    ),
    "an attempt whose job says no end ended before the next one": (
        flow(P.FAILED, 1, 9),
        [attempt(0, 1, None), attempt(1, 5, 8)],
        [(1, "Running"), (5, "Backoff"), (5, "Running"), (8, "Failed")],
    ),
    "attempts whose jobs are gone are one that failed": (
        flow(P.RUNNING, 1),
        [attempt(2, 6, None)],
        [(1, "Running"), (6, "Backoff"), (6, "Running")],
    ),
    "without jobs the flow's own times tell": (flow(P.SUCCEEDED, 2, 7), [], [(2, "Running"), (7, "Succeeded")]),
    "a task that waits has done nothing": (flow(P.WAITING), [], []),
    "a task that was skipped has had no job": (flow(P.SKIPPED, None, 3), [], [(3, "Skipped")]),
    "an attempt that failed a moment ago": (flow(P.BACKOFF, 1), [attempt(0, 1, 4)], [(1, "Running"), (4, "Backoff")]),
}


@pytest.mark.parametrize(("state", "known", "expected"), CASES.values(), ids=CASES.keys())
def test_steps(state: FlowState, known: list[AttemptView], expected: list[tuple[float, str]]) -> None:
    found = steps(0, "a", state, {("a", 0): tuple(known)} if known else {}, T0 + 100)
    assert [(step.at - T0, step.phase) for step in found] == expected


def played(recording: Recording) -> State:
    state = recording.state
    for frame in recording.frames:
        flows = tuple(frame.flows.get(position, one) for position, one in enumerate(state.flows))
        state = State(frame.head or state.head, flows)
    return state


def time(second: int) -> str:
    return f"2026-01-01T00:00:{second:02d}Z"


def ended() -> Workflow:
    workflow = wf(a="", b={"for": {"replicas": 3}, "dependsOn": {"targets": ["a"]}})
    a = FlowStatus("a", P.SUCCEEDED, start_time=time(0), completion_time=time(2), attempts=1)
    b = FlowStatus(
        "b",
        P.SUCCEEDED,
        start_time=time(2),
        completion_time=time(9),
        attempts=4,
        succeeded="0-2",
        reason="",
        message="",
    )
    return at(workflow, a, b, phase=WorkflowPhase.SUCCEEDED, start_time=time(0), completion_time=time(9))


def test_a_recording_leads_from_nothing_to_the_end() -> None:
    workflow = ended()
    attempts = {("b", 1): (attempt(0, 2, 4), attempt(1, 6, 9))}
    found = recording_of(workflow, attempts, T0 + 60)
    assert {one.phase for one in found.state.flows} == {P.WAITING}
    assert played(found) == state_of(workflow)
    kinds = [str(move.kind) for frame in found.frames for move in frame.moves]
    assert kinds == ["start", "done", "start", "fail", "again", "done"]
    assert [frame.number for frame in found.frames] == list(range(1, len(found.frames) + 1))


def test_a_run_ends_with_its_workflow_also_if_the_end_of_a_job_is_written_later() -> None:
    """So the address of its last moment means the same afterwards."""
    early = {("b", 1): (attempt(0, 2, 4), attempt(1, 6, None))}
    late = {("b", 1): (attempt(0, 2, 4), attempt(1, 6, 11))}
    for attempts in (early, late):
        found = recording_of(ended(), attempts, T0 + 60)
        assert found.frames[-1].at == T0 + 9
        assert played(found) == state_of(ended())


def test_the_attempts_of_a_flow_are_those_of_the_task_that_has_had_most() -> None:
    b = FlowStatus("b", P.RUNNING, start_time=time(2), attempts=2, succeeded="0,2", running="1")
    a = FlowStatus("a", P.SUCCEEDED, start_time=time(0), completion_time=time(2), attempts=1)
    last = at(ended(), a, b, phase=WorkflowPhase.RUNNING, start_time=time(0))
    attempts = {("b", index): (attempt(0, 2, 4),) for index in (0, 2)} | {
        ("b", 1): (attempt(0, 2, 4), attempt(1, 6, None))
    }
    found = recording_of(last, attempts, T0 + 60)
    assert [frame.flows[1].tries for frame in found.frames if 1 in frame.flows][-3:] == [1, 1, 2]


def test_a_workflow_that_has_not_begun_has_a_recording_without_movements() -> None:
    workflow = wf(a="")
    found = recording_of(workflow, {}, T0)
    assert played(found) == state_of(workflow)
    assert not any(frame.moves for frame in found.frames)


def test_a_long_run_has_a_bounded_number_of_frames() -> None:
    workflow = wf(a={"for": {"replicas": 2_000, "parallelism": 1}})
    status = FlowStatus(
        "a", P.SUCCEEDED, start_time=START, completion_time=time(59), attempts=2_000, succeeded="0-1999"
    )
    last = at(workflow, status, phase=WorkflowPhase.SUCCEEDED, start_time=START)
    attempts = {("a", index): (attempt(0, index, index + 1.0),) for index in range(2_000)}
    found = recording_of(last, attempts, T0 + 5_000)
    assert len(found.frames) <= MAX_FRAMES + 2
    assert played(found) == state_of(last)
