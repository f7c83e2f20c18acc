"""What jobs make of their tasks: verdicts that stay, jobs that vanish, final objects that a TTL takes away."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.types import KindRecord
from pkg.controllers.workflow.planner.snapshot import JobWarning
from pkg.controllers.workflow.planner.status.failures import is_gone
from tests.builders import (
    COMPLETE,
    FAILED,
    HELD,
    JOBS,
    KINDS,
    READY,
    RUNNING,
    WIDGETS,
    Bench,
    on,
    status_of,
    template,
    wf,
)

SAYS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "Pending"),
    "that it runs": (RUNNING, "Running"),
    "that a queue holds it": (HELD, "Suspended"),
    "that it is complete": (COMPLETE, "Succeeded"),
    "that it failed": (FAILED, "Failed"),
}


@pytest.mark.parametrize(("status", "phase"), SAYS.values(), ids=SAYS)
def test_a_task_is_what_its_job_says(status: dict[str, Any], phase: str) -> None:
    bench = Bench(wf(a=""))
    bench.say(status, "a")
    bench.settle()
    assert bench.phases() == {"a": phase}


def test_a_job_that_is_held_again_is_suspended_again() -> None:
    bench = Bench(wf({"queueName": "q"}, a=""))
    for status, phase in ((HELD, "Suspended"), (RUNNING, "Running"), (HELD, "Suspended"), (RUNNING, "Running")):
        bench.say(status, "a")
        bench.settle()
        assert bench.phases() == {"a": phase}


@pytest.mark.parametrize(
    "later", [pytest.param(RUNNING, id="runs"), pytest.param(FAILED, id="failed"), pytest.param({}, id="is new")]
)
def test_a_verdict_is_not_taken_back(later: dict[str, Any]) -> None:
    bench = Bench(wf(a="", b=""))
    bench.succeeds("a")
    bench.say(later, "a")
    bench.settle()
    assert bench.phases()["a"] == "Succeeded"
    assert bench.restarted().phases()["a"] == "Succeeded"


def test_a_failed_verdict_is_not_taken_back_either() -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 1, "interval": "10s"}}))
    bench.fails("a")
    bench.succeeds("a")
    assert bench.phases()["a"] == "Backoff"
    bench.wait(10)
    assert bench.names == ["w-a", "w-a-r1"]


def test_the_message_of_a_failure_is_what_the_job_says() -> None:
    bench = Bench(wf(a=""))
    bench.fails("a")
    assert (bench.flow("a").reason, bench.flow("a").message) == ("Failed", "job w-a: BackoffLimitExceeded: it broke")


def test_a_job_that_vanished_before_its_end_was_deleted() -> None:
    bench = Bench(wf(a=""))
    bench.runs("a")
    bench.vanishes("a")
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Failed", "JobDeleted")
    assert bench.flow("a").message == is_gone("w-a")


def test_a_final_object_that_a_ttl_took_away_is_judged_by_its_last_status() -> None:
    bench = Bench(wf(a="", b=""))
    bench.say(COMPLETE, "a")
    bench.say(FAILED, "b")
    bench.vanishes("a", "b")
    assert bench.phases() == {"a": "Succeeded", "b": "Failed"}
    assert bench.flow("b").reason == "Failed"


def test_a_job_that_vanished_while_no_controller_ran_is_missed() -> None:
    bench = Bench(wf(a=""))
    bench.runs("a")
    bench.vanish_unseen("a")
    assert bench.flow("a").reason == "JobDeleted"


def test_a_job_counts_as_missing_only_once_its_informer_is_synced() -> None:
    bench = Bench(wf(a=""))
    bench.synced = frozenset()
    bench.vanish_unseen("a")
    assert bench.phases()["a"] == "Pending"
    bench.synced = frozenset(KINDS)
    bench.ledger_tells_all()
    bench.settle()
    assert bench.flow("a").reason == "JobDeleted"


def test_a_job_counts_as_missing_only_if_status_records_it() -> None:
    """The controller died between the creation and the status; the cache does not have the job yet."""
    bench = Bench(wf(a=""), settle=False)
    bench.settle()
    bench.lose_status()
    bench.vanish_unseen("a")
    assert bench.phases()["a"] == "Pending"
    assert bench.names == ["w-a", "w-a"], "nothing says that there was one, so it is made"


def test_a_kind_that_is_synced_elsewhere_says_nothing_about_another() -> None:
    bench = Bench(wf(a="", b={"template": "widget"}))
    bench.synced = frozenset({WIDGETS})
    bench.vanish_unseen("a")
    assert bench.phases() == {"a": "Pending", "b": "Pending"}


def test_a_new_controller_misses_a_job_at_its_first_look_though_another_kind_is_not_synced() -> None:
    """Nothing would make it look again."""
    bench = Bench(wf(a="", b={"template": "widget"}))
    bench.remove(bench.observed("a"))
    bench.crash()
    bench.synced = frozenset({JOBS})
    bench.step()
    assert bench.progress is not None
    assert bench.progress.flows[0].tasks[0].reason == "JobDeleted"


def test_a_kind_that_went_away_under_its_jobs_is_named() -> None:
    bench = Bench(wf(a="", b={"template": "widget"}, c={"template": "widget", **on("a")}))
    bench.kinds[WIDGETS] = None
    bench.vanishes("b")
    assert bench.flow("b").reason == "JobDeleted"
    assert bench.flow("b").message == "job w-b was removed with its kind: widgets.v1.example.com is no longer served"
    assert bench.phases()["a"] == "Pending"


def test_labels_of_a_task_that_the_spec_does_not_have_are_passed_over() -> None:
    bench = Bench(wf(a={"for": {"replicas": 3}}))
    bench.workflow = wf(a={"for": {"replicas": 2}})
    bench.progress = None
    bench.settle()
    assert bench.tasks("a") == ["Pending", "Pending"]


# Services


def test_a_ready_service_has_succeeded_and_later_changes_are_ignored() -> None:
    bench = Bench(wf(a={"template": "service"}, b="a"))
    bench.runs("a")
    assert bench.phases()["a"] == "Running"
    bench.is_ready("a")
    assert bench.phases() == {"a": "Succeeded", "b": "Pending"}
    bench.fails("a")
    bench.vanishes("a")
    assert bench.phases() == {"a": "Succeeded", "b": "Pending"}


def test_a_ready_service_holds_no_parallelism() -> None:
    bench = Bench(wf({"parallelism": 1}, a={"template": "service"}, b=""))
    assert bench.names == ["w-a"]
    bench.is_ready("a")
    assert bench.names == ["w-a", "w-b"]


def test_under_terminal_a_ready_job_is_just_running() -> None:
    bench = Bench(wf(a={"template": "widget"}))
    bench.is_ready("a")
    assert bench.phases()["a"] == "Running"


def test_the_template_says_when_a_job_counts_as_done() -> None:
    bench = Bench(
        wf(a={"template": "web"}), {"job": template("job"), "web": template("web", WIDGETS, completion="Ready")}
    )
    bench.say(READY, "a")
    bench.settle()
    assert bench.phases()["a"] == "Succeeded"


# Why it waits


def test_a_job_that_stays_pending_shows_the_last_warning_about_it() -> None:
    bench = Bench(wf(a=""))
    bench.warnings = {bench.observed("a").job.metadata.uid: JobWarning("FailedCreate", "exceeded quota")}
    bench.say({"x": 1}, "a")
    bench.settle()
    assert (bench.flow("a").reason, bench.flow("a").message) == ("FailedCreate", "job w-a: exceeded quota")
    bench.runs("a")
    assert (bench.flow("a").reason, bench.flow("a").message) == ("", "")


def test_a_status_that_no_rule_knows_is_quoted_whatever_an_event_says() -> None:
    bench = Bench(wf(a={"template": "widget"}))
    bench.warnings = {bench.observed("a").job.metadata.uid: JobWarning("SlowOven", "it takes its time")}
    bench.say({"phase": "Baking"}, "a")
    bench.settle()
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Pending", "UnknownStatus")
    assert 'its phase is "Baking", which no rule knows' in bench.flow("a").message
    bench.say({"phase": "Done"}, "a")
    bench.settle()
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Succeeded", "")


def test_a_job_that_has_a_status_by_now_is_not_reported_as_one_without() -> None:
    bench = Bench(wf(a={}))
    bench.warnings = {bench.observed("a").job.metadata.uid: JobWarning("NoStatus", "it has no status yet")}
    bench.restarted()
    bench.settle()
    assert (bench.flow("a").reason, bench.flow("a").message) == ("NoStatus", "job w-a: it has no status yet")
    bench.say({"active": 1}, "a")
    bench.settle()
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Pending", "")


def test_a_rule_that_cannot_be_evaluated_is_reported_and_fails_no_task() -> None:
    rules = {"fail": [{"cel": "object.status.step > 'x'"}], "ok": [{"path": "status.done", "eq": True}]}
    templates = {"job": template("job"), "odd": template("odd", WIDGETS, jobSpec={}, statusRules=rules)}
    bench = Bench(wf(a={"template": "odd"}), templates)
    bench.say({"step": 1}, "a")
    bench.settle()
    assert (bench.phases()["a"], bench.flow("a").reason) == ("Pending", "StatusRuleFault")
    bench.say({"step": "a", "done": True}, "a")
    bench.settle()
    assert bench.phases()["a"] == "Succeeded"


def test_rules_of_a_template_hold_for_its_jobs_alone() -> None:
    rules = {"ok": [{"path": "status.step", "eq": "baked"}]}
    templates = {
        "job": template("job", WIDGETS, jobSpec={}),
        "own": template("own", WIDGETS, jobSpec={}, statusRules=rules),
    }
    bench = Bench(wf(a={"template": "own"}, b=""), templates)
    bench.say({"step": "baked"}, "a", "b")
    bench.settle()
    assert bench.phases() == {"a": "Succeeded", "b": "Pending"}


def test_phase_running_holds_for_a_job_that_failed_between_two_looks() -> None:
    bench = Bench(wf(a={"continueOnFail": True}, b=on(probe=status_of("a", "Running"))))
    bench.fails("a")
    assert bench.phases() == {"a": "Failed", "b": "Pending"}


def test_phase_running_is_impossible_for_a_job_that_never_ran() -> None:
    bench = Bench(wf(a={"continueOnFail": True}, b=on(probe=status_of("a", "Running"))))
    bench.vanishes("a")
    assert bench.phases() == {"a": "Failed", "b": "Skipped"}


def test_the_kind_of_a_flow_is_recorded_with_its_first_job() -> None:
    bench = Bench(wf(a="", b={**on("a"), "template": "widget"}))
    assert list(bench.record.kinds) == [KindRecord(str(JOBS), "0")]
    bench.succeeds("a")
    assert list(bench.record.kinds) == [KindRecord(str(JOBS), "0"), KindRecord(str(WIDGETS), "1")]
