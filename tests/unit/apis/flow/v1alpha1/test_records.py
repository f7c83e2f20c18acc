"""The controller's memory in status: grouped by what flows share, and read where an older controller wrote it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.records import NOTHING, FlowMemory
from pkg.apis.flow.v1alpha1.types import (
    FlowRecord,
    FlowStatus,
    Kept,
    KindRecord,
    Latch,
    Record,
    RulesRecord,
    WorkflowStatus,
)

JOBS, RAYS = "jobs.v1.batch", "rayjobs.v1.ray.io"
FAILED = FlowRecord("", kept=(Kept("0", attempt=1, reason="Failed"),))
RENAMED = FlowRecord("", renamed="6a3ef3c2")


def status(*memories: FlowMemory, **fields: Any) -> WorkflowStatus:
    """Flows f0, f1 ... of which this is recorded."""
    kinds, flows, rules = records.grouped(memories)
    names = tuple(FlowStatus(f"f{at}", Phase.RUNNING) for at in range(len(memories)))
    return WorkflowStatus(
        phase=WorkflowPhase.RUNNING, flows=names, record=Record(kinds=kinds, flows=flows, rules=rules, **fields)
    )


@pytest.mark.parametrize(
    ("memories", "kinds", "flows"),
    [
        pytest.param([], (), (), id="no flows"),
        pytest.param([NOTHING, NOTHING], (), (), id="nothing to remember"),
        pytest.param([FlowMemory(JOBS)] * 5000, (KindRecord(JOBS, "0-4999"),), (), id="5,000 flows of one kind"),
        pytest.param(
            [FlowMemory(JOBS), NOTHING, FlowMemory(RAYS), FlowMemory(JOBS)],
            (KindRecord(JOBS, "0,3"), KindRecord(RAYS, "2")),
            (),
            id="two kinds",
        ),
        pytest.param(
            [FlowMemory(JOBS, FAILED), FlowMemory(JOBS, RENAMED), FlowMemory(RAYS, FAILED)],
            (KindRecord(JOBS, "0-1"), KindRecord(RAYS, "2")),
            (msgspec.structs.replace(FAILED, flows="0,2"), msgspec.structs.replace(RENAMED, flows="1")),
            id="what is the same of several flows stands once",
        ),
    ],
)
def test_grouped(memories: list[FlowMemory], kinds: tuple[KindRecord, ...], flows: tuple[FlowRecord, ...]) -> None:
    assert records.grouped(memories) == (kinds, flows, ())
    assert list(records.by_flow(status(*memories)).values()) == memories


def test_rules_stand_once_for_all_flows_whose_jobs_carry_them() -> None:
    memories = [FlowMemory(JOBS, rules=("a",)), FlowMemory(JOBS), FlowMemory(RAYS, rules=("a", "b"))]
    assert records.grouped(memories)[2] == (RulesRecord("a", "0,2"), RulesRecord("b", "2"))
    assert list(records.by_flow(status(*memories)).values()) == memories


OLDER = WorkflowStatus(
    phase=WorkflowPhase.RUNNING,
    flows=(
        FlowStatus("a", Phase.RUNNING, gvr=JOBS, kept=FAILED.kept),
        FlowStatus("b", Phase.WAITING, first_attempt=2, passed=(Latch("dependsOn.probe.httpGetList[0]", "0"),)),
        FlowStatus("c", Phase.PENDING, gvr=JOBS, renamed="6a3ef3c2"),
    ),
    restarted_at="again",
    restarted_flows="1-2",
    suspended_at="2026-01-01T00:00:00.000001Z",
    suspended_seconds=12.25,
    spec_hash="0123456789abcdef",
)
MOVED = WorkflowStatus(
    phase=WorkflowPhase.RUNNING,
    flows=(FlowStatus("a", Phase.RUNNING), FlowStatus("b", Phase.WAITING), FlowStatus("c", Phase.PENDING)),
    record=Record(
        spec_hash="0123456789abcdef",
        restarted_at="again",
        restarted_flows="1-2",
        suspended_at="2026-01-01T00:00:00.000001Z",
        suspended_seconds=13,
        kinds=(KindRecord(JOBS, "0,2"),),
        flows=(
            FlowRecord("0", kept=FAILED.kept),
            FlowRecord("1", first_attempt=2, passed=(Latch("dependsOn.probe.httpGetList[0]", "0"),)),
            FlowRecord("2", renamed="6a3ef3c2"),
        ),
    ),
)


def test_what_an_older_controller_wrote_is_read_in_its_places() -> None:
    assert records.record_of(OLDER) == MOVED.record
    assert records.by_flow(OLDER) == records.by_flow(MOVED)
    assert records.kinds_of(OLDER) == records.kinds_of(MOVED) == {JOBS}
    assert records.restarted(OLDER) == records.restarted(MOVED) == ("b", "c")


def test_once_there_is_a_record_nothing_else_is_read() -> None:
    mixed = msgspec.structs.replace(OLDER, record=Record(spec_hash="new"))
    assert records.record_of(mixed) == Record(spec_hash="new")
    assert records.by_flow(mixed) == {"a": NOTHING, "b": NOTHING, "c": NOTHING}
    assert (records.kinds_of(mixed), records.restarted(mixed)) == (set(), ())


def test_moving_it_leaves_nothing_behind() -> None:
    assert records.moved(OLDER) == MOVED
    assert records.moved(MOVED) == MOVED
    changed = records.moved(OLDER, restarted_at="third").record
    assert changed is not None
    assert (changed.restarted_at, changed.spec_hash) == ("third", "0123456789abcdef")


@pytest.mark.parametrize(
    ("older", "whole"),
    [
        pytest.param(0, 0, id="none"),
        pytest.param(5, 5, id="whole seconds as JSON writes them"),
        pytest.param(5.0, 5, id="whole seconds"),
        pytest.param(5.000001, 6, id="a fraction is rounded up, because a timeout may come late and never early"),
        pytest.param("5", 0, id="no number"),
        pytest.param(None, 0, id="null"),
    ],
)
def test_suspended_seconds_of_an_older_controller(older: Any, whole: int) -> None:
    raw = msgspec.json.encode({"phase": "Running", "suspendedSeconds": older})
    assert records.record_of(msgspec.json.decode(raw, type=WorkflowStatus)).suspended_seconds == whole


def test_positions_are_those_of_the_status_that_names_them() -> None:
    """The spec may have been edited meanwhile: names go from one status to the next, not positions."""
    names = records.restarted(MOVED)
    assert records.positions_of(names, ["new", "c", "a", "b"]) == "1,3"
    assert records.positions_of(names, ["a"]) == ""


def test_positions_that_do_not_exist_are_left_out() -> None:
    beyond = msgspec.structs.replace(MOVED, record=Record(restarted_flows="2-9", kinds=(KindRecord(JOBS, "1-7"),)))
    assert records.restarted(beyond) == ("c",)
    assert [memory.gvr for memory in records.by_flow(beyond).values()] == ["", JOBS, JOBS]
