"""When the outcome is certain under each policy, what is tolerated, and what becomes of the rest."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.controllers.workflow.planner.control import outcome
from pkg.controllers.workflow.planner.control.outcome import Mode
from pkg.controllers.workflow.planner.progress import Attempt, Decision, Task
from tests.builders import NOW, Bench, compiled, draft, http, on, status_of, wf

ANY: dict[str, Any] = {"successPolicy": {"type": "Any"}}
CRITICAL: dict[str, Any] = {"successPolicy": {"type": "Critical", "criticalFlows": ["a", "b"]}}
TOLERANT = {"continueOnFail": True}
DIAMOND = {"a": "", "b": "a", "c": "a", "d": "b c"}


def rescued(name: str) -> dict[str, Any]:
    """A flow that waits for the failure of another."""
    return on(probe=status_of(name, "Failed"))


Row = tuple[Workflow, dict[str, str], str | None]
DECISIONS: dict[str, Row] = {
    # All
    "All: every flow succeeded": (wf(a="", b="a"), {"a": "Succeeded", "b": "Succeeded"}, "AllSucceeded"),
    "All: one still waits": (wf(a="", b="a"), {"a": "Succeeded"}, None),
    "All: a failure decides at once": (wf(a="", b="a"), {"a": "Failed"}, "TaskFailed"),
    "All: one failed replica is a failure, others still running": (
        wf(a={"for": {"replicas": 2}}),
        {"a": "Failed Running"},
        "TaskFailed",
    ),
    "All: a task between attempts has not failed": (wf(a=""), {"a": "Backoff"}, None),
    "All: a skip fails nobody": (wf(a="", b="a"), {"a": "Succeeded", "b": "Skipped"}, "AllSucceeded"),
    "All: skipped flows alone succeed": (wf(a="", b="a"), {"a": "Skipped", "b": "Skipped"}, "AllSucceeded"),
    "All: Cancelled is no success": (wf(a=""), {"a": "Cancelled"}, "TaskFailed"),
    "All: continueOnFail is tolerated": (wf(a=TOLERANT, b="a"), {"a": "Failed", "b": "Succeeded"}, "AllSucceeded"),
    "All: continueOnFail decides nothing before the rest": (wf(a=TOLERANT, b="a"), {"a": "Failed"}, None),
    "All: its recovery branch may still work": (wf(a="", b=rescued("a")), {"a": "Failed", "b": "Running"}, None),
    "All: its recovery branch worked": (wf(a="", b=rescued("a")), {"a": "Failed", "b": "Succeeded"}, "AllSucceeded"),
    "All: its recovery branch was skipped": (wf(a="", b=rescued("a")), {"a": "Failed", "b": "Skipped"}, "TaskFailed"),
    "All: its recovery branch failed": (wf(a="", b=rescued("a")), {"a": "Failed", "b": "Failed"}, "TaskFailed"),
    "All: wholly Succeeded is asked of a recovery branch": (
        wf(a="", b={**rescued("a"), "for": {"replicas": 2}}),
        {"a": "Failed", "b": "Succeeded Failed"},
        "TaskFailed",
    ),
    "All: a recovery branch with a skipped replica has Succeeded all the same": (
        wf(a="", b={**rescued("a"), "for": {"replicas": 2}}),
        {"a": "Failed", "b": "Succeeded Skipped"},
        "AllSucceeded",
    ),
    "All: the branch failed and was itself rescued": (
        wf(a="", b=rescued("a"), c=rescued("b")),
        {"a": "Failed", "b": "Failed", "c": "Succeeded"},
        "AllSucceeded",
    ),
    "All: that the branch may fail (continueOnFail) rescues nobody": (
        wf(a="", b={**rescued("a"), **TOLERANT}),
        {"a": "Failed", "b": "Failed"},
        "TaskFailed",
    ),
    "All: a branch of somebody else's failure rescues nobody": (
        wf(a="", b="", c=rescued("b")),
        {"a": "Failed", "b": "Failed", "c": "Succeeded"},
        "TaskFailed",
    ),
    "All: while any branch is open no failure is decided": (
        wf(a="", b="", c=rescued("b")),
        {"a": "Failed", "b": "Failed", "c": "Running"},
        None,
    ),
    "All: success is decided with the finally flows": (wf(a="", z={"finally": True}), {"a": "Succeeded"}, None),
    "All: a finally flow that fails fails the workflow": (
        wf(a="", z={"finally": True}),
        {"a": "Succeeded", "z": "Failed"},
        "TaskFailed",
    ),
    "All: a finally flow that may fail is tolerated": (
        wf(a="", z={"finally": True, **TOLERANT}),
        {"a": "Succeeded", "z": "Failed"},
        "AllSucceeded",
    ),
    "All: a finally flow is no recovery branch": (
        wf(a="", z={"finally": True, **rescued("a")}),
        {"a": "Failed"},
        "TaskFailed",
    ),
    # Any
    "Any: one leaf succeeded": (wf(ANY, a="", b="a", c="a"), {"a": "Succeeded", "c": "Succeeded"}, "AnySucceeded"),
    "Any: no leaf yet": (wf(ANY, a="", b="a"), {"a": "Succeeded"}, None),
    "Any: a leaf has to succeed wholly": (
        wf(ANY, a={"for": {"replicas": 2}}, b=""),
        {"a": "Succeeded Failed", "b": "Running"},
        None,
    ),
    "All: a flow that a restart left Cancelled decides at once": (
        wf(a="", z={"finally": True}),
        {"a": "Cancelled", "z": "Running"},
        "TaskFailed",
    ),
    "Any: a failed step decides nothing while a leaf can succeed": (wf(ANY, a="", b=""), {"a": "Failed"}, None),
    "Any: no leaf can succeed any more": (
        wf(ANY, a="", b=""),
        {"a": "Failed", "b": "Skipped"},
        "NoLeafCanSucceed",
    ),
    "Any: tolerance does not count": (wf(ANY, a=TOLERANT), {"a": "Failed"}, "NoLeafCanSucceed"),
    "Any: a leaf with one failed replica can't succeed": (
        wf(ANY, a={"for": {"replicas": 2}}),
        {"a": "Failed Running"},
        "NoLeafCanSucceed",
    ),
    "Any: a finally flow is no leaf": (
        wf(ANY, a="", z={"finally": True}),
        {"a": "Failed", "z": "Succeeded"},
        "NoLeafCanSucceed",
    ),
    "Any: a branch that is open keeps the failure open": (
        wf(ANY, a="", b="a", c=rescued("a")),
        {"a": "Failed", "b": "Skipped", "c": "Running"},
        None,
    ),
    "Any: an open branch keeps the failure open, also where its own leaf is lost": (
        wf(ANY, a="", b=rescued("a"), c="a b"),
        {"a": "Failed", "b": "Running", "c": "Skipped"},
        None,
    ),
    "Any: the recovery branch is a leaf that can succeed": (
        wf(ANY, a="", b=rescued("a")),
        {"a": "Failed", "b": "Succeeded"},
        "AnySucceeded",
    ),
    # Critical
    "Critical: all listed succeeded": (
        wf(CRITICAL, a="", b="", c=""),
        {"a": "Succeeded", "b": "Succeeded", "c": "Running"},
        "CriticalSucceeded",
    ),
    "Critical: one is not there yet": (wf(CRITICAL, a="", b=""), {"a": "Succeeded"}, None),
    "Critical: one of them can't any more": (wf(CRITICAL, a="", b=""), {"a": "Failed"}, "CriticalFailed"),
    "Critical: Skipped is no success": (wf(CRITICAL, a="", b=""), {"b": "Skipped"}, "CriticalFailed"),
    "Critical: tolerance does not count": (wf(CRITICAL, a=TOLERANT, b=""), {"a": "Failed"}, "CriticalFailed"),
    "Critical: the failure of another flow is nothing": (wf(CRITICAL, a="", b="", c=""), {"c": "Failed"}, None),
    "Critical: an open branch keeps the failure open": (
        wf(CRITICAL, a="", b="", c=rescued("a")),
        {"a": "Failed", "c": "Running"},
        None,
    ),
}


@pytest.mark.parametrize(("workflow", "phases", "reason"), DECISIONS.values(), ids=DECISIONS)
def test_decide(workflow: Workflow, phases: dict[str, str], reason: str | None) -> None:
    graph = compiled(workflow)
    decision = outcome.decide(workflow.spec, draft(graph, **phases), is_overdue=False)
    assert (decision.reason if decision else None) == reason


def test_a_chain_of_1000_branches_that_all_failed_needs_no_deep_stack() -> None:
    workflow = wf(f0="", **{f"f{at}": rescued(f"f{at - 1}") for at in range(1, 1000)})
    graph = compiled(workflow)
    failed = draft(graph, **dict.fromkeys(graph.by_name, "Failed"))
    decision = outcome.decide(workflow.spec, failed, is_overdue=False)
    assert decision is not None
    assert decision.reason == "TaskFailed"


def test_layers_of_branches_that_wait_for_every_failure_before_are_judged_at_once() -> None:
    """Ways through 20 layers of 3 are too many to be walked: each flow is looked at once."""
    layers = [[f"f{layer}-{at}" for at in range(3)] for layer in range(20)]
    flows: dict[str, Any] = dict.fromkeys(layers[0], "")
    for before, layer in itertools.pairwise(layers):
        probe = {"taskStatusList": [{"taskName": name, "phase": "Failed"} for name in before]}
        flows.update(dict.fromkeys(layer, on(probe=probe)))
    workflow = wf(**flows)
    graph = compiled(workflow)
    lost = draft(graph, **dict.fromkeys(graph.by_name, "Failed"))
    decision = outcome.decide(workflow.spec, lost, is_overdue=False)
    assert decision is not None
    assert decision.reason == "TaskFailed"
    last = dict.fromkeys(layers[-1], "Succeeded")
    won = draft(graph, **{**dict.fromkeys(graph.by_name, "Failed"), **last})
    decision = outcome.decide(workflow.spec, won, is_overdue=False)
    assert decision is not None
    assert decision.reason == "AllSucceeded"


ENDED_BY_HAND: dict[str, tuple[dict[str, Any], bool, str]] = {
    "Stop": ({"shutdown": "Stop"}, False, "Stopped"),
    "Terminate": ({"shutdown": "Terminate"}, False, "Terminated"),
    "the timeout": ({"timeout": "1h"}, True, "DeadlineExceeded"),
    "Stop before the timeout": ({"shutdown": "Stop", "timeout": "1h"}, True, "Stopped"),
}


@pytest.mark.parametrize(("spec", "is_overdue", "reason"), ENDED_BY_HAND.values(), ids=ENDED_BY_HAND)
def test_decided_from_outside(spec: dict[str, Any], is_overdue: bool, reason: str) -> None:
    """Open branches don't matter then: they are part of the rest like any other."""
    workflow = wf(spec, a="", b=rescued("a"))
    graph = compiled(workflow)
    decision = outcome.decide(workflow.spec, draft(graph, a="Failed"), is_overdue=is_overdue)
    assert decision is not None
    assert (decision.reason, decision.is_success) == (reason, False)


