"""Every job of ours, of whatever kind, by the workflow and the task it belongs to.

Fed by the informers of all kinds; a pass takes what it needs as frozen values, with the tasks whose jobs changed since
the last pass, so that its cost follows what changed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import GROUP
from pkg.apis.meta import GVR, Job, WholeJob
from pkg.controllers.engine.store import Delta, version_of
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import Seen


@dataclass(frozen=True, slots=True)
class View:
    """The jobs of one workflow now; dirty: tasks whose jobs changed since the last view, None for all."""

    jobs: Mapping[TaskKey, tuple[Seen, ...]]
    gone: Mapping[TaskKey, tuple[Seen, ...]]
    dirty: frozenset[TaskKey] | None


@dataclass(slots=True)
class _Book:
    """The jobs of one workflow uid."""

    key: str
    jobs: dict[TaskKey, dict[tuple[GVR, str], Seen]] = field(default_factory=dict)
    frozen: dict[TaskKey, tuple[Seen, ...]] = field(default_factory=dict)
    gone: dict[TaskKey, tuple[Seen, ...]] = field(default_factory=dict)
    dirty: set[TaskKey] | None = None

    def touch(self, task: TaskKey) -> None:
        found = self.jobs.get(task)
        if found:
            # Caches of several versions of a resource show the same job: the newest copy counts, the fullest of these.
            newest = {seen.job.metadata.uid: seen for seen in sorted(found.values(), key=_age)}
            self.frozen[task] = tuple(sorted(newest.values(), key=lambda seen: seen.attempt))
        else:
            self.jobs.pop(task, None)
            self.frozen.pop(task, None)
        if self.dirty is not None:
            self.dirty.add(task)


class Ledger:
    """Thread-safe; the callbacks of the informers write, the workers read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._books: dict[str, _Book] = {}
        self._uids: dict[str, set[str]] = {}

    def apply(self, gvr: GVR, deltas: Iterable[Delta[Job]]) -> set[str]:
        """Takes in changes of one kind; returns the keys (`namespace/name`) of the workflows they concern."""
        keys: set[str] = set()
        with self._lock:
            for delta in deltas:
                for job in (delta.old, delta.final):
                    # One that only changed is still there; one whose labels changed is another task's from now on.
                    if job is not None and (delta.new is None or not _is_same(job, delta.new)):
                        self._note(gvr, job, keys)
                if delta.new is not None:
                    self._note(gvr, delta.new, keys, is_there=True, instead_of=delta.old)
        return keys

    def _note(
        self, gvr: GVR, job: Job, keys: set[str], *, is_there: bool = False, instead_of: Job | None = None
    ) -> None:
        found = identify(job)
        if found is None:
            return
        uid, key, task, attempt = found
        keys.add(key)
        book = self._books.get(uid)
        if book is None:
            book = self._books[uid] = _Book(key)
            self._uids.setdefault(key, set()).add(uid)
        seen = Seen(gvr, job, attempt)
        at, meta = (gvr, job.metadata.name), job.metadata
        held = book.jobs.get(task, {}).get(at)
        is_held = held is not None and held.job.metadata.uid == meta.uid
        if is_there:
            # A cache is told by the watch and by the answers to our own writes; the two may come here in either order.
            if held is not None and is_held and held.job is not instead_of and _age(held) > _age(seen):
                return
            book.jobs.setdefault(task, {})[at] = seen
        else:
            if is_held:
                del book.jobs[task][at]
            gone = {old.job.metadata.uid: old for old in book.gone.get(task, ())}
            if meta.uid not in gone or _age(gone[meta.uid]) <= _age(seen):
                gone.pop(meta.uid, None)
                gone[meta.uid] = seen
            book.gone[task] = tuple(gone.values())
        book.touch(task)

    def view(self, uid: str) -> View:
        """What is known of one workflow's jobs; what changed counts as told from now on."""
        with self._lock:
            book = self._books.get(uid)
            if book is None:
                return View({}, {}, None)
            gone = {task: seen for task, seen in book.gone.items() if task not in book.jobs or _any_new(book, task)}
            dirty = None if book.dirty is None else frozenset(book.dirty)
            view = View(dict(book.frozen), gone, dirty)
            book.gone = {}
            book.dirty = set()
            return view

    def touch(self, uid: str, task: TaskKey) -> None:
        """The next view is to name this task, as if a job of it had changed."""
        with self._lock:
            book = self._books.get(uid)
            if book is not None and book.dirty is not None:
                book.dirty.add(task)

    def mark(self, uid: str) -> None:
        """The next view is to name every task: what the last one told was not carried out."""
        with self._lock:
            book = self._books.get(uid)
            if book is not None:
                book.dirty = None

    def mark_all(self) -> None:
        """As `mark`, for every workflow."""
        with self._lock:
            for book in self._books.values():
                book.dirty = None

    def uids(self, key: str) -> frozenset[str]:
        """The uids of all workflows of that `namespace/name` that have, or had, jobs."""
        with self._lock:
            return frozenset(self._uids.get(key, ()))

    def keys(self) -> frozenset[str]:
        """`namespace/name` of every workflow that has, or had, jobs."""
        with self._lock:
            return frozenset(self._uids)

    def jobs(self, uid: str) -> tuple[tuple[TaskKey, Seen], ...]:
        """All jobs of one workflow."""
        with self._lock:
            book = self._books.get(uid)
            return () if book is None else tuple((task, seen) for task, jobs in book.frozen.items() for seen in jobs)

    def job(self, uid: str, task: TaskKey, attempt: int) -> Job | None:
        """The job of one attempt, None if there is none."""
        with self._lock:
            book = self._books.get(uid)
            found = book.frozen.get(task, ()) if book is not None else ()
            return next((seen.job for seen in found if seen.attempt == attempt), None)

    def forget(self, uid: str) -> None:
        """Drops a workflow that is gone and has no jobs any more."""
        with self._lock:
            book = self._books.get(uid)
            if book is not None and not book.jobs:
                del self._books[uid]
                uids = self._uids.get(book.key, set())
                uids.discard(uid)
                if not uids:
                    self._uids.pop(book.key, None)


def _age(seen: Seen) -> tuple[int, bool]:
    return version_of(seen.job.metadata.resource_version or "0"), isinstance(seen.job, WholeJob)


def _is_same(one: Job, other: Job) -> bool:
    """Whether both are states of one object that belongs to the same attempt of the same task."""
    return one.metadata.uid == other.metadata.uid and identify(one) == identify(other)


def _any_new(book: _Book, task: TaskKey) -> bool:
    """Whether a vanished job of the task was of another attempt than those that are there."""
    there = {seen.attempt for seen in book.frozen.get(task, ())}
    return any(seen.attempt not in there for seen in book.gone[task])


def identify(job: Job) -> tuple[str, str, TaskKey, int] | None:
    """(workflow uid, workflow key, task, attempt) of a job of ours, None for anything else.

    A job belongs to a task by its controller reference and its labels, never by the look of its name.
    """
    owner = job.metadata.controller
    if owner is None or owner.kind != "Workflow" or not owner.api_version.startswith(f"{GROUP}/"):
        return None
    tags = job.metadata.labels
    flow, index, attempt = tags.get(labels.FLOW), tags.get(labels.INDEX, "0"), tags.get(labels.ATTEMPT)
    if not flow or attempt is None or not (_is_number(index) and _is_number(attempt)):
        return None
    return owner.uid, f"{job.metadata.namespace}/{owner.name}", TaskKey(flow, int(index)), int(attempt)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
