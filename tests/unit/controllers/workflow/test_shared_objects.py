"""Several tasks mean one object: what an answer to the call of one brings into the cache, the others learn, too."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pkg.apis.flow.v1alpha1.types import Action, ObjectOfTask, ObjectRecord
from pkg.apis.meta import ForeignObject, ObjectMeta
from pkg.controllers.engine.deltas import Added, Deleted, Modified
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.objects import Attempted, Keeps, Objects, OnDeltas
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import TaskKey
from tests.object_bench import SERVERS, Informers

FIRST, SECOND = WorkflowId("team", "first", "u1"), WorkflowId("team", "second", "u2")
TASK, NEXT = TaskKey("a", 0), TaskKey("b", 0)
READY: dict[str, Any] = {"readyReplicas": 1}


def thing(version: int, uid: str = "A", **status: Any) -> ForeignObject:
    meta = ObjectMeta(name="thing", namespace="team", uid=uid, resource_version=str(version))
    return ForeignObject(metadata=meta, status=status)


class Bench:
    """`applied`: a task of the first workflow has applied the object, and everybody knows. woken: keys, in order."""

    def __init__(self, found: ForeignObject | None = None) -> None:
        self.ledger = Ledger()
        self.woken: list[str] = []
        self.informers: Informers
        self.objects = Objects(self._make, lambda _gvr, _namespace, _name: found, self.ledger, self._wake)
        self.answer(FIRST, TASK, thing(10))
        self.informers.tell(SERVERS, Added(thing(10)))
        self.ledger.take_changes(FIRST)
        self.woken.clear()

    def _make(self, keeps: Keeps, on_deltas: OnDeltas) -> Any:
        self.informers = Informers(keeps, on_deltas)
        return self.informers

    def _wake(self, key: str) -> None:
        assert not cast(Any, self.objects._lock)._is_owned(), "a queue is never called with the lock held"
        self.woken.append(key)

    def answer(self, workflow: WorkflowId, task: TaskKey, found: ForeignObject) -> None:
        attempted = Attempted(0, Action.APPLY, is_indexed=False)
        self.objects.expect(workflow, SERVERS, "thing", task, attempted, needs_watch=True)
        self.objects.took(workflow, SERVERS, task, found)

    def seen(self, workflow: WorkflowId = FIRST, task: TaskKey = TASK) -> list[tuple[str, Any]]:
        """The object as the planner reads it for a task: its version, and its status."""
        jobs = [one.job for of, one in self.ledger.jobs(workflow) if of == task]
        return [(job.metadata.resource_version, job.status) for job in jobs]


@pytest.mark.parametrize(
    ("workflow", "task"),
    [
        pytest.param(SECOND, TASK, id="of another workflow"),
        pytest.param(FIRST, NEXT, id="of the same workflow"),
    ],
)
def test_an_answer_that_overtakes_the_watch_is_told_to_the_other_tasks(workflow: WorkflowId, task: TaskKey) -> None:
    bench = Bench()
    bench.answer(workflow, task, thing(11, **READY))
    bench.informers.tell(SERVERS, Modified(thing(11, **READY)))
    assert bench.woken == [FIRST.key]
    assert bench.seen() == bench.seen(workflow, task) == [("11", READY)]
    assert TASK in (bench.ledger.dirty(FIRST) or ())


def test_an_answer_that_changes_nothing_wakes_nobody() -> None:
    bench = Bench()
    bench.answer(SECOND, TASK, thing(10))
    bench.answer(SECOND, NEXT, thing(12))
    assert bench.woken == []
    assert bench.ledger.dirty(FIRST) == frozenset()


@pytest.mark.parametrize("is_listed", [True, False], ids=["a list", "the deletion itself"])
def test_an_answer_with_another_object_of_the_name_says_that_the_one_before_is_gone(is_listed: bool) -> None:
    bench = Bench()
    bench.answer(SECOND, TASK, thing(12, uid="B"))
    assert (bench.woken, bench.seen()) == ([FIRST.key], [])
    assert list(bench.ledger.take_changes(FIRST).gone) == [TASK]
    if is_listed:
        deltas = bench.informers.stores[SERVERS].replace([thing(12, uid="B")], 13)
        bench.objects._changed(SERVERS, deltas)
    else:
        bench.informers.tell(SERVERS, Deleted(thing(11)))
    assert bench.seen() == []
    assert bench.seen(SECOND) == [("12", {})]


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        pytest.param(thing(12, **READY), [("12", READY)], id="in a later state"),
        pytest.param(thing(12, uid="B"), [], id="another object of the name"),
    ],
)
def test_a_change_that_is_told_after_a_later_answer_sets_nobody_back(answer: ForeignObject, seen: Any) -> None:
    """The thread of the watch has put it into the cache, and waits while the answer is taken in."""
    bench = Bench()
    change = bench.informers.stores[SERVERS].apply(Modified(thing(11, readyReplicas=0)))
    assert change is not None
    bench.answer(SECOND, TASK, answer)
    bench.objects._changed(SERVERS, [change])
    assert bench.seen() == seen
    assert bench.seen(SECOND) == [("12", answer.status)]


def test_what_a_new_controller_reads_by_name_is_told_to_the_other_tasks() -> None:
    bench = Bench(found=thing(11, **READY))
    record = ObjectRecord(0, str(SERVERS), Action.APPLY, (ObjectOfTask("thing", "A"),))
    bench.objects.adopt(SECOND, "a", record, (0,), is_indexed=False, needs_watch=True)
    bench.objects._read(bench.objects._queue.popleft())
    assert sorted(bench.woken) == [FIRST.key, SECOND.key]
    assert bench.seen() == bench.seen(SECOND) == [("11", READY)]
