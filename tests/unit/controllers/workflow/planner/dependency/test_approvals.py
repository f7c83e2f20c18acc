"""A flow with `approval` has no job. It waits for a person, and the first entry about a task decides."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1 import conditions as conds
from tests.builders import Bench, on, status_of, wf

APPROVE, REJECT = "Approve", "Reject"


def asking(**fields: Any) -> dict[str, Any]:
    """A flow with approval."""
    return {"approval": {"message": "Deploy?", "approvers": [{"user": "alice"}, {"group": "ops"}]}, **fields}


def entry(flow: str, decision: str = APPROVE, **fields: Any) -> dict[str, Any]:
    return {"flow": flow, "decision": decision, **fields}


def decides(bench: Bench, *entries: dict[str, Any]) -> Bench:
    """People add entries to spec.approvals."""
    before = [{name: value for name, value in one.items() if value is not None} for one in _plain(bench)]
    bench.set_spec(approvals=[*before, *entries])
    return bench


def _plain(bench: Bench) -> list[dict[str, Any]]:
    return [
        {"flow": one.flow, "decision": one.decision.value, "index": one.index, "comment": one.comment}
        for one in bench.workflow.spec.approvals
    ]


def test_it_waits_and_says_who_may_decide_and_how() -> None:
    bench = Bench(wf(a="", ask=asking(**on("a")), b="ask"))
    assert bench.flow("ask").reason == "WaitingForDependencies"
    bench.succeeds("a")
    assert (bench.phases()["ask"], bench.flow("ask").reason) == ("Waiting", "ApprovalNeeded")
    assert bench.flow("ask").message == (
        "Deploy? (alice or the group ops may decide: kubectl workflow approve -n team w ask, or reject)"
    )
    blocked = bench.condition(conds.BLOCKED)
    assert blocked is not None
    assert (blocked.status, blocked.reason) == ("True", "ApprovalNeeded")
    assert bench.status.reason == "ApprovalNeeded"
    assert [job.name for job in bench.made] == ["w-a"]
    assert bench.told.count("ApprovalNeeded") == 1
    assert "Blocked" not in bench.told


def test_approved_it_has_succeeded() -> None:
    bench = decides(Bench(wf(ask=asking(), b="ask")), entry("ask", by="alice", comment="all well"))
    assert bench.phases() == {"ask": "Succeeded", "b": "Pending"}
    assert (bench.flow("ask").reason, bench.flow("ask").message) == ("Approved", "approved by alice: all well")
    assert "Approved" in bench.told
    bench.succeeds("b")
    assert (bench.phase, bench.status.reason) == ("Succeeded", "AllSucceeded")


def test_rejected_it_has_failed() -> None:
    bench = decides(Bench(wf(ask=asking(), b="ask")), entry("ask", REJECT, by="bob", comment="too slow"))
    assert bench.phases() == {"ask": "Failed", "b": "Skipped"}
    assert (bench.flow("ask").reason, bench.flow("ask").message) == ("Rejected", "rejected by bob: too slow")
    assert (bench.phase, bench.status.reason) == ("Failed", "TaskFailed")


@pytest.mark.parametrize(
    ("entries", "then"),
    [
        pytest.param([entry("ask"), entry("ask", REJECT)], "Succeeded", id="approved, then rejected"),
        pytest.param([entry("ask", REJECT), entry("ask")], "Failed", id="rejected, then approved"),
        pytest.param([entry("other", REJECT), entry("ask")], "Succeeded", id="another flow's entry does not count"),
        pytest.param([entry("ask", index=0)], "Succeeded", id="index 0 of a flow without for"),
        pytest.param([entry("ask", index=1)], "Waiting", id="an index that it does not have"),
    ],
)
def test_the_first_entry_counts(entries: list[dict[str, Any]], then: str) -> None:
    bench = decides(Bench(wf(other=asking(), ask=asking())), *entries)
    assert bench.phases()["ask"] == then


def test_an_entry_may_come_before_the_flow_asks() -> None:
    bench = decides(Bench(wf(a="", ask=asking(**on("a")))), entry("ask"))
    assert bench.phases()["ask"] == "Waiting"
    bench.succeeds("a")
    assert bench.phases()["ask"] == "Succeeded"


def test_an_entry_names_one_index_or_all() -> None:
    bench = Bench(wf(ask=asking(**{"for": {"replicas": 3}}), b=on("ask", strategy="Any")))
    decides(bench, entry("ask", index=1))
    assert bench.tasks("ask") == ["Waiting", "Succeeded", "Waiting"]
    assert bench.flow("ask").reason == "ApprovalNeeded"
    assert bench.flow("ask").message.startswith("index 0,2: Deploy?")
    assert bench.phases()["b"] == "Pending"
    decides(bench, entry("ask", REJECT))
    assert bench.tasks("ask") == ["Failed", "Succeeded", "Failed"]


def test_an_entry_about_nothing_gets_an_event() -> None:
    bench = decides(Bench(wf(a="", ask=asking())), entry("a"), entry("nobody"), entry("ask"))
    assert [event.message for event in bench.events if event.reason == "ApprovalIgnored"] == [
        'spec.approvals[0].flow: flow "a" has no approval, so nobody can approve or reject it',
        'spec.approvals[1].flow: no flow is named "nobody"; name one of spec.flows that has approval',
    ]
    assert bench.phases()["ask"] == "Succeeded"
    bench.ledger_tells_all()
    bench.settle()
    assert bench.told.count("ApprovalIgnored") == 2


def test_entries_are_no_part_of_the_hash_and_do_not_hold_the_workflow() -> None:
    bench = Bench(wf(a="", ask=asking()))
    before = bench.status.record
    decides(bench, entry("ask"))
    assert before is not None
    assert bench.status.record is not None
    assert bench.status.record.spec_hash == before.spec_hash
    assert bench.condition(conds.SPEC_CHANGED) is None


def test_a_workflow_that_is_created_with_approvals_is_invalid() -> None:
    bench = Bench(wf({"approvals": [entry("ask")]}, ask=asking()))
    assert (bench.phase, bench.status.reason) == ("Failed", "Invalid")
    assert "spec.approvals: a new Workflow has no approvals" in bench.status.message


def test_it_fails_once_nobody_decided_in_time() -> None:
    bench = Bench(wf(ask=asking(timeout="1h"), late=on(probe=status_of("ask", "Failed"))))
    assert bench.wait(3599).requeue_at == bench.now + 1
    assert bench.phases()["ask"] == "Waiting"
    bench.wait(1)
    assert (bench.phases(), bench.flow("ask").reason) == (
        {"ask": "Failed", "late": "Pending"},
        "DeadlineExceeded",
    )
    assert bench.flow("ask").message == (
        "nobody decided within 1h; alice or the group ops might have approved or rejected it"
    )


def test_it_counts_from_when_people_are_asked() -> None:
    bench = Bench(wf(a="", ask=asking(timeout="1h", **on("a"))))
    bench.wait(3000)
    bench.succeeds("a")
    bench.wait(3599)
    assert bench.phases()["ask"] == "Waiting"
    bench.wait(1)
    assert bench.phases()["ask"] == "Failed"


def test_it_goes_on_while_no_controller_runs() -> None:
    bench = Bench(wf(ask=asking(timeout="1h")))
    bench.now += 3000
    bench.restarted()
    bench.wait(599)
    assert bench.phases()["ask"] == "Waiting"
    bench.wait(1)
    assert bench.phases()["ask"] == "Failed"


def test_an_entry_that_came_while_no_controller_ran_counts() -> None:
    bench = Bench(wf(ask=asking(timeout="1h")))
    bench.edit_spec(approvals=[entry("ask")])
    bench.now += 7200
    bench.restarted()
    assert bench.phases()["ask"] == "Succeeded"


def test_many_times_are_recorded_late_and_never_early() -> None:
    loop = {"for": {"replicas": 40, "dependsOn": {"targets": ["a"]}}}
    bench = Bench(wf(a={"for": {"replicas": 40}}, ask=asking(timeout="1h", **loop)))
    for index in range(40):
        bench.now += 1
        bench.succeeds(f"a/{index}")
    record = bench.status.record
    assert record is not None
    (flow,) = [one for one in record.flows if one.asked]
    assert len(flow.asked) <= 16
    asked_at = bench.now
    bench.restarted()
    bench.wait(3600 - (bench.now - asked_at))
    assert bench.phases()["ask"] == "Failed"


@pytest.mark.parametrize("decision", [APPROVE, REJECT])
def test_no_job_follows_before_status_records_the_verdict(decision: str) -> None:
    bench = Bench(wf(ask=asking(), yes="ask", no=on(probe=status_of("ask", "Failed"))))
    bench.loses_writes = True
    bench.edit_spec(approvals=[entry("ask", decision)])
    for _ in range(5):
        bench.step()
    assert bench.made == []
    bench.loses_writes = False
    bench.settle()
    assert [job.name for job in bench.made] == ["w-yes" if decision == APPROVE else "w-no"]


def test_a_controller_that_is_started_later_asks_nobody_again() -> None:
    bench = decides(Bench(wf(ask=asking(), b="ask")), entry("ask"))
    bench.crash()
    bench.settle()
    assert bench.phases() == {"ask": "Succeeded", "b": "Pending"}
    assert bench.flow("ask").reason == "Approved"
    assert bench.told.count("Approved") == 1


def test_it_never_had_a_job_also_for_a_controller_that_is_started_later() -> None:
    bench = decides(Bench(wf(ask=asking(), b="ask")), entry("ask"))
    bench.fails("b")
    assert bench.flow("ask").attempts == 0
    bench = Bench(wf(ask=asking(), a="", late=on("a", probe=status_of("ask", "Pending"))))
    decides(bench, entry("ask"))
    bench.restarted()
    assert (bench.phases()["late"], bench.flow("ask").attempts) == ("Skipped", 0)


def test_people_decide_anew() -> None:
    bench = decides(Bench(wf(ask=asking(), b="ask")), entry("ask", REJECT))
    bench.set_spec(restart={"at": "1"})
    assert (bench.phases()["ask"], bench.flow("ask").reason) == ("Waiting", "ApprovalNeeded")
    bench.restarted()
    assert bench.phases()["ask"] == "Waiting"
    decides(bench, entry("ask"))
    assert bench.phases() == {"ask": "Succeeded", "b": "Pending"}


def test_what_was_approved_stays_so() -> None:
    bench = decides(Bench(wf(ask=asking(), b="ask")), entry("ask"))
    bench.fails("b")
    bench.set_spec(restart={"at": "1"})
    assert bench.phases() == {"ask": "Succeeded", "b": "Pending"}


def test_of_one_flow_the_indexes_that_failed_are_asked_for() -> None:
    bench = decides(Bench(wf(ask=asking(**{"for": {"replicas": 2}}))), entry("ask", index=0), entry("ask", REJECT))
    bench.set_spec(restart={"at": "1"})
    assert bench.tasks("ask") == ["Succeeded", "Waiting"]
    decides(bench, entry("ask", index=1))
    assert bench.phase == "Succeeded"


def test_a_restored_workflow_without_its_entries_can_be_approved() -> None:
    bench = decides(Bench(wf(ask=asking())), entry("ask", REJECT), entry("ask", REJECT))
    bench.set_spec(restart={"at": "1"})
    bench.edit_spec(approvals=None)
    bench.restarted()
    decides(bench, entry("ask"))
    assert bench.phases()["ask"] == "Succeeded"


@pytest.mark.parametrize(
    ("spec", "ask"),
    [
        pytest.param({"shutdown": "Stop"}, "Skipped", id="Stop"),
        pytest.param({"shutdown": "Terminate"}, "Skipped", id="Terminate"),
        pytest.param({"suspend": True}, "Waiting", id="suspend"),
    ],
)
def test_what_ends_it_without_a_person(spec: dict[str, Any], ask: str) -> None:
    bench = Bench(wf(ask=asking()))
    bench.set_spec(**spec)
    assert bench.phases()["ask"] == ask


def test_it_is_taken_while_the_workflow_is_suspended_and_what_follows_waits() -> None:
    bench = Bench(wf(ask=asking(), b="ask"))
    bench.set_spec(suspend=True, approvals=[entry("ask")])
    assert (bench.phases(), bench.flow("b").reason) == ({"ask": "Succeeded", "b": "Waiting"}, "WorkflowSuspended")


def test_it_is_not_taken_while_an_edit_holds_the_workflow() -> None:
    bench = Bench(wf(a="", ask=asking()))
    flows = [{"name": "a", "template": "job", "timeout": "5m"}, {"name": "ask", **asking()}]
    bench.set_spec(flows=flows, approvals=[entry("ask")])
    assert bench.phases()["ask"] == "Waiting"
    flows[0].pop("timeout")
    bench.set_spec(flows=flows)
    assert bench.phases()["ask"] == "Succeeded"


@pytest.mark.parametrize(
    ("flows", "entries", "phase"),
    [
        pytest.param({"ask": asking(when="false"), "b": on("ask")}, [], "Succeeded", id="a false condition skips it"),
        pytest.param({"ask": asking(when="true")}, [entry("ask")], "Succeeded", id="a true condition asks"),
        pytest.param(
            {"ask": asking(continueOnFail=True), "b": asking(**on("ask"))},
            [entry("ask", REJECT), entry("b")],
            "Succeeded",
            id="a tolerated rejection",
        ),
        pytest.param(
            {"ask": asking(**{"for": {"items": ["eu", "us"]}})}, [entry("ask")], "Succeeded", id="one for each item"
        ),
        pytest.param({"ask": asking(**{"for": {"replicas": 0}})}, [], "Succeeded", id="no replicas"),
    ],
)
def test_it_is_a_flow_like_others(flows: dict[str, Any], entries: list[dict[str, Any]], phase: str) -> None:
    bench = decides(Bench(wf(**flows)), *entries)
    assert bench.phase == phase


def test_a_finally_flow_may_ask() -> None:
    bench = Bench(wf(a="", ask=asking(**{"finally": True})))
    bench.fails("a")
    assert (bench.phase, bench.flow("ask").reason) == ("Terminating", "ApprovalNeeded")
    decides(bench, entry("ask"))
    assert bench.phase == "Failed"


def test_terminate_ends_a_finally_flow_that_is_approved_at_the_same_moment() -> None:
    bench = Bench(wf(a="", ask=asking(**{"finally": True})))
    bench.runs("a")
    bench.edit_spec(approvals=[entry("ask")], shutdown="Terminate")
    bench.succeeds("a")
    assert (bench.phase, bench.phases()) == ("Failed", {"a": "Succeeded", "ask": "Skipped"})


def test_any_policy_succeeds_by_an_approval() -> None:
    bench = Bench(wf({"successPolicy": {"type": "Any"}}, a=asking(), b=asking()))
    decides(bench, entry("b"))
    assert (bench.phase, bench.phases()) == ("Succeeded", {"a": "Skipped", "b": "Succeeded"})


def test_it_takes_no_slot() -> None:
    bench = Bench(wf({"parallelism": 1}, ask=asking(), a=""))
    assert bench.phases() == {"ask": "Waiting", "a": "Pending"}
