"""Which changes may wait for the next plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.types import Completion
from pkg.apis.meta import Job
from pkg.controllers.engine.result import Done, Later
from pkg.controllers.workflow.left import Left
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob
from pkg.controllers.workflow.planner.status.status_write import MIN_WINDOW
from tests.builders import NOW, TEMPLATES, Bench, wf

A = TaskKey("a", 0)
Changed = Mapping[TaskKey, tuple[ObservedJob, ...]]


def left_of(spec: Any = "a", *, written_at: float = NOW, until: float | None = None) -> Left:
    """After a plan that read the job of a; b waits for the end of a."""
    bench = Bench(wf(a="", b=spec))
    snapshot = bench.observe()
    made = plan(snapshot)
    progress = msgspec.structs.replace(made.progress, written_at=written_at, is_dirty=False)
    assert isinstance(snapshot.graph, Graph)
    return Left(snapshot.workflow, {}, until, snapshot, progress, snapshot.graph.asks_about_ends_alone())


def changed(left: Left, status: Mapping[str, Any] | None = None, /, **of_job: Any) -> Changed:
    """The job of a with another status."""
    (seen,) = left.snapshot.jobs[A]
    meta = msgspec.structs.replace(seen.job.metadata, resource_version="99999", **of_job.pop("meta", {}))
    job: Job = msgspec.structs.replace(seen.job, metadata=meta, status=dict(status or {"active": 1}))
    return {A: (replace(seen, job=job, **of_job),)}


ENDED = {"conditions": [{"type": "Complete", "status": "True"}]}
LATE = NOW + MIN_WINDOW


def test_the_progress_of_a_job_waits_for_the_write_of_status() -> None:
    left = left_of()
    result = left.result(changed(left), NOW + 0.1)
    assert isinstance(result, Later)
    assert result.seconds == pytest.approx(MIN_WINDOW + 2 / 2000 - 0.1)


def test_nothing_waits_for_nothing() -> None:
    assert left_of().result({}, NOW) == Done()


def test_what_is_due_before_is_done_before() -> None:
    left = left_of(until=NOW + 0.25)
    assert left.result(changed(left), NOW) == Later(0.25, "a timer of the plan or status is due then")


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"status": ENDED}, id="it has ended"),
        pytest.param({"meta": {"uid": "another"}}, id="it is another job"),
        pytest.param({"attempt": 1}, id="it is of another attempt"),
        pytest.param({"taken_off": "its labels were changed"}, id="it was taken off its task"),
    ],
)
def test_what_a_job_says_may_not_wait_if(how: dict[str, Any]) -> None:
    left = left_of()
    assert left.result(changed(left, how.pop("status", None), **how), NOW) is None


def test_a_job_under_deletion_does_not_wait() -> None:
    left = left_of()
    (seen,) = left.snapshot.jobs[A]
    meta = {"deletion_timestamp": seen.job.metadata.creation_timestamp}
    assert left.result(changed(left, meta=meta), NOW) is None


def test_a_job_that_is_gone_does_not_wait() -> None:
    left = left_of()
    assert left.result({A: ()}, NOW) is None


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"dependsOn": {"probe": {"taskStatusList": [{"taskName": "a", "phase": "Running"}]}}}, id="runs"),
        pytest.param({"dependsOn": {"targets": ["a"]}, "timeout": "1h"}, id="timeout"),
    ],
)
def test_nothing_waits_where_more_than_ends_counts(spec: dict[str, Any]) -> None:
    left = left_of(spec)
    assert left.result(changed(left), NOW) is None


def test_a_service_that_becomes_ready_does_not_wait() -> None:
    left = left_of()
    template = left.snapshot.templates["job"]
    done = msgspec.structs.replace(template, spec=msgspec.structs.replace(template.spec, completion=Completion.CREATED))
    templates = {**TEMPLATES, "job": done}
    left = msgspec.structs.replace(left, snapshot=replace(left.snapshot, templates=templates))
    assert left.result(changed(left), NOW) is None


@pytest.mark.parametrize(
    "now", [pytest.param(LATE + 1, id="status is due"), pytest.param(NOW - 5, id="clock set back")]
)
def test_nothing_waits_when(now: float) -> None:
    left = left_of()
    assert left.result(changed(left), now) is None


def test_a_job_that_was_created_is_known() -> None:
    left = left_of("a")
    known = changed(left)
    job = known[A][0]
    alike = msgspec.structs.replace(left, jobs={A: (job.attempt, job.job)}, asks_ends_alone=False)
    assert alike.result(known, NOW) == Done()
    assert alike.result(changed(left, {"active": 2}), NOW) is None
