"""A running workflow whose spec is edited: it is held, and goes on when the edit is taken back.

Each case is seen by the controller that runs, or made while none runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.first_spec_hash import first_spec_hash
from pkg.controllers.workflow.planner.status.failures import is_gone
from tests.builders import Bench, http, on, template, wf
from tests.manifests import plain

FLOWS: list[dict[str, Any]] = [
    {"name": "a", "template": "job"},
    {"name": "many", "template": "job", "for": {"replicas": 3, "parallelism": 1}},
    {"name": "b", "template": "job", **on("a"), "parameters": [{"name": "x", "value": "1"}]},
    {"name": "c", "template": "job", "finally": True},
]


def changed(at: int, **fields: Any) -> list[dict[str, Any]]:
    return [*FLOWS[:at], {**FLOWS[at], **fields}, *FLOWS[at + 1 :]]


EDITS: dict[str, tuple[dict[str, Any], str]] = {
    "a parameter": (
        {"flows": changed(2, parameters=[{"name": "x", "value": "2"}])},
        'spec.flows[2].parameters (flow "b")',
    ),
    "a new flow": ({"flows": [*FLOWS, {"name": "d", "template": "job"}]}, 'spec.flows (added "d")'),
    "a removed flow": ({"flows": FLOWS[1:2] + FLOWS[3:]}, 'spec.flows (removed "a", "b")'),
    "a renamed flow": ({"flows": changed(2, name="z")}, 'spec.flows (removed "b", added "z")'),
    "another dependsOn": ({"flows": changed(2, dependsOn={"targets": ["many"]})}, "spec.flows[2].dependsOn"),
    "more replicas": ({"flows": changed(1, **{"for": {"replicas": 5, "parallelism": 1}})}, "spec.flows[1].for"),
    "fewer replicas": ({"flows": changed(1, **{"for": {"replicas": 1, "parallelism": 1}})}, "spec.flows[1].for"),
    "another queue": ({"queueName": "q"}, "spec.queueName"),
    "a new flow that decides": (
        {
            "flows": [*FLOWS, {"name": "d", "template": "job"}],
            "successPolicy": {"type": "Critical", "criticalFlows": ["d"]},
        },
        'spec.flows (added "d")',
    ),
    "one that can never run": ({"flows": changed(2, **on("nobody"))}, 'no flow is named "nobody"'),
}
BACK: dict[str, Any] = {"flows": FLOWS, "queueName": None, "successPolicy": None}

Edit = Callable[[Bench, dict[str, Any]], None]


def seen(bench: Bench, fields: dict[str, Any]) -> None:
    bench.set_spec(**fields)


def while_down(bench: Bench, fields: dict[str, Any]) -> None:
    bench.edit_spec(**fields)
    bench.restarted()


def seen_and_then_killed(bench: Bench, fields: dict[str, Any]) -> None:
    bench.set_spec(**fields)
    bench.restarted()


BY = [
    pytest.param(seen, id="seen"),
    pytest.param(while_down, id="while down"),
    pytest.param(seen_and_then_killed, id="seen, and then killed"),
]
WHAT = pytest.mark.parametrize(("fields", "named"), EDITS.values(), ids=EDITS)


def running(**spec: Any) -> Bench:
    bench = Bench(wf({**spec, "flows": FLOWS}))
    bench.runs("a")
    assert (bench.phase, bench.living) == ("Running", {"w-a", "w-many-0"})
    return bench


def held(bench: Bench) -> tuple[str, str, str]:
    condition = bench.condition("SpecChanged")
    return bench.phase, bench.status.reason, condition.status if condition is not None else ""


def lines(bench: Bench) -> list[tuple[str, str, str, str, int]]:
    """What status says of every flow, but for why it waits."""
    return [(flow.name, str(flow.phase), flow.waiting, flow.pending, flow.attempts) for flow in bench.status.flows]


IS_HELD = ("Suspended", "SpecChanged", "True")


@pytest.mark.parametrize("edit", BY)
@WHAT
def test_it_is_held_and_goes_on_when_the_edit_is_taken_back(edit: Edit, fields: dict[str, Any], named: str) -> None:
    bench = running()
    before = lines(bench)
    edit(bench, fields)
    assert held(bench) == IS_HELD
    assert lines(bench) == before, "every flow keeps its line"
    bench.succeeds("a")
    bench.wait(1000)
    assert held(bench) == IS_HELD
    assert (bench.phases()["a"], bench.living, bench.deleted) == ("Succeeded", {"w-a", "w-many-0"}, [])
    edit(bench, BACK)
    assert held(bench) == ("Running", "", "False")
    assert bench.living == {"w-a", "w-many-0", "w-b"}
    bench.succeeds("b", "many/0")
    bench.succeeds("many/1")
    bench.succeeds("many/2")
    bench.succeeds("c")
    assert (bench.phase, bench.names) == ("Succeeded", ["w-a", "w-many-0", "w-b", "w-many-1", "w-many-2", "w-c"])


@WHAT
def test_the_message_names_what_was_edited(fields: dict[str, Any], named: str) -> None:
    bench = running()
    bench.events.clear()
    bench.set_spec(**fields)
    message = bench.status.message
    assert named in message
    assert "Take the edit back" in message
    assert [(event.reason, event.message) for event in bench.events] == [("SpecChanged", message)]
    bench.restarted()
    assert bench.status.message == message, "another controller keeps it"
    bench.set_spec(**BACK)
    assert bench.told == ["SpecChanged", "SpecTakenBack"]


def test_of_an_edit_that_nobody_saw_the_message_says_so() -> None:
    bench = running()
    while_down(bench, EDITS["one that can never run"][0])
    assert "edited while no controller ran" in bench.status.message
    assert 'no flow is named "nobody"' in bench.status.message


def test_the_message_is_bounded() -> None:
    bench = running()
    others = [{**flow, "template": "widget"} for flow in FLOWS]
    bench.set_spec(flows=others, queueName="q", jobRetainPolicy="delete")
    assert "and 1 more" in bench.status.message
    faulty = [{"name": f"f{at}", "template": "job", **on("x" * 60)} for at in range(40)]
    bench.set_spec(flows=faulty)
    assert len(bench.status.message) < 1024
    assert "Take the edit back" in bench.status.message


@pytest.mark.parametrize("edit", BY)
@pytest.mark.parametrize("how", ["Stop", "Terminate"])
@WHAT
def test_shutdown_ends_it_and_a_restart_adopts_the_edit(
    how: str, edit: Edit, fields: dict[str, Any], named: str
) -> None:
    bench = running()
    edit(bench, fields)
    edit(bench, {"shutdown": how})
    if how == "Stop":
        assert (bench.phase, bench.living) == ("Terminating", {"w-a", "w-many-0"})
        bench.succeeds("a")
        bench.fails("many/0")
    reason = "Stopped" if how == "Stop" else "Terminated"
    assert (bench.phase, bench.status.reason) == ("Failed", reason)
    assert bench.names == ["w-a", "w-many-0"], "a held workflow makes no job, of finally flows neither"
    edit(bench, {"shutdown": None})
    assert (bench.phase, bench.status.reason) == ("Failed", reason)
    edit(bench, {"restart": {"at": "1"}})
    if "nobody" in named:
        assert (bench.phase, bench.status.reason, bench.told[-1]) == ("Failed", reason, "RestartRefused")
        return
    assert (bench.phase, bench.status.reason) == ("Running", "")
    expected = [flow["name"] for flow in plain(bench.workflow.spec)["flows"]]
    assert [flow.name for flow in bench.status.flows] == expected


@pytest.mark.parametrize("edit", BY)
def test_a_job_that_fails_is_judged_at_the_latest_when_the_edit_is_taken_back(edit: Edit) -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 1, "interval": "5s"}}, b="a"))
    bench.runs("a")
    edit(bench, {"queueName": "q"})
    bench.fails("a")
    bench.wait(1000)
    assert (held(bench), bench.names) == (IS_HELD, ["w-a"])
    edit(bench, {"queueName": None})
    bench.wait(5)
    assert bench.names == ["w-a", "w-a-r1"]


def test_a_failure_that_cannot_be_judged_yet_is_shown() -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 1}}))
    bench.runs("a")
    while_down(bench, {"queueName": "q"})
    bench.fails("a")
    (flow,) = bench.status.flows
    assert (str(flow.phase), flow.reason) == ("Running", "Failed")
    assert "when the edit of the spec is taken back" in flow.message


def test_what_is_said_of_a_job_that_vanished_stays_when_every_task_is_looked_at_again() -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 1}}))
    bench.runs("a")
    while_down(bench, {"queueName": "q"})
    bench.vanishes("a")
    (flow,) = bench.status.flows
    assert flow.message.startswith(f"{is_gone('w-a')};")
    bench.ledger_tells_all()
    bench.settle()
    assert bench.status.flows == (flow,)


@pytest.mark.parametrize("edit", BY)
def test_a_job_that_vanishes_counts_as_deleted_when_the_edit_is_taken_back(edit: Edit) -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 1, "interval": "0s"}}))
    bench.runs("a")
    edit(bench, {"queueName": "q"})
    bench.vanishes("a")
    assert (held(bench), bench.names) == (IS_HELD, ["w-a"])
    edit(bench, {"queueName": None})
    assert bench.names == ["w-a", "w-a-r1"]


@pytest.mark.parametrize("edit", BY)
def test_no_timeout_comes_and_the_clock_of_the_workflow_stands_still(edit: Edit) -> None:
    bench = Bench(wf({"timeout": "100s"}, a={"timeout": "50s"}, b={**on("a"), "pendingTimeout": "10s"}))
    bench.runs("a")
    bench.wait(20)
    edit(bench, {"queueName": "q"})
    bench.wait(500)
    assert (held(bench), bench.living) == (IS_HELD, {"w-a"})
    bench.succeeds("a")
    bench.wait(500)
    edit(bench, {"queueName": None})
    assert (bench.phase, bench.names) == ("Running", ["w-a", "w-b"])
    bench.runs("b")
    bench.wait(79)
    assert bench.phase == "Running"
    bench.wait(2)
    assert (bench.phase, bench.status.reason) == ("Failed", "DeadlineExceeded")


@pytest.mark.parametrize("edit", BY)
def test_what_is_free_may_change_while_it_is_held(edit: Edit) -> None:
    bench = running()
    edit(bench, {"queueName": "q"})
    for fields in ({"suspend": True}, {"parallelism": 1}, {"timeout": "1s"}, {"ttlSecondsAfterFinished": 0}):
        edit(bench, fields)
        bench.wait(10)
        assert held(bench) == IS_HELD
    edit(bench, {"timeout": None, "parallelism": None, "queueName": None})
    assert (bench.phase, bench.status.reason) == ("Suspended", "WorkflowSuspended")
    edit(bench, {"suspend": None})
    assert bench.phase == "Running"


@pytest.mark.parametrize("edit", BY)
def test_an_edit_with_a_restart_holds_as_well_and_the_restart_waits_for_the_end(edit: Edit) -> None:
    bench = running()
    edit(bench, {"queueName": "q", "restart": {"at": "1"}})
    assert (held(bench), bench.record.restarted_at) == (IS_HELD, "")
    edit(bench, {"shutdown": "Terminate"})
    assert (bench.phase, bench.told[-1]) == ("Failed", "RestartRefused")
    edit(bench, {"shutdown": None})
    assert (bench.phase, bench.record.restarted_at) == ("Running", "1")


def test_an_edit_and_its_way_back_while_no_controller_runs_change_nothing() -> None:
    bench = running()
    bench.events.clear()
    bench.edit_spec(queueName="q")
    bench.edit_spec(queueName=None)
    bench.restarted()
    assert (held(bench), bench.told) == (("Running", "", ""), [])


def test_an_edit_of_an_edit_is_held_as_well() -> None:
    bench = running()
    bench.set_spec(queueName="q")
    bench.set_spec(queueName="r", schedulerName="s")
    assert held(bench) == IS_HELD
    assert "spec.schedulerName, spec.queueName" in bench.status.message
    bench.set_spec(queueName=None, schedulerName=None)
    assert held(bench) == ("Running", "", "False")


@pytest.mark.parametrize("edit", BY)
def test_after_the_decision_it_is_terminating_and_ends_once_all_jobs_have(edit: Edit) -> None:
    bench = Bench(wf(a="", b="", c="b"))
    bench.fails("a")
    assert bench.phase == "Terminating"
    edit(bench, {"queueName": "q"})
    assert held(bench) == ("Terminating", "SpecChanged", "True")
    bench.succeeds("b")
    assert (bench.phase, bench.status.reason) == ("Failed", "TaskFailed")
    assert bench.phases() == {"a": "Failed", "b": "Succeeded", "c": "Skipped"}


@pytest.mark.parametrize("edit", BY)
def test_a_decided_workflow_that_continues_goes_on_as_running(edit: Edit) -> None:
    policy = {"successPolicy": {"type": "Critical", "criticalFlows": ["a"]}}
    bench = Bench(wf(policy, a="", b="", c="b"))
    bench.succeeds("a")
    assert (bench.phase, bench.status.reason) == ("Running", "CriticalSucceeded")
    edit(bench, {"queueName": "q"})
    bench.succeeds("b")
    assert (held(bench), bench.living) == (("Terminating", "SpecChanged", "True"), {"w-a", "w-b"})
    edit(bench, {"queueName": None})
    assert (bench.phase, bench.status.reason, bench.living) == ("Running", "CriticalSucceeded", {"w-a", "w-b", "w-c"})


@pytest.mark.parametrize("edit", BY)
def test_finally_flows_are_not_released(edit: Edit) -> None:
    bench = Bench(wf(a="", c={"finally": True}))
    edit(bench, {"queueName": "q"})
    bench.succeeds("a")
    assert (held(bench), bench.names) == (IS_HELD, ["w-a"])
    edit(bench, {"queueName": None})
    assert bench.names == ["w-a", "w-c"]


@pytest.mark.parametrize("edit", BY)
def test_a_probe_that_had_passed_stays_passed(edit: Edit) -> None:
    bench = Bench(wf({"parallelism": 1}, a="", b=on(probe=http("a"))))
    bench.runs("a")
    bench.passes("b")
    assert bench.names == ["w-a"]
    edit(bench, {"queueName": "q"})
    bench.passed = frozenset()
    bench.wait(10)
    edit(bench, {"queueName": None})
    bench.succeeds("a")
    assert bench.names == ["w-a", "w-b"]


def test_a_started_workflow_with_a_hash_of_the_first_algorithm_runs_on_and_gets_the_new_one() -> None:
    bench = running()
    first = first_spec_hash(bench.workflow.spec)
    bench.set_status(spec_hash=first)
    bench.restarted()
    assert (held(bench), bench.record.spec_hash[:2]) == (("Running", "", ""), "2:")


def test_one_that_is_edited_is_held_until_it_is_taken_back() -> None:
    bench = running()
    bench.set_status(spec_hash=first_spec_hash(bench.workflow.spec))
    while_down(bench, {"queueName": "q"})
    bench.restarted()
    assert held(bench) == IS_HELD
    while_down(bench, {"queueName": None})
    assert (held(bench), bench.record.spec_hash[:2]) == (("Running", "", "False"), "2:")


def test_a_template_that_is_edited_meanwhile_is_used_once_it_goes_on() -> None:
    bench = running()
    bench.set_spec(queueName="q")
    bench.templates["job"] = template("job", metadata={"annotations": {"edited": "yes"}})
    bench.succeeds("a")
    bench.set_spec(queueName=None)
    assert b'"edited":"yes"' in bench.made[-1].body


def test_a_held_workflow_writes_nothing_when_nothing_changes() -> None:
    bench = running()
    bench.set_spec(queueName="q")
    assert bench.step().patch is None
    assert bench.restarted().step().patch is None
    assert bench.step().requeue_at is None


HOLD = ("SpecChanged", "the spec was edited; the condition SpecChanged says what to do")


def waits(bench: Bench, flow: str) -> tuple[str, str]:
    found = bench.flow(flow)
    return found.reason, found.message


def gated(**flow: Any) -> Bench:
    """`a` has a job, `b` waits for `a` and `c` for `b`."""
    bench = Bench(wf(a={}, b=on("a", **flow), c="b", last={"finally": True}))
    assert bench.flow("b").message
    bench.set_spec(queueName="q")
    return bench


def test_what_flows_wait_for_is_said_anew_while_an_edit_holds() -> None:
    bench = gated()
    assert waits(bench, "b") == ("WaitingForDependencies", "waits for a to succeed (now Pending)")
    bench.runs("a")
    bench.wait(6)
    assert waits(bench, "b") == ("WaitingForDependencies", "waits for a to succeed (now Running)")


@pytest.mark.parametrize(
    ("end", "after"),
    [
        pytest.param("succeeds", ("Pending", "Waiting", "Waiting"), id="it could start"),
        pytest.param("fails", ("Skipped", "Skipped", "Pending"), id="it can never start"),
    ],
)
def test_a_flow_that_could_go_on_but_for_the_edit_says_so(end: str, after: tuple[str, str, str]) -> None:
    bench = gated()
    getattr(bench, end)("a")
    bench.wait(6)
    assert waits(bench, "b") == HOLD
    assert waits(bench, "c") == ("WaitingForDependencies", "waits for b to succeed (now Waiting)")
    assert waits(bench, "last") == ("WaitingForDependencies", "waits for every flow without finally to end")
    assert bench.step().patch is None, "it says so once"
    bench.set_spec(queueName=None)
    assert tuple(bench.phases()[name] for name in ("b", "c", "last")) == after
    assert waits(bench, "b") != HOLD


def test_a_gate_that_is_not_asked_while_an_edit_holds_says_how_far_the_asked_flow_is() -> None:
    bench = Bench(wf(a={}, b=on(probe=http("a"))))
    bench.set_spec(queueName="q")
    bench.runs("a")
    bench.wait(6)
    assert waits(bench, "b") == ("WaitingForProbe", "waits for a to answer HTTP /ok on port 8080 (now Running)")


def test_indexes_that_wait_for_the_one_before_say_how_far_it_is_while_an_edit_holds() -> None:
    chain = {"for": {"replicas": 3, "dependsOn": {"targets": ["a"]}}}
    bench = Bench(wf(a=chain))
    bench.set_spec(queueName="q")
    bench.runs("a/0")
    bench.wait(6)
    assert waits(bench, "a") == (
        "WaitingForDependencies",
        "index 1 waits for the previous index to succeed (now Running)",
    )
    bench.succeeds("a/0")
    bench.wait(6)
    assert waits(bench, "a") == HOLD


def test_what_flows_wait_for_is_said_anew_while_the_workflow_is_suspended() -> None:
    bench = Bench(wf(a={}, b="a"))
    bench.set_spec(suspend=True)
    bench.runs("a")
    bench.wait(6)
    assert waits(bench, "b") == ("WaitingForDependencies", "waits for a to succeed (now Running)")
    bench.succeeds("a")
    bench.wait(6)
    assert waits(bench, "b")[0] == "WorkflowSuspended"


def test_a_controller_that_never_saw_the_spec_before_the_edit_leaves_what_flows_wait_for() -> None:
    bench = gated()
    bench.restarted()
    bench.succeeds("a")
    bench.wait(6)
    assert waits(bench, "b") == ("WaitingForDependencies", "waits for a to succeed (now Pending)")
    bench.set_spec(queueName=None)
    assert bench.phases()["b"] == "Pending"
