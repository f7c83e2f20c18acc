"""One reconcile: build the snapshot, plan, execute, return when to requeue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from msgspec.structs import replace

from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.apis.meta import GVR
from pkg.controllers.engine.result import Again, Done, Drop, Later, Parked, Result, both
from pkg.controllers.workflow import restored
from pkg.controllers.workflow.after_end import AfterEnd
from pkg.controllers.workflow.answers import Answers
from pkg.controllers.workflow.cleanup import MAX_DELETIONS, Cleanup
from pkg.controllers.workflow.executor import Executor, NotLeader
from pkg.controllers.workflow.failures import Failures
from pkg.controllers.workflow.left import NO_JOBS, KnownJobs
from pkg.controllers.workflow.locks.keeper import LockKeeper
from pkg.controllers.workflow.locks.standing import standing
from pkg.controllers.workflow.memory import Memories, Memory
from pkg.controllers.workflow.messages import Messages
from pkg.controllers.workflow.observer import Caches, Observer
from pkg.controllers.workflow.pending import PendingJob
from pkg.controllers.workflow.planned import Planned
from pkg.controllers.workflow.planner.actions import Plan
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.snapshot import JobWarning, Snapshot, Trouble
from pkg.controllers.workflow.prober import Prober
from pkg.controllers.workflow.relevance import reads_templates
from pkg.controllers.workflow.rights import Rights
from pkg.controllers.workflow.room import Room
from pkg.controllers.workflow.unanswered import Unanswered
from pkg.controllers.workflow.writer import Writer
from pkg.kube.errors import Stopped
from pkg.kube.event_recorder import EventRecorder
from pkg.telemetry.metrics import Metrics

BEHIND_SECONDS = 0.02
# The finalizer of an object whose dependents the garbage collector is to leave behind, without owner reference.
ORPHAN = "orphan"
# How long a worker waits for creations. Mostly they are answered by then, and the reconcile goes on without a requeue.
PARK_SECONDS = 0.1


class Reconciler:
    """owns(key): whether this process may act on a workflow; unpark(key): requeues a parked key, from any thread;
    is_resumed(key): whether nothing else requeued the key that runs now, but changes in the ledger; room: whose turn it
    is to create jobs; backlog(key): how many ready keys count as load; is_idle(key): whether none waits for the same
    worker; rights: who may create what, None: nobody asks; plan: the planner, in whose place tests put others.
    """

    def __init__(
        self,
        caches: Caches,
        executor: Executor,
        prober: Prober,
        recorder: EventRecorder,
        metrics: Metrics,
        *,
        owns: Callable[[str], bool],
        unpark: Callable[[str], None],
        is_resumed: Callable[[str], bool] = lambda key: False,
        room: Room,
        backlog: Callable[[str], int],
        is_idle: Callable[[str], bool] = lambda key: True,
        warnings: Callable[[WorkflowId], Mapping[str, JobWarning]] = lambda workflow: {},
        failures: Failures | None = None,
        messages: Messages | None = None,
        rights: Rights | None = None,
        locks: LockKeeper | None = None,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        plan: Callable[[Snapshot], Plan] = plan,
    ) -> None:
        self._caches = caches
        self._plan = plan
        self._executor = executor
        self._failures = failures or Failures()
        self._messages = messages or Messages()
        self._observer = Observer(
            caches,
            prober,
            backlog=backlog,
            in_flight=lambda: executor.in_flight,
            warnings=warnings,
            endings=self._failures.endings,
            messages=self._messages.answers,
            rights=rights,
            locks=locks,
            wall_clock=wall_clock,
        )
        self._locks = locks
        self._writer = Writer(caches, executor, recorder, metrics, wall_clock, clock)
        self._prober = prober
        self._metrics = metrics
        self._counters = {
            kind: metrics.workflow_reconcile.labels(kind.__name__.lower())
            for kind in (Again, Done, Drop, Later, Parked)
        }
        self._owns = owns
        self._unpark = unpark
        self._is_resumed = is_resumed
        self._room = room
        self._backlog = backlog
        self._is_idle = is_idle
        self._clock = wall_clock
        self._since = wall_clock()
        self._term = 0
        self._fences: dict[str, int] = {}
        self._memories = Memories()
        self._after_end = AfterEnd(caches, self._observer)
        self._cleanup = Cleanup(
            caches, self._memories, self._observer, prober, self._failures, self._messages, executor, locks
        )
        self._parked: dict[str, Unanswered] = {}
        self._answers = Answers(caches, unpark)

    def begin_term(self, fences: dict[str, int]) -> None:
        """This process leads now. fences: key -> resourceVersion that the cached Workflow must have reached first."""
        self._fences = fences
        self._since = self._clock()
        self._caches.ledger.mark_all_dirty()
        if self._locks is not None:
            self._locks.begin(standing(self._caches.workflows.values()))
        self._term += 1

    def end_term(self) -> None:
        """Another process leads: it keeps the locks."""
        if self._locks is not None:
            self._locks.end()

    def users_of(self, gvr: GVR) -> tuple[str, ...]:
        """The keys of the workflows that use a kind. They are requeued when the kind or its cache changes."""
        return self._observer.users_of(gvr)

    def may_have_deleting_jobs(self, workflow: Workflow) -> bool:
        """As `Observer.may_have_deleting_jobs`. For any thread."""
        return self._observer.may_have_deleting_jobs(workflow)

    def known(self) -> tuple[str, ...]:
        """`namespace/name` of every workflow that is remembered. For any thread."""
        return (*self._memories.keys(), *(self._locks.keys() if self._locks is not None else ()))

    def pending(self) -> Iterator[PendingJob]:
        """Every job that is pending now, as the last reconcile of its workflow saw it. For any thread."""
        return self._memories.pending()

    def reconcile(self, key: str) -> Result:
        """One reconcile of a workflow by `namespace/name`. An exception is a bug; the worker logs it and retries."""
        if not self._owns(key):
            with self._room.reconciling(key):
                self._release(key)
            return Done()
        began = time.perf_counter()
        try:
            with self._room.reconciling(key):
                result: Result = self._reconcile(key)
        except (NotLeader, Stopped):
            self._cleanup.drop_progress(key)
            # Where the Lease is back already, the requeue of the new term may have come before this.
            result = Later(BEHIND_SECONDS, "the Lease was lost for a moment") if self._owns(key) else Done()
        except RecursionError:
            # A repetition would fail in the same way, so the workflow is left alone until something changes.
            self._cleanup.drop_progress(key)
            self._writer.report_too_deep(self._caches.workflows.get(key))
            result = Done()
        except Exception:
            # The ledger has handed out its changes, and they were not used.
            self._cleanup.drop_progress(key)
            raise
        self._counters[type(result)].inc()
        self._metrics.workflow_reconcile_duration.observe(time.perf_counter() - began)
        return result

    def _reconcile(self, key: str) -> Result:
        parked = self._parked.get(key)
        if parked is not None:
            if not parked.run.is_done:
                if not self._is_resumed(key):  # the queue says so once, and this pass reads nothing
                    self._parked[key] = replace(parked, is_told=True)
                return Parked("creations have not been answered yet")
            del self._parked[key]
            self._answers.take(parked)
        workflow = self._caches.workflows.get(key)
        if self._is_cache_behind(key, workflow):
            return Later(BEHIND_SECONDS, "the cache is older than this leader's term")
        if self._caches.workflows.is_undecodable(key):
            return Done()  # the object exists but cannot be decoded: its jobs stay
        known = {*self._caches.ledger.workflows(key), *self._memories.workflows(key), *self._cleanup.holding(key)}
        gone = known - ({WorkflowId.of(workflow)} if workflow is not None else set())
        unfinished = [left for other in gone if (left := self._cleanup.clear(other)) is not None]
        if workflow is None:
            self._cleanup.forget(key)
        result: Result = Drop() if workflow is None else self._reconcile_present(key, workflow, parked)
        for left in unfinished:
            result = both(result, left)
        return result

    def _reconcile_present(self, key: str, workflow: Workflow, parked: Unanswered | None) -> Result:
        """The part of a reconcile that is about the Workflow which has the name now. parked: answered by now."""
        this = WorkflowId.of(workflow)
        if workflow.metadata.is_deleting:
            self._cleanup.stop_waiting(this)
            own = None if is_orphaning(workflow) else self._cleanup.delete_all_jobs(this)
            return own or Done()
        if restored.is_held(workflow):
            return self._writer.hold_restored(workflow)
        is_new = workflow.status.phase is None and parked is None and not self._memories.has_begun(this, self._term)
        if is_new and self._room.turn(key) == 0 and self._room.wait(key):
            return Done()  # nothing is kept of a workflow that cannot begin yet
        memory = self._memories.of(workflow, self._term)
        self._takes_begin(workflow, memory)
        workflow = memory.as_begun(workflow)
        if self._after_end.needs_graph(workflow, memory) or this in self._cleanup.holding(key):
            return self._reconcile_with_graph(workflow, memory, parked)
        if self._caches.objects is not None:
            self._caches.objects.release(this)
        snapshot = self._observer.take_snapshot_after_end(workflow, self._since)
        made = self._plan(snapshot)
        result = self._finish(workflow, memory, Planned(made, made, snapshot, made.events))
        memory.progress = None
        return result

    def _takes_begin(self, workflow: Workflow, memory: Memory) -> bool:
        """As `Memory.take_begin`, with the jobs that are known now. A spec of the first generation is not edited."""
        recorded = memory.as_recorded(workflow)
        if recorded.status.phase is not None or recorded.metadata.generation == 1:
            return False
        return memory.take_begin(recorded, self._caches.ledger.jobs(WorkflowId.of(workflow)), self._clock())

    def _reconcile_with_graph(self, workflow: Workflow, memory: Memory, parked: Unanswered | None) -> Result:
        if memory.store_spec(self._observer.compile(workflow, memory)):
            self._caches.ledger.mark_dirty(WorkflowId.of(workflow), without_jobs=True)
        self._observer.ensure_informers(memory)
        if parked is not None and parked.is_of(memory, self._term):
            return self._go_on(workflow, parked, was_parked=True)
        if parked is None and (waits := self._waits(workflow, memory)) is not None:
            return waits
        return self._plan_and_execute(workflow, memory)

    def _waits(self, workflow: Workflow, memory: Memory) -> Done | Later | None:
        """The result if all that has happened since the last plan may wait for the next one; None if not."""
        left, changed = memory.left, self._caches.ledger.unread(WorkflowId.of(workflow))
        if left is None or changed is None or workflow is not left.workflow or memory.progress is not left.progress:
            return None
        return left.result(changed, self._clock()) if self._is_resumed(workflow.metadata.key) else None

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

    def _release(self, key: str) -> None:
        """Another process leads. Creations that are in flight check for themselves whether they may write."""
        parked = self._parked.get(key)
        if parked is not None and parked.run.is_done:
            del self._parked[key]
            self._answers.expect(parked.workflow, ())
        self._cleanup.release(key)

    def _plan_and_execute(self, workflow: Workflow, memory: Memory) -> Result:
        """Plans, and creates the jobs; the other writes follow once the creations are answered."""
        this, key = WorkflowId.of(workflow), workflow.metadata.key
        memory.left, memory.seen = None, workflow.metadata.resource_version
        snapshot = self._take_snapshot(workflow, memory, room=self._room.turn(key))
        first = self._plan(snapshot)
        memory.progress, memory.begun = first.progress, first.begun or memory.begun
        if not first.creations:
            return self._finish(workflow, memory, Planned(first, first, snapshot, first.events))
        is_busy = self._executor.is_busy(this.namespace) or self._backlog(key) > 0
        patience = 0.0 if is_busy else PARK_SECONDS
        faults = {fault.name: fault for fault in memory.faults.values()}
        self._answers.expect(this, first.creations)
        began, is_idle = self._clock(), not is_busy and self._is_idle(key)
        run = self._executor.create(
            this,
            first.creations,
            faults,
            on_late=lambda: self._unpark(key),
            first=memory.first_creations,
            is_idle=is_idle,
        )
        reconcile = Unanswered(this, run, memory, snapshot, first, memory.spec.compiled, self._term)
        is_answered = run.wait(patience)
        if is_answered and self._clock() - began <= 2 * PARK_SECONDS:
            self._answers.take(reconcile)
            return self._go_on(workflow, reconcile, was_parked=False)
        memory.progress = None  # unless this very reconcile goes on, the next one reads every job
        self._parked[key] = reconcile
        if is_answered:
            self._unpark(key)  # this thread made a call that took long, and what it knows is old
        return Parked("creations take their time")

    def _go_on(self, workflow: Workflow, answered: Unanswered, *, was_parked: bool) -> Result:
        """Makes the other writes: after a second plan with the created jobs, so that the status includes them.

        Where no write is due, the next plan includes them. That is now if the key was parked, and anything happened
        meanwhile: it requeued nothing else.
        """
        memory, first = answered.memory, answered.first
        if self._takes_begin(workflow, memory):
            self._cleanup.drop_progress(workflow.metadata.key)
            memory.keep_events(first.events)
            return Later(0, "another controller has begun the workflow of another spec")
        memory.progress, workflow = first.progress, memory.as_begun(workflow)
        if answered.may_wait():
            is_told = answered.is_told or not self._is_resumed(workflow.metadata.key)
            is_resumed = not is_told and answered.is_about(workflow)
            if not was_parked or (is_resumed and answered.are_all_known(self._caches.ledger.unread(answered.workflow))):
                return self._finish(workflow, memory, answered.planned(), answered.created())
            memory.keep_events(first.events)
            return self._plan_and_execute(workflow, memory)
        is_urgent = first.needs_status or bool(first.deletions)
        memory.seen = workflow.metadata.resource_version
        snapshot = self._take_snapshot(workflow, memory, may_create=False, is_urgent=is_urgent)
        second = self._plan(snapshot)
        memory.progress = second.progress
        troubles = {result.fault.trouble for result in answered.run.results() if result.fault is not None}
        planned = Planned(
            first,
            second.after_deletions(first.deletions),
            snapshot,
            (*first.events, *second.events),
            is_complete=Trouble.RETRY not in troubles,
            is_any_refused=bool(troubles - {Trouble.RETRY}),
        )
        return self._finish(workflow, memory, planned)

    def _finish(self, workflow: Workflow, memory: Memory, planned: Planned, unread: KnownJobs = NO_JOBS) -> Result:
        """The writes after the creations: the status, then deletions, then Events. unread: as Left.jobs."""
        this, final = WorkflowId.of(workflow), planned.final
        if memory.remaining_deletions and not final.is_new_run:
            final = final.after_deletions(memory.remaining_deletions)
        self._prober.want(this, final.probes)
        self._failures.want(this, final.lookups)
        self._messages.want(this, final.messages)
        failure = self._writer.write(workflow, memory, final)
        if final.is_new_run:
            # Only status counts from now on; the next reconcile matches every task with its job again.
            memory.progress, memory.faults, memory.first_creations = None, {}, 1
            self._failures.forget(this)
        # Events are sent once the writes have succeeded, if need be by a later reconcile.
        memory.keep_events(planned.events)
        if failure:
            self._caches.ledger.mark_dirty(this)  # the next plan finds the deletions again
            memory.remaining_deletions = ()
            return Again(failure)
        if final.locks is not None and self._locks is not None:
            self._locks.update(this, final.locks)
        memory.remaining_deletions = final.deletions[MAX_DELETIONS:]
        self._writer.send_events(workflow, memory, self._failures.endings(this))
        if planned.snapshot.graph is None and final.patch is None:
            self._failures.forget_answered(this)
        if planned.snapshot.graph is not None and not reads_templates(workflow) and not final.deletions:
            self._after_end.keep(workflow, memory)
        result = self._requeue(workflow, memory, planned)
        if isinstance(result, Done | Later):
            until = self._clock() + result.seconds if isinstance(result, Later) else None
            memory.leave(self._caches.workflows.get(workflow.metadata.key), planned.snapshot, unread, until)
        return result

    def _take_snapshot(
        self,
        workflow: Workflow,
        memory: Memory,
        *,
        may_create: bool = True,
        room: int | None = None,
        is_urgent: bool = False,
    ) -> Snapshot:
        snapshot = self._observer.take_snapshot(
            workflow, memory, self._since, may_create=may_create, room=room, is_urgent=is_urgent
        )
        memory.synced, memory.awaited = snapshot.synced, snapshot.awaited
        return snapshot

    def _requeue(self, workflow: Workflow, memory: Memory, planned: Planned) -> Result:
        """When to reconcile again: at once if there is more to do, else at the next time that matters, else never."""
        first, final = planned.first, planned.final
        if planned.is_any_refused:
            return Later(0, "a creation was refused, which the next plan acts on")
        is_unfinished = (first.over_limit or final.over_limit) and planned.is_complete
        if is_unfinished and not self._room.wait(workflow.metadata.key):
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


def is_orphaning(workflow: Workflow) -> bool:
    """Whether a workflow under deletion leaves its jobs behind: `kubectl delete --cascade=orphan`."""
    return ORPHAN in workflow.metadata.finalizers
