"""A status that has little room leaves out what recovery does not need, in a fixed order, and says so once."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import (
    FlowRecord,
    FlowStatus,
    Kept,
    KindRecord,
    Record,
    ReplicaStatus,
    WorkflowStatus,
)
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.status.fitting import fit
from tests.builders import Bench, wf

FLOW = FlowStatus(
    name="train",
    phase=Phase.FAILED,
    reason="Failed",
    message="m" * 100,
    start_time="2026-01-01T00:00:00Z",
    completion_time="2026-01-01T00:00:00Z",
    failed="0-3",
    attempts=3,
    replicas=(ReplicaStatus(0, Phase.FAILED, "Failed", "r" * 50),),
)
RECORD = Record(
    kinds=(KindRecord("jobs.v1.batch", "0-3"),),
    flows=(FlowRecord("0-3", first_attempt=2, kept=(Kept(indexes="0-3", attempt=2, reason="Failed"),)),),
)
STATUS = WorkflowStatus(flows=(FLOW,) * 4, record=RECORD)
FULL = len(msgspec.json.encode(STATUS))
STEPS = (
    ("", 0),
    ("messages of replicas", 1),
    ("messages of replicas, the list of replicas", 300),
    ("messages of replicas, the list of replicas, the ends of messages", 600),
    ("messages of replicas, the list of replicas, the ends of messages, messages of flows", 800),
    ("messages of replicas, the list of replicas, the ends of messages, messages of flows, times of flows", 10**6),
)


@pytest.mark.parametrize(("left_out", "missing"), STEPS, ids=[step or "nothing" for step, _ in STEPS])
def test_what_is_left_out_in_which_order(left_out: str, missing: int) -> None:
    assert fit(STATUS, FULL - missing)[1] == left_out


@pytest.mark.parametrize("room", range(0, FULL, 97))
def test_what_recovery_needs_is_never_left_out(room: int) -> None:
    status, left_out = fit(STATUS, room)
    for flow in status.flows:
        assert (flow.name, flow.phase, flow.reason, flow.failed) == ("train", Phase.FAILED, "Failed", "0-3")
        assert flow.attempts == 3
    assert status.record == RECORD
    assert len(msgspec.json.encode(status)) <= room or "times of flows" in left_out


def test_a_status_without_room_is_shortened_and_an_event_says_so_once() -> None:
    bench = Bench(wf(a={"for": {"replicas": 3}}, b="a"))
    bench.fails("a/0")
    seen = bench.observe(is_urgent=True, dirty=None)
    assert isinstance(seen.graph, Graph)
    assert seen.progress is not None
    small = replace(
        seen, graph=replace(seen.graph, status_room=900), progress=msgspec.structs.replace(seen.progress, is_dirty=True)
    )
    first = plan(small)
    assert [event.reason for event in first.events] == ["StatusShortened"]
    assert "messages of replicas" in first.events[0].message
    second = plan(replace(small, progress=msgspec.structs.replace(first.progress, is_dirty=True)))
    assert second.events == ()
