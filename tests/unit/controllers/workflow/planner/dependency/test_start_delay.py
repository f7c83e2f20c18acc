"""`startDelay`: when a task is released whose dependencies are met, and what is remembered of it."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.controllers.workflow.planner.dependency import start_delay
from pkg.controllers.workflow.planner.progress import NEVER, Task
from tests.builders import FAILED, NOW, Bench, compiled, on, task, wf

LATER: dict[str, Any] = {"startDelay": "5m", "dependsOn": on("a")}


def waiting(due: float | None = None, **fields: Any) -> Task:
    return Task(due=due, **fields)


@pytest.mark.parametrize(
    ("task", "due"),
    [
        pytest.param(waiting(), NOW + 300, id="the delay begins when the dependencies are met"),
        pytest.param(waiting(NOW + 120), NOW + 120, id="the due time is fixed once"),
        pytest.param(waiting(NOW), None, id="the delay is over when its time has come"),
        pytest.param(waiting(NOW - 9_000), None, id="and stays over"),
        pytest.param(
            waiting(NOW + 9_000), NOW + 300, id="a clock that was set back makes nobody wait longer than that"
        ),
    ],
)
def test_delayed(task: Task, due: float | None) -> None:
    node = compiled(wf(a={"startDelay": "5m"})).nodes[0]
    found = start_delay.delayed(task, node, NOW)
    assert (found.due if found is not None else None) == due


@pytest.mark.parametrize(
    ("task", "at"),
    [
        pytest.param(waiting(NOW + 60), NOW + 60, id="a task that waits"),
        pytest.param(waiting(NOW - 60, released=NOW), NEVER, id="a task that is released"),
        pytest.param(Task(phase=Phase.BACKOFF, due=NOW + 60), NEVER, id="a retry has a delay of its own"),
        pytest.param(waiting(), NEVER, id="a task whose dependencies are not met"),
    ],
)
def test_next_start(task: Task, at: float) -> None:
    assert start_delay.next_start([task], NOW) == at


def released(bench: Bench) -> None:
    """The job of `a` succeeds."""
    bench.succeeds("a")


def test_a_task_waits_after_its_dependencies_and_says_until_when() -> None:
    bench = Bench(wf(a="", b=LATER))
    released(bench)
    assert bench.names == ["w-a"]
    flow = next(flow for flow in bench.status.flows if flow.name == "b")
    assert (flow.phase, flow.reason) == ("Waiting", "StartDelayed")
    assert flow.message == "starts at 2027-01-15T08:05:00Z: startDelay (5m) runs since its dependencies were met"
    assert bench.step().requeue_at == NOW + 300
    bench.now = NOW + 299
    bench.settle()
    assert bench.names == ["w-a"]
    bench.now = NOW + 300
    bench.settle()
    assert bench.names == ["w-a", "w-b"]


def test_pending_timeout_counts_after_the_delay() -> None:
    bench = Bench(wf(a="", b={**LATER, "pendingTimeout": "1m"}))
    released(bench)
    bench.now = NOW + 300
    bench.settle()
    bench.wait(59)
    assert bench.flow("b").phase == "Pending"
    bench.wait(2)
    assert bench.flow("b").reason == "PendingTimeout"


def test_an_address_that_is_lost_during_the_delay_does_not_begin_it_anew() -> None:
    """The due time is recorded: the task starts once the address is there again."""
    bench = Bench(wf(a="", b={"startDelay": "5m", "patch": {"spec": {"x": "{{flows.a.podIP}}"}}}))
    bench.runs("a")
    bench.pod_ips = {task("a"): "10.0.0.1"}
    bench.settle()
    bench.pod_ips = {}
    bench.now = NOW + 300
    bench.settle()
    assert bench.names == ["w-a"]
    bench.pod_ips = {task("a"): "10.0.0.2"}
    bench.now = NOW + 310
    bench.settle()
    assert bench.names == ["w-a", "w-b"]


def test_a_flow_without_dependencies_waits_from_the_start() -> None:
    bench = Bench(wf(a={"startDelay": "10s"}, b=""))
    assert bench.names == ["w-b"]
    bench.now = NOW + 10
    bench.settle()
    assert bench.names == ["w-b", "w-a"]


def test_a_new_controller_goes_by_the_recorded_time() -> None:
    bench = Bench(wf(a="", b=LATER))
    released(bench)
    bench.now = NOW + 200
    bench.crash()
    bench.settle()
    assert bench.step().requeue_at == NOW + 300
    bench.now = NOW + 300
    bench.crash()
    bench.settle()
    assert bench.names == ["w-a", "w-b"]


def test_many_due_times_are_recorded_as_few() -> None:
    bench = Bench(wf(a={"startDelay": "5m", "for": {"replicas": 40}}))
    record = bench.status.record
    assert record is not None
    assert [(start.indexes, start.due) for start in record.flows[0].starts] == [("0-39", "2027-01-15T08:05:00.000000Z")]


def test_a_retry_does_not_wait_again() -> None:
    bench = Bench(wf(a={"startDelay": "5m", "retry": {"maxRetries": 1, "interval": "1s"}}))
    bench.now = NOW + 300
    bench.settle()
    bench.say(FAILED, "a")
    bench.settle()
    bench.now = NOW + 302
    bench.settle()
    assert bench.names == ["w-a", "w-a-r1"]


def test_a_restart_waits_again() -> None:
    bench = Bench(wf(a={"startDelay": "5m"}))
    bench.now = NOW + 300
    bench.settle()
    bench.say(FAILED, "a")
    bench.settle()
    bench.set_spec(restart={"at": "1"})
    assert bench.names == ["w-a"]
    bench.now = NOW + 600
    bench.settle()
    assert bench.names == ["w-a", "w-a-r1"]


def test_a_condition_that_is_false_skips_the_task_at_once() -> None:
    bench = Bench(wf(a={"startDelay": "5m", "when": "workflow.name == 'x'"}, b=""))
    flow = next(flow for flow in bench.status.flows if flow.name == "a")
    assert (flow.phase, flow.reason) == ("Skipped", "WhenFalse")


def test_an_end_skips_a_task_that_waits() -> None:
    bench = Bench(wf({"shutdown": "Stop"}, a={"startDelay": "5m"}))
    assert bench.status.phase == "Failed"
    assert [flow.phase for flow in bench.status.flows] == ["Skipped"]


def test_a_suspended_workflow_makes_no_job_and_the_time_runs_on() -> None:
    bench = Bench(wf({"suspend": True}, a={"startDelay": "5m"}))
    bench.now = NOW + 400
    bench.settle()
    assert bench.names == []
    bench.set_spec(suspend=False)
    assert bench.names == ["w-a"]


def test_a_delay_of_nothing_is_none() -> None:
    assert Bench(wf(a={"startDelay": "0s"})).names == ["w-a"]
