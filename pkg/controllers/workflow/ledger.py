"""Index of owned jobs by workflow (namespace, name and UID) and task.

The informers of all kinds write it; workers read it. A reconcile takes frozen values and the names of the tasks whose
jobs changed since its last read, so its cost follows what changed, not the size of the workflow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pkg.apis.meta import GVR, Job, WholeJob
from pkg.apis.structs import Frozen
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.store import version_of
from pkg.controllers.workflow.planner.attempts import of_attempt
from pkg.controllers.workflow.planner.job_identity import JobIdentity, WorkflowId, identify, what_changed
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob
from pkg.controllers.workflow.relevance import is_same_state


class JobChanges(Frozen, frozen=True):
    """The jobs of one workflow.

    jobs: those that exist, by task, ordered by attempt. gone: those that vanished since the last read, as they last
    were. dirty: the tasks whose jobs changed since the last read, None for all tasks.
    """

    jobs: Mapping[TaskKey, tuple[ObservedJob, ...]]
    gone: Mapping[TaskKey, tuple[ObservedJob, ...]]
    dirty: frozenset[TaskKey] | None


@dataclass(slots=True)
class _WorkflowJobs:
    """The jobs of one workflow.

    copies: every cached copy, for the caches of several versions of a resource hold the same job; jobs: for readers, of
    each job the newest copy, by attempt. There are tens of thousands of tasks, nearly all with one copy of one job:
    both then have the same tuple.
    """

    copies: dict[TaskKey, tuple[ObservedJob, ...]] = field(default_factory=dict)
    jobs: dict[TaskKey, tuple[ObservedJob, ...]] = field(default_factory=dict)
    gone: dict[TaskKey, tuple[ObservedJob, ...]] = field(default_factory=dict)
    #: Those that `gone` had at the last call of `age_gone`.
    aged: set[TaskKey] = field(default_factory=set)
    dirty: set[TaskKey] | None = None
    #: See `Ledger.expect`.
    expected: frozenset[tuple[TaskKey, int]] = frozenset()

    def add(self, task: TaskKey, observed: ObservedJob, instead_of: Job | None) -> None:
        """Adds a job that exists; an older copy than the known one changes nothing."""
        held = self._copy(task, observed)
        # A store applies watch events and answers to our own writes; the two may arrive here in either order.
        is_held = held is not None and held.job.metadata.uid == observed.job.metadata.uid
        if held is not None and is_held and held.job is not instead_of and _age(held) > _age(observed):
            return
        self._put(task, held, observed)
        self.refresh(task)

    def replace(self, task: TaskKey, observed: ObservedJob, held: Job) -> bool:
        """Puts a newer copy in place of `held`, a job in the same state; False if another copy is there."""
        known = self._copy(task, observed)
        if known is None or known.job is not held:
            return False
        self._put(task, known, observed)
        copies = self.copies[task]
        self.jobs[task] = copies if len(copies) == 1 else _exchanged(self.jobs[task], known, observed)
        return True

    def remove(self, task: TaskKey, observed: ObservedJob) -> None:
        """Adds a job that vanished, as it last was."""
        uid, held = observed.job.metadata.uid, self._copy(task, observed)
        if held is not None and held.job.metadata.uid == uid:
            self.copies[task] = tuple(other for other in self.copies[task] if other is not held)
        gone = {old.job.metadata.uid: old for old in self.gone.get(task, ())}
        if uid not in gone or _age(gone[uid]) <= _age(observed):
            gone.pop(uid, None)
            gone[uid] = observed
        self.gone[task] = tuple(gone.values())
        self.aged.discard(task)
        self.refresh(task)

    def drop_foreign(self, task: TaskKey) -> bool:
        """Drops the objects of a task that are no jobs of ours; returns whether there were any. `refresh` follows."""
        found = self.copies.get(task, ())
        if not any(one.is_foreign for one in found):
            return False
        self.copies[task] = tuple(one for one in found if not one.is_foreign)
        return True

    def take(self) -> JobChanges:
        """The jobs and what changed since the last call."""
        gone = {
            task: observed for task, observed in self.gone.items() if task not in self.copies or self._is_any_new(task)
        }
        dirty = None if self.dirty is None else frozenset(self.dirty)
        changes = JobChanges(dict(self.jobs), gone, dirty)
        self.reset()
        return changes

    def reset(self) -> None:
        """From now on only later changes count."""
        self.gone = {}
        self.aged = set()
        self.dirty = set()

    def age_gone(self) -> None:
        """Drops the vanished jobs that the last call found already."""
        self.gone = {task: observed for task, observed in self.gone.items() if task not in self.aged}
        self.aged = set(self.gone)

    def refresh(self, task: TaskKey) -> None:
        """Makes what readers get of a task from its copies."""
        found = self.copies.get(task)
        if not found:
            self.copies.pop(task, None)
            self.jobs.pop(task, None)
        elif len(found) == 1:
            self.jobs[task] = found
        else:
            # The newest copy counts, of these the fullest.
            newest = {observed.job.metadata.uid: observed for observed in sorted(found, key=_age)}
            self.jobs[task] = tuple(sorted(newest.values(), key=lambda observed: observed.attempt))
        if self.dirty is not None:
            self.dirty.add(task)

    def _copy(self, task: TaskKey, of: ObservedJob) -> ObservedJob | None:
        """The copy of the same resource and name."""
        name = of.job.metadata.name
        found = self.copies.get(task, ())
        return next((one for one in found if one.job.metadata.name == name and one.gvr == of.gvr), None)

    def _put(self, task: TaskKey, held: ObservedJob | None, observed: ObservedJob) -> None:
        """Puts a copy in place of `held`, or adds it."""
        found = self.copies.get(task, ())
        self.copies[task] = (*found, observed) if held is None else _exchanged(found, held, observed)

    def _is_any_new(self, task: TaskKey) -> bool:
        """Whether a vanished job of the task was of another attempt than the jobs that exist."""
        there = {observed.attempt for observed in self.jobs.get(task, ())}
        return any(observed.attempt not in there for observed in self.gone[task])


class Ledger:
    """Thread-safe: event handlers of the informers write, workers read.

    on_foreign() is called once for each object that has our label but is no job of ours; the ledger ignores it.
    """

    def __init__(self, on_foreign: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.Lock()
        self._on_foreign = on_foreign
        self._workflows: dict[WorkflowId, _WorkflowJobs] = {}
        self._by_key: dict[str, set[WorkflowId]] = {}

    def apply(self, gvr: GVR, deltas: Iterable[Delta[Job]]) -> set[str]:
        """Takes in changes of one kind; returns the keys (`namespace/name`) of the workflows they concern.

        A change that a plan cannot notice concerns none, nor does a job that is expected.
        """
        keys: set[str] = set()
        with self._lock:
            for delta in deltas:
                new = identify(delta.new) if delta.new is not None else None
                if new is not None and self._replace_same(gvr, delta, new):
                    continue
                for job in (delta.old, delta.final):
                    # A job that only changed still exists; one whose labels changed now belongs to another task.
                    if job is None or (new is not None and _is_same_claim(job, delta.new)):
                        continue
                    before = identify(job)
                    if before is None or (before == new and _is_same_object(job, delta.new)):
                        continue
                    keys.add(before.workflow.key)
                    is_there = delta.new is not None and _is_same_object(job, delta.new)
                    taken_off = what_changed(job, delta.new) if is_there and delta.new is not None else ""
                    self._entry(before.workflow).remove(before.task, ObservedJob(gvr, job, before.attempt, taken_off))
                if delta.new is not None and new is not None:
                    entry = self._entry(new.workflow)
                    if delta.old is not None or (new.task, new.attempt) not in entry.expected:
                        keys.add(new.workflow.key)
                    entry.add(new.task, ObservedJob(gvr, delta.new, new.attempt), delta.old)
                elif delta.new is not None and (delta.old is None or identify(delta.old) is not None):
                    self._on_foreign()
        return keys

    def expect(self, workflow: WorkflowId, attempts: Collection[tuple[TaskKey, int]]) -> None:
        """The jobs of these attempts are being created. That they come concerns no key: their creator goes on with
        the answers. The next call replaces them.
        """
        with self._lock:
            found = self._workflows.get(workflow)
            if found is None and attempts:
                found = self._entry(workflow)
                found.dirty = set()
            if found is not None:
                found.expected = frozenset(attempts)

    def put_foreign(self, workflow: WorkflowId, task: TaskKey, observed: ObservedJob) -> None:
        """Takes in an object that a task applied or deletes, in place of the one that the task had before."""
        with self._lock:
            entry = self._entry(workflow)
            entry.drop_foreign(task)
            entry.add(task, observed, None)

    def remove_foreign(self, workflow: WorkflowId, task: TaskKey, observed: ObservedJob) -> None:
        """Such an object is gone, or was not there."""
        with self._lock:
            entry = self._entry(workflow)
            entry.drop_foreign(task)
            entry.remove(task, observed)

    def drop_foreign(self, workflow: WorkflowId) -> None:
        """Forgets such objects of a workflow. They are there still."""
        with self._lock:
            found = self._workflows.get(workflow)
            for task in tuple(found.copies) if found is not None else ():
                if found is not None and found.drop_foreign(task):
                    found.refresh(task)

    def _replace_same(self, gvr: GVR, delta: Delta[Job], identity: JobIdentity) -> bool:
        """Takes in the newer copy of a job whose state is the same; False if the state is another, or not known."""
        old, new = delta.old, delta.new
        if old is None or new is None or delta.final is not None or not is_same_state(old, new):
            return False
        found = self._workflows.get(identity.workflow)
        return found is not None and found.replace(identity.task, ObservedJob(gvr, new, identity.attempt), old)

    def _entry(self, workflow: WorkflowId) -> _WorkflowJobs:
        """What is kept of a workflow; from now on something is."""
        found = self._workflows.get(workflow)
        if found is None:
            found = self._workflows[workflow] = _WorkflowJobs()
            self._by_key.setdefault(workflow.key, set()).add(workflow)
        return found

    def take_changes(self, workflow: WorkflowId) -> JobChanges:
        """The jobs of one workflow and what changed since the last call, which resets the changes."""
        with self._lock:
            found = self._workflows.get(workflow)
            return JobChanges({}, {}, frozenset()) if found is None else found.take()

    def dirty(self, workflow: WorkflowId) -> frozenset[TaskKey] | None:
        """As `take_changes(workflow).dirty`, without resetting the changes."""
        with self._lock:
            found = self._workflows.get(workflow)
            if found is None:
                return frozenset()
            return None if found.dirty is None else frozenset(found.dirty)

    def reset_changes(self, workflow: WorkflowId) -> None:
        """As `take_changes`, where only later changes matter."""
        with self._lock:
            found = self._workflows.get(workflow)
            if found is not None:
                found.reset()

    def mark_task_dirty(self, workflow: WorkflowId, task: TaskKey) -> None:
        """The next `take_changes` names this task, as if one of its jobs had changed."""
        with self._lock:
            found = self._workflows.get(workflow)
            if found is not None and found.dirty is not None:
                found.dirty.add(task)

    def mark_dirty(self, workflow: WorkflowId, *, without_jobs: bool = False) -> None:
        """The next `take_changes` names every task: what the last one returned was not acted on, or means other things.

        without_jobs: also where no job of the workflow is known. All may be gone since before this process began.
        """
        with self._lock:
            found = self._entry(workflow) if without_jobs else self._workflows.get(workflow)
            if found is not None:
                found.dirty = None

    def mark_all_dirty(self) -> None:
        """`mark_dirty` for every workflow."""
        with self._lock:
            for found in self._workflows.values():
                found.dirty = None

    def age_gone(self) -> None:
        """Drops the vanished jobs that were there at the last call, and the workflows of which nothing is left.

        For a process that does not lead and calls no `take_changes`: it remembers how a job ended for a while, in case
        that it leads soon.
        """
        with self._lock:
            for workflow, found in list(self._workflows.items()):
                if found.gone:
                    found.age_gone()
                if not found.copies and not found.gone:
                    self._drop(workflow)

    def workflows(self, key: str) -> frozenset[WorkflowId]:
        """All workflows of that `namespace/name` that have, or had, jobs: several after a Workflow was recreated."""
        with self._lock:
            return frozenset(self._by_key.get(key, ()))

    def keys(self) -> frozenset[str]:
        """`namespace/name` of every workflow that has, or had, jobs."""
        with self._lock:
            return frozenset(self._by_key)

    def jobs(self, workflow: WorkflowId) -> tuple[tuple[TaskKey, ObservedJob], ...]:
        """All jobs of one workflow that exist."""
        with self._lock:
            found = self._workflows.get(workflow)
            return (
                ()
                if found is None
                else tuple((task, observed) for task, jobs in found.jobs.items() for observed in jobs)
            )

    def is_deleting_jobs(self, workflow: WorkflowId) -> bool:
        """Whether a job of a workflow is being deleted, and not gone yet.

        An object that a task applied or deletes is no job, and its changes are announced to the workflow alone.
        """
        return any(found.job.metadata.is_deleting and not found.is_foreign for _, found in self.jobs(workflow))

    def jobs_of(self, workflow: WorkflowId, tasks: Iterable[TaskKey]) -> tuple[ObservedJob, ...]:
        """The jobs of some tasks of one workflow that exist."""
        with self._lock:
            found = self._workflows.get(workflow)
            jobs = {} if found is None else found.jobs
            return tuple(observed for task in tasks for observed in jobs.get(task, ()))

    def unread(self, workflow: WorkflowId) -> dict[TaskKey, tuple[ObservedJob, ...]] | None:
        """The jobs of the tasks that changed since the last read, which they wait for still; None if a job is gone, or
        every task is to be read.
        """
        with self._lock:
            found = self._workflows.get(workflow)
            if found is None:
                return {}
            if found.dirty is None or found.gone:
                return None
            return {task: found.jobs.get(task, ()) for task in found.dirty}

    def job(self, workflow: WorkflowId, task: TaskKey, attempt: int) -> Job | None:
        """The job of one attempt, None if there is none."""
        with self._lock:
            found = self._workflows.get(workflow)
            jobs = found.jobs.get(task, ()) if found is not None else ()
            observed = of_attempt(jobs, attempt)
            return observed.job if observed is not None else None

    def forget(self, workflow: WorkflowId) -> None:
        """Drops a workflow that is gone; does nothing while it still has jobs."""
        with self._lock:
            found = self._workflows.get(workflow)
            if found is not None and not found.copies:
                self._drop(workflow)

    def _drop(self, workflow: WorkflowId) -> None:
        del self._workflows[workflow]
        others = self._by_key.get(workflow.key, set())
        others.discard(workflow)
        if not others:
            self._by_key.pop(workflow.key, None)


def _age(observed: ObservedJob) -> tuple[int, bool]:
    return version_of(observed.job.metadata.resource_version or "0"), isinstance(observed.job, WholeJob)


def _exchanged(jobs: tuple[ObservedJob, ...], old: ObservedJob, new: ObservedJob) -> tuple[ObservedJob, ...]:
    return tuple(new if one is old else one for one in jobs)


def _is_same_claim(one: Job, other: Job | None) -> bool:
    """Whether two copies are of one object, with the same name, owners and labels: they belong to the same task."""
    if other is None:
        return False
    own, others = one.metadata, other.metadata
    return (
        own.uid == others.uid
        and own.name == others.name
        and own.namespace == others.namespace
        and own.owner_references == others.owner_references
        and own.labels == others.labels
    )


def _is_same_object(one: Job, other: Job | None) -> bool:
    return other is not None and one.metadata.uid == other.metadata.uid
