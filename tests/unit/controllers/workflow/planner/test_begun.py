"""What the jobs of a workflow say of its begin while no status does."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import labels, records
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import MAX_TASKS, Action, RetainPolicy, Workflow, WorkflowStatus
from pkg.apis.meta import GVR, Job, ObjectMeta, seconds
from pkg.controllers.workflow.planner.begun import (
    Begin,
    begin_of,
    begun_before,
    begun_now,
    note_of,
    read_begin,
    with_flows_of,
)
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob
from tests.builders import JOBS, WIDGETS, Bench, wf

HASH = "2:0123456789abcdef"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


def job(
    flow: str,
    begun: str | None = f"{HASH}/1",
    *,
    index: int | None = None,
    attempt: int = 0,
    gvr: GVR = JOBS,
    age: int = 10,
    action: Action = Action.CREATE,
) -> tuple[TaskKey, ObservedJob]:
    """A job `age` seconds old."""
    meta = ObjectMeta(
        name=f"w-{flow}",
        namespace="team",
        labels=labels.for_task(workflow="w", uid="u", flow=flow, index=index, attempt=attempt),
        annotations={} if begun is None else {labels.BEGUN: begun},
        creation_timestamp=datetime.fromtimestamp(NOW - age, UTC),
    )
    return TaskKey(flow, index or 0), ObservedJob(gvr, Job(metadata=meta), attempt, action=action)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{HASH}/1", Begin(1, HASH)),
        ("3:new/algorithm/12", Begin(12, "3:new/algorithm")),
        ("", None),
        ("mine", None),
        ("/1", None),
        (f"{HASH}/", None),
        (f"{HASH}/-1", None),
        (f"{HASH}/١", None),
        (f"{HASH}/{'9' * 5000}", None),
        (f"{'h' * 65}/1", None),
    ],
)
def test_the_annotation_is_read_if_it_is_one_of_ours(text: str, found: Begin | None) -> None:
    assert read_begin(text) == found
    if found is not None:
        assert found.text == text


@pytest.mark.parametrize(
    ("jobs", "found"),
    [
        ([], None),
        ([job("a", None), job("b", "mine")], None),
        ([job("a", None), job("b")], Begin(1, HASH)),
        ([job("b", "2:other/2"), job("a")], Begin(1, HASH)),
        ([job("a", action=Action.APPLY)], None),
        ([job("a", f"{HASH}/0"), job("b", f"{HASH}/3")], None),
    ],
    ids=["no job", "none of ours", "one of two", "the first generation", "no job of ours", "generations that are not"],
)
def test_the_first_begin_counts(jobs: Any, found: Begin | None) -> None:
    assert begin_of(generation(2), jobs) == found


def test_a_job_says_it_until_status_is_written() -> None:
    bench = Bench(wf(a=""), settle=False)
    first = bench.observe()
    assert note_of(first) == f"{first.spec_hash}/1"
    begun = begun_now(first.workflow, HASH, WorkflowPhase.PENDING, NOW)
    waiting = msgspec.structs.replace(first.workflow, status=begun)
    assert note_of(dataclasses.replace(first, workflow=waiting, is_unwritten=True)) == f"{HASH}/1", (
        "of the spec that it began with"
    )
    assert note_of(dataclasses.replace(first, workflow=waiting)) == ""


def test_who_takes_over_knows_the_begin_and_after_an_edit_the_flows_that_have_jobs() -> None:
    of_z = [job("z", index=2, age=5), job("z", index=0)]
    jobs = [*of_z, job("a", attempt=3, gvr=WIDGETS), job("x", action=Action.APPLY)]
    begun = begun_before(generation(2), Begin(1, HASH), jobs, NOW)
    record = records.record_of(begun)
    assert (begun.phase, begun.observed_generation, record.spec_hash) == (WorkflowPhase.RUNNING, 1, HASH)
    assert seconds(begun.start_time) == NOW - 9, "the second in which the first job was made is over"
    assert [(one.name, one.phase, one.attempts, one.pending) for one in begun.flows] == [
        ("a", Phase.PENDING, 4, ""),
        ("z", Phase.PENDING, 2, "0,2"),
    ]
    assert [(kind.gvr, kind.flows) for kind in record.kinds] == [(str(JOBS), "1"), (str(WIDGETS), "0")]
    assert record.job_retain_policy is RetainPolicy.RETAIN, "nothing tells what the spec said before"
    same = begun_before(generation(2), Begin(2, HASH), jobs, NOW)
    assert (same.flows, records.record_of(same).job_retain_policy) == ((), RetainPolicy.DELETE)
    assert seconds(begun_before(generation(2), Begin(1, HASH), [job("a", age=0)], NOW).start_time) == NOW


def test_jobs_that_anybody_made_do_not_make_a_workflow_too_large() -> None:
    one = with_flows_of(WorkflowStatus(), [job("a", index=999_999_999), job("b", index=1)])
    assert [(flow.name, flow.pending) for flow in one.flows] == [("b", "1")]
    many = with_flows_of(WorkflowStatus(), [job(f"f{number}", index=MAX_TASKS // 4) for number in range(50)])
    assert len(many.flows) == 3
    names = with_flows_of(WorkflowStatus(), [job(f"f{number}") for number in range(MAX_TASKS + 50)])
    assert len(names.flows) == MAX_TASKS


def generation(number: int) -> Workflow:
    workflow = wf({"jobRetainPolicy": "delete"}, a="", b="")
    return msgspec.structs.replace(workflow, metadata=msgspec.structs.replace(workflow.metadata, generation=number))
