"""Running a finished workflow again: which tasks, above which attempt, and what is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.meta import GVR
from pkg.controllers.workflow.planner.plan import plan
from pkg.kinds.kind import Kind
from pkg.workloads import rules_for
from tests.builders import Bench, http, on, snapshot, template, wf

CHAIN: dict[str, Any] = {"a": "", "b": "a", "c": "b"}


def failed(spec: dict[str, Any] | None = None, **flows: Any) -> Bench:
    """a succeeded, b failed, what waits for it was skipped; the workflow is over."""
    bench = Bench(wf(spec, **(flows or CHAIN)))
    bench.succeeds("a")
    bench.fails("b")
    assert bench.phase == "Failed"
    return bench


def test_all_failed_cancelled_and_skipped_tasks_run_again() -> None:
    bench = failed()
    bench.set_spec(restart={"at": "1"})
    assert bench.phases() == {"a": "Succeeded", "b": "Pending", "c": "Waiting"}
    assert bench.names == ["w-a", "w-b", "w-b-r1"]
    bench.succeeds("b")
    bench.succeeds("c")
    assert (bench.phase, bench.names[-1]) == ("Succeeded", "w-c")


def test_cancelled_tasks_are_among_them() -> None:
    bench = Bench(wf({"timeout": "10s"}, a="", b=""))
    bench.succeeds("a")
    bench.wait(10)
    assert bench.phases()["b"] == "Cancelled"
    bench.set_spec(restart={"at": "1"})
    assert bench.phases() == {"a": "Succeeded", "b": "Pending"}


def test_a_token_acts_once() -> None:
    bench = failed()
    bench.set_spec(restart={"at": "1"})
    assert bench.record.restarted_at == "1"
    bench.fails("b")
    assert bench.phase == "Failed"
    bench.restarted().wait(1000)
    assert bench.phase == "Failed"
    bench.set_spec(restart={"at": "2"})
    assert bench.phase == "Running"
    assert bench.names[-1] == "w-b-r2"


def test_it_waits_until_the_workflow_is_final() -> None:
    bench = Bench(wf(a="", b=""))
    bench.set_spec(restart={"at": "1"})
    assert (bench.record.restarted_at, bench.phase) == ("", "Running")
    bench.fails("a")
    assert bench.phase == "Terminating"
    bench.succeeds("b")
    assert bench.record.restarted_at == "1"
    assert bench.phases() == {"a": "Pending", "b": "Succeeded"}


def test_what_was_decided_is_forgotten_and_the_clocks_start_anew() -> None:
    bench = failed({"timeout": "1h", "ttlSecondsAfterFinished": 100_000})
    bench.wait(5000)
    bench.set_spec(restart={"at": "1"})
    status = bench.status
    assert (status.phase, status.reason, status.completion_time) == ("Running", "", "")
    assert status.start_time == "2027-01-15T09:23:20.000000Z"
    (unfinished,) = status.conditions
    assert (unfinished.type, unfinished.status) == ("Finished", "False")
    assert unfinished.last_transition_time == "2027-01-15T09:23:20Z"
    bench.wait(3599)
    assert bench.phase == "Running"
    bench.wait(2)
    assert bench.status.reason == "DeadlineExceeded"


def test_attempt_numbers_go_on_and_budgets_start_anew() -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 1, "interval": "1s"}}))
    bench.fails("a")
    bench.wait(1)
    bench.fails("a")
    assert bench.phase == "Failed"
    bench.set_spec(restart={"at": "1"})
    assert bench.memory("a").first_attempt == 2
    bench.fails("a")
    assert bench.phases()["a"] == "Backoff"
    bench.wait(1)
    bench.fails("a")
    assert bench.names == ["w-a", "w-a-r1", "w-a-r2", "w-a-r3"]
    assert bench.phase == "Failed"


def test_tasks_begin_above_the_highest_attempt_of_their_flow() -> None:
    bench = Bench(wf(a={"for": {"replicas": 2}, "retry": {"maxRetries": 1, "interval": "0s"}}))
    bench.succeeds("a/0")
    bench.fails("a/1")
    bench.fails("a/1")
    bench.set_spec(restart={"at": "1", "flows": ["a"]})
    assert bench.names[3:] == ["w-a-0-r2", "w-a-1-r2"]


def test_earlier_jobs_prove_nothing() -> None:
    bench = failed()
    bench.set_spec(restart={"at": "1"})
    bench.succeeds("b")
    bench.say_of("w-b", {"conditions": [{"type": "Failed", "status": "True"}]})
    bench.restarted()
    assert bench.phases() == {"a": "Succeeded", "b": "Succeeded", "c": "Pending"}


def test_a_named_flow_runs_again_with_all_downstream() -> None:
    bench = Bench(wf(a="", b="a", c="b", other=""))
    bench.succeeds("a", "other")
    bench.succeeds("b")
    bench.succeeds("c")
    assert bench.phase == "Succeeded"
    bench.set_spec(restart={"at": "1", "flows": ["b"]})
    assert bench.phases() == {"a": "Succeeded", "b": "Pending", "c": "Waiting", "other": "Succeeded"}
    bench.succeeds("b")
    assert bench.names[-1] == "w-c-r1"


def test_nothing_is_decided_before_the_named_flows_are_final() -> None:
    """Under Any the leaf `other` has succeeded long ago; that must not end the second run at once."""
    bench = Bench(wf({"successPolicy": {"type": "Any"}}, a="", other=""))
    bench.succeeds("other")
    bench.succeeds("a")
    assert bench.phase == "Succeeded"
    bench.set_spec(restart={"at": "1", "flows": ["a"]})
    assert bench.phase == "Running"
    assert bench.condition("Decided") is None
    bench.restarted()
    assert bench.phase == "Running"
    bench.fails("a")
    assert bench.phase == "Succeeded"


NEXT: dict[str, Any] = {
    "the next restart is asked for": {"at": "2"},
    "the same names another flow": {"at": "1", "flows": ["other"]},
    "it is taken back": None,
}


@pytest.mark.parametrize("then", NEXT.values(), ids=NEXT)
def test_the_flows_it_named_are_kept_whatever_becomes_of_the_spec(then: Any) -> None:
    """Under Any the leaf `other` has succeeded long ago; a and c run again all the same."""
    bench = Bench(wf({"successPolicy": {"type": "Any"}}, a="", c="a", other=""))
    bench.succeeds("other")
    bench.succeeds("a")
    assert (bench.phase, bench.phases()["c"]) == ("Succeeded", "Skipped")
    bench.set_spec(restart={"at": "1", "flows": ["a"]})
    assert bench.record.restarted_flows == "0"
    bench.set_spec(restart=then)
    bench.restarted()
    bench.succeeds("a")
    assert (bench.phase, bench.phases()["c"]) == ("Running", "Pending")
    bench.succeeds("c")
    assert (bench.phase, bench.names[2:]) == ("Succeeded", ["w-a-r1", "w-c"])


def test_a_restart_without_flows_forgets_those_of_the_one_before() -> None:
    bench = failed()
    bench.set_spec(restart={"at": "1", "flows": ["a", "b"]})
    assert bench.record.restarted_flows == "0-1"
    bench.fails("a")
    bench.set_spec(restart={"at": "2"})
    assert (bench.record.restarted_at, bench.record.restarted_flows) == ("2", "")


def test_a_named_flow_that_succeeded_leaves_other_failures_as_they_are() -> None:
    bench = Bench(wf({"successPolicy": {"remaining": "Continue"}}, a="", b=""))
    bench.fails("a")
    bench.succeeds("b")
    bench.set_spec(restart={"at": "1", "flows": ["b"]})
    assert bench.phases() == {"a": "Failed", "b": "Pending"}


def test_finally_flows_run_again() -> None:
    bench = Bench(wf(a="", z={"finally": True}))
    bench.fails("a")
    bench.succeeds("z")
    bench.set_spec(restart={"at": "1"})
    assert bench.phases() == {"a": "Pending", "z": "Waiting"}
    bench.succeeds("a")
    assert bench.names[-1] == "w-z-r1"


@pytest.mark.parametrize(
    "is_gone", [pytest.param(True, id="its job is gone"), pytest.param(False, id="its job is there")]
)
def test_a_ready_service_runs_again_if_its_job_is_gone(is_gone: bool) -> None:
    bench = Bench(wf(s={"template": "service"}, a="", b="a"))
    bench.is_ready("s")
    bench.succeeds("a")
    bench.fails("b")
    if is_gone:
        bench.vanishes("s")
    bench.set_spec(restart={"at": "1"})
    assert bench.phases() == {"s": "Pending" if is_gone else "Succeeded", "a": "Succeeded", "b": "Pending"}


def test_it_waits_until_the_cache_shows_which_services_have_jobs() -> None:
    bench = Bench(wf(s={"template": "service"}, a=""))
    bench.is_ready("s")
    bench.fails("a")
    bench.crash()
    bench.edit_spec(restart={"at": "1"})
    waiting = plan(bench.observe(jobs={}, synced=frozenset(), awaited=frozenset(bench.kinds)))
    assert not waiting.is_new_run
    bench.settle()
    assert (bench.record.restarted_at, bench.phases()) == ("1", {"s": "Succeeded", "a": "Pending"})


def test_probes_that_passed_for_an_earlier_attempt_are_asked_again() -> None:
    bench = Bench(wf(a="", b=on(probe=http("a"))))
    bench.runs("a")
    bench.passes("b")
    bench.succeeds("a")
    bench.fails("b")
    bench.passed = frozenset()
    bench.set_spec(restart={"at": "1", "flows": ["a"]})
    bench.runs("a")
    assert bench.phases()["b"] == "Waiting"


def test_the_reset_is_recorded_before_anything_is_made() -> None:
    bench = failed()
    bench.log.clear()
    bench.loses_writes = True
    bench.edit_spec(restart={"at": "1"})
    for _ in range(3):
        bench.step()
    assert bench.log == ["conflict"] * 3
    bench.loses_writes = False
    bench.log.clear()
    bench.settle()
    assert bench.log[:2] == ["status", "create w-b-r1"]


def test_a_crash_right_after_the_reset_loses_nothing() -> None:
    bench = failed()
    bench.set_spec(restart={"at": "1"})
    bench.restarted()
    assert bench.names == ["w-a", "w-b", "w-b-r1"]
    bench.succeeds("b")
    assert bench.names[-1] == "w-c"


def test_with_shutdown_it_is_refused() -> None:
    bench = Bench(wf(a=""))
    bench.set_spec(shutdown="Terminate")
    bench.events.clear()
    bench.set_spec(restart={"at": "1"})
    bench.wait(1000)
    assert (bench.phase, bench.names, bench.told) == ("Failed", ["w-a"], ["RestartRefused"])


def test_one_that_waited_for_the_end_is_refused_at_the_end() -> None:
    bench = Bench(wf({"restart": {"at": "1", "flows": ["nobody"]}}, a=""))
    bench.succeeds("a")
    bench.wait(1000)
    assert bench.told == ["WorkflowSucceeded", "RestartRefused"]


def test_of_a_flow_that_is_not_there_it_is_refused() -> None:
    bench = Bench(wf(**CHAIN, z={"finally": True}))
    bench.succeeds("a")
    bench.fails("b")
    bench.succeeds("z")
    bench.events.clear()
    bench.set_spec(restart={"at": "1", "flows": ["b", "nobody"]})
    bench.wait(1000)
    assert (bench.phase, bench.told, bench.record.restarted_at) == ("Failed", ["RestartRefused"], "")
    assert bench.events[0].message == 'spec.restart.flows[1]: no flow is named "nobody"'
    bench.set_spec(restart={"at": "1", "flows": ["b"]})
    assert (bench.phases()["b"], bench.record.restarted_at) == ("Pending", "1")


def test_with_nothing_to_run_again_the_token_is_used_up() -> None:
    bench = Bench(wf(a=""))
    bench.succeeds("a")
    before = bench.status
    bench.set_spec(restart={"at": "1"})
    assert (bench.phase, bench.record.restarted_at) == ("Succeeded", "1")
    assert bench.status.completion_time == before.completion_time


def test_a_service_is_known_by_its_template_where_status_does_not_repeat_its_kind() -> None:
    deployments = GVR("apps", "v1", "deployments")
    kinds = {deployments: Kind(kind="Deployment", row=rules_for(deployments))}
    seen = snapshot(wf(a={"template": "web"}), kinds=kinds, templates={"web": template("web", deployments)})
    assert seen.completion("web", deployments) == "Ready"
    assert seen.completion("web", GVR()) == "Ready"
    assert seen.completion("gone", GVR()) == "Terminal"
