"""The objects that tasks apply or delete: which ones are followed, and what the ledger gets to know of them.

They belong to no Workflow and carry no label of ours, so a watch cannot select them. One watch per kind follows all
objects of that kind, and the cache keeps those alone that a task of a running workflow has named. Their changes reach
the ledger as changes of the task's job. A kind whose objects are done once they are created is not watched at all.

After a restart of the controller an object is read once by its name, in threads of this class.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import msgspec
import structlog

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import Action, ObjectRecord
from pkg.apis.meta import GVR, ForeignObject, Job, ObjectMeta
from pkg.apis.structs import is_equal
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.store import Store
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob
from pkg.controllers.workflow.relevance import is_same_state
from pkg.kube.errors import KubeError, Stopped

_log = structlog.get_logger("workflow.objects")
THREADS: Final = 2
RETRY_SECONDS: Final = 1.0
Keeps: TypeAlias = Callable[[GVR, str], bool]
OnDeltas: TypeAlias = Callable[[GVR, Sequence[Delta[ForeignObject]]], None]
_NOTHING: Final[frozenset[TaskKey]] = frozenset()


@dataclass(frozen=True, slots=True)
class Attempted:
    """What one attempt does with its object. uid: empty until the object has been applied or found."""

    attempt: int
    action: Action
    is_indexed: bool
    uid: str = ""


@dataclass(frozen=True, slots=True)
class _Place:
    """One object by its kind and name, as one task of one workflow means it."""

    gvr: GVR
    key: str
    task: TaskKey


@dataclass(frozen=True, slots=True)
class _Asked:
    """An object that is to be read by its name. due: seconds of the clock."""

    workflow: WorkflowId
    place: _Place
    due: float = 0.0


class Objects:
    """Thread-safe. make(keeps, on_deltas) makes the informers; read(kind, namespace, name): one object as the API
    server has it, None if there is none, or a KubeError; requeue(key): of a workflow, from any thread.
    """

    def __init__(
        self,
        make: Callable[[Keeps, OnDeltas], InformerSet[ForeignObject]],
        read: Callable[[GVR, str, str], ForeignObject | None],
        ledger: Ledger,
        requeue: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.informers = make(self.is_named, self._changed)
        self._ask = read
        self._ledger = ledger
        self._requeue = requeue
        self._clock = clock
        self._lock = threading.RLock()
        self._named: dict[GVR, dict[str, dict[tuple[WorkflowId, TaskKey], Attempted]]] = {}
        self._places: dict[WorkflowId, dict[TaskKey, _Place]] = {}
        self._unseen: dict[WorkflowId, set[TaskKey]] = {}
        self._queue: deque[_Asked] = deque()
        self._news = threading.Condition(self._lock)
        self._is_stopping = False
        self.threads = [
            threading.Thread(target=self._run, name=f"objects-{number}", daemon=True) for number in range(THREADS)
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Returns at once."""
        with self._lock:
            self._is_stopping = True
            self._news.notify_all()
        self.informers.stop()

    # What reconciles call.

    def is_named(self, gvr: GVR, key: str) -> bool:
        """Whether a task means the object `namespace/name`."""
        return key in self._named.get(gvr, ())

    def trouble(self, gvr: GVR) -> str:
        """Why the objects of a kind cannot be followed; empty if they can."""
        return self.informers.trouble(gvr)

    def unseen(self, workflow: WorkflowId) -> frozenset[TaskKey]:
        """The tasks whose object has not been read since `adopt` named it."""
        found = self._unseen.get(workflow)
        with self._lock:
            return frozenset(found) if found else _NOTHING

    def adopt(
        self,
        workflow: WorkflowId,
        flow: str,
        record: ObjectRecord,
        indexes: Iterable[int],
        *,
        is_indexed: bool,
        needs_watch: bool,
    ) -> None:
        """Names the objects of some tasks of a flow as status records them. Each is read once, unless it is known.

        needs_watch: follow the kind, of which changes are awaited.
        """
        gvr, wanted = GVR.parse(record.gvr), set(indexes)
        with self._lock:
            for one in record.objects:
                task = TaskKey(flow, one.index)
                known = self._known(workflow, task)
                if one.index not in wanted or (known is not None and known.uid and known.attempt >= one.attempt):
                    continue
                place = _Place(gvr, f"{workflow.namespace}/{one.name}", task)
                self._name(workflow, place, Attempted(one.attempt, record.action, is_indexed, one.uid))
                self._unseen.setdefault(workflow, set()).add(task)
                self._queue.append(_Asked(workflow, place))
            if needs_watch:  # under the lock: `release_kinds` sees it named, and a read finds the cache
                self.informers.ensure(gvr)
            self._news.notify_all()

    def release(self, workflow: WorkflowId) -> None:
        """Drops a workflow that has ended or is gone; what it applied stays as it is."""
        if workflow not in self._places:
            return
        with self._lock:
            self._unseen.pop(workflow, None)
            for place in tuple(self._places.get(workflow, {}).values()):
                self._drop(workflow, place)
            self._places.pop(workflow, None)
        self._ledger.drop_foreign(workflow)

    def release_kinds(self) -> None:
        """Stops to follow kinds of which no task names an object; call it now and then."""
        with self._lock:
            for gvr in self.informers.gvrs():
                if not self._named.get(gvr):
                    self.informers.release(gvr)

    # What the calls of attempts report.

    def expect(
        self, workflow: WorkflowId, gvr: GVR, name: str, task: TaskKey, attempted: Attempted, *, needs_watch: bool
    ) -> None:
        """A call for the object is about to be made: no event after it is missed. needs_watch: as in `adopt`.

        What status records of the attempt before is not read any more. It would say nothing of this one.
        """
        with self._lock:
            if task in self._unseen.get(workflow, ()):
                self._see(workflow, task)
            self._name(workflow, _Place(gvr, f"{workflow.namespace}/{name}", task), attempted)
            if needs_watch:
                self.informers.ensure(gvr)

    def took(self, workflow: WorkflowId, gvr: GVR, task: TaskKey, found: ForeignObject) -> None:
        """The API server answered with the object. Other tasks that mean it learn of what that changed."""
        with self._lock:
            keys = self._take(workflow, _Place(gvr, found.metadata.key, task), found)
        self._requeue_all(keys)

    def absent(self, workflow: WorkflowId, gvr: GVR, name: str, task: TaskKey) -> None:
        """There is no object of that name."""
        place = _Place(gvr, f"{workflow.namespace}/{name}", task)
        with self._lock:
            attempted = self._attempted(workflow, place)
            if attempted is not None:
                self._see(workflow, task)
                meta = ObjectMeta(name=name, namespace=workflow.namespace, uid=attempted.uid, resource_version="0")
                self._remove(workflow, place, attempted, ForeignObject(metadata=meta))

    # The rest is called with the lock held, but for the threads.

    def _known(self, workflow: WorkflowId, task: TaskKey) -> Attempted | None:
        place = self._places.get(workflow, {}).get(task)
        return self._attempted(workflow, place) if place is not None else None

    def _attempted(self, workflow: WorkflowId, place: _Place) -> Attempted | None:
        return self._named.get(place.gvr, {}).get(place.key, {}).get((workflow, place.task))

    def _name(self, workflow: WorkflowId, place: _Place, attempted: Attempted) -> None:
        before = self._places.setdefault(workflow, {}).get(place.task)
        if before is not None and before != place:
            self._drop(workflow, before)
        self._places[workflow][place.task] = place
        named = self._named.setdefault(place.gvr, {})
        named.setdefault(place.key, {})[workflow, place.task] = attempted

    def _drop(self, workflow: WorkflowId, place: _Place) -> None:
        named = self._named.get(place.gvr, {})
        users = named.get(place.key, {})
        users.pop((workflow, place.task), None)
        if not users and named.pop(place.key, None) is not None:
            store: Store[ForeignObject] | None = self.informers.get(place.gvr)
            if store is not None:
                store.forget(place.key)

    def _see(self, workflow: WorkflowId, task: TaskKey) -> None:
        found = self._unseen.get(workflow)
        if found is not None:
            found.discard(task)
            if not found:
                del self._unseen[workflow]
        self._ledger.mark_task_dirty(workflow, task)

    def _put(self, workflow: WorkflowId, place: _Place, attempted: Attempted, found: Job) -> None:
        self._ledger.put_foreign(workflow, place.task, _observed(workflow, place, attempted, found))

    def _remove(self, workflow: WorkflowId, place: _Place, attempted: Attempted, found: Job) -> None:
        self._ledger.remove_foreign(workflow, place.task, _observed(workflow, place, attempted, found))

    def _take(self, workflow: WorkflowId, place: _Place, found: ForeignObject) -> set[str]:
        """As `took`; returns the keys of the workflows of the other tasks that the change concerns."""
        attempted = self._attempted(workflow, place)
        if attempted is None:
            return set()  # the workflow is gone
        attempted = replace(attempted, uid=found.metadata.uid)
        self._name(workflow, place, attempted)
        self._see(workflow, place.task)
        store = self.informers.get(place.gvr)
        if store is None:
            self._put(workflow, place, attempted, found)
            return set()
        delta = store.insert(found)
        held = store.get(place.key)
        if held is not None and held.metadata.uid == found.metadata.uid:
            self._put(workflow, place, attempted, held)
        else:  # the watch saw it go in between
            self._remove(workflow, place, attempted, found)
        # The watch says nothing more of what the cache has already.
        return set() if delta is None else self._tell(place.gvr, delta, (workflow, place.task))

    def _changed(self, gvr: GVR, deltas: Sequence[Delta[ForeignObject]]) -> None:
        """A watch reports changes of objects that tasks name."""
        keys: set[str] = set()
        with self._lock:
            for delta in deltas:
                keys |= self._tell(gvr, delta)
        self._requeue_all(keys)

    def _tell(self, gvr: GVR, delta: Delta[ForeignObject], but: tuple[WorkflowId, TaskKey] | None = None) -> set[str]:
        """Passes one change on to all tasks that mean the object, but for one that knows of it; returns the keys of
        the workflows that it concerns.
        """
        if delta.old is not None and delta.new is not None and is_same_state(delta.old, delta.new):
            return set()
        keys: set[str] = set()
        for (workflow, task), attempted in tuple(self._named.get(gvr, {}).get(delta.key, {}).items()):
            is_told = but is not None and is_equal(workflow, but[0]) and is_equal(task, but[1])
            if not is_told and self._apply(workflow, _Place(gvr, delta.key, task), attempted, delta):
                keys.add(workflow.key)
        return keys

    def _requeue_all(self, keys: Iterable[str]) -> None:
        """Call it without the lock."""
        for key in keys:
            self._requeue(key)

    def _apply(self, workflow: WorkflowId, place: _Place, attempted: Attempted, delta: Delta[ForeignObject]) -> bool:
        """Passes one change on; False if it is about another object of the name, or one that is not known yet."""
        if not attempted.uid:
            return False
        states = (delta.new, delta.final, delta.old)
        last = next((one for one in states if one is not None and one.metadata.uid == attempted.uid), None)
        if last is None:
            return False
        # An answer may have brought the cache further than this change: the watch then tells nothing more of it.
        store = self.informers.get(place.gvr)
        now = (store.get(place.key) if store is not None else None) or delta.new
        self._see(workflow, place.task)
        if now is not None and now.metadata.uid == attempted.uid:
            self._put(workflow, place, attempted, now)
        else:
            self._remove(workflow, place, attempted, last)
        return True

    def _run(self) -> None:
        while (asked := self._next()) is not None:
            try:
                self._read(asked)
            except Stopped:
                return
            except Exception:
                _log.exception("reading an object failed unexpectedly, it is tried again")
                self._again(asked)

    def _next(self) -> _Asked | None:
        with self._lock:
            while not self._is_stopping:
                now = self._clock()
                if self._queue and self._queue[0].due <= now:
                    return self._queue.popleft()
                self._news.wait(max(0.0, self._queue[0].due - now) if self._queue else None)
            return None

    def _again(self, asked: _Asked) -> None:
        with self._lock:
            self._queue.append(_Asked(asked.workflow, asked.place, self._clock() + RETRY_SECONDS))

    def _read(self, asked: _Asked) -> None:
        """Reads one object by its name, and tells the ledger what became of the one that status records."""
        workflow, place = asked.workflow, asked.place
        with self._lock:
            attempted = self._attempted(workflow, place)
            if attempted is None or place.task not in self._unseen.get(workflow, ()):
                return  # a watch was faster, or nobody needs it any more
        namespace, _, name = place.key.partition("/")
        try:
            found = self._ask(place.gvr, namespace, name)
        except Stopped:
            raise
        except KubeError as error:
            _log.warning("object not read, it is tried again", object=place.key, gvr=str(place.gvr), error=str(error))
            self._again(asked)
            return
        keys = {workflow.key}
        with self._lock:
            now = self._attempted(workflow, place)
            if now != attempted:
                return
            if found is not None and found.metadata.uid == attempted.uid:
                keys |= self._take(workflow, place, found)
            else:
                self.absent(workflow, place.gvr, name, place.task)
        self._requeue_all(keys)


def _observed(workflow: WorkflowId, place: _Place, attempted: Attempted, found: Job) -> ObservedJob:
    """An object as the planner sees it: like a job of the task. In the cluster nothing on it says so."""
    meta = found.metadata
    ours = {labels.WORKFLOW_UID: workflow.uid, labels.FLOW: place.task.flow, labels.ATTEMPT: str(attempted.attempt)}
    if attempted.is_indexed:
        ours[labels.INDEX] = str(place.task.index)
    notes = {name: text for name, text in meta.annotations.items() if name != labels.RULES}
    others = {name: text for name, text in meta.labels.items() if name not in labels.OF_TASKS}
    seen = msgspec.structs.replace(meta, labels={**others, **ours}, annotations=notes, owner_references=())
    return ObservedJob(
        place.gvr, msgspec.structs.replace(found, metadata=seen), attempted.attempt, action=attempted.action
    )
