"""Cleans up after workflows that are gone, or that another process acts on: memory, probes, creations and jobs."""

from __future__ import annotations

from dataclasses import replace

from pkg.controllers.engine.result import Again, Later
from pkg.controllers.workflow.executor import Executor
from pkg.controllers.workflow.failures import Failures
from pkg.controllers.workflow.locks.keeper import LockKeeper
from pkg.controllers.workflow.memory import Memories
from pkg.controllers.workflow.messages import Messages
from pkg.controllers.workflow.observer import Caches, Observer
from pkg.controllers.workflow.planner.control.deletions import delete_job
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.prober import Prober

# Deletions of one reconcile; the key then goes to the back of its shard, so that a large workflow delays no other.
MAX_DELETIONS = 128
# How soon to look again whether the jobs of a workflow that is gone are known.
UNKNOWN_SECONDS = 1.0


class Cleanup:
    """Works on the caches and memories of the reconciler, in its threads."""

    def __init__(
        self,
        caches: Caches,
        memories: Memories,
        observer: Observer,
        prober: Prober,
        failures: Failures,
        messages: Messages,
        executor: Executor,
        locks: LockKeeper | None = None,
    ) -> None:
        self._caches = caches
        self._memories = memories
        self._observer = observer
        self._prober = prober
        self._failures = failures
        self._messages = messages
        self._executor = executor
        self._locks = locks

    def forget(self, key: str) -> None:
        """Drops what is remembered of a workflow that is gone, whether or not it had jobs."""
        for workflow in self._memories.workflows(key):
            self._forget_workflow(workflow)
        self._observer.forget(key)

    def release(self, key: str) -> None:
        """Another process leads: this one probes no pods, asks for no rights, and forgets a workflow that is gone."""
        self._observer.forget_rights(key)
        for workflow in self._memories.workflows(key):
            self._prober.want(workflow, ())
            self._failures.forget(workflow)
            self._messages.want(workflow, ())
            self._memories.by_workflow[workflow].progress = None
        workflows, ledger = self._caches.workflows, self._caches.ledger
        if workflows.get(key) is None and not workflows.is_undecodable(key):
            for workflow in ledger.workflows(key):
                ledger.forget(workflow)
            self.forget(key)

    def drop_progress(self, key: str) -> None:
        """A reconcile was interrupted: the next one reads every job."""
        for workflow in self._memories.workflows(key):
            self._caches.ledger.mark_dirty(workflow)
            self._memories.by_workflow[workflow].drop_progress()

    def holding(self, key: str) -> tuple[WorkflowId, ...]:
        """The workflows of this `namespace/name` that hold locks or wait for some."""
        return () if self._locks is None else self._locks.workflows(key)

    def stop_waiting(self, workflow: WorkflowId) -> None:
        """The workflow is being deleted: it waits for no probe, no right and no lock any more."""
        self._observer.forget_rights(workflow.key)
        self._prober.want(workflow, ())
        if self._locks is not None:
            self._locks.leave(workflow)

    def clear(self, workflow: WorkflowId) -> Later | Again | None:
        """Deletes the jobs of a workflow that is gone; once none is left, its locks are given back.

        Returns when to go on, None if nothing is left to do.
        """
        memory = self._memories.by_workflow.get(workflow)
        is_unsure = memory is not None and any(fault.is_unanswered for fault in memory.faults.values())
        if self._locks is not None and is_unsure:
            self._locks.doubt(workflow)
        left = self.delete_all_jobs(workflow)
        if self._locks is None or left is not None or not self._locks.knows(workflow):
            return left
        if self._caches.ledger.jobs(workflow):
            return None  # their last event requeues the key
        if not self._observer.are_known(self._locks.kinds(workflow)):
            return Later(UNKNOWN_SECONDS, "a workflow that is gone holds locks, and may have jobs that no cache shows")
        self._locks.clear(workflow)
        return None

    def delete_all_jobs(self, workflow: WorkflowId) -> Later | Again | None:
        """Deletes the jobs of a workflow that is gone or being deleted, without waiting for the garbage collector.

        A job that was orphaned stays, although the cache may still show the owner reference that the garbage collector
        has removed: each job is deleted only in the version that the cache has.
        Returns when to go on, None if nothing is left to delete.
        """
        if self._caches.objects is not None:
            self._caches.objects.release(workflow)  # what tasks have applied stays
        jobs = self._caches.ledger.jobs(workflow)
        actions = [
            replace(
                delete_job(task, observed, "workflow deleted"), resource_version=observed.job.metadata.resource_version
            )
            for task, observed in jobs
            if not observed.job.metadata.is_deleting
        ]
        if not jobs:
            self._caches.ledger.forget(workflow)
            self._forget_workflow(workflow)
        if actions and self._executor.delete(workflow.key, actions[:MAX_DELETIONS]):
            return Again("jobs of a workflow that is gone or going could not be deleted")
        if len(actions) > MAX_DELETIONS:
            return Later(0, "more jobs of a workflow that is gone are to be deleted")
        return None

    def _forget_workflow(self, workflow: WorkflowId) -> None:
        self._memories.forget(workflow)
        self._prober.want(workflow, ())
        self._failures.forget(workflow)
        self._messages.want(workflow, ())
        self._caches.pod_finder.forget(workflow)
