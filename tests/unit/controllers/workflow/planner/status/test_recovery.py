"""What the next controller knows: everything that status keeps, as if it had seen it itself."""

from __future__ import annotations

from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.controllers.workflow.planner.progress import Attempt, Task
from pkg.controllers.workflow.planner.status.recovery import recover
from tests.builders import NOW, Bench, compiled, http, mixed, on, snapshot, wf


def comparable(task: Task) -> Task:
    """Without what the jobs tell again (names, times of a living attempt) and what no decision rests on."""
    is_over, current = task.has_verdict, task.current
    kept = Attempt(ready=current.ready)
    if not is_over:  # clocks of a living attempt
        kept = Attempt(ready=current.ready, began=current.began, was_held=current.was_held)
    blank: dict[str, Any] = {"started": None, "finished": None, "released": None, "message": "", "current": kept}
    blank |= {"ran": task.ran or task.reported}  # either makes a wait for the phase Running true
    return msgspec.structs.replace(task, **blank, reason=task.reason if is_over else "")


def test_status_keeps_what_the_jobs_do_not_tell() -> None:
    """Every task is recovered as it was, from status alone."""
    bench = mixed()
    assert bench.progress is not None
    graph = compiled(bench.workflow)
    back = recover(snapshot(bench.workflow), graph)
    for before, after in zip(bench.progress.flows, back.flows, strict=True):
        assert [comparable(task) for task in after.tasks] == [comparable(task) for task in before.tasks]
        assert (after.gvr, after.renamed, after.first_attempt) == (before.gvr, before.renamed, before.first_attempt)
    assert back.counts == bench.progress.counts
    assert back.decision == bench.progress.decision
    assert back.is_decision_acked


def test_backoff_is_kept_with_attempt_reason_and_the_latest_due_time_of_each_group() -> None:
    bench = Bench(wf(a={"for": {"replicas": 4}, "retry": {"maxRetries": 2, "interval": "10s"}}))
    bench.fails("a/0")
    bench.now += 1
    bench.fails("a/1")
    bench.vanishes("a/3")
    kept = [(item.indexes, item.attempt, item.reason, item.due[17:19]) for item in bench.memory("a").kept]
    assert kept == [("0-1", 0, "Failed", "11"), ("3", 0, "JobDeleted", "11")]
    bench.crash()
    bench.settle()
    assert [task.due for task in (bench.task("a/0"), bench.task("a/1"))] == [NOW + 11, NOW + 11], "later, never earlier"


def test_probes_that_passed_are_kept_while_the_task_is_not_made() -> None:
    bench = Bench(wf({"parallelism": 1}, a={"for": {"replicas": 2}}, b=on(probe=http("a"), orGroups=[])))
    bench.runs("a/0")
    bench.passes("b")
    (latch,) = bench.memory("b").passed
    assert (latch.probe, latch.indexes) == ("dependsOn.probe.httpGetList[0]", "0")
    bench.succeeds("a/0")
    bench.runs("a/1")
    bench.passes("b", index=1)
    bench.succeeds("a/1")
    assert "w-b" in bench.names
    assert bench.memory("b").passed == ()


def test_a_flow_that_status_does_not_know_starts_from_nothing() -> None:
    workflow = wf(a="", b="a")
    status = msgspec.structs.replace(Bench(workflow).status, flows=Bench(wf(a="")).status.flows)
    back = recover(snapshot(msgspec.structs.replace(workflow, status=status)), compiled(workflow))
    assert [state.phase for state in back.flows] == [Phase.PENDING, Phase.WAITING]


def test_a_retry_that_an_older_controller_planned_in_between_is_made_after_its_whole_delay() -> None:
    """The older one put its memory beside a record of this version, which it left as it was."""
    bench = Bench(wf(a={"retry": {"maxRetries": 1, "interval": "30s"}}))
    bench.fails("a")
    record = bench.status.record
    assert record is not None
    assert any(flow.kept for flow in record.flows)
    forgotten = tuple(msgspec.structs.replace(flow, kept=()) for flow in record.flows)
    status = msgspec.structs.replace(bench.status, record=msgspec.structs.replace(record, flows=forgotten))
    bench.workflow = msgspec.structs.replace(bench.workflow, status=status)
    bench.restarted().settle()
    bench.wait(29)
    assert bench.names == ["w-a"], "not before"
    bench.wait(2)
    assert bench.names == ["w-a", "w-a-r1"]
