"""How the pods of a failed job ended comes after the verdict, and changes messages and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import conditions
from pkg.apis.meta import Job, seconds
from pkg.controllers.workflow.planner.actions import Emit, FailedAttempt, FailedJob
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import JobEnding, TaskKey
from pkg.controllers.workflow.planner.status.failures import (
    MAX_LOOKUPS,
    failure_message,
    is_explained,
    is_gone,
    lookups_after_end,
    ready_events,
    status_with_words,
    taken_off,
    was_deleted,
    with_words,
)
from tests.builders import JOBS, Bench, task, wf

POD = "pod w-a-x7k2p, container main: exit code 3"
SAID = "BackoffLimitExceeded: it broke"
RETRY = {"maxRetries": 1, "interval": "10s"}


@pytest.mark.parametrize(
    ("message", "words", "result"),
    [
        pytest.param(f"job w-a: {SAID}", POD, f"job w-a, {POD}; {SAID}", id="the pod comes before what the job says"),
        pytest.param(
            "job w-a: Evicted: The node was low.",
            "pod w-a: Evicted: The node was low.",
            "job w-a, pod w-a: Evicted: The node was low.",
            id="a job that is a pod says it once",
        ),
        pytest.param("job w-a: Error", POD, f"job w-a, {POD}", id="Error says less than an exit code"),
        pytest.param("job w-a failed", POD, f"job w-a, {POD}", id="a job that says nothing"),
        pytest.param(f"job w-a: {SAID}", "", f"job w-a: {SAID}", id="nothing is known"),
        pytest.param(f"job w-a, {POD}; {SAID}", "pod other: Evicted", f"job w-a, {POD}; {SAID}", id="once is enough"),
        pytest.param("attempt 0 did not end", POD, "attempt 0 did not end", id="another failure"),
        pytest.param(f"job w-a: {'x' * 600}", POD, f"job w-a, {POD}; {'x' * 600}"[:512], id="it is bounded"),
    ],
)
def test_the_message_of_a_failure(message: str, words: str, result: str) -> None:
    assert with_words(message, words) == result
    assert is_explained(with_words(failure_message("w-a", SAID), POD))
    assert not is_explained(failure_message("w-a", SAID))


def failed(*, then: str | None = POD, spec: dict[str, Any] | None = None, **flow: Any) -> Bench:
    """A workflow whose only task failed; then: what the lookup finds, None while it takes its time."""
    bench = Bench(wf(spec or {}, a=flow))
    bench.words = {"a/0": then}
    bench.fails("a")
    return bench


def test_flow_decision_and_workflow_say_how_the_container_ended() -> None:
    status = failed().workflow.status
    words = f"job w-a, {POD}; {SAID}"
    assert (status.phase, status.reason, status.message) == ("Failed", "TaskFailed", f"flow a failed: Failed, {words}")
    assert status.flows[0].message == words
    for kind in (conditions.DECIDED, conditions.FINISHED, conditions.SUCCEEDED):
        found = conditions.find(status.conditions, kind)
        assert found is not None
        assert found.message == f"flow a failed: Failed, {words}"


def test_the_end_does_not_wait_for_the_words_and_does_not_lose_them() -> None:
    bench = failed(then=None)
    assert bench.workflow.status.phase == "Failed"
    assert bench.flow("a").message == f"job w-a: {SAID}"
    ended = bench.workflow.status.completion_time
    writes = len(bench.writes)
    bench.wait(5.0)
    bench.endings = {task("a"): JobEnding(0, POD)}
    bench.settle()
    assert bench.flow("a").message == f"job w-a, {POD}; {SAID}"
    assert POD in bench.workflow.status.message
    assert bench.workflow.status.completion_time == ended
    assert len(bench.writes) == writes + 1
    assert bench.settle().patch is None


def test_each_attempt_is_looked_up_once() -> None:
    bench = Bench(wf(a={"retry": RETRY}))
    bench.words = {"a/0": POD}
    bench.fails("a")
    assert (bench.phases()["a"], bench.flow("a").message) == ("Backoff", f"job w-a, {POD}; {SAID}")
    assert bench.step().lookups == ()
    bench.wait(10.0)
    assert bench.flow("a").message == ""
    bench.fails("a")
    assert bench.flow("a").message == f"job w-a-r1, {POD}; {SAID}"


@pytest.mark.parametrize(("found", "asks"), [(POD, False), (None, True)], ids=["known", "missing"])
def test_after_a_crash_only_what_is_missing_is_looked_up(found: str | None, asks: bool) -> None:
    bench = Bench(wf(a={"continueOnFail": True}, b="", c={"dependsOn": {"targets": ["b"]}}))
    bench.words = {"a/0": found}
    bench.fails("a")
    bench.crash()
    bench.words = {"a/0": None}
    made = bench.step()
    assert made.lookups == ((FailedJob(task("a"), 0, "jobs.v1.batch"),) if asks else ())


def test_a_job_that_disappeared_is_looked_up_once_and_said_to_be_taken_off_if_it_is_there() -> None:
    """Its watch ends in the same way when it is deleted and when it loses the label by which jobs are watched."""
    there = taken_off("w-a", "its label x was removed")
    for words in (was_deleted("w-a"), there):
        bench = Bench(wf(a="", b=""))
        bench.words = {"a/0": None}
        lost = bench.observed("a").job
        bench.vanishes("a")
        (asked,) = bench.step().lookups
        assert asked == FailedJob(task("a"), 0, str(JOBS), Job(asked.lost.metadata if asked.lost else lost.metadata))
        assert (bench.flow("a").reason, bench.flow("a").message) == ("JobDeleted", is_gone("w-a"))
        bench.endings = {task("a"): JobEnding(0, words)}
        bench.ledger.mark_task_dirty(WorkflowId.of(bench.workflow), task("a"))
        bench.settle()
        assert bench.flow("a").message == words
        assert bench.step().lookups == ()
        bench.succeeds("b")
        assert bench.phase == "Failed"
        assert bench.status.message == f"flow a failed: JobDeleted, {words}"


def test_the_answer_may_come_after_the_end() -> None:
    there = taken_off("w-a", "its label x was removed")
    bench = Bench(wf(a=""))
    bench.words = {"a/0": None}
    bench.vanishes("a")
    assert bench.phase == "Failed"
    bench.endings = {task("a"): JobEnding(0, there)}
    bench.settle()
    assert (bench.flow("a").message, bench.status.message) == (there, f"flow a failed: JobDeleted, {there}")


def test_a_job_whose_deletion_was_seen_is_not_looked_up() -> None:
    bench = Bench(wf(a="", b=""))
    bench.is_going("a")
    bench.vanishes("a")
    assert (bench.flow("a").reason, bench.step().lookups) == ("JobDeleted", ())


def test_a_job_stays_for_its_lookup_although_the_policy_removes_it() -> None:
    bench = failed(then=None, spec={"jobRetainPolicy": "delete"})
    assert (bench.workflow.status.phase, bench.deleted) == ("Failed", [])
    bench.endings = {task("a"): JobEnding(0, "")}
    bench.settle()
    assert [deletion.name for deletion in bench.deleted] == ["w-a"]


def test_indexes_are_named_and_each_says_how_it_ended() -> None:
    bench = Bench(wf(a={"for": {"replicas": 3}}))
    bench.words = {f"a/{index}": f"pod p{index}, container main: exit code {index}" for index in range(3)}
    bench.fails("a/1", "a/2")
    found = bench.flow("a")
    assert found.message == f"index 1: job w-a-1, pod p1, container main: exit code 1; {SAID}"
    assert [item.message for item in found.replicas] == [
        f"job w-a-{index}, pod p{index}, container main: exit code {index}; {SAID}" for index in (1, 2)
    ]


def test_words_that_come_after_the_end_reach_the_index_that_they_are_about() -> None:
    bench = Bench(wf(a={"for": {"replicas": 3}}))
    bench.words = dict.fromkeys(("a/0", "a/1"), None)
    bench.fails("a/0", "a/1")
    bench.succeeds("a/2")
    status = status_with_words(bench.workflow.status, {task("a/1"): JobEnding(0, POD), task("a/0"): JobEnding(0, "")})
    assert status.flows[0].message == f"index 0: job w-a-0: {SAID}"
    assert [item.message for item in status.flows[0].replicas] == [f"job w-a-0: {SAID}", f"job w-a-1, {POD}; {SAID}"]
    assert status_with_words(status, {task("a/1"): JobEnding(0, POD)}) is status


def test_of_a_flow_with_many_failed_tasks_only_those_that_status_shows_are_looked_up() -> None:
    bench = Bench(wf(a={"for": {"replicas": 150}}))
    bench.words = {f"a/{index}": None for index in range(150)}
    bench.fails(*(f"a/{index}" for index in range(150)))
    assert len(bench.endings) == MAX_LOOKUPS
    assert {key.index for key in bench.endings} == set(range(MAX_LOOKUPS))


def about(name: str, attempt: int = 0) -> Emit:
    """The Event of a failed attempt of flow `name`."""
    message = failure_message(f"w-{name}", SAID)
    text = f"flow {name} failed: Failed: {message}"
    return Emit("TaskFailed", text, is_warning=True, failed=FailedAttempt(TaskKey(name, 0), attempt, message))


@pytest.mark.parametrize(
    ("endings", "ready", "kept"),
    [
        pytest.param({}, 3, 0, id="nothing is looked up"),
        pytest.param({"a": JobEnding(0)}, 0, 3, id="it waits for the pods, and what follows waits with it"),
        pytest.param({"a": JobEnding(0, ""), "b": JobEnding(0)}, 1, 2, id="what comes before goes"),
        pytest.param({"a": JobEnding(1)}, 3, 0, id="the pods of a later attempt are another matter"),
        pytest.param({"a": JobEnding(0, ""), "b": JobEnding(0, "")}, 3, 0, id="nothing was found"),
    ],
)
def test_an_event_of_a_failure_waits_for_how_the_pods_ended(
    endings: dict[str, JobEnding], ready: int, kept: int
) -> None:
    events = (about("a"), about("b"), Emit("Decided", f"TaskFailed: flow a failed: Failed, job w-a: {SAID}"))
    found = ready_events(events, {TaskKey(name, 0): ending for name, ending in endings.items()})
    assert found == (events[:ready], events[len(events) - kept :])


def test_the_events_of_a_failure_say_how_the_pods_ended() -> None:
    decided = Emit("Decided", f"TaskFailed: flow a failed: Failed, job w-a: {SAID}")
    ready, kept = ready_events((about("a"), decided), {TaskKey("a", 0): JobEnding(0, POD)})
    assert [event.message for event in ready] == [
        f"flow a failed: Failed: job w-a, {POD}; {SAID}",
        f"TaskFailed: flow a failed: Failed, job w-a, {POD}; {SAID}",
    ]
    assert not kept


@pytest.mark.parametrize(
    ("change", "since", "asks"),
    [
        pytest.param({}, 1.0, True, id="the controller before was killed right after the end"),
        pytest.param({}, -1.0, False, id="this controller has seen the end"),
        pytest.param({}, 600.0, False, id="that was long ago"),
        pytest.param({"message": f"job w-a, {POD}; {SAID}"}, 1.0, False, id="the message has it"),
        pytest.param({"reason": "Refused"}, 1.0, False, id="another failure"),
    ],
)
def test_pods_that_a_killed_controller_did_not_look_up_are_looked_up_by_the_next(
    change: dict[str, Any], since: float, asks: bool
) -> None:
    bench = failed(then=None, spec={"successPolicy": {"type": "All"}})
    status = bench.workflow.status
    flow = msgspec.structs.replace(status.flows[0], **change)
    status = msgspec.structs.replace(status, flows=(flow,))
    began = seconds(status.completion_time) + since
    asked = (FailedJob(task("a"), 0, "jobs.v1.batch"),)
    assert lookups_after_end(status, began, {}) == (asked if asks else ())
    assert lookups_after_end(status, began, {task("a"): JobEnding(0)}) == (), "it is asked for once"
