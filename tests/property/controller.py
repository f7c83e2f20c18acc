"""One controller process in the simulated world: the real reconciler, executor, stores and ledger.

Only the parts that do I/O are replaced: informers (fed event by event), discovery, the prober and the event recorder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, cast

from pkg.apis.flow.v1alpha1 import labels, records
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, WORKTEMPLATES, Workflow, WorkTemplate
from pkg.apis.meta import GVR, Job
from pkg.controllers.engine.deltas import Added, Deleted, Delta, Modified
from pkg.controllers.engine.result import Again, Done, Later
from pkg.controllers.engine.store import Store
from pkg.controllers.workflow.executor import Executor
from pkg.controllers.workflow.first_jobs import is_timed
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.objects import Objects
from pkg.controllers.workflow.observer import Caches
from pkg.controllers.workflow.planner.actions import Plan, ProbeRequest
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.progress import ProbeAnswer, ProbeKey
from pkg.controllers.workflow.planner.snapshot import Snapshot, Trouble
from pkg.controllers.workflow.reconciler import Reconciler
from pkg.controllers.workflow.rights import Rights
from pkg.controllers.workflow.room import Room
from pkg.kinds.kind import Kind
from pkg.telemetry.metrics import Metrics
from pkg.workloads import rules_for
from tests.property.objects import MAPS, READS, SERVERS, Calls, Following
from tests.property.world import JOBS, KEY, NAME, WIDGETS, World

METRICS = Metrics()
_KINDS = {
    JOBS: Kind(kind="Job", row=rules_for(JOBS)),
    WIDGETS: Kind(kind="Widget", row=rules_for(WIDGETS)),
    SERVERS: Kind(kind="Server", row=rules_for(SERVERS)),
    MAPS: Kind(kind="ConfigMap", row=rules_for(MAPS), has_spec=False),
}


class Inline:
    """A pool of no threads: what is submitted is done at once."""

    in_flight = 0

    def submit(self, _group: str, _owner: str, function: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function())  # an exception propagates at once, as if the process ended there
        return future

    def begin(self, _group: str, _owner: str, function: Callable[[], None]) -> None:
        function()

    def run_here(self, _group: str, function: Callable[[], None]) -> bool:
        function()
        return True

    def is_delayed(self, _group: str) -> bool:
        return False


class Late(Inline):
    """A pool whose calls are made, and answered, when the simulation says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def begin(self, group: str, owner: str, function: Callable[[], None]) -> None:
        if group.endswith("/create"):
            self.calls.append(function)
        else:
            super().begin(group, owner, function)

    def run_here(self, _group: str, _function: Callable[[], None]) -> bool:
        return False

    def is_delayed(self, _group: str) -> bool:
        return True

    def answer(self, number: int) -> None:
        """Makes one of the calls that wait."""
        self.calls.pop(number)()


class Informers:
    """As InformerSet, but the simulation decides when a store is synced and which events it gets."""

    def __init__(self) -> None:
        self.stores: dict[GVR, Store[Job]] = {}
        #: By the UIDs of the workflows whose jobs were read by themselves: the version at which that was.
        self.known: dict[GVR, dict[str, int]] = {}
        #: The workflows whose jobs are to be read by themselves.
        self.asked: dict[GVR, set[str]] = {}
        #: Why the jobs of single workflows cannot be read.
        self.troubled = ""
        #: What the server has answered by kind and workflow: at which version, and which jobs.
        self.answers: dict[tuple[GVR, str], tuple[int, list[Job]]] = {}
        #: First lists that took long: how many events the watch has told once it has caught up.
        self.behind: dict[GVR, int] = {}

    def ensure(self, gvr: GVR) -> Store[Job]:
        return self.stores.setdefault(gvr, Store())

    def is_synced(self, gvr: GVR) -> bool:
        return gvr in self.stores and self.stores[gvr].synced and gvr not in self.behind

    def knows(self, gvr: GVR, owner: str, since: int) -> bool:
        is_there = self.is_synced(gvr) and self.stores[gvr].synced_rv >= since
        return is_there or self.known.get(gvr, {}).get(owner, -1) >= since

    def ask(self, gvr: GVR, owner: str, key: str, since: int, count: int) -> bool:
        assert key == KEY
        assert count >= 0
        is_known = self.knows(gvr, owner, since)
        if self.is_synced(gvr) and not is_known:
            self.asked.setdefault(gvr, set()).add(owner)
        return is_known

    def is_gone(self, _gvr: GVR) -> bool:
        return False

    def owners_trouble(self, _gvr: GVR) -> str:
        return self.troubled

    def trouble(self, _gvr: GVR) -> str:
        return ""