def test_a_success_that_is_seen_together_with_the_timeout_counts() -> None:
    """The controller may have been away: what had succeeded when it looks again was not too late."""
    bench = Bench(wf({"timeout": "1h"}, a="", z={"finally": True}))
    bench.succeeds("a")
    bench.now += 3600
    bench.succeeds("z")
    assert (bench.phase, bench.status.reason) == ("Succeeded", "AllSucceeded")


def test_a_success_counts_though_the_end_of_the_others_skips_the_last_step_when_the_timeout_comes() -> None:
    after_success = {"dependsOn": {"probe": {"taskStatusList": [{"taskName": "a", "phase": "Succeeded"}]}}}
    last = {"dependsOn": {"targets": ["b"]}, "finally": True}
    bench = Bench(wf({"timeout": "1h"}, a={"continueOnFail": True}, b=after_success, z=last))
    bench.now += 3600
    bench.fails("a")
    assert bench.phases() == {"a": "Failed", "b": "Skipped", "z": "Skipped"}
    assert (bench.phase, bench.status.reason) == ("Succeeded", "AllSucceeded")


def test_a_success_of_any_that_is_seen_together_with_the_timeout_cancels_the_rest() -> None:
    bench = Bench(wf({**ANY, "timeout": "1h"}, a="", b=""))
    bench.now += 3600
    bench.succeeds("a")
    assert (bench.phase, bench.phases()) == ("Succeeded", {"a": "Succeeded", "b": "Cancelled"})


