"""A status that an older controller wrote, without `status.record`: it is understood, and the first write moves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonpatch
import msgspec
import pytest

from pkg.apis.flow.v1alpha1.types import Record, WorkflowStatus
from pkg.controllers.workflow.planner.snapshot import CreateFault, Trouble
from pkg.controllers.workflow.planner.status.recovery import recover
from pkg.controllers.workflow.planner.status.status_patch import diff
from tests.builders import NOW, Bench, as_older, compiled, http, mixed, on, snapshot, wf


def suspended() -> Bench:
    bench = Bench(wf({"timeout": "1h"}, a="", b="a"))
    bench.set_spec(suspend=True)
    bench.wait(100)
    bench.set_spec(suspend=False)
    bench.wait(100)
    bench.set_spec(suspend=True)
    bench.wait(50)
    return bench


def restarted() -> Bench:
    bench = Bench(
        wf(
            {"successPolicy": {"remaining": "Continue"}},
            a={"retry": {"maxRetries": 1, "interval": "0s"}},
            b="",
            c="b",
        )
    )
    bench.fails("a")
    bench.fails("a")
    bench.succeeds("b")
    bench.succeeds("c")
    bench.set_spec(restart={"at": "again", "flows": ["a", "c"]})
    bench.runs("a")
    return bench


def renamed() -> Bench:
    bench = Bench(wf(a=""), settle=False)
    taken = CreateFault(Trouble.NAME_TAKEN, 0, "w-a", "AlreadyExists", "", NOW, 1, NOW)
    bench.refuse = lambda creation: taken if creation.name == "w-a" else None
    bench.settle()
    return bench


def passed() -> Bench:
    bench = Bench(wf({"parallelism": 1}, a={"for": {"replicas": 2}}, b=on(probe=http("a"))))
    bench.runs("a/0")
    bench.passes("b")
    return bench


def in_backoff() -> Bench:
    bench = Bench(wf(a={"for": {"replicas": 3}, "retry": {"maxRetries": 3}}, b={"retry": {"maxRetries": 1}}))
    bench.fails("a/1", "b")
    bench.vanishes("a/2")
    return bench


def terminating() -> Bench:
    bench = Bench(wf(a="", b="", c="a"))
    bench.fails("a")
    return bench


def many_flows() -> Bench:
    flows: dict[str, Any] = {f"f{at}": {"retry": {"maxRetries": 1}} for at in range(501)}
    bench = Bench(wf(**flows))
    bench.fails("f7", "f400")
    return bench


SITUATIONS: dict[str, Callable[[], Bench]] = {
    "tasks in nearly every phase": mixed,
    "suspended for the second time": suspended,
    "after a restart that named flows": restarted,
    "with a fallback name": renamed,
    "with a probe that passed for a task that has no slot": passed,
    "in Backoff": in_backoff,
    "decided": terminating,
    "with more than 500 flows": many_flows,
}
pytestmark = pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)


def upgraded(bench: Bench) -> Bench:
    """The next controller finds the status as an older one wrote it, and has not looked at it yet."""
    bench.workflow = msgspec.structs.replace(bench.workflow, status=as_older(bench.status))
    bench.crash()
    bench.log.clear()
    bench.writes.clear()
    bench.events.clear()
    return bench


def open_tasks(bench: Bench) -> list[str]:
    """The tasks that have an unfinished job."""
    assert bench.progress is not None
    return [
        f"{node.name}/{index}" if node.is_indexed else node.name
        for node, state in zip(compiled(bench.workflow).nodes, bench.progress.flows, strict=True)
        for index, task in enumerate(state.tasks)
        if task.is_unfinished
    ]


def older_fields(status: WorkflowStatus) -> list[str]:
    """The fields of an older controller that are set."""
    found = set(as_older(WorkflowStatus(record=Record())).__struct_fields__)
    top = found & {"restarted_at", "restarted_flows", "suspended_at", "suspended_seconds", "spec_hash"}
    flow = ("gvr", "passed", "renamed", "first_attempt", "kept")
    return [
        *(name for name in top if getattr(status, name)),
        *(f"{each.name}.{name}" for each in status.flows for name in flow if getattr(each, name)),
    ]


def test_it_is_recovered_as_one_of_today(situation: Callable[[], Bench]) -> None:
    bench = situation()
    graph, older = compiled(bench.workflow), msgspec.structs.replace(bench.workflow, status=as_older(bench.status))
    assert older_fields(older.status), "the situation has something to move"
    for was, now in zip(
        recover(snapshot(older), graph).flows, recover(snapshot(bench.workflow), graph).flows, strict=True
    ):
        # An older controller did not record the kind of each attempt.
        tasks = tuple(task.with_current(gvr="") for task in now.tasks)
        assert was == msgspec.structs.replace(now, tasks=tasks)


def test_nothing_is_made_deleted_said_or_held_and_one_write_moves_it(situation: Callable[[], Bench]) -> None:
    bench = situation()
    before = bench.status
    upgraded(bench).settle()
    assert bench.log == ["status"]
    assert bench.events == []
    assert bench.phases() == {flow.name: str(flow.phase) for flow in before.flows}
    assert (bench.status.phase, bench.status.record) == (before.phase, before.record)
    assert older_fields(bench.status) == []
    bench.restarted()
    assert bench.log == ["status"], "it is moved once"


def test_the_patch_applies_to_what_is_stored(situation: Callable[[], Bench]) -> None:
    status = situation().status
    stored = {"status": msgspec.json.decode(msgspec.json.encode(as_older(status)))}
    operations = msgspec.json.decode(msgspec.json.encode(diff(as_older(status), status)))
    assert jsonpatch.apply_patch(stored, operations)["status"] == msgspec.json.decode(msgspec.json.encode(status))


def test_it_goes_on_to_the_same_end(situation: Callable[[], Bench]) -> None:
    ends = []
    for bench in (situation(), upgraded(situation())):
        bench.set_spec(suspend=None)
        for _ in range(20):
            if bench.status.phase is not None and bench.status.phase.is_final:
                break
            bench.succeeds(*open_tasks(bench))
            bench.wait(400)
        ends.append((bench.phase, bench.phases(), sorted(bench.names), bench.record))
    assert ends[0] == ends[1]
    assert ends[0][0] in ("Succeeded", "Failed")
