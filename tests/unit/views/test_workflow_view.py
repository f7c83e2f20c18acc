"""One Workflow as people look at it: its tasks are counted, and its times are measured."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Flow, FlowStatus, For, Workflow, WorkflowSpec, WorkflowStatus
from pkg.apis.meta import ObjectMeta
from pkg.views.workflow_view import view

START = "2026-01-02T03:04:05.500000Z"
T0 = 1767323045.5
P = Phase


def workflow(*flows: Flow, status: tuple[FlowStatus, ...] = ()) -> Workflow:
    found = WorkflowStatus(phase=WorkflowPhase.RUNNING, start_time=START, flows=status) if status else WorkflowStatus()
    return Workflow(metadata=ObjectMeta(name="w", namespace="a"), spec=WorkflowSpec(flows=flows), status=found)


def test_a_workflow_that_no_controller_has_seen_yet_has_no_phase_and_its_flows_wait() -> None:
    found = view(workflow(Flow("a"), Flow("b", for_=For(replicas=3))), T0)
    assert (found.phase, found.progress, found.seconds) == (None, "", None)
    assert [(flow.phase, flow.size, flow.running, flow.done, flow.tries) for flow in found.flows] == [
        (P.WAITING, 1, 0, 0, 0),
        (P.WAITING, 3, 0, 0, 0),
    ]


def test_how_many_items_there_are_only_status_knows() -> None:
    status = FlowStatus("a", P.RUNNING, running="1-2", succeeded="0", waiting="3-9")
    (found,) = view(
        workflow(Flow("a", for_=For(items_from="{{flows.list.outputs.files}}")), status=(status,)), T0
    ).flows
    assert (found.size, found.running, found.done) == (10, 2, 1)


@pytest.mark.parametrize(
    ("status", "size", "running", "done"),
    [
        pytest.param(FlowStatus("a", P.RUNNING), None, 1, 0, id="a running flow without for is one running task"),
        pytest.param(FlowStatus("a", P.PENDING), None, 0, 0, id="a pending one runs nothing"),
        pytest.param(FlowStatus("a", P.SKIPPED), None, 0, 1, id="a skipped one is done"),
        pytest.param(
            FlowStatus("a", P.RUNNING, running="0-2,5", succeeded="3", failed="4", skipped="6-7", cancelled="8"),
            9,
            4,
            5,
            id="with for, the ranges of indexes count",
        ),
    ],
)
def test_tasks_are_counted(status: FlowStatus, size: int | None, running: int, done: int) -> None:
    flow = Flow("a", for_=For(replicas=size) if size else None)
    (found,) = view(workflow(flow, status=(status,)), T0).flows
    assert (found.size, found.running, found.done) == (size or 1, running, done)


def test_times_count_from_the_start_to_the_end_or_to_now() -> None:
    going = FlowStatus("a", P.BACKOFF, start_time=START, next_attempt_time="2026-01-02T03:04:10.000000Z")
    over = FlowStatus("b", P.SUCCEEDED, start_time=START, completion_time="2026-01-02T03:04:06Z")
    found = view(workflow(Flow("a"), Flow("b"), status=(going, over)), T0 + 2)
    assert found.seconds == pytest.approx(2)
    assert [flow.seconds for flow in found.flows] == [pytest.approx(2), pytest.approx(0.5)]
    assert found.flows[0].retry_in == pytest.approx(2.5)


def test_a_flow_that_an_edit_took_out_of_the_spec_is_shown_while_status_has_it() -> None:
    found = view(workflow(Flow("a"), status=(FlowStatus("a", P.RUNNING), FlowStatus("old", P.RUNNING))), T0)
    assert [flow.name for flow in found.flows] == ["a", "old"]