def test_the_timeout_decides_though_a_restart_holds_the_policy_open() -> None:
    workflow = wf(ANY, a="", b="")
    graph = compiled(workflow)
    found = draft(graph, a="Succeeded")
    held = outcome.decide(workflow.spec, found, is_overdue=False, is_held_open=True)
    late = outcome.decide(workflow.spec, found, is_overdue=True, is_held_open=True)
    assert held is None
    assert late is not None
    assert late.reason == "DeadlineExceeded"


MET = Decision("CriticalSucceeded", "")
LOST = Decision("TaskFailed", "")
MODES: dict[str, tuple[dict[str, Any], Decision | None, bool, Mode]] = {
    "nothing decided": ({}, None, False, Mode.RUN),
    "nothing decided, though remaining is Cancel": ({"successPolicy": {"remaining": "Cancel"}}, None, False, Mode.RUN),
    "Drain is the default": ({}, LOST, False, Mode.DRAIN),
    "Drain is the default after a success of Any": (ANY, Decision("AnySucceeded", ""), False, Mode.DRAIN),
    "a satisfied Critical continues": (CRITICAL, MET, False, Mode.CONTINUE),
    "a lost Critical drains": (CRITICAL, Decision("CriticalFailed", ""), False, Mode.DRAIN),
    "Continue, as asked": ({"successPolicy": {"remaining": "Continue"}}, LOST, False, Mode.CONTINUE),
    "Cancel, as asked": ({"successPolicy": {"remaining": "Cancel"}}, LOST, False, Mode.CANCEL),
    "Stop drains, whatever remaining says": (
        {"shutdown": "Stop", "successPolicy": {"remaining": "Continue"}},
        Decision("Stopped", ""),
        False,
        Mode.DRAIN,
    ),
    "Stop drains, even where remaining is Cancel": (
        {"shutdown": "Stop", "successPolicy": {"remaining": "Cancel"}},
        Decision("Stopped", ""),
        False,
        Mode.DRAIN,
    ),
    "Terminate cancels": ({"shutdown": "Terminate"}, Decision("Terminated", ""), False, Mode.CANCEL),
    "the timeout cancels": ({"timeout": "1h"}, Decision("DeadlineExceeded", ""), True, Mode.CANCEL),
    "a changed spec drains": (
        {"successPolicy": {"remaining": "Continue"}},
        Decision("SpecChanged", ""),
        False,
        Mode.DRAIN,
    ),
    "a later Stop drains what continued": (
        {"shutdown": "Stop", "successPolicy": {"remaining": "Continue"}},
        LOST,
        False,
        Mode.DRAIN,
    ),
    "a later Stop takes nothing back": (
        {"shutdown": "Stop", "successPolicy": {"remaining": "Cancel"}},
        LOST,
        False,
        Mode.CANCEL,
    ),
    "a later Terminate cancels what was drained": ({"shutdown": "Terminate"}, LOST, False, Mode.CANCEL),
    "a later timeout cancels what continued": ({"timeout": "1h", **CRITICAL}, MET, True, Mode.CANCEL),
}


