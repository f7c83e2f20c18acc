"""Builds the CronWorkflow controller: its informer, queue, timer and workers. It runs in the process of the Workflow
controller, with its client, its cache of Workflows and its Lease.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pkg.apis.flow.v1alpha1.types import CRONWORKFLOWS, CronWorkflow, Workflow
from pkg.apis.meta import GVR
from pkg.controllers.cronworkflow.alarms import Alarms
from pkg.controllers.cronworkflow.calls import Calls
from pkg.controllers.cronworkflow.fence import Fence
from pkg.controllers.cronworkflow.reconciler import CronReconciler, Numbers
from pkg.controllers.cronworkflow.runs import cron_key, is_covered, is_relevant
from pkg.controllers.engine.activity import Activity
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.listwatch import ReflectorMetrics
from pkg.controllers.engine.reflector_options import EventHandlers
from pkg.controllers.engine.shards import ShardedQueue
from pkg.controllers.engine.store import Store
from pkg.controllers.engine.worker import Worker
from pkg.controllers.engine.workqueue import QueueMetrics
from pkg.kube.client import Client
from pkg.kube.event_recorder import EventRecorder

#: They share the runs that are due at one moment, such as at midnight.
WORKERS: Final = 8


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the process has already. namespace: None for all; has_jobs: whether jobs of a Workflow are being deleted, or
    may be; announce(delta): calls the event handlers of Workflows; owns(key): whether this process may write; clock:
    seconds since the epoch.
    """

    client: Client
    namespace: str | None
    workflows: Store[Workflow]
    recorder: EventRecorder
    numbers: Numbers
    reflectors: ReflectorMetrics
    queues: Callable[[int], QueueMetrics]
    has_jobs: Callable[[Workflow], bool]
    announce: Callable[[Delta[Workflow]], None]
    owns: Callable[[str], bool]
    clock: Callable[[], float] = time.time


class CronController:
    """Nothing runs before `start`."""

    def __init__(self, around: Surroundings) -> None:
        self._workflows = around.workflows
        self._queue = ShardedQueue(WORKERS, metrics=around.queues)
        self.informers: InformerSet[CronWorkflow] = InformerSet(
            around.client,
            around.namespace,
            CronWorkflow,
            EventHandlers(self._crons_changed),
            metrics=around.reflectors,
        )
        self._crons = self.informers.prepare(CRONWORKFLOWS)
        self._fence = Fence(around.client, around.namespace, self._crons, around.workflows)
        self.alarms = Alarms(self._queue.add, around.clock)
        self._reconciler = CronReconciler(
            self._crons,
            around.workflows,
            Calls(around.client, around.owns),
            around.recorder,
            around.numbers,
            self.alarms,
            owns=around.owns,
            is_behind=self._fence.is_behind,
            has_jobs=around.has_jobs,
            announce=around.announce,
            clock=around.clock,
        )
        self.workers = [Worker(queue, self._reconciler.reconcile, subject="cron") for queue in self._queue.queues]

    @property
    def threads(self) -> tuple[threading.Thread, ...]:
        return (self.alarms.thread,)

    @property
    def activities(self) -> tuple[Activity, ...]:
        return tuple(worker.activity for worker in self.workers)

    def start(self) -> None:
        """Starts the informer; workers start with those of the process."""
        self.informers.ensure(CRONWORKFLOWS)
        self.alarms.start()

    def stop(self) -> None:
        self.alarms.stop()
        self.informers.stop()

    def workflows_changed(self, deltas: Sequence[Delta[Workflow]]) -> None:
        """A change of a run requeues its CronWorkflow."""
        for delta in deltas:
            owners = {key for one in (delta.old, delta.new) if one is not None and (key := cron_key(one)) is not None}
            if owners and is_relevant(delta.old, delta.new):
                for key in owners:
                    self._queue.add(key)

    def jobs_changed(self, keys: Iterable[str]) -> None:
        """Jobs of these Workflows, or what is known of them, changed: requeues the CronWorkflows that wait for them."""
        awaited = self._reconciler.awaited
        if not awaited:
            return
        for key in keys:
            workflow = self._workflows.get(key)
            if workflow is not None and (owner := awaited.get(workflow.metadata.uid)) is not None:
                self._queue.add(owner)

    def may_delete(self, key: str) -> bool:
        """Whether a Workflow may be deleted after its end: its CronWorkflow, if it has one, has recorded that the
        scheduled time has its run. Not while the caches are older than this leadership term.
        """
        workflow = self._workflows.get(key)
        owner = cron_key(workflow) if workflow is not None else None
        if workflow is None or owner is None:
            return True
        if self._fence.is_behind():
            return False  # a CronWorkflow that is not in the cache may exist, and would make the same run again
        cron = self._crons.get(owner)
        if cron is None:
            return not self._crons.is_undecodable(owner)  # one that cannot be decoded exists, and may be corrected
        return is_covered(workflow, cron)

    def begin_term(self, newest_workflow: int) -> None:
        """This process leads now. newest_workflow: as in `Fence.begin_term`."""
        self._fence.begin_term(newest_workflow)

    def requeue_all(self) -> int:
        """Requeues every CronWorkflow, and returns how many there are."""
        keys = self._crons.keys()
        for key in keys:
            self._queue.add(key)
        return len(keys)

    def end_term(self) -> None:
        """This process does not lead any more."""
        self.alarms.clear()
        self._reconciler.forget()

    def _crons_changed(self, _gvr: GVR, deltas: Sequence[Delta[CronWorkflow]]) -> None:
        for delta in deltas:
            self._queue.add(delta.key)