class Pods:
    """A pod cache without pods, because the probes are simulated."""

    def lead_address(self, *_args: object) -> str:
        return ""

    def forget(self, _workflow: WorkflowId) -> None:
        pass


class Kinds:
    def get(self, gvr: GVR) -> Kind | None:
        return _KINDS.get(gvr)

    def is_answered(self, _gvr: GVR) -> bool:
        return True

    def is_absent(self, _gvr: GVR) -> bool:
        return False


class Prober:
    """Probes pass a while after the asked job began to run; patience(flow, path, index) in seconds, None for never."""

    def __init__(self, world: World, patience: Callable[[str, str, int], float | None]) -> None:
        self._world = world
        self._patience = patience
        self._workflow: WorkflowId | None = None
        self._wanted: frozenset[ProbeRequest] = frozenset()
        self._passed: dict[ProbeKey, ProbeRequest] = {}

    def want(self, workflow: WorkflowId, requests: Iterable[ProbeRequest]) -> None:
        """Takes the probes of one workflow at a time. An empty set for an earlier workflow changes nothing."""
        wanted = frozenset(requests)
        if workflow != self._workflow and not wanted:
            return
        self._passed = {key: one for key, one in self._passed.items() if workflow == self._workflow and one in wanted}
        self._workflow, self._wanted = workflow, wanted

    def answers(self, workflow: WorkflowId) -> dict[ProbeKey, ProbeAnswer]:
        return {}

    def passed(self, workflow: WorkflowId) -> frozenset[ProbeKey]:
        return frozenset(self._passed) if workflow == self._workflow else frozenset()

    def next_due(self) -> float | None:
        """When the next probe passes; seconds since the epoch."""
        return min((due for _, due in self._open()), default=None)

    def tick(self) -> bool:
        """Whether a probe has passed by now."""
        news = [request for request, due in self._open() if due <= self._world.now]
        self._passed.update({request.key: request for request in news})
        return bool(news)

    def _open(self) -> list[tuple[ProbeRequest, float]]:
        found = []
        for request in self._wanted:
            key = request.key
            patience = self._patience(key.flow, key.path, key.index)
            ran = self._world.is_running(request.asked.flow, request.asked.index, request.attempt)
            if key not in self._passed and patience is not None and ran is not None:
                found.append((request, ran + patience))
        return found


class Recorder:
    def emit(self, _about: object, _type: str, reason: str, message: str) -> None:
        assert reason
        assert message


