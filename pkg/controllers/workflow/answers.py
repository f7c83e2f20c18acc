"""Takes in what the API server answered to the creations of a reconcile, ahead of the watch."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pkg.apis.meta import GVR, Job
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.workflow.observer import Caches
from pkg.controllers.workflow.planner.actions import CreateJob
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.unanswered import Unanswered


class Answers:
    """unpark(key): requeues a key, from any thread."""

    def __init__(self, caches: Caches, unpark: Callable[[str], None]) -> None:
        self._caches = caches
        self._unpark = unpark

    def expect(self, workflow: WorkflowId, creations: Iterable[CreateJob]) -> None:
        """These jobs are about to be created. Mostly the watch shows them before the answers; that requeues nothing."""
        self._caches.ledger.expect(workflow, [(action.task, action.attempt) for action in creations])

    def take(self, unanswered: Unanswered) -> None:
        """Adds the created jobs to the cache, and keeps the faults; raises the error that ended the creations."""
        memory, run, has_changed = unanswered.memory, unanswered.run, False
        memory.first_creations = run.next_first
        for created in run.results():
            if created.fault is not None:
                memory.faults[created.action.task] = created.fault
                continue
            memory.faults.pop(created.action.task, None)
            if created.warnings:
                memory.server_warnings[created.action.task] = created.warnings
            if created.job is not None:  # of an object that is no job of ours, the objects know already
                has_changed |= self._absorb(created.action.gvr, created.job)
        self.expect(unanswered.workflow, ())
        if has_changed:
            self._unpark(unanswered.workflow.key)
        if run.error is not None:
            raise run.error

    def _absorb(self, gvr: GVR, job: Job) -> bool:
        """Adds a job that was just created to the cache and the ledger; whether the cache has a later copy already.

        A list may have shown that copy as a job that came, which requeued nothing.
        """
        store, ledger = self._caches.jobs.ensure(gvr), self._caches.ledger
        delta = store.absorb(job)
        held = store.get(job.metadata.key)
        if delta is None:
            return held is not None and held.metadata.resource_version != job.metadata.resource_version
        ledger.apply(gvr, (delta,))
        if held is None or held.metadata.uid != job.metadata.uid:
            # The watch deleted the job in between, and the ledger saw that before it saw the job.
            ledger.apply(gvr, (Delta(delta.key, job),))
        return False
