"""Attempts: which failures get another one, when, and with what proof."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.meta import seconds
from pkg.controllers.workflow.planner.control import retry
from pkg.controllers.workflow.planner.progress import Task
from tests.builders import COMPLETE, NOW, RUNNING, Bench, compiled, http, on, wf

ONCE: dict[str, Any] = {"maxRetries": 1, "interval": "10s"}

RETRIABLE: dict[str, tuple[dict[str, Any], str, int, int, bool]] = {
    "none without retry": ({}, "Failed", 0, 0, False),
    "maxRetries counts after the first attempt": ({"maxRetries": 1}, "Failed", 0, 0, True),
    "and no more": ({"maxRetries": 1}, "Failed", 1, 0, False),
    "after a restart the budget is new": ({"maxRetries": 1}, "Failed", 3, 3, True),
    "and ends again": ({"maxRetries": 1}, "Failed", 4, 3, False),
    "by default JobDeleted counts": ({"maxRetries": 1}, "JobDeleted", 0, 0, True),
    "by default DeadlineExceeded counts": ({"maxRetries": 1}, "DeadlineExceeded", 0, 0, True),
    "by default PendingTimeout counts": ({"maxRetries": 1}, "PendingTimeout", 0, 0, True),
    "a reason that is listed": ({"maxRetries": 1, "reasons": ["JobDeleted"]}, "JobDeleted", 0, 0, True),
    "a reason that is not listed": ({"maxRetries": 1, "reasons": ["JobDeleted"]}, "Failed", 0, 0, False),
    "RenderError never": ({"maxRetries": 1}, "RenderError", 0, 0, False),
    "NameConflict never": ({"maxRetries": 1}, "NameConflict", 0, 0, False),
    "Refused never": ({"maxRetries": 1}, "Refused", 0, 0, False),
    "ProbeTimeout never": ({"maxRetries": 1}, "ProbeTimeout", 0, 0, False),
}


@pytest.mark.parametrize(("fields", "reason", "attempt", "first", "expected"), RETRIABLE.values(), ids=RETRIABLE)
def test_is_retriable(fields: dict[str, Any], reason: str, attempt: int, first: int, expected: bool) -> None:
    rule = compiled(wf(a={"retry": fields}))["a"].retry
    assert retry.is_retriable(rule, reason=reason, attempt=attempt, first_attempt=first) is expected


def test_after_the_decision_there_is_no_retry() -> None:
    rule = compiled(wf(a={"retry": ONCE}))["a"].retry
    task = Task(phase=Phase.RUNNING, had_job=True)
    ended = retry.after_failure(task, rule, first_attempt=0, reason="Failed", message="", now=NOW, may_retry=False)
    assert ended.phase is Phase.FAILED


def test_delays_grow_and_restart_with_the_budget() -> None:
    rule = compiled(wf(a={"retry": {"maxRetries": 9}}))["a"].retry

    def due(attempt: int, first: int) -> float:
        task = Task(phase=Phase.RUNNING, attempt=attempt, had_job=True)
        ended = retry.after_failure(
            task, rule, first_attempt=first, reason="Failed", message="", now=NOW, may_retry=True
        )
        assert ended.due is not None
        return ended.due - NOW

    assert [due(attempt, 0) for attempt in range(4)] == [10, 20, 40, 80]
    assert due(4, 4) == 10


def test_a_failed_attempt_is_followed_by_one_with_a_job_of_its_own() -> None:
    bench = Bench(wf(a={"retry": ONCE}))
    bench.fails("a")
    assert bench.phases()["a"] == "Backoff"
    assert bench.flow("a").next_attempt_time == "2027-01-15T08:00:10.000000Z"
    bench.wait(9.99)
    assert bench.names == ["w-a"]
    bench.wait(0.01)
    assert bench.names == ["w-a", "w-a-r1"]
    assert bench.living == {"w-a", "w-a-r1"}, "the failed one stays until jobRetainPolicy acts"
    bench.fails("a")
    assert bench.phases()["a"] == "Failed"


def test_the_pass_says_when_the_retry_is_due() -> None:
    bench = Bench(wf(a={"retry": ONCE}))
    bench.fails("a")
    assert bench.step().requeue_at == NOW + 10


def test_a_restart_of_the_controller_never_shortens_a_delay() -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 3, "interval": "10s"}}))
    bench.fails("a")
    bench.wait(5)
    bench.restarted().wait(4.9)
    assert bench.names == ["w-a"]
    bench.wait(0.2)
    assert bench.names == ["w-a", "w-a-r1"]
    bench.fails("a")
    bench.restarted().wait(19.9)
    assert bench.names == ["w-a", "w-a-r1"], "the second delay is 20 s"
    bench.wait(0.2)
    assert bench.names == ["w-a", "w-a-r1", "w-a-r2"]


def test_a_failure_that_no_status_recorded_counts_from_when_it_was_seen_again() -> None:
    """The delay may come late, never early."""
    bench = Bench(wf(a={"retry": ONCE}))
    bench.loses_writes = True
    bench.fails("a")
    bench.loses_writes = False
    bench.now += 5
    bench.restarted().wait(9.9)
    assert bench.names == ["w-a"]
    bench.wait(0.2)
    assert bench.names == ["w-a", "w-a-r1"]


def test_each_replica_retries_by_itself() -> None:
    bench = Bench(wf(a={"for": {"replicas": 3}, "retry": ONCE}))
    bench.runs("a/0", "a/1", "a/2")
    bench.fails("a/1")
    bench.wait(10)
    assert bench.names[3:] == ["w-a-1-r1"]
    assert bench.tasks("a") == ["Running", "Pending", "Running"]
    assert bench.deleted == []


def test_a_job_of_the_next_attempt_proves_that_the_one_before_failed() -> None:
    """Whatever that one says now: a controller that comes later does not judge it again."""
    bench = Bench(wf(a={"retry": ONCE}))
    bench.fails("a")
    bench.wait(10)
    bench.crash()
    bench.lose_status()
    bench.say_of("w-a", COMPLETE)
    bench.settle()
    assert bench.task("a").attempt == 1
    assert bench.phases()["a"] == "Pending"


def test_a_job_proves_that_its_dependencies_were_true() -> None:
    """Status was lost, and with it that the probe had passed; the job is there, and nobody asks again."""
    bench = Bench(wf(a="", b=on(probe=http("a"))))
    bench.runs("a")
    bench.passes("b")
    bench.crash()
    bench.lose_status()
    bench.settle()
    assert bench.phases()["b"] == "Pending"


def test_attempt_is_the_highest_that_a_label_or_the_status_knows() -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 3, "interval": "0s"}}))
    bench.fails("a")
    bench.fails("a")
    assert bench.names == ["w-a", "w-a-r1", "w-a-r2"]
    bench.vanishes("a")
    bench.restarted()
    assert bench.names[3:] == ["w-a-r3"], "status knows of attempt 2, whose job is gone"


def test_a_deleted_job_is_a_failed_attempt_once_it_is_gone() -> None:
    bench = Bench(wf(a={"retry": ONCE}))
    bench.runs("a")
    bench.is_going("a")
    assert bench.phases()["a"] == "Running", "it may still end by itself"
    bench.vanishes("a")
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Backoff", "JobDeleted")
    bench.wait(10)
    assert bench.names == ["w-a", "w-a-r1"]


def test_a_job_that_finalizers_hold_after_its_deletion_says_who_has_to_let_it_go() -> None:
    bench = Bench(wf(a={"retry": ONCE}))
    bench.runs("a")
    bench.change_metadata("a", lambda meta: msgspec.structs.replace(meta, finalizers=("team.example.com/archive",)))
    bench.is_going("a")
    says = ("Deleting", "job w-a is being deleted; it goes once its finalizers are off: team.example.com/archive")
    assert (bench.flow("a").reason, bench.flow("a").message) == says
    bench.restarted()
    assert (bench.phases()["a"], bench.flow("a").reason, bench.flow("a").message) == ("Running", *says)
    bench.vanishes("a")
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Backoff", "JobDeleted")
    bench.wait(10)
    bench.succeeds("a")
    assert (bench.phase, bench.flow("a").message) == ("Succeeded", "")


def test_a_job_that_ends_well_after_its_deletion_began_was_deleted() -> None:
    bench = Bench(wf(a={"retry": ONCE}, b="a"))
    bench.runs("a")
    bench.is_going("a")
    bench.succeeds("a")
    assert (bench.phases()["a"], bench.names) == ("Running", ["w-a"]), "the next attempt waits until it is gone"
    bench.vanishes("a")
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Backoff", "JobDeleted")
    bench.wait(10)
    assert bench.names == ["w-a", "w-a-r1"]


def test_a_job_that_had_ended_before_its_deletion_began_counts_as_it_ended() -> None:
    bench = Bench(wf(a=""))
    bench.succeeds("a")
    bench.is_going("a")
    bench.vanishes("a")
    assert bench.phases()["a"] == "Succeeded"


def test_after_the_decision_a_job_under_deletion_is_judged_at_once() -> None:
    bench = Bench(wf(a="", b=""))
    bench.runs("b")
    bench.is_going("b")
    bench.fails("a")
    assert (bench.phases()["b"], bench.flow("b").reason) == ("Failed", "JobDeleted")
    assert bench.phase == "Failed"


def test_after_the_decision_the_next_attempt_still_waits_until_it_is_gone() -> None:
    bench = Bench(wf({"successPolicy": {"remaining": "Continue"}}, a="", b={"retry": ONCE}))
    bench.runs("b")
    bench.is_going("b")
    bench.fails("a")
    assert bench.phases()["b"] == "Backoff"
    bench.wait(60)
    assert "w-b-r1" not in bench.names
    bench.vanishes("b")
    assert "w-b-r1" in bench.names


TIMEOUTS: dict[str, dict[str, str]] = {
    "that ran too long": {"timeout": "30s"},
    "that did not begin to run": {"pendingTimeout": "30s"},
}


@pytest.mark.parametrize("timeout", TIMEOUTS.values(), ids=TIMEOUTS)
def test_after_a_timeout_the_next_attempt_waits_until_the_job_is_gone(timeout: dict[str, str]) -> None:
    """Its pods may take their time to end, and a task has one job at a time."""
    bench = Bench(wf(a={"retry": ONCE, **timeout}))
    bench.lingers = True
    bench.wait(31)
    assert [one.name for one in bench.deleted] == ["w-a"]
    bench.wait(60)
    assert bench.restarted().names == ["w-a"]
    bench.vanishes("a")
    assert bench.names == ["w-a", "w-a-r1"]
    bench.wait(29)
    assert bench.phases() == {"a": "Pending"}, "its clocks begin with it"


def test_a_job_that_somebody_deletes_and_that_is_then_overdue_is_waited_for() -> None:
    bench = Bench(wf(a={"retry": ONCE, "timeout": "30s"}))
    bench.is_going("a")
    bench.wait(31)
    bench.wait(60)
    assert (bench.flow("a").reason, bench.names) == ("DeadlineExceeded", ["w-a"])
    bench.vanishes("a")
    assert bench.names == ["w-a", "w-a-r1"]


@pytest.mark.parametrize("timeout", TIMEOUTS.values(), ids=TIMEOUTS)
def test_a_job_that_timed_out_and_never_goes_does_not_hold_up_the_workflow_for_ever(timeout: dict[str, str]) -> None:
    """Its finalizer waits for an operator that is away."""
    bench = Bench(wf(a={"retry": ONCE, **timeout}))
    bench.lingers = True
    bench.wait(31)
    bench.wait(118)
    assert bench.names == ["w-a"]
    bench.wait(3)
    assert bench.names == ["w-a", "w-a-r1"]
    bench.wait(31)
    assert bench.workflow.status.phase == "Failed"


def test_an_ended_job_of_an_earlier_attempt_that_takes_long_to_go_holds_up_nobody() -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 2, "interval": "10s"}}))
    bench.fails("a")
    bench.is_going("a")
    bench.wait(10)
    bench.vanishes("a")
    bench.wait(20)
    assert bench.names == ["w-a", "w-a-r1", "w-a-r2"]
    assert bench.living == {"w-a-r2"}, "w-a is still on its way out"


def test_an_unfinished_job_of_an_older_attempt_is_deleted() -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 1, "interval": "0s"}}))
    bench.fails("a")
    assert bench.names == ["w-a", "w-a-r1"]
    bench.say_of("w-a", RUNNING)
    bench.settle()
    assert [(one.name, one.why) for one in bench.deleted] == [("w-a", "an older attempt")]


def test_a_kind_that_retries_by_itself_stays_in_one_attempt() -> None:
    """A Job with failed pods that is neither Complete nor Failed runs its own backoff."""
    bench = Bench(wf(a=""))
    bench.say({"active": 1, "ready": 1, "failed": 3}, "a")
    bench.settle()
    assert (bench.phases()["a"], bench.task("a").attempt) == ("Running", 0)


def test_retries_are_reported() -> None:
    bench = Bench(wf(a={"retry": ONCE}))
    bench.fails("a")
    assert bench.told == ["TaskRetry"]
    assert bench.events[0].message.startswith("flow a: Failed: job w-a: BackoffLimitExceeded: it broke; ")
    assert bench.events[0].message.endswith(" in 10.0s")


def test_the_due_time_in_status_is_the_one_that_is_kept() -> None:
    bench = Bench(wf(a={"retry": ONCE}))
    bench.now += 0.123456
    bench.fails("a")
    assert seconds(bench.flow("a").next_attempt_time) == pytest.approx(bench.task("a").due, abs=1e-6)
    (kept,) = bench.memory("a").kept
    assert (kept.attempt, kept.reason, kept.due) == (0, "Failed", bench.flow("a").next_attempt_time)
