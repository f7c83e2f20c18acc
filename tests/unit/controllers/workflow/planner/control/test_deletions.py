"""Which jobs have to go and which may stay, and when a workflow is at rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.meta import GVR
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.control import deletions
from pkg.controllers.workflow.planner.control.outcome import Mode
from pkg.controllers.workflow.planner.progress import Attempt, Task
from pkg.controllers.workflow.planner.snapshot import ObservedJob
from pkg.kinds.kind import Kind
from pkg.workloads import rules_for
from tests.builders import COMPLETE, FAILED, READY, RUNNING, Bench, compiled, draft, snapshot, task, wf

RUN, CONTINUE, DRAIN, CANCEL = Mode.RUN, Mode.CONTINUE, Mode.DRAIN, Mode.CANCEL
TERMINATING, OVER, DONE = WorkflowPhase.TERMINATING, WorkflowPhase.FAILED, WorkflowPhase.SUCCEEDED
GOING = WorkflowPhase.RUNNING


def job(status: dict[str, Any], *, going: bool = False, attempt: int = 0) -> ObservedJob:
    """The job of flow `a`, which says so."""
    bench = Bench(wf(a={"template": "widget"}))
    bench.say(status, "a")
    if going:
        bench.is_going("a")
    return replace(bench.observed("a"), attempt=attempt)


LIVE = Task(phase=Phase.RUNNING, had_job=True, ran=True)
CANCELLED = Task(phase=Phase.CANCELLED, had_job=True)
SERVING = Task(phase=Phase.SUCCEEDED, had_job=True, current=Attempt(job="w-a", ready=True))
SECOND = Task(phase=Phase.RUNNING, had_job=True, attempt=1)
LATE = Task(phase=Phase.BACKOFF, had_job=True, reason="DeadlineExceeded")
NEVER_RAN = Task(phase=Phase.FAILED, had_job=True, reason="PendingTimeout")
SKIPPED = Task(phase=Phase.SKIPPED)
FAILURE = Task(phase=Phase.FAILED, had_job=True, reason="Failed")

Row = tuple[str, Task, dict[str, Any], Mode, WorkflowPhase, str]
CONDEMNED: dict[str, Row] = {
    "a running job stays": ("retain", LIVE, RUNNING, RUN, GOING, ""),
    "a running job stays under Drain": ("retain", LIVE, RUNNING, DRAIN, TERMINATING, ""),
    "that of a Cancelled task goes": ("retain", CANCELLED, RUNNING, CANCEL, TERMINATING, "the outcome was decided"),
    "an unfinished one of an older attempt goes": ("retain", SECOND, RUNNING, RUN, GOING, "an older attempt"),
    "a finished one of an older attempt stays": ("retain", SECOND, FAILED, RUN, GOING, ""),
    "one that took too long goes at once": ("retain", LATE, RUNNING, RUN, GOING, "DeadlineExceeded"),
    "one that never ran goes at once": ("retain", NEVER_RAN, {}, RUN, GOING, "PendingTimeout"),
    "one that took too long and has ended since stays": ("retain", LATE, COMPLETE, RUN, GOING, ""),
    "a failed one stays": ("delete", FAILURE, FAILED, RUN, GOING, ""),
    "a ready service stays under Drain": ("retain", SERVING, READY, DRAIN, TERMINATING, ""),
    "a ready service goes under Cancel": ("retain", SERVING, READY, CANCEL, TERMINATING, "the workflow was cancelled"),
    "one that appears for a Skipped task is let end under Drain": ("retain", SKIPPED, RUNNING, DRAIN, TERMINATING, ""),
    "one that appears for a Skipped task goes under Cancel": (
        "retain",
        SKIPPED,
        RUNNING,
        CANCEL,
        OVER,
        "the workflow was cancelled",
    ),
    "a finished one of a Failed task stays under Cancel": ("retain", FAILURE, FAILED, CANCEL, TERMINATING, ""),
    "retain keeps at the end": ("retain", FAILURE, FAILED, DRAIN, OVER, ""),
    "delete takes at the end": ("delete", FAILURE, FAILED, DRAIN, OVER, "jobRetainPolicy delete"),
    "delete takes services too": ("delete", SERVING, READY, DRAIN, DONE, "jobRetainPolicy delete"),
    "delete-on-success keeps after a failure": ("delete-on-success", FAILURE, FAILED, DRAIN, OVER, ""),
    "delete-on-success takes after a success": (
        "delete-on-success",
        FAILURE,
        FAILED,
        DRAIN,
        DONE,
        "jobRetainPolicy delete-on-success",
    ),
}


@pytest.mark.parametrize(("policy", "state", "status", "how", "phase", "why"), CONDEMNED.values(), ids=CONDEMNED)
def test_deletions(policy: str, state: Task, status: dict[str, Any], how: Mode, phase: WorkflowPhase, why: str) -> None:
    workflow = wf({"jobRetainPolicy": policy}, a={"template": "service" if state.current.ready else "widget"})
    graph = compiled(workflow)
    seen = snapshot(workflow, graph, jobs={task("a"): (job(status),)})
    found = deletions.deletions(Context(seen, draft(graph, a=state)), how, phase, [task("a")])
    assert [one.why for one in found] == ([why] if why else [])
    assert all(one.uid for one in found), "by uid, so that a namesake is never hit"


def test_a_job_that_is_going_is_not_deleted_again() -> None:
    workflow = wf({"jobRetainPolicy": "delete"}, a={"template": "widget"})
    graph = compiled(workflow)
    seen = snapshot(workflow, graph, jobs={task("a"): (job(RUNNING, going=True),)})
    assert deletions.deletions(Context(seen, draft(graph, a=FAILURE)), CANCEL, OVER, [task("a")]) == []


def test_the_living_job_of_a_flow_that_the_spec_no_longer_has_goes() -> None:
    workflow = wf(b="")
    graph = compiled(workflow)
    seen = snapshot(workflow, graph, jobs={task("a"): (job(RUNNING),)})
    for how in (DRAIN, CANCEL):
        assert len(deletions.deletions(Context(seen, draft(graph)), how, TERMINATING, [task("a")])) == 1
    over = snapshot(workflow, graph, jobs={task("a"): (job(COMPLETE),)})
    assert deletions.deletions(Context(over, draft(graph)), CANCEL, TERMINATING, [task("a")]) == []


def test_the_end_waits_until_the_service_of_a_flow_that_the_spec_no_longer_has_is_under_deletion() -> None:
    deployments = GVR("apps", "v1", "deployments")
    graph = compiled(workflow := wf(b=""))
    service = replace(job({}), gvr=deployments)
    kinds = {deployments: Kind(kind="Deployment", row=rules_for(deployments))}
    serving = snapshot(workflow, graph, jobs={task("a"): (service,)}, kinds=kinds)
    assert deletions.has_unfinished_job(Context(serving, draft(graph)))
    assert len(deletions.deletions(Context(serving, draft(graph)), DRAIN, TERMINATING, [task("a")])) == 1
    going = snapshot(workflow, graph, jobs={task("a"): (replace(job({}, going=True), gvr=deployments),)}, kinds=kinds)
    assert not deletions.has_unfinished_job(Context(going, draft(graph)))


EDITS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "to a flow with for": ({}, {"for": {"replicas": 2}}, ["w-a-0", "w-a-1"]),
    "to one without": ({"for": {"replicas": 1}}, {}, ["w-a"]),
    "to another name": ({}, {"name": "b"}, ["w-b"]),
}


@pytest.mark.parametrize(("before", "after", "made"), EDITS.values(), ids=EDITS)
def test_a_job_that_was_made_before_an_edit_and_before_the_first_status_goes(
    before: dict[str, Any], after: dict[str, Any], made: list[str]
) -> None:
    """The controller died between its first creation and its first status, so no status says what the spec was."""
    bench = Bench(wf(a=before), settle=False)
    bench.loses_writes = True
    bench.step()
    (early,) = bench.names
    bench.loses_writes = False
    bench.crash()
    bench.edit_spec(flows=[{"name": "a", "template": "job", **after}])
    bench.settle()
    assert (bench.living, [one.name for one in bench.deleted]) == (set(made), [early])
    for name in made:
        bench.say_of(name, COMPLETE)
    bench.settle()
    assert bench.phase == "Succeeded"


AT_REST: dict[str, tuple[Task, dict[str, Any], bool, bool]] = {
    "a running job is waited for": (LIVE, RUNNING, False, False),
    "a finished one is not": (FAILURE, FAILED, False, True),
    "one under deletion is not": (CANCELLED, RUNNING, True, True),
    "a ready service is not": (SERVING, READY, False, True),
    "an unfinished one of a settled task is": (FAILURE, RUNNING, False, False),
}


@pytest.mark.parametrize(("state", "status", "going", "rests"), AT_REST.values(), ids=AT_REST)
def test_whether_a_job_is_waited_for(state: Task, status: dict[str, Any], going: bool, rests: bool) -> None:
    workflow = wf(a={"template": "service" if state.current.ready else "widget"})
    graph = compiled(workflow)
    seen = snapshot(workflow, graph, jobs={task("a"): (job(status, going=going),)})
    assert deletions.has_unfinished_job(Context(seen, draft(graph, a=state))) is not rests