@pytest.mark.parametrize(("spec", "decision", "is_overdue", "how"), MODES.values(), ids=MODES)
def test_what_happens_to_the_rest(spec: dict[str, Any], decision: Decision | None, is_overdue: bool, how: Mode) -> None:
    assert outcome.mode(wf(spec, a="", b="").spec, decision, is_overdue=is_overdue) is how


WAITING = Task(phase=Phase.WAITING)
RELEASED = Task(phase=Phase.WAITING, released=NOW)
BACKOFF = Task(phase=Phase.BACKOFF, reason="DeadlineExceeded", had_job=True, due=NOW)
HELD = Task(phase=Phase.SUSPENDED, had_job=True, current=Attempt(held_at=NOW))
PENDING = Task(phase=Phase.PENDING, had_job=True)
GOING = Task(phase=Phase.RUNNING, had_job=True, ran=True)
D, C = Mode.DRAIN, Mode.CANCEL
REST: dict[str, tuple[Task, Mode, bool, str]] = {
    "Drain: never had a job": (WAITING, D, False, "Skipped"),
    "Cancel: never had a job": (WAITING, C, False, "Skipped"),
    "Drain: released, but without a job": (RELEASED, D, False, "Skipped"),
    "Drain: between attempts": (BACKOFF, D, False, "Failed"),
    "Cancel: between attempts": (BACKOFF, C, False, "Failed"),
    "Drain: held by a queue": (HELD, D, False, "Cancelled"),
    "Cancel: held by a queue": (HELD, C, False, "Cancelled"),
    "Drain: a service not yet ready": (GOING, D, True, "Cancelled"),
    "Cancel: a service not yet ready": (PENDING, C, True, "Cancelled"),
    "Drain: a running job ends its attempt": (GOING, D, False, "Running"),
    "Drain: a pending job ends its attempt": (PENDING, D, False, "Pending"),
    "Cancel: a running job": (GOING, C, False, "Cancelled"),
    "Cancel: a pending job": (PENDING, C, False, "Cancelled"),
}


