"""One reconcile: build the snapshot, plan, execute, return when to requeue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import structlog

from pkg.apis.flow.v1alpha1.phases import FINAL
from pkg.apis.flow.v1alpha1.types import API_VERSION, Workflow
from pkg.apis.meta import GVR, Job
from pkg.controllers.engine.result import Again, Done, Drop, Later, Result
from pkg.controllers.engine.store import Delta
from pkg.controllers.workflow.executor import Executor, NotLeader
from pkg.controllers.workflow.memory import Memories, Memory
from pkg.controllers.workflow.observer import Caches, Observer
from pkg.controllers.workflow.pending import PendingJob
from pkg.controllers.workflow.planner.actions import DeleteJob, Emit, Plan
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.progress import Progress
from pkg.controllers.workflow.planner.snapshot import JobWarning, Snapshot, Trouble
from pkg.controllers.workflow.prober import Prober
from pkg.kube.errors import Conflict, KubeError, NotFound, Stopped
from pkg.kube.event_recorder import EventRecorder, ObjectReference
from pkg.telemetry.metrics import Metrics

_log = structlog.get_logger("workflow.reconciler")
BEHIND_SECONDS = 0.02
MAX_UNSENT_EVENTS = 50
# Deletions of one reconcile; the key then goes to the back of its shard, so that a large workflow delays no other.
MAX_DELETIONS = 128


@dataclass(frozen=True, slots=True)
class _Planned:
    """What one reconcile planned and created.

    first: the plan whose jobs were created; final: the plan made after that, with all deletions, the same as `first` if
    it created nothing; snapshot: what `final` was made from; events: of both plans. is_complete: no creation is to be
    retried; is_any_refused: a creation was refused for good, which the next plan has to act on.
    """

    first: Plan
    final: Plan
    snapshot: Snapshot
    events: tuple[Emit, ...]
    is_complete: bool = True
    is_any_refused: bool = False


class Reconciler:
    """owns(key): whether this process may act on a workflow; backlog(key): how many ready keys count as load."""

    def __init__(
        self,
        caches: Caches,
        executor: Executor,
        prober: Prober,
        recorder: EventRecorder,
        metrics: Metrics,
        *,
        owns: Callable[[str], bool],
        backlog: Callable[[str], int],
        warnings: Callable[[WorkflowId], Mapping[str, JobWarning]] = lambda workflow: {},
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._caches = caches
        self._executor = executor
        self._observer = Observer(caches, prober, backlog=backlog, warnings=warnings, wall_clock=wall_clock)
        self._prober = prober
        self._recorder = recorder
        self._metrics = metrics
        self._owns = owns
        self._clock = wall_clock
        self._monotonic = clock
        self._since = wall_clock()
        self._term = 0
        self._fences: dict[str, int] = {}
        self._memories = Memories()

    def begin_term(self, fences: dict[str, int]) -> None:
        """This process leads now. fences: key -> resourceVersion that the cached Workflow must have reached first."""
        self._fences = fences
        self._since = self._clock()
        self._caches.ledger.mark_all_dirty()
        self._term += 1

    def users_of(self, gvr: GVR) -> tuple[str, ...]:
        """The keys of the workflows that use a kind. They are requeued when the kind or its cache changes."""
        return self._observer.users_of(gvr)

    def known(self) -> tuple[str, ...]:
        """`namespace/name` of every workflow that is remembered. For any thread."""
        return self._memories.keys()

    def pending(self) -> Iterator[PendingJob]:
        """Every job that is pending now, as the last reconcile of its workflow saw it. For any thread."""
        return self._memories.pending()

    def reconcile(self, key: str) -> Result:
        """One reconcile of a workflow by `namespace/name`. An exception is a bug; the worker logs it and retries."""
        if not self._owns(key):
            self._release(key)
            return Done()
        began = time.perf_counter()
        try:
            result: Result = self._reconcile(key)
        except (NotLeader, Stopped):
            self._drop_progress(key)
            result = Done()
        except Exception:
            # The ledger has handed out its changes, and they were not used.
            self._drop_progress(key)
            raise
        self._metrics.workflow_reconcile.labels(type(result).__name__.lower()).inc()
        self._metrics.workflow_reconcile_duration.observe(time.perf_counter() - began)
        return result

    def _reconcile(self, key: str) -> Result:
        workflow = self._caches.workflows.get(key)
        if self._is_cache_behind(key, workflow):
            return Later(BEHIND_SECONDS, "the cache is older than this leader's term")
        if self._caches.workflows.is_undecodable(key):
            return Done()  # the object exists but cannot be decoded: its jobs stay
        known = {*self._caches.ledger.workflows(key), *self._memories.workflows(key)}
        gone = known - ({WorkflowId.of(workflow)} if workflow is not None else set())
        unfinished = [left for other in gone if (left := self._delete_all_jobs(other)) is not None]
        if workflow is None:
            self._forget(key)
            return unfinished[0] if unfinished else Drop()
        this = WorkflowId.of(workflow)
        if workflow.metadata.is_deleting:
            self._prober.want(this, ())
            own = self._delete_all_jobs(this)
            return own or (unfinished[0] if unfinished else Done())
        memory = self._memories.of(this, self._term)
        if memory.store_spec(self._observer.compile(workflow, memory.spec)):
            self._caches.ledger.mark_dirty(this)
        self._observer.ensure_informers(workflow, memory)
        result = self._plan_and_execute(workflow, memory)
        return next((other for other in unfinished if isinstance(other, Later)), result)

    def _is_cache_behind(self, key: str, workflow: Workflow | None) -> bool:
        """Whether the cached Workflow is older than it was in the cluster when this process began to lead."""
        fence = self._fences.get(key, 0)
        if not fence:
            return False
        reached = int(workflow.metadata.resource_version) if workflow is not None else 0
        if max(reached, self._caches.workflows.synced_rv) < fence:
            return True
        self._fences.pop(key, None)
        return False

    def _plan_and_execute(self, workflow: Workflow, memory: Memory) -> Result:
        """Creates jobs, writes the status, deletes jobs, and sends Events, in this order."""
        this = WorkflowId.of(workflow)
        planned = self._plan_and_create(workflow, memory)
        final = planned.final
        self._prober.want(this, final.probes)
        failure = self._write_status_and_delete(workflow, memory, final)
        if final.is_new_run:
            # Only status counts from now on; the next reconcile matches every task with its job again.
            memory.progress, memory.faults = None, {}
        # Events are sent once the writes have succeeded, if need be by a later reconcile.
        memory.unsent_events = (*memory.unsent_events, *planned.events)[-MAX_UNSENT_EVENTS:]
        if failure:
            self._caches.ledger.mark_dirty(this)  # the next plan finds the deletions again
            memory.remaining_deletions = ()
            return Again(failure)
        memory.remaining_deletions = final.deletions[MAX_DELETIONS:]
        self._send_events(workflow, memory.unsent_events)
        memory.unsent_events = ()
        return self._requeue(workflow, memory, planned)

    def _plan_and_create(self, workflow: Workflow, memory: Memory) -> _Planned:
        """Plans, creates the jobs, and plans again with them, so that the status to be written includes them."""
        snapshot = self._take_snapshot(workflow, memory)
        first = plan(snapshot)
        memory.progress = first.progress
        planned = _Planned(first, first, snapshot, first.events)
        if first.creations:
            is_complete, is_any_refused = self._create(WorkflowId.of(workflow), memory, first)
            is_urgent = first.needs_status or bool(first.deletions)
            snapshot = self._take_snapshot(workflow, memory, may_create=False, is_urgent=is_urgent)
            final = plan(snapshot)
            memory.progress = final.progress
            events = (*first.events, *final.events)
            final = _with_deletions(final, first.deletions)
            planned = _Planned(first, final, snapshot, events, is_complete, is_any_refused)
        if memory.remaining_deletions and not planned.final.is_new_run:
            planned = replace(planned, final=_with_deletions(planned.final, memory.remaining_deletions))
        return planned

    def _take_snapshot(
        self, workflow: Workflow, memory: Memory, *, may_create: bool = True, is_urgent: bool = False
    ) -> Snapshot:
        snapshot = self._observer.take_snapshot(
            workflow, memory, self._since, may_create=may_create, is_urgent=is_urgent
        )
        memory.synced = snapshot.synced
        return snapshot

    def _requeue(self, workflow: Workflow, memory: Memory, planned: _Planned) -> Result:
        """When to reconcile again: at once if there is more to do, else at the next time that matters, else never."""
        first, final = planned.first, planned.final
        if planned.is_any_refused:
            return Later(0, "a creation was refused, which the next plan acts on")
        if (first.over_limit or final.over_limit) and planned.is_complete:
            return Later(0, "more jobs are to be created")
        if memory.remaining_deletions:
            return Later(0, "more jobs are to be deleted")
        if first.requeue_now or final.requeue_now:
            return Later(0, "the plan continues after this write")
        # The snapshot has addresses only of attempts known before it; no event follows for those that the plan found.
        if self._observer.pod_ips(workflow, memory) != planned.snapshot.pod_ips:
            return Later(0, "the address of a pod is known now")
        times = [at for at in (first.requeue_at, final.requeue_at) if at is not None]
        if not planned.is_complete:
            retries = [f.retry_at for f in memory.faults.values() if f.trouble is Trouble.RETRY]
            times.append(min(retries))
        if not times:
            return Done()
        return Later(max(0.001, min(times) - self._clock()), "a timer of the plan is due then")

    def _create(self, workflow: WorkflowId, memory: Memory, made: Plan) -> tuple[bool, bool]:
        """Creates the jobs and adds them to the cache; returns whether none is to be retried, and whether one was
        refused for good.
        """
        faults = {fault.name: fault for fault in memory.faults.values()}
        results = self._executor.create(workflow, made.creations, faults)
        is_complete, is_any_refused = True, False
        for result in results:
            if result.fault is not None:
                memory.faults[result.action.task] = result.fault
                is_retried = result.fault.trouble is Trouble.RETRY
                is_complete, is_any_refused = is_complete and not is_retried, is_any_refused or not is_retried
            elif result.job is not None:
                memory.faults.pop(result.action.task, None)
                self._absorb(result.action.gvr, result.job)
        return is_complete, is_any_refused

    def _absorb(self, gvr: GVR, job: Job) -> None:
        """Adds a job that was just created to the cache and the ledger, ahead of its watch event."""
        store, ledger = self._caches.jobs.ensure(gvr), self._caches.ledger
        delta = store.absorb(job)
        if delta is None:
            return
        ledger.apply(gvr, (delta,))
        held = store.get(delta.key)
        if held is None or held.metadata.uid != job.metadata.uid:
            # The watch deleted the job in between, and the ledger saw that before it saw the job.
            ledger.apply(gvr, (Delta(delta.key, job),))

    def _write_status_and_delete(self, workflow: Workflow, memory: Memory, final: Plan) -> str:
        """Writes the status, then deletes; returns why the reconcile is to be repeated, empty if all succeeded."""
        key = workflow.metadata.key
        try:
            if final.patch is not None:
                began = self._monotonic()
                self._caches.workflows.absorb(self._executor.patch_status(key, final.patch))
                memory.write_seconds = self._monotonic() - began
                memory.progress = final.progress.acknowledged(self._clock())
                self._count_finished(workflow, memory.progress)
        except Conflict:
            return "status was computed from an older copy"
        except NotFound:
            return "the workflow is gone"
        except Stopped:
            raise
        except KubeError as error:
            _log.warning("status not written, will be retried", error=str(error))
            return "status could not be written"
        if final.deletions and self._executor.delete(key, final.deletions[:MAX_DELETIONS]):
            return "jobs could not be deleted"
        if final.workflow_deletion is not None:
            try:
                self._executor.delete_workflow(key, final.workflow_deletion)
            except Stopped:
                raise
            except KubeError as error:
                return f"the workflow could not be deleted: {error}"
        return ""

    def _count_finished(self, before: Workflow, progress: Progress) -> None:
        """Counts the tasks that the status just written shows as final for the first time."""
        for phase in FINAL:
            grown = progress.counts.get(phase, 0) - getattr(before.status.tasks, phase.value.lower())
            if grown > 0:
                self._metrics.workflow_tasks_finished.labels(phase.value).inc(grown)

    def _send_events(self, workflow: Workflow, events: Iterable[Emit]) -> None:
        meta = workflow.metadata
        about = ObjectReference(API_VERSION, "Workflow", meta.name, meta.namespace, meta.uid, meta.resource_version)
        for event in events:
            self._recorder.emit(about, "Warning" if event.is_warning else "Normal", event.reason, event.message)

    def _forget(self, key: str) -> None:
        """Drops what is remembered of a workflow that is gone, whether or not it had jobs."""
        for workflow in self._memories.workflows(key):
            self._forget_workflow(workflow)
        self._observer.forget(key)

    def _forget_workflow(self, workflow: WorkflowId) -> None:
        self._memories.forget(workflow)
        self._prober.want(workflow, ())
        self._caches.pod_finder.forget(workflow)

    def _release(self, key: str) -> None:
        """Another process leads: this one probes no pods, and forgets a workflow that is gone."""
        for workflow in self._memories.workflows(key):
            self._prober.want(workflow, ())
            self._memories.by_workflow[workflow].progress = None
        workflows, ledger = self._caches.workflows, self._caches.ledger
        if workflows.get(key) is None and not workflows.is_undecodable(key):
            for workflow in ledger.workflows(key):
                ledger.forget(workflow)
            self._forget(key)

    def _drop_progress(self, key: str) -> None:
        """A reconcile was interrupted: the next one reads every job."""
        for workflow in self._memories.workflows(key):
            self._caches.ledger.mark_dirty(workflow)
            self._memories.by_workflow[workflow].drop_progress()

    def _delete_all_jobs(self, workflow: WorkflowId) -> Later | Again | None:
        """Deletes the jobs of a workflow that is gone or being deleted, without waiting for the garbage collector.

        Returns when to go on, None if nothing is left to delete.
        """
        jobs = self._caches.ledger.jobs(workflow)
        actions = [
            DeleteJob(
                task,
                observed.gvr,
                observed.job.metadata.namespace,
                observed.job.metadata.name,
                observed.job.metadata.uid,
                "workflow deleted",
            )
            for task, observed in jobs
            if not observed.job.metadata.is_deleting
        ]
        if not jobs:
            self._caches.ledger.forget(workflow)
            self._forget_workflow(workflow)
        if actions and self._executor.delete(workflow.key, actions[:MAX_DELETIONS]):
            return Again("jobs of a workflow that is deleted could not be deleted")
        if len(actions) > MAX_DELETIONS:
            return Later(0, "more jobs of a workflow that is gone are to be deleted")
        return None


def _with_deletions(made: Plan, earlier: Iterable[DeleteJob]) -> Plan:
    """A plan that also deletes what an earlier one wanted deleted, each job once, the earlier first."""
    return replace(made, deletions=tuple(dict.fromkeys((*earlier, *made.deletions))))
