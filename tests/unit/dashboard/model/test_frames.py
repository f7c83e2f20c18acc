"""States, the frames between them, and the scene that they are drawn on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import FlowStatus, TaskCounts, Workflow, WorkflowStatus
from pkg.dashboard.model.frames import frame
from pkg.dashboard.model.moves import Kind
from pkg.dashboard.model.scene import incoming_of, links_of, scene_of
from pkg.dashboard.model.state import Seen, State, flow_names, state_of
from tests.builders import wf


def at(workflow: Workflow, *flows: FlowStatus, **status: Any) -> Workflow:
    """The workflow with a status."""
    return msgspec.structs.replace(workflow, status=WorkflowStatus(flows=flows, **status))


def status(name: str, phase: Phase, **fields: Any) -> FlowStatus:
    return FlowStatus(name=name, phase=phase, **fields)


def between(before: Workflow, after: Workflow) -> Any:
    incoming = incoming_of(flow_names(before), links_of(before).arrows)
    return frame(state_of(before), state_of(after), incoming, 10.0, 3)


CHAIN = wf(a="", b="a")


def test_a_frame_holds_only_the_flows_that_changed() -> None:
    before = at(CHAIN, status("a", Phase.RUNNING, attempts=1), status("b", Phase.WAITING))
    after = at(CHAIN, status("a", Phase.SUCCEEDED, attempts=1), status("b", Phase.WAITING))
    found = between(before, after)
    assert list(found.flows) == [0]
    assert [(move.kind, move.flow) for move in found.moves] == [(Kind.DONE, 0)]
    assert (found.at, found.number, found.head) == (10.0, 3, None)


def test_equal_states_have_no_frame() -> None:
    state = at(CHAIN, status("a", Phase.RUNNING, attempts=1), status("b", Phase.WAITING))
    assert between(state, state) is None


def test_a_change_of_the_workflow_alone_is_a_frame_with_its_head() -> None:
    before = at(CHAIN, phase=WorkflowPhase.RUNNING)
    after = at(CHAIN, phase=WorkflowPhase.SUSPENDED, reason="Suspended")
    found = between(before, after)
    assert (found.head.phase, found.flows, found.moves) == ("Suspended", {}, ())


def test_applied_frames_lead_to_the_newest_state() -> None:
    steps = [
        at(CHAIN, status("a", Phase.WAITING), status("b", Phase.WAITING), phase=WorkflowPhase.PENDING),
        at(CHAIN, status("a", Phase.RUNNING, attempts=1), status("b", Phase.WAITING), phase=WorkflowPhase.RUNNING),
        at(CHAIN, status("a", Phase.SUCCEEDED, attempts=1), status("b", Phase.RUNNING, attempts=1)),
        at(
            CHAIN,
            status("a", Phase.SUCCEEDED, attempts=1),
            status("b", Phase.FAILED, attempts=1, reason="Failed"),
            phase=WorkflowPhase.FAILED,
            tasks=TaskCounts(total=2, succeeded=1, failed=1),
        ),
    ]
    state, incoming = state_of(steps[0]), incoming_of(flow_names(CHAIN), links_of(CHAIN).arrows)
    applied = state
    for step in steps[1:]:
        new = state_of(step)
        found = frame(state, new, incoming, 0.0)
        assert found is not None
        flows = tuple(found.flows.get(position, flow) for position, flow in enumerate(applied.flows))
        applied, state = State(found.head or applied.head, flows), new
    assert applied == state_of(steps[-1])


def test_flows_whose_status_is_as_before_are_not_made_anew() -> None:
    before = at(CHAIN, status("a", Phase.SUCCEEDED), status("b", Phase.WAITING))
    after = at(CHAIN, status("a", Phase.SUCCEEDED), status("b", Phase.RUNNING))
    old = state_of(before)
    new = state_of(after, Seen(before, old))
    assert new.flows[0] is old.flows[0]
    assert new == state_of(after)


def test_a_flow_that_only_status_knows_is_the_last() -> None:
    held = at(CHAIN, status("old", Phase.RUNNING), status("a", Phase.WAITING))
    assert flow_names(held) == ("a", "b", "old")
    assert [box.name for box in scene_of(held).boxes] == ["a", "b", "old"]
    assert state_of(held).flows[2].phase is Phase.RUNNING


SHAPES: Mapping[str, tuple[Workflow, Workflow, bool]] = {
    "a status does not change the shape": (wf(a=""), at(wf(a=""), status("a", Phase.RUNNING)), True),
    "another flow does": (wf(a=""), wf(a="", b=""), False),
    "another dependency does": (wf(a="", b=""), wf(a="", b="a"), False),
    "more replicas do": (wf(a={"for": {"replicas": 2}}), wf(a={"for": {"replicas": 3}}), False),
    "tasks that become known later do": (
        wf(a={"for": {"replicas": 2}}),
        at(wf(a={"for": {"replicas": 2}}), status("a", Phase.RUNNING, running="0-6")),
        False,
    ),
}


@pytest.mark.parametrize(("one", "other", "same"), SHAPES.values(), ids=SHAPES.keys())
def test_shape(one: Workflow, other: Workflow, same: bool) -> None:
    assert (state_of(one).head.shape == state_of(other).head.shape) is same


def test_the_scene_has_a_box_per_flow_and_an_arrow_per_dependency() -> None:
    workflow = wf(a="", b={"for": {"replicas": 30}, "dependsOn": {"targets": ["a"]}}, z={"finally": True})
    made = scene_of(workflow)
    assert [(box.name, box.size, box.has_for, box.last) for box in made.boxes] == [
        ("a", 1, False, False),
        ("b", 30, True, False),
        ("z", 1, False, True),
    ]
    assert [(arrow.source, arrow.target, str(arrow.kind)) for arrow in made.arrows] == [(0, 1, "target")]
    a, b, z = made.boxes
    assert a.x + a.w < b.x < z.x
    assert b.h > a.h
    assert made.shape == state_of(workflow).head.shape


PROBE = {"probe": {"httpGetList": [{"taskName": "a", "port": 80}]}}


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ({"template": "t"}, ("t", 0, False)),
        ({"template": "t", "retry": {"maxRetries": 3}}, ("t", 3, False)),
        ({"template": "t", "dependsOn": PROBE}, ("t", 0, True)),
        ({"template": "t", "mutexes": ["m"]}, ("t", 0, True)),
        ({"approval": {"message": "Go?"}}, ("", 0, True)),
        ({"templateSpec": {"gvr": {"group": "batch", "version": "v1", "resource": "jobs"}}}, ("", 0, False)),
    ],
    ids=[
        "a plain flow",
        "with retries",
        "behind a probe",
        "with a lock",
        "an approval, which has no job",
        "its own template",
    ],
)
def test_a_box_says_what_is_drawn_of_it(flow: dict[str, Any], expected: tuple[str, int, bool]) -> None:
    box = scene_of(wf(a={}, b=flow)).boxes[1]
    assert (box.template, box.retries, box.gate) == expected