@pytest.mark.parametrize(("task", "how", "unready", "phase"), REST.values(), ids=REST)
def test_the_rest(task: Task, how: Mode, unready: bool, phase: str) -> None:
    after = outcome.ended(task, how, NOW, is_unready_service=unready)
    assert after.phase == phase
    if task.phase is Phase.BACKOFF:
        assert after.reason == "DeadlineExceeded", "the last reason stays"


# On the bench: decided, terminating, at rest


def test_drain_lets_running_attempts_end_and_starts_nothing() -> None:
    bench = Bench(wf(a="", b="", c="b", d={"for": {"replicas": 2, "parallelism": 1}}))
    bench.runs("b", "d/0")
    bench.fails("a")
    assert bench.phase == "Terminating"
    assert bench.phases() == {"a": "Failed", "b": "Running", "c": "Skipped", "d": "Running"}
    assert bench.deleted == []
    bench.fails("b")
    bench.succeeds("d/0")
    assert (bench.phase, bench.status.reason) == ("Failed", "TaskFailed")
    assert bench.tasks("d") == ["Succeeded", "Skipped"]


def test_drain_gives_no_retry() -> None:
    bench = Bench(wf(a="", b={"retry": {"maxRetries": 3}}, c={"retry": {"maxRetries": 3}}))
    bench.fails("b")
    assert bench.phases()["b"] == "Backoff"
    bench.fails("a")
    assert bench.phases() == {"a": "Failed", "b": "Failed", "c": "Pending"}
    bench.fails("c")
    assert bench.phase == "Failed"
    assert bench.phases()["c"] == "Failed"


def test_drain_deletes_what_a_queue_holds_and_services_not_yet_ready() -> None:
    bench = Bench(wf(a="", held="", service={"template": "service"}, b=""))
    bench.is_held("held")
    bench.runs("b")
    bench.fails("a")
    assert bench.living == {"w-a", "w-b"}
    assert bench.phases() == {"a": "Failed", "held": "Cancelled", "service": "Cancelled", "b": "Running"}


def test_cancel_deletes_what_has_not_ended() -> None:
    bench = Bench(wf({"successPolicy": {"remaining": "Cancel"}}, a="", b="", c="", d="c"))
    bench.runs("b")
    bench.succeeds("c")
    bench.fails("a")
    assert bench.living == {"w-a", "w-c"}
    assert bench.phases() == {"a": "Failed", "b": "Cancelled", "c": "Succeeded", "d": "Cancelled"}
    assert bench.phase == "Failed"


