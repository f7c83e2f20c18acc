"""One pass over one workflow: observe, plan, perform, and say what it came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import structlog

from pkg.apis.flow.v1alpha1.phases import FINAL
from pkg.apis.flow.v1alpha1.types import API_VERSION, Workflow
from pkg.apis.meta import GVR, Job
from pkg.controllers.engine.result import Again, Done, Drop, Later, Result
from pkg.controllers.engine.store import Delta
from pkg.controllers.workflow.executor import Executor, NotLeader
from pkg.controllers.workflow.memory import Memory, pending_jobs
from pkg.controllers.workflow.observer import Caches, Observer
from pkg.controllers.workflow.pending import PendingJob
from pkg.controllers.workflow.planner.actions import DeleteJob, Emit, Plan
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.progress import Progress
from pkg.controllers.workflow.planner.snapshot import Told, Trouble
from pkg.controllers.workflow.prober import Prober
from pkg.kube.errors import Conflict, KubeError, NotFound, Stopped
from pkg.kube.event_recorder import EventRecorder, ObjectReference
from pkg.telemetry.metrics import Metrics

_log = structlog.get_logger("workflow.reconciler")
BEHIND_SECONDS = 0.02
MAX_UNTOLD = 50
# Deletions of one pass; the key then goes to the back of its shard, so that a wide workflow holds up no other.
MAX_DELETIONS = 128


class Reconciler:
    """owns(key): whether this process may act on it; backlog(): keys that wait, for the width of the status window."""

    def __init__(
        self,
        caches: Caches,
        executor: Executor,
        prober: Prober,
        recorder: EventRecorder,
        metrics: Metrics,
        *,
        owns: Callable[[str], bool],
        backlog: Callable[[], int],
        warnings: Callable[[str], Mapping[str, Told]] = lambda uid: {},
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._caches = caches
        self._executor = executor
        self._observer = Observer(caches, prober, backlog=backlog, warnings=warnings, wall_clock=wall_clock)
        self._prober = prober
        self._recorder = recorder
        self._metrics = metrics
        self._owns = owns
        self._clock = wall_clock
        self._since = wall_clock()
        self._term = 0
        self._fences: dict[str, int] = {}
        self._memories: dict[str, Memory] = {}
        self._uids: dict[str, set[str]] = {}

    def begin_term(self, fences: dict[str, int]) -> None:
        """This process leads now. fences: key -> resourceVersion that its cached copy must have reached first."""
        self._fences = fences
        self._since = self._clock()
        self._caches.ledger.mark_all()
        self._term += 1

    def waiting_for(self, gvr: GVR) -> tuple[str, ...]:
        """The workflows that use a kind: to be looked at when it appears, vanishes, or its cache is complete."""
        return self._observer.waiting_for(gvr)

    def known(self) -> tuple[str, ...]:
        """`namespace/name` of every workflow of which something is remembered. For any thread."""
        return tuple(self._uids)

    def key_of(self, uid: str) -> str | None:
        """`namespace/name` of a workflow that passes were made over."""
        memory = self._memories.get(uid)
        return memory.key if memory is not None else None

    def reconcile(self, key: str) -> Result:
        """One pass. Raises nothing that the worker would not treat as a bug."""
        if not self._owns(key):
            self._stand_by(key)
            return Done()
        began = time.perf_counter()
        try:
            result: Result = self._reconcile(key)
        except (NotLeader, Stopped):
            self._forget_progress(key)
            result = Done()
        except Exception:
            # What the ledger told counts as told, though nothing was made of it.
            self._forget_progress(key)
            raise
        self._metrics.workflow_reconcile.labels(type(result).__name__.lower()).inc()
        self._metrics.workflow_reconcile_duration.observe(time.perf_counter() - began)
        return result

    def _reconcile(self, key: str) -> Result:
        workflow = self._caches.workflows.get(key)
        if self._is_behind(key, workflow):
            return Later(BEHIND_SECONDS, "the cache is older than this leader's term")
        if self._caches.workflows.is_unread(key):
            return Done()  # it is there, whatever it says: nothing of it may be touched
        known = self._caches.ledger.uids(key) | self._uids.get(key, set())
        orphans = known - ({workflow.metadata.uid} if workflow is not None else set())
        open_ends = [end for uid in orphans if (end := self._delete_all(key, uid)) is not None]
        if workflow is None:
            self._forget(key)
            return open_ends[0] if open_ends else Drop()
        meta = workflow.metadata
        if meta.is_deleting:
            self._prober.want(meta.uid, key, ())
            end = self._delete_all(key, meta.uid)
            return end or (open_ends[0] if open_ends else Done())
        memory = self._memory(meta.uid, key)
        self._observer.compile(workflow, memory)
        result = self._pass(key, workflow, memory)
        return next((end for end in open_ends if isinstance(end, Later)), result)

    def _is_behind(self, key: str, workflow: Workflow | None) -> bool:
        """Whether the cache has not caught up with what the cluster held when this process began to lead."""
        fence = self._fences.get(key, 0)
        if not fence:
            return False
        reached = int(workflow.metadata.resource_version) if workflow is not None else 0
        if max(reached, self._caches.workflows.synced_rv) < fence:
            return True
        self._fences.pop(key, None)
        return False

    def _pass(self, key: str, workflow: Workflow, memory: Memory) -> Result:
        uid = workflow.metadata.uid
        snapshot = self._observer.observe(workflow, memory, self._since)
        first = plan(snapshot)
        memory.progress = first.progress
        final, is_complete, has_verdicts = first, True, False
        if first.creations:
            is_complete, has_verdicts = self._create(key, uid, memory, first)
            is_urgent = first.needs_status or bool(first.deletions)
            snapshot = self._observer.observe(workflow, memory, self._since, may_create=False, is_urgent=is_urgent)
            final = plan(snapshot)
            memory.progress = final.progress
            final = replace(final, deletions=tuple(dict.fromkeys((*first.deletions, *final.deletions))))
        if memory.undone and not final.is_new_run:
            final = replace(final, deletions=tuple(dict.fromkeys((*memory.undone, *final.deletions))))
        self._prober.want(uid, key, final.probes)
        failure = self._settle(key, workflow, memory, final)
        if final.is_new_run:
            # Of what was known only status counts from now on; the next pass ties every task to its job again.
            memory.progress, memory.faults = None, {}
        # What a pass had to tell is told once its writes went through, if need be by a later pass.
        told = (*first.events, *(final.events if final is not first else ()))
        memory.untold = (*memory.untold, *told)[-MAX_UNTOLD:]
        if failure:
            self._caches.ledger.mark(uid)  # which tells what is to be deleted, too
            memory.undone = ()
            return Again(failure)
        memory.undone = final.deletions[MAX_DELETIONS:]
        self._emit(workflow, memory.untold)
        memory.untold = ()
        has_left = (first.has_left or final.has_left) and is_complete
        # Addresses are looked up for the attempts known before the pass; nothing else tells of those it found.
        has_addresses = self._observer.pod_ips(workflow, memory) != snapshot.pod_ips
        if has_verdicts or has_left or has_addresses or memory.undone or first.more or final.more:
            return Later(0, "this reconcile left something to do at once")
        wakes = [wake for wake in (first.wakes, final.wakes) if wake is not None]
        if not is_complete:
            retries = [f.retry_at for f in memory.faults.values() if f.trouble is Trouble.RETRY]
            wakes.append(min(retries))
        if not wakes:
            return Done()
        return Later(max(0.001, min(wakes) - self._clock()), "a time that the plan waits for is due then")

    def _create(self, key: str, uid: str, memory: Memory, made: Plan) -> tuple[bool, bool]:
        """Makes the jobs and takes them into the cache; whether none is to be tried later, and whether some were
        refused or found their name taken, which the next pass has to judge.
        """
        faults = {fault.name: fault for fault in memory.faults.values()}
        results = self._executor.create(key, uid, made.creations, faults)
        is_complete, has_verdicts = True, False
        for result in results:
            if result.fault is not None:
                memory.faults[result.action.task] = result.fault
                may_work_later = result.fault.trouble is Trouble.RETRY
                is_complete, has_verdicts = is_complete and not may_work_later, has_verdicts or not may_work_later
            elif result.job is not None:
                memory.faults.pop(result.action.task, None)
                self._absorb(result.action.gvr, result.job)
        return is_complete, has_verdicts

    def _absorb(self, gvr: GVR, job: Job) -> None:
        """Our own write, seen before the watch tells of it."""
        store, ledger = self._caches.jobs.ensure(gvr), self._caches.ledger
        delta = store.absorb(job)
        if delta is None:
            return
        ledger.apply(gvr, (delta,))
        held = store.get(delta.key)
        if held is None or held.metadata.uid != job.metadata.uid:
            # The watch told of its end in between, and the ledger heard of that before it heard of the job.
            ledger.apply(gvr, (Delta(delta.key, job),))

    def _settle(self, key: str, workflow: Workflow, memory: Memory, final: Plan) -> str:
        """Status, then deletions; returns why the pass is to be made again, empty if it went through."""
        try:
            if final.patch is not None:
                began = time.monotonic()
                self._caches.workflows.absorb(self._executor.patch_status(key, final.patch))
                memory.write_seconds = time.monotonic() - began
                memory.progress = final.progress.acknowledged(self._clock())
                self._count_finished(workflow, memory.progress)
        except Conflict:
            return "status was computed from an older copy"
        except NotFound:
            return "the workflow is gone"
        except Stopped:
            raise
        except KubeError as error:
            _log.warning("status not written, it is tried again", error=str(error))
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
        """Counts the tasks that the status just written shows final for the first time."""
        for phase in FINAL:
            grown = progress.counts.get(phase, 0) - getattr(before.status.tasks, phase.value.lower())
            if grown > 0:
                self._metrics.workflow_tasks_finished.labels(phase.value).inc(grown)

    def _emit(self, workflow: Workflow, events: Iterable[Emit]) -> None:
        meta = workflow.metadata
        about = ObjectReference(API_VERSION, "Workflow", meta.name, meta.namespace, meta.uid, meta.resource_version)
        for event in events:
            self._recorder.emit(about, "Warning" if event.is_warning else "Normal", event.reason, event.message)

    def _memory(self, uid: str, key: str) -> Memory:
        memory = self._memories.get(uid)
        if memory is None:
            memory = self._memories[uid] = Memory(key, term=self._term)
            self._uids.setdefault(key, set()).add(uid)
        if memory.term != self._term:
            memory.progress, memory.undone, memory.term = None, (), self._term
        return memory

    def _forget(self, key: str) -> None:
        """Drops what is remembered of a workflow that is gone, jobs or no jobs."""
        for uid in tuple(self._uids.get(key, ())):
            self._forget_uid(key, uid)
        self._uids.pop(key, None)
        self._observer.forget(key)

    def _forget_uid(self, key: str, uid: str) -> None:
        self._memories.pop(uid, None)
        self._uids.get(key, set()).discard(uid)
        self._prober.want(uid, key, ())
        self._caches.pods.forget(uid)

    def _stand_by(self, key: str) -> None:
        """Another process acts: this one asks no pods, and of what is gone it remembers nothing."""
        for uid in self._uids.get(key, ()):
            self._prober.want(uid, key, ())
            self._memories[uid].progress = None
        workflows, ledger = self._caches.workflows, self._caches.ledger
        if workflows.get(key) is None and not workflows.is_unread(key):
            for uid in ledger.uids(key):
                ledger.forget(uid)
            self._forget(key)

    def _forget_progress(self, key: str) -> None:
        """A pass ended in the middle: the next one looks at everything."""
        for uid in self._uids.get(key, ()):
            self._caches.ledger.mark(uid)
            self._memories[uid].progress, self._memories[uid].undone = None, ()

    def pending(self) -> Iterator[PendingJob]:
        """Every job that is pending now, as the last pass over its workflow saw it. For any thread."""
        return pending_jobs(self._memories)

    def _delete_all(self, key: str, uid: str) -> Later | Again | None:
        """Deletes the jobs of a workflow that is gone or going; garbage collection is only the net. What is to follow,
        None if nothing is left to do.
        """
        jobs = self._caches.ledger.jobs(uid)
        actions = [
            DeleteJob(
                task,
                seen.gvr,
                seen.job.metadata.namespace,
                seen.job.metadata.name,
                seen.job.metadata.uid,
                "workflow deleted",
            )
            for task, seen in jobs
            if not seen.job.metadata.is_deleting
        ]
        if not jobs:
            self._caches.ledger.forget(uid)
            self._forget_uid(key, uid)
        if actions and self._executor.delete(key, actions[:MAX_DELETIONS]):
            return Again("jobs of a workflow that is gone or going could not be deleted")
        if len(actions) > MAX_DELETIONS:
            return Later(0, "more jobs of a workflow that is gone are to be deleted")
        return None
