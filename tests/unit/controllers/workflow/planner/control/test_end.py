"""`finally` flows know how the workflow went. That is settled once, and recorded before any of their jobs is made."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import records
from pkg.controllers.workflow.planner.actions import CreateJob
from pkg.controllers.workflow.planner.control.end import MAX_FAILURES
from tests.builders import Bench, on, status_of, wf

ALL = ("phase", "reason", "message", "duration", "failures")


def last(*targets: str, **fields: Any) -> dict[str, Any]:
    """A `finally` flow whose job has all that is known of the end in its labels."""
    patch = {"metadata": {"annotations": {name: f"{{{{workflow.{name}}}}}" for name in ALL}}}
    return {"finally": True, "patch": patch, **on(" ".join(targets)), **fields}


def known(bench: Bench, name: str = "w-z") -> dict[str, str]:
    """What the job of the finally flow was told."""
    (job,) = [job for job in bench.made if job.name == name]
    notes = msgspec.json.decode(job.body)["metadata"]["annotations"]
    return {name: notes[name] for name in ALL}


def test_of_a_success() -> None:
    bench = Bench(wf(a="", b="a", z=last()))
    bench.now += 75.9
    bench.succeeds("a")
    bench.succeeds("b")
    assert known(bench) == {
        "phase": "Succeeded",
        "reason": "AllSucceeded",
        "message": "every flow succeeded, was skipped, or failed and was tolerated",
        "duration": "75",
        "failures": "[]",
    }
    bench.succeeds("z")
    assert bench.phase == "Succeeded"


def test_of_a_failure() -> None:
    bench = Bench(wf(a={"for": {"replicas": 3}}, b={"continueOnFail": True}, z=last()))
    bench.words["a/1"] = "pod w-a-1-x: container main was killed: out of memory"
    bench.succeeds("a/0", "a/2")
    bench.fails("b")
    bench.fails("a/1")
    found = known(bench)
    assert (found["phase"], found["reason"]) == ("Failed", "TaskFailed")
    assert found["message"].startswith("flow a failed (index 1): Failed, ")
    assert "out of memory" in found["message"]
    assert [(one["flow"], one["index"], one["reason"]) for one in msgspec.json.decode(found["failures"])] == [
        ("a", 1, "Failed"),
        ("b", 0, "Failed"),
    ]
    assert "out of memory" in msgspec.json.decode(found["failures"])[0]["message"]


ENDS: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "Stop": ({}, {"shutdown": "Stop"}, "Failed", "Stopped"),
    "a critical flow that failed": (
        {"successPolicy": {"type": "Critical", "criticalFlows": ["a"]}},
        {},
        "Failed",
        "CriticalFailed",
    ),
    "no leaf that can succeed": ({"successPolicy": {"type": "Any"}}, {}, "Failed", "NoLeafCanSucceed"),
}


@pytest.mark.parametrize(("spec", "edit", "phase", "reason"), ENDS.values(), ids=ENDS)
def test_the_decided_outcome_counts(spec: dict[str, Any], edit: dict[str, Any], phase: str, reason: str) -> None:
    bench = Bench(wf(spec, a="", z=last()))
    if edit:
        bench.set_spec(**edit)
    bench.fails("a")
    assert (known(bench)["phase"], known(bench)["reason"]) == (phase, reason)


def test_a_timeout_of_the_workflow_counts() -> None:
    bench = Bench(wf({"timeout": "1h"}, a="", z=last()))
    bench.wait(3600)
    bench.settle()
    assert (known(bench)["reason"], known(bench)["duration"]) == ("DeadlineExceeded", "3600")
    assert known(bench)["failures"] == "[]"


def test_failures_are_bounded_and_the_rest_counted() -> None:
    bench = Bench(wf(a={"for": {"replicas": 100}}, z=last()))
    bench.fails(*(f"a/{index}" for index in range(100)))
    text = known(bench)["failures"]
    assert len(text) <= MAX_FAILURES
    found = msgspec.json.decode(text)
    assert found[-1]["reason"] == "More"
    assert found[-1]["count"] + len(found) - 1 == 100
    assert found[-1].keys() >= {"flow", "index", "message"}
    assert len(found) > 20


def test_no_job_is_made_before_status_records_it() -> None:
    bench = Bench(wf(a="", y={"finally": True}, z=last()))
    bench.loses_writes = True
    bench.say({"conditions": [{"type": "Complete", "status": "True"}]}, "a")
    for _ in range(5):
        bench.step()
    assert [job.name for job in bench.made] == ["w-a"]
    bench.loses_writes = False
    bench.settle()
    assert sorted(job.name for job in bench.made) == ["w-a", "w-y", "w-z"]


def test_values_never_change_once_a_job_was_made() -> None:
    bench = Bench(wf(a="", y=last(retry={"maxRetries": 3, "interval": "0s"}), z=last("y")))
    bench.succeeds("a")
    first = known(bench, "w-y")
    for attempt in (1, 2):
        bench.now += 100
        bench.restarted()
        bench.fails("y")
        bench.settle()
        assert known(bench, f"w-y-r{attempt}") == first
    bench.now += 100
    bench.restarted()
    bench.succeeds("y")
    assert known(bench, "w-z") == first


def test_values_differ_only_if_no_job_was_made() -> None:
    """A controller that dies before it has recorded them leaves nothing that another one could contradict."""
    bench = Bench(wf(a="", z=last()))
    bench.loses_writes = True
    bench.say({"conditions": [{"type": "Complete", "status": "True"}]}, "a")
    bench.step()
    bench.now += 50
    bench.crash()
    bench.loses_writes = False
    bench.settle()
    assert known(bench)["duration"] == "50"


def test_how_pods_ended_is_waited_for_but_not_for_ever() -> None:
    bench = Bench(wf(a="", z=last()))
    bench.words["a/0"] = None
    bench.say({"conditions": [{"type": "Failed", "status": "True"}]}, "a")
    for _ in range(6):
        made = bench.step(is_urgent=True)
    assert [job.name for job in bench.made] == ["w-a"]
    assert made.requeue_at == bench.now + 10
    bench.now += 10
    for _ in range(4):
        bench.step(is_urgent=True)
    assert [job.name for job in bench.made] == ["w-a", "w-z"]


WHEN: dict[str, tuple[str, bool]] = {
    "the phase": ("workflow.phase == 'Failed'", True),
    "the reason": ("workflow.reason == 'AllSucceeded'", False),
    "the message": ("workflow.message.contains('flow a failed')", True),
    "the duration": ("workflow.duration >= 60", True),
    "the number of failures": ("size(workflow.failures) == 1", True),
    "one of the failures": ("workflow.failures.exists(f, f.flow == 'a' && f.reason == 'Failed')", True),
    "none of the failures": ("workflow.failures.exists(f, f.flow == 'b')", False),
    "in brackets": ("workflow['phase'] == 'Failed'", True),
    "together with the name": ("workflow.name == 'w' && workflow.phase != 'Succeeded'", True),
}


@pytest.mark.parametrize(("when", "runs"), WHEN.values(), ids=WHEN)
def test_a_condition_reads_the_same(when: str, *, runs: bool) -> None:
    bench = Bench(wf(a="", z={"finally": True, "when": when}))
    bench.now += 60
    bench.fails("a")
    assert (bench.phases()["z"], bench.flow("z").reason) == (("Pending", "") if runs else ("Skipped", "WhenFalse"))


def test_a_restart_settles_it_anew() -> None:
    bench = Bench(wf(a="", z=last()))
    bench.fails("a")
    bench.succeeds("z")
    assert bench.phase == "Failed"
    bench.now += 500
    bench.set_spec(restart={"at": "1"})
    assert records.record_of(bench.status).end is None
    bench.now += 7
    bench.succeeds("a")
    assert known(bench, "w-z-r1")["phase"] == "Succeeded"
    assert known(bench, "w-z-r1")["duration"] == "7"


def test_workflows_that_use_none_of_it_record_nothing() -> None:
    bench = Bench(wf(a="", z={"finally": True}))
    writes = len(bench.writes)
    bench.succeeds("a")
    assert bench.status.record is not None
    assert bench.status.record.end is None
    assert len(bench.writes) - writes == 1
    assert [job.name for job in bench.made] == ["w-a", "w-z"]


def test_targets_among_finally_flows_order_them() -> None:
    bench = Bench(wf(a="", x={"finally": True}, y={"finally": True, **on("x")}, z={"finally": True, **on("x y")}))
    bench.fails("a")
    assert bench.phases() == {"a": "Failed", "x": "Pending", "y": "Waiting", "z": "Waiting"}
    bench.succeeds("x")
    assert bench.phases()["y"] == "Pending"
    bench.succeeds("y")
    assert bench.phases()["z"] == "Pending"
    bench.succeeds("z")
    assert bench.phase == "Failed"


def test_what_waits_for_one_that_failed_is_skipped_and_no_failure_branch_recovers() -> None:
    flows = {
        "x": {"finally": True},
        "y": {"finally": True, **on("x")},
        "z": {"finally": True, **on(probe=status_of("x", "Failed"))},
    }
    bench = Bench(wf(a="", **flows))
    bench.succeeds("a")
    bench.fails("x")
    assert bench.phases() == {"a": "Succeeded", "x": "Failed", "y": "Skipped", "z": "Pending"}
    bench.succeeds("z")
    assert (bench.phase, bench.status.reason) == ("Failed", "TaskFailed")


def test_one_uses_the_output_of_another() -> None:
    flows = {
        "x": {"finally": True, "outputs": [{"name": "n", "from": {"path": "status.n"}}]},
        "y": {"finally": True, "patch": {"metadata": {"labels": {"n": "{{flows.x.outputs.n}}"}}}},
    }
    bench = Bench(wf(a="", **flows))
    bench.succeeds("a")
    bench.say({"conditions": [{"type": "Complete", "status": "True"}], "n": "7"}, "x")
    bench.settle()
    made: list[CreateJob] = [job for job in bench.made if job.name == "w-y"]
    assert msgspec.json.decode(made[0].body)["metadata"]["labels"]["n"] == "7"