def test_continue_lets_everything_run_and_the_phase_stays_running() -> None:
    bench = Bench(wf({"successPolicy": {"remaining": "Continue"}}, a="", b={"retry": {"maxRetries": 1}}, c="b"))
    bench.fails("a")
    assert bench.condition("Decided") is not None
    assert (bench.phase, bench.status.reason) == ("Running", "TaskFailed")
    bench.fails("b")
    bench.wait(10)
    bench.succeeds("b")
    bench.succeeds("c")
    assert bench.phase == "Failed"
    assert bench.phases() == {"a": "Failed", "b": "Succeeded", "c": "Succeeded"}


def test_a_satisfied_critical_goes_on_with_the_rest() -> None:
    bench = Bench(wf({"successPolicy": {"type": "Critical", "criticalFlows": ["a"]}}, a="", b="a"))
    bench.succeeds("a")
    assert (bench.phase, bench.status.reason) == ("Running", "CriticalSucceeded")
    bench.fails("b")
    assert bench.phase == "Succeeded", "what was decided stays decided"


def test_what_was_decided_stays_decided_under_a_later_stop_terminate_or_timeout() -> None:
    for change in ({"shutdown": "Stop"}, {"shutdown": "Terminate"}, {"timeout": "1s"}):
        bench = Bench(wf({"successPolicy": {"type": "Critical", "criticalFlows": ["a"]}}, a="", b="", c="b"))
        bench.runs("b")
        bench.succeeds("a")
        bench.now += 2
        bench.set_spec(**change)
        if change != {"shutdown": "Stop"}:
            assert bench.phases()["b"] == "Cancelled"
        else:
            bench.succeeds("b")
        assert (bench.phase, bench.status.reason) == ("Succeeded", "CriticalSucceeded")
        assert bench.phases()["c"] == "Skipped"


def test_any_ends_with_its_first_leaf() -> None:
    bench = Bench(wf(ANY, a="", b="", c="b"))
    bench.succeeds("a")
    assert bench.phase == "Terminating"
    bench.fails("b")
    assert (bench.phase, bench.status.reason) == ("Succeeded", "AnySucceeded")


def test_a_recovery_branch_runs_and_rescues() -> None:
    bench = Bench(wf(a="", fix=rescued("a"), then="fix"))
    bench.fails("a")
    assert bench.condition("Decided") is None
    bench.succeeds("fix")
    bench.succeeds("then")
    assert (bench.phase, bench.phases()["a"]) == ("Succeeded", "Failed")


def test_a_failure_branch_of_a_gate_rescues_a_probe_timeout() -> None:
    bench = Bench(wf(a="", b=on(probe=http("a")), fix=rescued("b")))
    bench.runs("a")
    bench.succeeds("a")
    assert bench.phases()["b"] == "Failed"
    bench.succeeds("fix")
    assert bench.phase == "Succeeded"


def test_once_stop_decided_a_branch_is_part_of_the_rest() -> None:
    bench = Bench(wf(a="", b={"for": {"replicas": 2, "parallelism": 1}, **rescued("a")}))
    bench.fails("a")
    bench.set_spec(shutdown="Stop")
    bench.succeeds("b/0")
    assert bench.tasks("b") == ["Succeeded", "Skipped"]
    assert (bench.phase, bench.status.reason) == ("Failed", "Stopped")


def test_the_untolerated_failure_behind_a_skip_fails_the_workflow() -> None:
    bench = Bench(wf(**DIAMOND))
    bench.fails("a")
    assert bench.phases() == {"a": "Failed", "b": "Skipped", "c": "Skipped", "d": "Skipped"}
    assert bench.phase == "Failed"
    assert bench.status.message == "flow a failed: Failed, job w-a: BackoffLimitExceeded: it broke"


# Finally


def test_finally_flows_are_released_when_all_others_are_final() -> None:
    bench = Bench(wf(a="", b="a", z={"finally": True}))
    bench.succeeds("a")
    assert "w-z" not in bench.names
    bench.succeeds("b")
    assert "w-z" in bench.names
    assert bench.phase == "Running"
    bench.succeeds("z")
    assert bench.phase == "Succeeded"


