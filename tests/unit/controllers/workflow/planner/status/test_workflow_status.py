"""The status document: counts that add up, ranges, what is kept for the next controller, and how large it gets."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.indexes import pack_indexes, unpack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.controllers.workflow.planner.progress import FlowState, Task, from_flows, tally_of
from pkg.controllers.workflow.planner.status import workflow_status
from tests.builders import NOW, Bench, compiled, mixed, on, snapshot, status_of, wf

MIB = 1024 * 1024

RANGES: dict[str, tuple[list[int], str]] = {
    "none": ([], ""),
    "one": ([7], "7"),
    "a run": ([0, 1, 2, 3], "0-3"),
    "runs and single ones": ([0, 1, 2, 3, 7, 9, 10], "0-3,7,9-10"),
}


@pytest.mark.parametrize(("indexes", "text"), RANGES.values(), ids=RANGES)
def test_ranges(indexes: list[int], text: str) -> None:
    assert pack_indexes(indexes) == text
    assert unpack_indexes(text) == indexes


def test_counts_add_up() -> None:
    bench = mixed()
    told = msgspec.structs.asdict(bench.status.tasks)
    assert told == {
        "total": 10,
        "waiting": 1,
        "pending": 2,
        "suspended": 1,
        "running": 1,
        "backoff": 1,
        "succeeded": 2,
        "failed": 1,
        "skipped": 1,
        "cancelled": 0,
    }
    assert sum(count for name, count in told.items() if name != "total") == told["total"]
    assert bench.status.progress == "4/10", "final tasks over all"


def test_flows_with_for_show_ranges_of_indexes() -> None:
    flow = mixed().flow("a")
    assert (flow.running, flow.succeeded, flow.backoff, flow.suspended, flow.pending) == ("0", "1-2", "3", "4", "5")
    assert (flow.failed, flow.skipped, flow.cancelled, flow.waiting) == ("", "", "", "")


def test_flows_without_for_have_no_ranges() -> None:
    flow = mixed().flow("b")
    assert (flow.failed, flow.replicas) == ("", ())


def test_replicas_that_did_not_succeed_are_itemised_failed_first() -> None:
    bench = Bench(wf(a={"for": {"replicas": 4}, "retry": {"maxRetries": 1, "interval": "1s"}}))
    bench.fails("a/0", "a/2")
    bench.wait(1)
    bench.fails("a/2")
    assert [(item.index, str(item.phase)) for item in bench.flow("a").replicas[:1]] == [(2, "Failed")]
    assert bench.flow("a").replicas[0].message == "job w-a-2-r1: BackoffLimitExceeded: it broke"


def test_skipped_replicas_are_itemised_with_their_reason_and_a_restart_keeps_it() -> None:
    bench = Bench(wf({"successPolicy": {"remaining": "Continue"}}, a="", b={"for": {"replicas": 2}, **on("a")}, c=""))
    bench.fails("a")
    told = bench.flow("b")
    assert [(item.index, str(item.phase), item.reason) for item in told.replicas] == [
        (0, "Skipped", "DependenciesImpossible"),
        (1, "Skipped", "DependenciesImpossible"),
    ]
    assert (told.reason, told.message) == (
        "DependenciesImpossible",
        "index 0: it waited for a to succeed, which is Failed",
    )
    bench.restarted()
    bench.succeeds("c")
    assert bench.flow("b") == told


def test_a_flow_without_replicas_says_so_and_a_restart_keeps_it() -> None:
    bench = Bench(wf(a={"for": {"replicas": 0}}, b=""))
    told = bench.flow("a")
    assert (told.phase, told.reason, told.message) == ("Skipped", "NoReplicas", "index 0: for.replicas is 0")
    bench.restarted()
    bench.succeeds("b")
    assert bench.flow("a") == told


def test_a_finally_flow_says_that_it_waits_for_all_others() -> None:
    bench = Bench(wf(a="", z={"finally": True, **on("a")}))
    told = bench.flow("z")
    assert (told.reason, told.message) == ("WaitingForDependencies", "waits for every flow without finally to end")
    bench.succeeds("a")
    assert (bench.flow("z").phase, bench.flow("z").reason) == ("Pending", "")


def test_at_most_100_are_itemised() -> None:
    bench = Bench(wf({"successPolicy": {"remaining": "Continue"}}, a={"for": {"replicas": 150}}))
    bench.fails(*(f"a/{index}" for index in range(150)))
    assert len(bench.flow("a").replicas) == 100
    assert bench.flow("a").failed == "0-149"


def test_times_have_microseconds_where_clocks_are_derived_from_them() -> None:
    bench = Bench(wf({"timeout": "1h"}, a={"retry": {"maxRetries": 1}}), settle=False)
    bench.now += 0.123456
    bench.settle()
    bench.now += 0.000001
    bench.fails("a")
    assert bench.status.start_time == "2027-01-15T08:00:00.123456Z"
    assert bench.memory("a").kept[0].due == "2027-01-15T08:00:10.123457Z"
    bench.set_spec(suspend=True)
    assert bench.record.suspended_at == "2027-01-15T08:00:00.123457Z"


def test_times_of_flows_and_of_the_workflow() -> None:
    bench = Bench(wf(a="", b="a"))
    bench.wait(5)
    bench.succeeds("a")
    assert (bench.flow("a").start_time[:19], bench.flow("a").completion_time[:19]) == (
        "2027-01-15T08:00:00",
        "2027-01-15T08:00:05",
    )
    assert (bench.flow("b").completion_time, bench.status.completion_time) == ("", "")
    bench.wait(5)
    bench.succeeds("b")
    assert bench.status.completion_time[:19] == "2027-01-15T08:00:10"


def test_attempts_are_counted() -> None:
    bench = Bench(wf(a={"retry": {"maxRetries": 2, "interval": "0s"}}))
    assert bench.flow("a").attempts == 1
    bench.fails("a")
    assert bench.flow("a").attempts == 2


def test_the_observed_generation_is_recorded() -> None:
    bench = Bench(wf(a=""))
    assert bench.status.observed_generation == 1
    bench.set_spec(parallelism=3)
    assert bench.status.observed_generation == 2


# Conditions


def test_succeeded_is_there_only_at_the_end() -> None:
    bench = Bench(wf({"successPolicy": {"type": "Any"}}, a="", b=""))
    bench.runs("b")
    assert {one.type: one.status for one in bench.status.conditions} == {"Finished": "False"}
    bench.succeeds("a")
    assert {one.type: one.status for one in bench.status.conditions} == {"Decided": "True", "Finished": "False"}
    bench.succeeds("b")
    assert {one.type: one.status for one in bench.status.conditions} == {
        "Decided": "True",
        "Finished": "True",
        "Succeeded": "True",
    }


def test_a_failed_workflow_says_succeeded_false() -> None:
    bench = Bench(wf(a=""))
    bench.fails("a")
    succeeded = bench.condition("Succeeded")
    assert succeeded is not None
    assert (succeeded.status, succeeded.reason) == ("False", "TaskFailed")
    assert succeeded.observed_generation == 1
    assert succeeded.last_transition_time == "2027-01-15T08:00:00Z"


def test_suspended_is_set_and_reset() -> None:
    bench = Bench(wf(a=""))
    assert bench.condition("Suspended") is None
    bench.set_spec(suspend=True)
    found = bench.condition("Suspended")
    assert found is not None
    assert (found.status, found.reason) == ("True", "SpecSuspend")
    bench.set_spec(suspend=False)
    found = bench.condition("Suspended")
    assert found is not None
    assert (found.status, found.reason) == ("False", "Resumed")


# And back again


# The patch


# Size


def worst(workflow: Workflow) -> bytes:
    """A whole workflow, spec and all, in which every task has failed at great length and waits for its next attempt."""
    graph = compiled(workflow)
    states = []
    for node in graph.nodes:
        one = Task(
            phase=Phase.BACKOFF,
            attempt=3,
            reason="DeadlineExceeded",
            message="x" * 512,
            had_job=True,
            ran=True,
            started=NOW,
            due=NOW + 1,
        )
        two = msgspec.structs.replace(one, phase=Phase.FAILED, reason="Failed", finished=NOW, due=None)
        tasks = tuple((one, two)[index % 2] for index in range(node.size))
        states.append(FlowState(tasks=tasks, tally=tally_of(tasks), gvr="pytorchjobs.v1.kubeflow.org"))
    status = workflow_status.workflow_status(
        snapshot(workflow, graph), graph, from_flows(states), WorkflowPhase.RUNNING
    ).status
    return msgspec.json.encode(msgspec.structs.replace(workflow, status=status))


BIG: dict[str, Workflow] = {
    "5,000 flows of one task": wf(**{f"flow-{number:04}": {"dependsOn": {}} for number in range(5000)}),
    "one flow of 5,000": wf(a={"for": {"replicas": 5000}}),
    "500 flows of 10": wf(**{f"flow-{number:03}": {"for": {"replicas": 10}} for number in range(500)}),
    "50 flows of 100": wf(**{f"flow-{number:02}": {"for": {"replicas": 100}} for number in range(50)}),
}


@pytest.mark.parametrize("workflow", BIG.values(), ids=BIG)
def test_5000_tasks_stay_under_1_2_mib(workflow: Workflow) -> None:
    assert len(worst(workflow)) < 1.2 * MIB


def test_messages_are_bounded() -> None:
    bench = Bench(wf(a="", b=on(probe=status_of("a", "Failed"))))
    long = {"conditions": [{"type": "Failed", "status": "True", "reason": "R" * 300, "message": "m" * 5000}]}
    bench.say(long, "a")
    bench.settle()
    assert len(bench.flow("a").message) <= 512
    assert len(bench.flow("a").reason) <= 128
