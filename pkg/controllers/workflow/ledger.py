"""Index of owned jobs by workflow UID and task.

The informers of all kinds write it; workers read it. A reconcile takes frozen values and the names of the tasks whose
jobs changed since its last read, so its cost follows what changed, not the size of the workflow.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import GROUP
from pkg.apis.meta import GVR, Job, WholeJob
from pkg.controllers.engine.store import Delta, version_of
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob


@dataclass(frozen=True, slots=True)
class JobChanges:
    """The jobs of one workflow.

    jobs: those that exist, by task, ordered by attempt. gone: those that vanished since the last read, as they last
    were. dirty: the tasks whose jobs changed since the last read, None for all tasks.
    """

    jobs: Mapping[TaskKey, tuple[ObservedJob, ...]]
    gone: Mapping[TaskKey, tuple[ObservedJob, ...]]
    dirty: frozenset[TaskKey] | None


class JobIdentity(NamedTuple):
    """Which attempt a job is: the UID and key (`namespace/name`) of its workflow, its task, its attempt."""

    uid: str
    key: str
    task: TaskKey
    attempt: int


@dataclass(slots=True)
class _WorkflowJobs:
    """The jobs of one workflow UID. frozen: the same as `jobs`, one tuple per task, for readers."""

    key: str
    jobs: dict[TaskKey, dict[tuple[GVR, str], ObservedJob]] = field(default_factory=dict)
    frozen: dict[TaskKey, tuple[ObservedJob, ...]] = field(default_factory=dict)
    gone: dict[TaskKey, tuple[ObservedJob, ...]] = field(default_factory=dict)
    dirty: set[TaskKey] | None = None

    def add(self, task: TaskKey, observed: ObservedJob, instead_of: Job | None) -> None:
        """Files a job that exists; an older copy than the filed one changes nothing."""
        at = (observed.gvr, observed.job.metadata.name)
        held = self.jobs.get(task, {}).get(at)
        # A store applies watch events and answers to our own writes; the two may arrive here in either order.
        is_held = held is not None and held.job.metadata.uid == observed.job.metadata.uid
        if held is not None and is_held and held.job is not instead_of and _age(held) > _age(observed):
            return
        self.jobs.setdefault(task, {})[at] = observed
        self._refresh(task)

    def remove(self, task: TaskKey, observed: ObservedJob) -> None:
        """Files a job that vanished, as it last was."""
        at, uid = (observed.gvr, observed.job.metadata.name), observed.job.metadata.uid
        held = self.jobs.get(task, {}).get(at)
        if held is not None and held.job.metadata.uid == uid:
            del self.jobs[task][at]
        gone = {old.job.metadata.uid: old for old in self.gone.get(task, ())}
        if uid not in gone or _age(gone[uid]) <= _age(observed):
            gone.pop(uid, None)
            gone[uid] = observed
        self.gone[task] = tuple(gone.values())
        self._refresh(task)

    def take(self) -> JobChanges:
        """The jobs and what changed; what is returned is no longer a change afterwards."""
        gone = {
            task: observed for task, observed in self.gone.items() if task not in self.jobs or self._is_any_new(task)
        }
        dirty = None if self.dirty is None else frozenset(self.dirty)
        changes = JobChanges(dict(self.frozen), gone, dirty)
        self.gone = {}
        self.dirty = set()
        return changes

    def _refresh(self, task: TaskKey) -> None:
        found = self.jobs.get(task)
        if found:
            # Caches of several versions of a resource hold the same job: the newest copy counts, of these the fullest.
            newest = {observed.job.metadata.uid: observed for observed in sorted(found.values(), key=_age)}
            self.frozen[task] = tuple(sorted(newest.values(), key=lambda observed: observed.attempt))
        else:
            self.jobs.pop(task, None)
            self.frozen.pop(task, None)
        if self.dirty is not None:
            self.dirty.add(task)

    def _is_any_new(self, task: TaskKey) -> bool:
        """Whether a vanished job of the task was of another attempt than the jobs that exist."""
        there = {observed.attempt for observed in self.frozen.get(task, ())}
        return any(observed.attempt not in there for observed in self.gone[task])


class Ledger:
    """Thread-safe: event handlers of the informers write, workers read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workflows: dict[str, _WorkflowJobs] = {}
        self._uids: dict[str, set[str]] = {}

    def apply(self, gvr: GVR, deltas: Iterable[Delta[Job]]) -> set[str]:
        """Files changes of one kind; returns the keys (`namespace/name`) of the workflows they concern."""
        keys: set[str] = set()
        with self._lock:
            for delta in deltas:
                for job in (delta.old, delta.final):
                    # A job that only changed still exists; one whose labels changed now belongs to another task.
                    if job is not None and (delta.new is None or not _is_same_attempt(job, delta.new)):
                        self._remove(gvr, job, keys)
                if delta.new is not None:
                    self._add(gvr, delta.new, delta.old, keys)
        return keys

    def _add(self, gvr: GVR, job: Job, instead_of: Job | None, keys: set[str]) -> None:
        identity = identify(job)
        if identity is not None:
            keys.add(identity.key)
            self._jobs_of(identity).add(identity.task, ObservedJob(gvr, job, identity.attempt), instead_of)

    def _remove(self, gvr: GVR, job: Job, keys: set[str]) -> None:
        identity = identify(job)
        if identity is not None:
            keys.add(identity.key)
            self._jobs_of(identity).remove(identity.task, ObservedJob(gvr, job, identity.attempt))

    def _jobs_of(self, identity: JobIdentity) -> _WorkflowJobs:
        found = self._workflows.get(identity.uid)
        if found is None:
            found = self._workflows[identity.uid] = _WorkflowJobs(identity.key)
            self._uids.setdefault(identity.key, set()).add(identity.uid)
        return found

    def take_changes(self, uid: str) -> JobChanges:
        """The jobs of one workflow and what changed since the last call, which resets the changes."""
        with self._lock:
            found = self._workflows.get(uid)
            return JobChanges({}, {}, None) if found is None else found.take()

    def mark_task_dirty(self, uid: str, task: TaskKey) -> None:
        """The next `take_changes` names this task, as if one of its jobs had changed."""
        with self._lock:
            found = self._workflows.get(uid)
            if found is not None and found.dirty is not None:
                found.dirty.add(task)

    def mark_dirty(self, uid: str) -> None:
        """The next `take_changes` names every task: what the last one returned was not acted on."""
        with self._lock:
            found = self._workflows.get(uid)
            if found is not None:
                found.dirty = None

    def mark_all_dirty(self) -> None:
        """`mark_dirty` for every workflow."""
        with self._lock:
            for found in self._workflows.values():
                found.dirty = None

    def uids(self, key: str) -> frozenset[str]:
        """The UIDs of all workflows of that `namespace/name` that have, or had, jobs."""
        with self._lock:
            return frozenset(self._uids.get(key, ()))

    def keys(self) -> frozenset[str]:
        """`namespace/name` of every workflow that has, or had, jobs."""
        with self._lock:
            return frozenset(self._uids)

    def jobs(self, uid: str) -> tuple[tuple[TaskKey, ObservedJob], ...]:
        """All jobs of one workflow that exist."""
        with self._lock:
            found = self._workflows.get(uid)
            frozen = {} if found is None else found.frozen
            return tuple((task, observed) for task, jobs in frozen.items() for observed in jobs)

    def job(self, uid: str, task: TaskKey, attempt: int) -> Job | None:
        """The job of one attempt, None if there is none."""
        with self._lock:
            workflow = self._workflows.get(uid)
            jobs = workflow.frozen.get(task, ()) if workflow is not None else ()
            return next((observed.job for observed in jobs if observed.attempt == attempt), None)

    def forget(self, uid: str) -> None:
        """Drops a workflow that is gone; does nothing while it still has jobs."""
        with self._lock:
            found = self._workflows.get(uid)
            if found is not None and not found.jobs:
                del self._workflows[uid]
                uids = self._uids.get(found.key, set())
                uids.discard(uid)
                if not uids:
                    self._uids.pop(found.key, None)


def _age(observed: ObservedJob) -> tuple[int, bool]:
    return version_of(observed.job.metadata.resource_version or "0"), isinstance(observed.job, WholeJob)


def _is_same_attempt(one: Job, other: Job) -> bool:
    """Whether both are states of one object that belongs to the same attempt of the same task."""
    return one.metadata.uid == other.metadata.uid and identify(one) == identify(other)


def identify(job: Job) -> JobIdentity | None:
    """Which attempt a job is, by its controller owner and labels; None for a job that is not ours."""
    owner = job.metadata.controller
    if owner is None or owner.kind != "Workflow" or not owner.api_version.startswith(f"{GROUP}/"):
        return None
    tags = job.metadata.labels
    flow, index, attempt = tags.get(labels.FLOW), tags.get(labels.INDEX, "0"), tags.get(labels.ATTEMPT)
    if not flow or attempt is None or not (_is_number(index) and _is_number(attempt)):
        return None
    return JobIdentity(owner.uid, f"{job.metadata.namespace}/{owner.name}", TaskKey(flow, int(index)), int(attempt))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