def test_finally_flows_are_released_after_a_failure_too() -> None:
    bench = Bench(wf(a="", b="", z={"finally": True, "retry": {"maxRetries": 1, "interval": "1s"}}))
    bench.fails("a")
    assert "w-z" not in bench.names, "b still runs"
    bench.succeeds("b")
    assert "w-z" in bench.names
    bench.fails("z")
    assert bench.phases()["z"] == "Backoff", "drain passes it by, and retries go on"
    bench.wait(1)
    bench.succeeds("z")
    assert (bench.phase, bench.status.reason) == ("Failed", "TaskFailed")


def test_a_finally_flow_that_names_phase_failed_notifies_only_of_failures() -> None:
    flows: dict[str, Any] = {"a": "", "z": {"finally": True, **rescued("a")}}
    bench = Bench(wf(**flows))
    bench.fails("a")
    assert bench.names == ["w-a", "w-z"]
    bench.succeeds("z")
    assert bench.phase == "Failed", "it is no recovery branch"
    bench = Bench(wf(**flows))
    bench.succeeds("a")
    assert bench.phases()["z"] == "Skipped"
    assert bench.phase == "Succeeded"


@pytest.mark.parametrize(
    ("change", "phase", "deletes"),
    [
        pytest.param({"shutdown": "Stop"}, "Running", False, id="Stop passes it by"),
        pytest.param({"timeout": "1s"}, "Running", False, id="the timeout passes it by"),
        pytest.param({"shutdown": "Terminate"}, "Cancelled", True, id="Terminate ends it"),
    ],
)
def test_what_ends_a_finally_flow(change: dict[str, Any], phase: str, deletes: bool) -> None:
    bench = Bench(wf(a="", z={"finally": True}))
    bench.succeeds("a")
    bench.runs("z")
    bench.now += 2
    bench.set_spec(**change)
    assert bench.phases()["z"] == phase
    assert ("w-z" not in bench.living) is deletes


def test_terminate_keeps_finally_flows_from_starting() -> None:
    bench = Bench(wf(a="", z={"finally": True}))
    bench.set_spec(shutdown="Terminate")
    assert bench.phases() == {"a": "Cancelled", "z": "Skipped"}
    assert (bench.phase, bench.status.reason) == ("Failed", "Terminated")


def test_cancel_and_the_timeout_let_finally_flows_run() -> None:
    for spec in ({"timeout": "10s"}, {"successPolicy": {"remaining": "Cancel"}}):
        bench = Bench(wf(spec, a="", b="", z={"finally": True}))
        if "timeout" in spec:
            bench.wait(11)
        else:
            bench.fails("a")
        assert bench.names[-1] == "w-z"
        bench.succeeds("z")
        assert bench.phase == "Failed"


def test_an_untolerated_failure_of_a_finally_flow_fails_under_all() -> None:
    bench = Bench(wf(a="", z={"finally": True}))
    bench.succeeds("a")
    assert bench.condition("Decided") is None, "success is decided with them"
    bench.fails("z")
    assert (bench.phase, bench.status.reason) == ("Failed", "TaskFailed")


# The end


def test_the_phase_turns_final_when_no_job_is_unfinished() -> None:
    bench = Bench(wf(a="", b=""))
    bench.fails("a")
    assert bench.phase == "Terminating"
    bench.succeeds("b")
    assert bench.phase == "Failed"


def test_a_job_with_a_deletion_timestamp_is_not_waited_for() -> None:
    bench = Bench(wf({"successPolicy": {"remaining": "Cancel"}}, a="", b=""))
    bench.lingers = True
    bench.fails("a")
    assert bench.phase == "Failed"
    assert bench.observed("b").job.metadata.is_deleting


def test_a_service_that_became_ready_is_not_waited_for() -> None:
    bench = Bench(wf(a={"template": "service"}, b=""))
    bench.is_ready("a")
    bench.succeeds("b")
    assert bench.phase == "Succeeded"
    assert bench.living == {"w-a", "w-b"}
