"""The clocks of attempts and of the workflow: when they run, when they stand still, and what a crash does to them."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.controllers.workflow.planner.control import timeouts
from pkg.controllers.workflow.planner.progress import NEVER, Attempt, Task
from tests.builders import NOW, Bench, compiled, on, status_of, task, template, wf

RETRY: dict[str, Any] = {"maxRetries": 1, "interval": "1s"}

UNFINISHED = Task(phase=Phase.RUNNING, had_job=True, ran=True, current=Attempt(began=True, created=NOW, makeable=NOW))
PENDING = Task(phase=Phase.PENDING, had_job=True, current=Attempt(created=NOW + 5, makeable=NOW))
RELEASED = Task(phase=Phase.WAITING, released=NOW, current=Attempt(makeable=NOW))
OVERDUE: dict[str, tuple[dict[str, Any], Task, bool, tuple[float, str]]] = {
    "no timeout": ({}, UNFINISHED, False, (NEVER, "")),
    "timeout counts from creation": ({"timeout": "1m"}, PENDING, False, (NOW + 65, "DeadlineExceeded")),
    "a running attempt has no pendingTimeout": ({"pendingTimeout": "1m"}, UNFINISHED, False, (NEVER, "")),
    "pendingTimeout counts from release": ({"pendingTimeout": "1m"}, PENDING, False, (NOW + 60, "PendingTimeout")),
    "it runs before there is a job": ({"pendingTimeout": "1m"}, RELEASED, False, (NOW + 60, "PendingTimeout")),
    "it does not run before the release": ({"pendingTimeout": "1m"}, Task(), False, (NEVER, "")),
    "a task without a job has no timeout": ({"timeout": "1m"}, RELEASED, False, (NEVER, "")),
    "the first of both": (
        {"timeout": "1m", "pendingTimeout": "2m"},
        PENDING,
        False,
        (NOW + 65, "DeadlineExceeded"),
    ),
    "a held job has none": (
        {"timeout": "1m", "pendingTimeout": "1m"},
        Task(phase=Phase.SUSPENDED, had_job=True, current=Attempt(created=NOW, makeable=NOW, held_at=NOW)),
        True,
        (NEVER, ""),
    ),
    "held time is added": (
        {"timeout": "1m"},
        Task(phase=Phase.RUNNING, had_job=True, current=Attempt(created=NOW, held=30.0)),
        False,
        (NOW + 90, "DeadlineExceeded"),
    ),
    "held time is added to pendingTimeout": (
        {"pendingTimeout": "1m"},
        Task(phase=Phase.PENDING, had_job=True, current=Attempt(created=NOW, makeable=NOW, held=30.0)),
        False,
        (NOW + 90, "PendingTimeout"),
    ),
    "where a queue may have held it, it counts from the controller's start": (
        {"timeout": "1m"},
        Task(phase=Phase.RUNNING, had_job=True, current=Attempt(created=NOW - 500)),
        True,
        (NOW + 60, "DeadlineExceeded"),
    ),
    "without a queue it counts from creation": (
        {"timeout": "1m"},
        Task(phase=Phase.RUNNING, had_job=True, current=Attempt(created=NOW - 50)),
        False,
        (NOW + 10, "DeadlineExceeded"),
    ),
    "a final task has none": (
        {"timeout": "1m"},
        Task(phase=Phase.SUCCEEDED, current=Attempt(created=NOW)),
        False,
        (NEVER, ""),
    ),
}


@pytest.mark.parametrize(("flow", "task", "held", "expected"), OVERDUE.values(), ids=OVERDUE)
def test_overdue_at(flow: dict[str, Any], task: Task, held: bool, expected: tuple[float, str]) -> None:
    assert timeouts.overdue_at(task.with_current(may_be_held=held), compiled(wf(a=flow))["a"], NOW) == expected


# Of an attempt


def test_timeout_ends_one_attempt_and_its_job_is_deleted_at_once() -> None:
    bench = Bench(wf(a={"timeout": "1m", "retry": RETRY}))
    bench.runs("a")
    assert bench.wait(59.9).deletions == ()
    bench.wait(0.2)
    assert [(one.name, one.why) for one in bench.deleted] == [("w-a", "DeadlineExceeded")]
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Backoff", "DeadlineExceeded")
    assert bench.flow("a").message == "job w-a did not end within 1m"
    bench.wait(1)
    bench.runs("a")
    bench.wait(59)
    assert bench.phases()["a"] == "Running", "the next attempt has a clock of its own"
    bench.wait(1.1)
    assert bench.phases()["a"] == "Failed"


def test_the_deletion_comes_after_the_status_that_records_it() -> None:
    bench = Bench(wf(a={"timeout": "1m"}))
    bench.log.clear()
    bench.wait(61)
    assert bench.log[:2] == ["status", "delete w-a"]


def test_the_pass_says_when_a_timeout_comes() -> None:
    bench = Bench(wf(a={"timeout": "1m"}))
    assert bench.step().requeue_at == NOW + 60


def test_pending_timeout_counts_until_it_first_runs() -> None:
    bench = Bench(wf(a={"pendingTimeout": "1m"}, b={"pendingTimeout": "1m"}))
    bench.runs("a")
    bench.wait(61)
    assert bench.phases() == {"a": "Running", "b": "Failed"}
    assert bench.flow("b").reason == "PendingTimeout"
    assert [one.name for one in bench.deleted] == ["w-b"]


def test_pending_timeout_begins_with_the_release() -> None:
    bench = Bench(wf(a="", b={**on("a"), "pendingTimeout": "1m"}))
    bench.wait(300)
    bench.succeeds("a")
    bench.wait(59)
    assert bench.phases()["b"] == "Pending"
    bench.wait(2)
    assert bench.flow("b").reason == "PendingTimeout"


def test_pending_timeout_waits_for_a_free_slot() -> None:
    bench = Bench(wf({"parallelism": 1}, a="", b={"pendingTimeout": "1m"}))
    bench.wait(300)
    assert bench.phases()["b"] == "Waiting"
    bench.succeeds("a")
    bench.wait(59)
    assert bench.phases()["b"] == "Pending"


def test_pending_timeout_does_not_run_while_suspended() -> None:
    bench = Bench(wf({"suspend": True}, a={"pendingTimeout": "1m"}))
    bench.wait(300)
    assert bench.phases()["a"] == "Waiting"
    bench.set_spec(suspend=False)
    bench.wait(61)
    assert bench.flow("a").reason == "PendingTimeout"


def test_pending_timeout_fails_a_task_that_cannot_be_made() -> None:
    bench = Bench(
        wf(a={"template": "nobody", "pendingTimeout": "1m", "retry": RETRY}, b=on(probe=status_of("a", "Running")))
    )
    assert bench.flow("a").reason == "TemplateNotFound"
    bench.wait(61)
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Backoff", "PendingTimeout")
    words = "attempt 0 did not begin to run within 1m; last: there is no WorkTemplate nobody"
    assert bench.flow("a").message.startswith(words)
    bench.wait(1)
    bench.wait(61)
    assert bench.phases() == {"a": "Failed", "b": "Skipped"}


def test_while_a_queue_holds_the_job_neither_clock_runs() -> None:
    bench = Bench(wf({"queueName": "team-a"}, a={"timeout": "1m", "pendingTimeout": "30s"}))
    bench.is_held("a")
    bench.wait(3600)
    assert bench.phases()["a"] == "Suspended"
    bench.say({}, "a")
    bench.settle()
    bench.wait(29)
    assert bench.phases()["a"] == "Pending"
    bench.runs("a")
    bench.wait(30)
    assert bench.phases()["a"] == "Running"
    bench.wait(2)
    assert bench.flow("a").reason == "DeadlineExceeded"


def test_held_time_that_nobody_recorded_counts_from_the_start_of_the_controller() -> None:
    bench = Bench(wf({"queueName": "team-a"}, a={"timeout": "1m"}))
    bench.is_held("a")
    bench.wait(3600)
    bench.crash()
    bench.runs("a")
    bench.wait(59)
    assert bench.phases()["a"] == "Running"
    bench.wait(2)
    assert bench.flow("a").reason == "DeadlineExceeded"


def test_a_crash_does_not_prolong_a_timeout_of_recorded_times() -> None:
    bench = Bench(wf(a={"timeout": "1m"}))
    bench.runs("a")
    bench.wait(50)
    bench.restarted().wait(12)
    assert bench.flow("a").reason == "DeadlineExceeded"


def test_held_time_counts_for_nothing_though_the_workflow_names_no_queue_and_the_controller_was_restarted() -> None:
    bench = Bench(wf(a={"timeout": "1m", "pendingTimeout": "1m"}))
    bench.is_held("a")
    bench.wait(3600)
    bench.say({}, "a")
    bench.settle()
    for _ in range(2):  # the second time nothing but status tells that it was held
        bench.restarted()
    assert bench.phases()["a"] == "Pending"
    bench.runs("a")
    bench.wait(61)
    assert bench.flow("a").reason == "DeadlineExceeded"


@pytest.mark.parametrize("is_told", [True, False], ids=["before the restart", "after the restart"])
def test_an_attempt_that_has_run_has_no_pending_timeout_any_more(is_told: bool) -> None:
    """Its pods may be made anew; a restart of the controller must not forget that it ran."""
    bench = Bench(wf(a={"pendingTimeout": "1m", "retry": RETRY}))
    bench.runs("a")
    bench.wait(300)
    bench.say({}, "a")
    if is_told:
        bench.settle()
        assert bench.phases()["a"] == "Pending"
    bench.restarted().restarted()
    assert bench.phases()["a"] == "Pending"


def test_that_an_attempt_ran_says_nothing_of_the_next_one() -> None:
    bench = Bench(wf(a={"pendingTimeout": "1m", "retry": RETRY}))
    bench.runs("a")
    bench.fails("a")
    bench.wait(1)
    assert bench.names == ["w-a", "w-a-r1"]
    bench.restarted().wait(61)
    assert bench.flow("a").reason == "PendingTimeout"


def test_pending_timeout_fails_a_retry_that_cannot_be_made() -> None:
    bench = Bench(wf(a={"pendingTimeout": "1m", "retry": RETRY}))
    bench.runs("a")
    bench.templates.clear()
    bench.fails("a")
    bench.wait(1)
    assert bench.flow("a").reason == "TemplateNotFound"
    bench.wait(61)
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Failed", "PendingTimeout")


def test_pending_timeout_begins_anew_when_the_slot_goes_to_another() -> None:
    """While nothing can be made all have a slot; once one of them took it, the others wait for theirs."""
    bench = Bench(wf({"parallelism": 1}, a={"template": "late", "pendingTimeout": "1m", "for": {"replicas": 2}}))
    bench.wait(50)
    bench.templates["late"] = template("late")
    bench.settle()
    bench.runs("a/0")
    bench.wait(300)
    assert bench.tasks("a") == ["Running", "Waiting"]
    bench.succeeds("a/0")
    bench.wait(59)
    assert bench.tasks("a") == ["Succeeded", "Pending"]
    bench.wait(2)
    assert bench.tasks("a") == ["Succeeded", "Failed"]


def test_pending_timeout_begins_anew_with_another_release() -> None:
    """A pod address, the only thing that does not latch, may be gone before the job is made."""
    asks = {"patch": {"spec": {"peer": "{{flows.a.podIP}}"}}, "template": "nobody", "pendingTimeout": "1m"}
    bench = Bench(wf(a={"template": "service"}, b=asks))
    bench.is_ready("a")
    bench.pod_ips = {task("a"): "10.0.0.1"}
    bench.settle()
    bench.wait(50)
    bench.pod_ips = {}
    bench.settle()
    bench.wait(300)
    assert bench.phases()["b"] == "Waiting"
    bench.pod_ips = {task("a"): "10.0.0.2"}
    bench.settle()
    bench.wait(59)
    assert bench.phases()["b"] == "Waiting"
    bench.wait(2)
    assert bench.flow("b").reason == "PendingTimeout"


def test_pending_timeout_begins_anew_when_the_workflow_is_no_more_suspended() -> None:
    bench = Bench(wf(a={"template": "nobody", "pendingTimeout": "1m"}))
    bench.wait(50)
    bench.set_spec(suspend=True)
    bench.wait(300)
    assert bench.phases()["a"] == "Waiting"
    bench.set_spec(suspend=False)
    bench.wait(61)
    assert bench.flow("a").reason == "PendingTimeout"


def test_suspend_of_the_workflow_lets_running_jobs_and_their_timeouts_go_on() -> None:
    bench = Bench(wf(a={"timeout": "1m"}))
    bench.runs("a")
    bench.set_spec(suspend=True)
    assert bench.living == {"w-a"}
    bench.wait(61)
    assert bench.flow("a").reason == "DeadlineExceeded"


# Of the workflow


def test_the_workflow_timeout_cancels_and_fails() -> None:
    bench = Bench(wf({"timeout": "1h"}, a="", b="a"))
    bench.wait(3599)
    assert bench.phase == "Running"
    bench.wait(1)
    assert (bench.phase, bench.status.reason) == ("Failed", "DeadlineExceeded")
    assert bench.phases() == {"a": "Cancelled", "b": "Skipped"}
    assert bench.living == set()


def test_the_workflow_clock_stands_still_while_suspended() -> None:
    bench = Bench(wf({"timeout": "1h"}, a=""))
    bench.wait(1800)
    bench.set_spec(suspend=True)
    assert bench.step().requeue_at is None
    bench.wait(10_000)
    bench.set_spec(suspend=False)
    assert bench.record.suspended_seconds == 10_000
    bench.wait(1799)
    assert bench.phase == "Running"
    bench.wait(1)
    assert bench.phase == "Failed"


def test_suspended_time_adds_up_and_survives_a_crash() -> None:
    bench = Bench(wf({"timeout": "1h"}, a=""))
    for _ in range(2):
        bench.wait(100)
        bench.set_spec(suspend=True)
        bench.wait(500)
        bench.restarted().wait(500)
        bench.set_spec(suspend=False)
    assert bench.record.suspended_seconds == 2000
    bench.restarted().wait(3600 - 200 - 1)
    assert bench.phase == "Running"
    bench.wait(1)
    assert bench.phase == "Failed"


def test_a_timeout_that_is_changed_counts_at_once() -> None:
    bench = Bench(wf({"timeout": "1h"}, a=""))
    bench.wait(100)
    bench.set_spec(timeout="1m")
    assert (bench.phase, bench.status.reason) == ("Failed", "DeadlineExceeded")


def test_a_queue_may_hold_a_job_that_is_labelled_for_it_by_its_template() -> None:
    """For how long it was held is not recorded, so the timeout counts from the start of the controller."""
    bench = Bench(wf(a={"timeout": "1m"}))
    bench.label("a", **{"kueue.x-k8s.io/queue-name": "team-a"})
    bench.runs("a")
    bench.wait(50)
    bench.restarted().wait(59)
    assert bench.phases()["a"] == "Running"
    bench.wait(2)
    assert bench.flow("a").reason == "DeadlineExceeded"