class Controller:
    """One process. `lag`: how many versions its first copy of the Workflow is behind."""

    def __init__(self, world: World, patience: Callable[[str, str, int], float | None], lag: int = 0) -> None:
        self.world = world
        self.informers = Informers()
        self.workflows: Store[Workflow] = Store()
        self.templates: Store[WorkTemplate] = Store()
        self.ledger = Ledger()
        self.prober = Prober(world, patience)
        self.pods = self._make_pods()
        self.following = Following(world, self._follow)
        self.silent: set[GVR] = set()
        self.cursors: dict[GVR, int] = {}
        self._listed: dict[GVR, int] = {}
        #: First lists that have begun: where the log was then, the version, and the jobs.
        self._begun: dict[GVR, tuple[int, int, list[Job]]] = {}
        self.is_resumed = False
        self.is_queued = True
        self.wake_at: float | None = None
        self.is_leader = True
        self.is_at_rest = False
        self.passes = 0
        self._failures = 0
        events = world.log[WORKFLOWS]
        start = max(1, len(events) - lag)
        first = events[start - 1]
        there = [] if isinstance(first, Deleted) else [first.obj]
        self.workflows.replace(there, int(first.obj.metadata.resource_version))
        self.cursors[WORKFLOWS] = self._listed[WORKFLOWS] = start
        self.templates.replace([event.obj for event in world.log[WORKTEMPLATES]], world.version)
        self.room = self.make_room()
        executor = Executor(
            cast(Any, world),
            cast(Any, self.make_pool()),
            lambda _key: self.is_leader,
            METRICS,
            self.room,
            wall_clock=lambda: world.now,
            objects=Calls(world, self.following.objects),
        )
        self.reconciler = Reconciler(
            Caches(
                workflows=self.workflows,
                templates=self.templates,
                jobs=cast(Any, self.informers),
                pod_finder=cast(Any, self.pods),
                ledger=self.ledger,
                kinds=cast(Any, Kinds()),
                objects=self.following.objects,
            ),
            executor,
            cast(Any, self.prober),
            cast(Any, Recorder()),
            METRICS,
            owns=lambda _key: self.is_leader,
            unpark=self._unpark,
            is_resumed=lambda key: self.is_resumed,
            room=self.room,
            backlog=lambda _key: world.backlog,
            rights=self.make_rights(),
            wall_clock=lambda: world.now,
            clock=lambda: world.now,
            plan=self._plan,
        )
        self.lead()

    def _plan(self, snapshot: Snapshot) -> Plan:
        return self.world.plan(snapshot)

    @property
    def is_queued(self) -> bool:
        """Whether the key is in the queue. Set it for what nobody else keeps note of."""
        return self._is_queued

    @is_queued.setter
    def is_queued(self, value: bool) -> None:
        self._is_queued = value
        self._is_told = value

    def _unpark(self, key: str) -> None:
        self._is_queued = self._is_queued or key == KEY

    def _wake(self, key: str) -> None:
        self.is_queued = self.is_queued or key == KEY

    def _follow(self, make: Any, get: Any) -> Objects:
        return Objects(make, get, self.ledger, self._wake, lambda: self.world.now)

    def make_pool(self) -> Inline:
        return Inline()

    def make_room(self) -> Room:
        return Room(self._wake)

    def make_rights(self) -> Rights | None:
        return None

    def _make_pods(self) -> Pods:
        return Pods()

    def lead(self) -> None:
        """The Lease is ours (again)."""
        self.is_leader = True
        there = self.world.objects.get((WORKFLOWS, NAME))
        self.reconciler.begin_term({KEY: int(there.metadata.resource_version)} if there is not None else {})
        self.is_queued = True

    def next_plan(self) -> Plan | None:
        """The plan of another pass now, with no new information; None if the last pass asked for a requeue, failed,
        or waits for a retry.
        """
        workflow = self.workflows.get(KEY)
        if not self.is_at_rest or not self.is_leader or workflow is None or workflow.metadata.is_deleting:
            return None
        memory = self.reconciler._memories.by_workflow.get(WorkflowId.of(workflow))
        if memory is None or memory.progress is None or any(f.trouble is Trouble.RETRY for f in memory.faults.values()):
            return None
        this, ledger = WorkflowId.of(workflow), self.reconciler._caches.ledger
        unread = ledger.dirty(this)
        made = plan(self.reconciler._observer.take_snapshot(workflow, memory, self.reconciler._since))
        # The next reconcile finds the changes again: jobs that were just created are left to it.
        if unread is None:
            ledger.mark_dirty(this)
        for task in unread or ():
            ledger.mark_task_dirty(this, task)
        return made

    # Events for the informers

    def behind(self) -> list[GVR]:
        """The kinds whose caches lack events, and whose watches are not silent."""
        known = [gvr for gvr in (WORKFLOWS, *self.informers.stores) if gvr not in self.silent]
        behind = [
            gvr
            for gvr in known
            if not self._is_synced(gvr) or self.cursors.get(gvr, 0) < len(self.world.log.get(gvr, ()))
        ]
        return behind + self.following.behind()

    def _is_synced(self, gvr: GVR) -> bool:
        """Whether a complete list was taken in, even if what happened meanwhile is to come."""
        return gvr == WORKFLOWS or (gvr in self.informers.stores and self.informers.stores[gvr].synced)

    def deliver(self, gvr: GVR, count: int = 1_000_000) -> None:
        """The next events of a kind; its list first."""
        if gvr in (SERVERS, MAPS, READS):
            self.following.deliver(gvr, count)
            return
        if not self._is_synced(gvr):
            self.relist(gvr)
            return
        start = self.cursors.get(gvr, 0)
        events = self.world.log.get(gvr, [])[start : start + count]
        self.cursors[gvr] = start + len(events)
        for event in events:
            self._apply(gvr, event)
        self._catch_up(gvr)

    def _catch_up(self, gvr: GVR) -> None:
        """The list counts as complete once the watch has told what happened while it was read."""
        if self.cursors[gvr] >= self.informers.behind.get(gvr, self.cursors[gvr] + 1):
            del self.informers.behind[gvr]
            self.is_queued = True

    def read_asked(self) -> bool:
        """The answers about the jobs of workflows that were asked for; returns whether there were any."""
        self._answer()
        found = dict(self.informers.answers)
        self.informers.answers.clear()
        for (gvr, uid), (version, jobs) in found.items():
            self._take_jobs(gvr, uid, version, jobs)
        return bool(found)

    def _answer(self) -> None:
        """The server answers now. Its answers come later, when a list or the watch may have told more."""
        for gvr, uids in self.informers.asked.items():
            for uid in sorted(uids):
                self.informers.answers.setdefault((gvr, uid), (self.world.version, self._jobs_of(gvr, uid)))
        self.informers.asked.clear()

    def deliver_all(self) -> None:
        """Also, now and then, what the housekeeping does."""
        if self.passes % 2:
            self.read_asked()
        for gvr in self.behind():
            self.deliver(gvr)
        self.read_asked()
        if self.passes % 5 == 0:
            self.following.objects.release_kinds()

    def redeliver(self, gvr: GVR, back: int) -> None:
        """Delivers an earlier event again, as after a watch that broke."""
        at = self.cursors.get(gvr, 0) - 1 - back
        if self._is_synced(gvr) and at >= self._listed.get(gvr, 0):
            event = self.world.log[gvr][at]
            if isinstance(event, Added | Modified):
                self._apply(gvr, event)

    def relist(self, gvr: GVR) -> None:
        """A complete list in place of the events: objects that existed only in between are never seen."""
        log = self.world.log.setdefault(gvr, [])
        self.cursors[gvr] = self._listed[gvr] = len(log)
        if gvr == WORKFLOWS:
            there = self.world.objects.get((WORKFLOWS, NAME))
            self.workflows.replace([] if there is None else [there], self.world.version)
        else:
            begun = self._begun.pop(gvr, None)
            if begun is not None:
                self.cursors[gvr] = self._listed[gvr] = begun[0]
                self.informers.behind[gvr] = len(log)
            _, version, jobs = begun or self._list_of(gvr)
            self._file(gvr, self.informers.ensure(gvr).replace(jobs, version))
            self._catch_up(gvr)
        self.is_queued = True

    def _list_of(self, gvr: GVR) -> tuple[int, int, list[Job]]:
        ours = {life.name for life in self.world.jobs()}
        jobs = [job for (of, _), job in self.world.strangers.items() if of == gvr]
        jobs += [obj for (of, name), obj in self.world.objects.items() if of == gvr and name in ours]
        return len(self.world.log.get(gvr, ())), self.world.version, jobs

    def read_first(self, gvr: GVR) -> str:
        """The first page of the first list of a kind, then the jobs of the cached workflow; returns what was read."""
        cached = self.workflows.get(KEY)
        if cached is None or self._is_synced(gvr) or gvr not in self.informers.stores:
            return ""
        if gvr not in self._begun:
            self._begun[gvr] = self._list_of(gvr)
            return "a page"
        phase = cached.status.phase
        if phase is None or phase.is_final or str(gvr) not in records.kinds_of(cached.status) or is_timed(cached.spec):
            return ""
        uid = cached.metadata.uid
        self._take_jobs(gvr, uid, self.world.version, self._jobs_of(gvr, uid))
        return "the jobs of the workflow"

    def _jobs_of(self, gvr: GVR, uid: str) -> list[Job]:
        return [job for job in self._list_of(gvr)[2] if job.metadata.labels.get(labels.WORKFLOW_UID) == uid]

    def _take_jobs(self, gvr: GVR, uid: str, version: int, jobs: Sequence[Job]) -> None:
        store = self.informers.ensure(gvr)
        self._file(gvr, [delta for job in jobs if (delta := store.absorb(job)) is not None])
        self.informers.known.setdefault(gvr, {})[uid] = version
        self.is_queued = True

    def _apply(self, gvr: GVR, event: Any) -> None:
        if gvr == WORKFLOWS:
            if self.workflows.apply(event) is not None:
                self._is_queued = True
            return
        delta = self.informers.ensure(gvr).apply(event)
        if delta is not None:
            self._file(gvr, [delta])

    def _file(self, gvr: GVR, deltas: Sequence[Delta[Job]]) -> None:
        if self.ledger.apply(gvr, deltas):
            self._is_queued = True

    # Work

    def is_due(self) -> bool:
        if self.prober.tick():
            self.is_queued = True
        return self.is_queued or (self.wake_at is not None and self.wake_at <= self.world.now)

    def next_due(self) -> float | None:
        """When this process has something to do because time has passed."""
        dues = (self.wake_at, self.prober.next_due(), self.world.next_due, self.following.next_read())
        times = [time for time in dues if time is not None]
        return min(times, default=None)

    def reconcile(self) -> None:
        """Reconciles the key, and requeues it as the result says."""
        is_timer = self.wake_at is not None and self.wake_at <= self.world.now
        self.is_resumed = not self._is_told and not is_timer
        self.is_queued = False
        self.passes += 1
        self.wake_at = None if self.wake_at is not None and self.wake_at <= self.world.now else self.wake_at
        result = self.reconciler.reconcile(KEY)
        self._answer()
        self.is_at_rest = isinstance(result, Done) or (isinstance(result, Later) and result.seconds > 0)
        match result:
            case Later(seconds) if seconds <= 0:
                self.is_queued = True
            case Later(seconds):
                self.wake_at = self.world.now + seconds
            case Again(_, within):
                self._failures += 1
                delay = min(0.005 * 2**self._failures, 5.0)
                self.wake_at = self.world.now + (delay if within is None else min(delay, within))
            case _:
                self.wake_at = None
