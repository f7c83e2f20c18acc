"""The condition Blocked, and the reason and message of the workflow as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pkg.controllers.workflow.planner.actions import Plan
from pkg.controllers.workflow.planner.snapshot import CreateFault, JobWarning, Trouble
from tests.builders import HELD, NOW, Bench, http, on, wf
from tests.unit.controllers.workflow.planner.setups import Setup, barring, bench_of, refusing, without_kind

SERVER = "the server's words"
ODD = {"phase": "Baking"}
ODD_WORDS = 'its phase is "Baking", which no rule knows; say in spec.statusRules of the WorkTemplate what it means'


def said(bench: Bench, status: dict[str, Any], *tasks: str) -> Plan:
    """The jobs of these tasks say so."""
    bench.say(status, *tasks)
    return bench.settle()


def odd(*tasks: str) -> Callable[[Bench], object]:
    def then(bench: Bench) -> None:
        said(bench, ODD, *tasks)

    return then


BLOCKED: dict[str, tuple[Setup, str, str]] = {
    "a template is missing": (bench_of(a={"template": "none"}), "TemplateNotFound", "flow a: there is no WorkTemplate"),
    "a kind is not served": (without_kind, "KindNotServed", "flow a: the cluster does not serve widgets"),
    "a quota is full": (refusing("QuotaExceeded", SERVER), "QuotaExceeded", "flow a: the server's words"),
    "a permission is missing": (refusing("Forbidden", SERVER), "Forbidden", "flow a: the server's words"),
    "a right is missing": (barring("NotAllowed", "alice may not"), "NotAllowed", "flow a: alice may not"),
    "a policy denies": (refusing("AdmissionDenied", SERVER), "AdmissionDenied", "flow a: the server's words"),
    "the API server has failed for long": (
        refusing("CreateFailed", SERVER, 6),
        "CreateFailed",
        "flow a: the server's words",
    ),
    "a status that no rule knows": (
        bench_of(a={"template": "widget"}, then=odd("a")),
        "UnknownStatus",
        f"flow a: job w-a: {ODD_WORDS}",
    ),
    "of one index": (
        bench_of(a={"template": "widget", "for": {"replicas": 3}}, then=odd("a/2")),
        "UnknownStatus",
        f"flow a: index 2: job w-a-2: {ODD_WORDS}",
    ),
    "of one index, while another one has failed": (
        bench_of(
            {"successPolicy": {"type": "All", "remaining": "Continue"}},
            a={"template": "widget", "for": {"replicas": 3}},
            then=lambda bench: (bench.fails("a/0"), odd("a/2")(bench)),
        ),
        "UnknownStatus",
        f"flow a: index 2: job w-a-2: {ODD_WORDS}",
    ),
    "a gate that does not open": (
        bench_of(b="", a=on(probe=http("b")), then=lambda bench: (bench.runs("b"), bench.wait(60.0))),
        "ProbeUnanswered",
        "flow a: waits for b to answer HTTP /ok on port 8080; none of its pods",
    ),
    "the first of two flows is named": (
        bench_of(b="", c={"template": "none"}, a={"template": "missing"}),
        "TemplateNotFound",
        "flow c: there is no WorkTemplate none",
    ),
}


@pytest.mark.parametrize(("make", "reason", "message"), BLOCKED.values(), ids=BLOCKED)
def test_blocked_is_true_while_somebody_has_to_act(make: Setup, reason: str, message: str) -> None:
    bench = make()
    found = bench.condition("Blocked")
    assert found is not None
    assert (found.status, found.reason) == ("True", reason)
    assert found.message.startswith(message)
    if bench.condition("Decided") is None:
        assert (bench.status.reason, bench.status.message) == (found.reason, found.message)


NOT_BLOCKED: dict[str, Setup] = {
    "a workflow that runs": bench_of(a="", b="a"),
    "a job that a queue holds": bench_of({"queueName": "q"}, a="", then=lambda bench: said(bench, HELD, "a")),
    "a retry": bench_of(a={"retry": {"maxRetries": 1}}, then=lambda bench: bench.fails("a")),
    "a suspended workflow": bench_of({"suspend": True}, a={"template": "none"}),
    "the API server failed once": refusing("CreateFailed", SERVER),
    "a gate whose pod has just begun to run": bench_of(b="", a=on(probe=http("b")), then=lambda bench: bench.runs("b")),
    "a missing template that nobody needs yet": bench_of(b="", a={"template": "none", **on("b")}),
}


@pytest.mark.parametrize("make", NOT_BLOCKED.values(), ids=NOT_BLOCKED)
def test_blocked_is_not_there_for(make: Setup) -> None:
    assert make().condition("Blocked") is None


def test_blocked_turns_false_when_it_goes_on_and_its_times_show_when() -> None:
    bench = Bench(wf(a={"template": "later"}))
    begun = bench.condition("Blocked")
    bench.now += 100.0
    bench.templates["later"] = bench.templates["job"]
    bench.settle()
    ended = bench.condition("Blocked")
    assert begun is not None
    assert ended is not None
    assert (begun.status, begun.last_transition_time) == ("True", "2027-01-15T08:00:00Z")
    assert (ended.status, ended.reason, ended.message) == ("False", "NothingBlocks", "nothing waits for a person")
    assert ended.last_transition_time == "2027-01-15T08:01:40Z"
    assert (bench.status.reason, bench.status.message) == ("", "")


def test_another_cause_keeps_the_time_of_the_condition() -> None:
    bench = Bench(wf(a={"template": "later"}, b={"template": "never"}))
    bench.now += 100.0
    bench.templates["later"] = bench.templates["job"]
    bench.settle()
    found = bench.condition("Blocked")
    assert found is not None
    assert found.message.startswith("flow b: there is no WorkTemplate never")
    assert found.last_transition_time == "2027-01-15T08:00:00Z"


def test_a_fault_that_lasts_blocks_also_after_a_restart_of_the_controller() -> None:
    bench = refusing("CreateFailed", SERVER, 6)()
    bench.refuse = lambda made: CreateFault(
        Trouble.RETRY, made.attempt, made.name, "CreateFailed", "the server's words", NOW, 1, NOW + 5.0
    )
    found = bench.restarted().condition("Blocked")
    assert found is not None
    assert (found.status, found.reason) == ("True", "CreateFailed")
    bench.refuse = lambda _: None
    bench.wait(10.0)
    found = bench.condition("Blocked")
    assert found is not None
    assert found.status == "False"


def test_at_the_end_nothing_waits_for_a_person() -> None:
    bench = Bench(wf(a={"template": "none"}))
    bench.set_spec(shutdown="Terminate")
    found = bench.condition("Blocked")
    assert found is not None
    assert (bench.phase, found.status) == ("Failed", "False")


def test_conditions_carry_the_generation_that_they_were_judged_by() -> None:
    bench = Bench(wf(a="", b="a"))
    bench.set_spec(parallelism=3)
    finished = bench.condition("Finished")
    assert finished is not None
    assert (finished.status, finished.reason, finished.observed_generation) == ("False", "NotFinished", 2)
    assert finished.last_transition_time == "2027-01-15T08:00:00Z"


def reasons(bench: Bench) -> list[str]:
    return [event.reason for event in bench.events]


def test_an_unknown_status_has_one_event_for_each_flow_it_blocks() -> None:
    bench = bench_of(a={"template": "widget"}, b={"template": "widget"}, then=odd("a"))()
    bench.wait(5.0)
    assert reasons(bench) == ["Blocked"]
    assert bench.events[0].message == f"UnknownStatus: flow a: job w-a: {ODD_WORDS}"
    bench.restarted()
    assert reasons(bench) == ["Blocked"]
    odd("b")(bench)
    assert reasons(bench) == ["Blocked"], "the first flow still blocks"
    bench.succeeds("a")
    assert reasons(bench) == ["Blocked", "Blocked"]
    assert "flow b" in bench.events[-1].message


def test_an_obstacle_that_has_an_event_of_its_own_has_no_second_one() -> None:
    bench = Bench(wf(a={"template": "none"}))
    bench.wait(5.0)
    bench.restarted()
    assert reasons(bench) == ["TemplateNotFound"]


# Reason and message of the workflow

HEADLINES: dict[str, tuple[Setup, str, str]] = {
    "nothing while it runs as it should": (bench_of(a="", b="a", then=lambda bench: bench.runs("a")), "", ""),
    "nothing at the start": (bench_of(a="", b="a"), "", ""),
    "a suspension": (
        bench_of({"suspend": True}, a=""),
        "WorkflowSuspended",
        "spec.suspend is true; set it to false to go on",
    ),
    "a retry": (
        bench_of(a={"retry": {"maxRetries": 1}}, b="", then=lambda bench: (bench.runs("b"), bench.fails("a"))),
        "TaskRetry",
        "flow a: Failed: job w-a: BackoffLimitExceeded: it broke",
    ),
    "a queue that holds all that could run": (
        bench_of({"queueName": "team-q"}, a="", b="a", then=lambda bench: said(bench, HELD, "a")),
        "Suspended",
        "flow a: queue team-q holds job w-a",
    ),
    "nothing while another flow runs beside a queue": (
        bench_of({"queueName": "q"}, a="", b="", then=lambda bench: (said(bench, HELD, "a"), bench.runs("b"))),
        "",
        "",
    ),
    "a gate": (
        bench_of(
            b={"template": "service"},
            a=on(probe=http("b")),
            then=lambda bench: said(
                bench, {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}, "b"
            ),
        ),
        "WaitingForProbe",
        "flow a: waits for b to answer HTTP /ok on port 8080",
    ),
    "the decision, whatever still waits": (
        bench_of(a="", b={"template": "none", "finally": True}, then=lambda bench: bench.fails("a")),
        "TaskFailed",
        "flow a failed: Failed, job w-a: BackoffLimitExceeded: it broke",
    ),
}


@pytest.mark.parametrize(("make", "reason", "message"), HEADLINES.values(), ids=HEADLINES)
def test_the_workflow_shows(make: Setup, reason: str, message: str) -> None:
    status = make().status
    assert (status.reason, status.message) == (reason, message)


def test_a_pending_job_shows_its_last_warning_as_long_as_nothing_runs() -> None:
    bench = Bench(wf(a="", b=""))
    bench.warnings = {bench.observed("a").job.metadata.uid: JobWarning("FailedScheduling", "0/3 nodes are available")}
    bench.say({"active": 1}, "a")
    bench.settle()
    assert (bench.status.reason, bench.status.message) == (
        "FailedScheduling",
        "flow a: job w-a: 0/3 nodes are available",
    )
    bench.runs("b")
    assert (bench.status.reason, bench.status.message) == ("", "")


def test_in_a_large_workflow_the_first_cause_is_shown_whole() -> None:
    bench = Bench(wf(a={"template": "none"}, **{f"b{number}": "a" for number in range(600)}))
    assert len(bench.flow("a").message) == 48
    assert bench.status.message == (
        "flow a: there is no WorkTemplate none in namespace team; create it, and the job is made at once"
    )
