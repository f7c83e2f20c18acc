"""Keeps the locks: takes and gives back Leases for the workflows that this process acts on, off their workers.

The rules are in `planner/locks/space.py`, one Space for each namespace. This class passes on what happens, makes the
calls in the threads of the write pool, and keeps the time. A workflow without locks has nothing to do with it.
"""

from __future__ import annotations

import contextlib
import functools
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import structlog

from pkg.apis.flow.v1alpha1.locks import LOCK_LABEL, LockKind, LockName
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.meta import GVR, timestamp
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.leadership import steady_clock
from pkg.controllers.engine.reflector_options import EventHandlers
from pkg.controllers.workflow.locks.config_maps import read_limits
from pkg.controllers.workflow.locks.job_list import list_jobs
from pkg.controllers.workflow.locks.leases import LEASES, Lease, LeaseCalls, read
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.locks.calls import (
    CallAnswer,
    Failed,
    HolderCall,
    LockCall,
    LookForJobs,
    ReadLimits,
)
from pkg.controllers.workflow.planner.locks.holders import LockAnswer, LockNeeds, LockView
from pkg.controllers.workflow.planner.locks.space import Space
from pkg.controllers.workflow.planner.locks.tenure import ELECTED, Patience
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.write_pool import WritePool
from pkg.kube.client import Client
from pkg.kube.errors import Stopped
from pkg.telemetry.metrics import Metrics

_log = structlog.get_logger("workflow.locks")
#: How often the thread looks, if nothing is due before.
_LOOK_SECONDS: Final = 30.0
_MIN_SECONDS: Final = 0.05
_NOTHING: Final = LockView()
#: Of a call that was not made. The Lease may be back in a moment, in the same term; else `end` forgets the call.
_NOT_LEADING: Final = "this controller does not lead at the moment"


class LockKeeper:
    """namespace: None for all; owns(key): whether this process may act on a workflow; requeue(key): it has something
    new to see; patience: what is expected of other controllers. clock: steady, in seconds; wall_clock: seconds since
    the epoch, for what people read. Every method may be called by any thread.
    """

    def __init__(
        self,
        client: Client,
        namespace: str | None,
        pool: WritePool,
        metrics: Metrics,
        *,
        owns: Callable[[str], bool],
        requeue: Callable[[str], None],
        patience: Patience = ELECTED,
        clock: Callable[[], float] = steady_clock,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._calls = LeaseCalls(client)
        handlers = EventHandlers(self._leases_changed)
        #: Follows the Leases of locks, and no others.
        self.informers = InformerSet(
            client, namespace, Lease, handlers, label_selector=LOCK_LABEL, metrics=metrics.reflectors()
        )
        self._store = self.informers.prepare(LEASES)
        self._pool = pool
        self._metrics = metrics
        self._owns = owns
        self._requeue = requeue
        self._patience = patience
        self._clock = clock
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._spaces: dict[str, Space] = {}
        #: Workflows to requeue because what was known of their locks was read again.
        self._read_again: set[str] = set()
        self._is_acting = False
        self._changed = threading.Event()
        self._is_stopping = False
        #: Until when the thread sleeps, if nothing is due before.
        self._due = math.inf
        self.thread = threading.Thread(target=self._run, name="locks", daemon=True)
        metrics.locks.follow(self._waiting, self._held)

    def start(self) -> None:
        self.informers.ensure(LEASES)
        self.thread.start()

    def stop(self) -> None:
        self._is_stopping = True
        self._changed.set()
        self.informers.stop()

    # For reconciles

    def view(self, workflow: WorkflowId, locks: Iterable[LockName]) -> LockView:
        """What a plan reads. locks: all that tasks of the workflow may wait for."""
        with self._lock:
            space = self._spaces.get(workflow.namespace)
            return _NOTHING if space is None else space.view(workflow.key, workflow.uid, locks, self._clock())

    def may_create(self, workflow: WorkflowId, task: TaskKey, attempt: int) -> bool:
        """Whether a task, or the workflow (WHOLE), still holds what it was granted: for the moment before its job is
        made.
        """
        with self._lock:
            space = self._spaces.get(workflow.namespace)
            return space is not None and space.may_create(workflow.key, workflow.uid, task, attempt, self._clock())

    def update(self, workflow: WorkflowId, needs: LockNeeds) -> None:
        """What a plan needs, once status records what the plan is based on."""
        self._tell(workflow.namespace, lambda space, now: space.update(workflow.key, workflow.uid, needs, now))

    def leave(self, workflow: WorkflowId) -> None:
        """The workflow is being deleted: it waits for nothing any more."""
        if self.knows(workflow):
            self._tell(workflow.namespace, lambda space, now: space.leave(workflow.key, workflow.uid, now))

    def doubt(self, workflow: WorkflowId) -> None:
        """A creation of the workflow, which is gone, had no answer: the job may come yet."""
        self._tell(workflow.namespace, lambda space, now: space.doubt(workflow.key, workflow.uid, now))

    def clear(self, workflow: WorkflowId) -> None:
        """The workflow is gone, and so are its jobs: nothing is held for it any more."""
        if self.knows(workflow):
            self._tell(
                workflow.namespace, lambda space, now: space.update(workflow.key, workflow.uid, LockNeeds(), now)
            )

    def knows(self, workflow: WorkflowId) -> bool:
        """Whether somebody of this workflow holds a lock, or waits for one."""
        return workflow in self.workflows(workflow.key)

    def workflows(self, key: str) -> tuple[WorkflowId, ...]:
        """The workflows of this `namespace/name` that hold a lock or wait for one."""
        namespace, _, name = key.partition("/")
        if namespace not in self._spaces:
            return ()
        with self._lock:
            space = self._spaces.get(namespace)
            return () if space is None else tuple(WorkflowId(namespace, name, uid) for uid in space.workflows(key))

    def kinds(self, workflow: WorkflowId) -> frozenset[GVR]:
        """The kinds of the jobs that the holders of a workflow may have."""
        with self._lock:
            space = self._spaces.get(workflow.namespace)
            found = space.kinds(workflow.key, workflow.uid) if space is not None else ()
            return frozenset(GVR.parse(text) for text in found)

    # For the term

    def begin(self, waiting: Iterable[str]) -> None:
        """This process leads now. waiting: `namespace/name` of unfinished workflows that stood in line before."""
        expected: dict[str, list[str]] = {}
        for key in waiting:
            expected.setdefault(key.partition("/")[0], []).append(key)
        with self._lock:
            now = self._clock()
            self._spaces = {namespace: Space(keys, now, self._patience) for namespace, keys in expected.items()}
            self._is_acting = True
            for lease in self._store.values():
                self._see(lease, now)
            woken = self._flush(self._spaces)
        self._wake(woken)

    def end(self) -> None:
        """Another process leads. Calls that are under way find that they may not write any more."""
        with self._lock:
            self._is_acting, self._spaces = False, {}

    def keys(self) -> tuple[str, ...]:
        """The workflows that hold a lock or wait for one, by `namespace/name`."""
        with self._lock:
            return tuple(key for space in self._spaces.values() for key in space.known())

    # Inside

    def _leases_changed(self, _gvr: GVR, deltas: Sequence[Delta[Lease]]) -> None:
        """The Leases of locks have changed."""
        with self._lock:
            if not self._is_acting:
                return
            now, touched = self._clock(), {delta.key.partition("/")[0] for delta in deltas}
            for delta in deltas:
                if delta.new is not None:
                    self._see(delta.new, now)
                gone = delta.old or delta.final
                if gone is not None and (delta.new is None or delta.new.metadata.uid != gone.metadata.uid):
                    held = read(gone)
                    if held is not None:
                        space = self._space(gone.metadata.namespace)
                        with self._kept_whole(gone.metadata.namespace):
                            space.lost(held, now)
            woken = self._flush(touched)
        self._wake(woken)

    def _see(self, lease: Lease, now: float) -> None:
        held = read(lease)
        if held is not None:
            space = self._space(lease.metadata.namespace)
            with self._kept_whole(lease.metadata.namespace):
                space.seen(held, now)

    def _space(self, namespace: str) -> Space:
        space = self._spaces.get(namespace)
        if space is None:
            space = self._spaces[namespace] = Space(patience=self._patience)
        return space

    def _tell(self, namespace: str, what: Callable[[Space, float], None]) -> None:
        with self._lock:
            if not self._is_acting:
                return
            space, now = self._space(namespace), self._clock()
            try:
                with self._kept_whole(namespace, is_raised=True):
                    what(space, now)
            finally:
                woken = self._flush((namespace,))
                self._wake(woken)

    @contextlib.contextmanager
    def _kept_whole(self, namespace: str, *, is_raised: bool = False) -> Iterator[None]:
        """After an unexpected fault in the rules, what is known of a namespace is read from its Leases again.

        Otherwise a call whose answer was lost would hold up its lock for the rest of the term. is_raised: a reconcile
        fails with it, and is repeated.
        """
        try:
            yield
        except Exception:
            _log.exception("locks: unexpected fault, the locks of the namespace are read again", namespace=namespace)
            before, now = self._spaces.pop(namespace, None), self._clock()
            fresh = self._space(namespace)
            for lease in self._store.values():
                if lease.metadata.namespace == namespace and (held := read(lease)) is not None:
                    fresh.seen(held, now)
            self._read_again |= before.known() if before is not None else set()
            if is_raised:
                raise

    def _flush(self, namespaces: Iterable[str]) -> set[str]:
        """Starts the calls of these namespaces, and returns whom to requeue. Call with the lock held."""
        woken, self._read_again = self._read_again, set()
        for namespace in list(namespaces):
            space = self._spaces.get(namespace)
            if space is None:
                continue
            for call in space.take_calls():
                self._pool.begin(f"{namespace}/locks", namespace, functools.partial(self._make, namespace, space, call))
            woken |= space.take_woken()
            for kind, since in space.take_acquired():
                waited = max(0.0, self._wall_clock() - since)
                self._metrics.locks.wait_duration.labels(kind.value).observe(waited)
            if (at := space.next_at()) is not None and at < self._due:
                self._changed.set()
            if space.is_idle:
                del self._spaces[namespace]
        return woken

    def _make(self, namespace: str, space: Space, call: LockCall) -> None:
        """Makes one call, in a thread of the pool."""
        answer: CallAnswer
        try:
            if isinstance(call, ReadLimits):
                answer = read_limits(self._client, namespace, call.config_map)
            elif self._owns(call.holder.key):
                answer = self._answer(namespace, call)
            else:
                answer = _unanswered(call, _NOT_LEADING)
        except Stopped:
            answer = _unanswered(call, _NOT_LEADING)
        except Exception as error:
            # Without an answer, its holder would wait for this call for the rest of the term.
            _log.exception("locks: unexpected fault in a call, tried again", namespace=namespace, call=str(call))
            # The text of the error is in the log alone: it may quote what was read.
            fault = f"unexpected fault {type(error).__name__}, which the log of the controller shows"
            answer = _unanswered(call, fault)
        with self._lock:
            if self._spaces.get(namespace) is not space:
                return  # it was answered in another term
            with self._kept_whole(namespace):
                space.answered(call, answer, self._clock())
            woken = self._flush((namespace,))
        self._wake(woken)

    def _answer(self, namespace: str, call: HolderCall) -> CallAnswer:
        if isinstance(call, LookForJobs):
            return list_jobs(self._client, namespace, call)
        return self._calls.make(namespace, call, timestamp(self._wall_clock()))

    def _wake(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._requeue(key)

    def _run(self) -> None:
        """Looks at what is due. For a thread of its own."""
        while not self._is_stopping:
            self._changed.clear()
            try:
                pause = self._tick()
            except Exception:
                _log.exception("locks: unexpected fault, tried again")
                pause = 1.0
            self._changed.wait(pause)

    def _tick(self) -> float:
        """Does what is due; returns how many seconds later something is due again."""
        with self._lock:
            now, due = self._clock(), []
            for namespace, space in list(self._spaces.items()):
                at = space.next_at()
                if at is not None and at <= now:
                    with self._kept_whole(namespace):
                        space.tick(now)
                    due.append(namespace)
            woken = self._flush(due)
            times = [at for space in self._spaces.values() if (at := space.next_at()) is not None]
            self._due = min(now + _LOOK_SECONDS, max(now + _MIN_SECONDS, min(times, default=math.inf)))
        self._wake(woken)
        return self._due - now

    def _waiting(self) -> tuple[int, float]:
        """How many tasks and workflows wait, and how long the first of them has waited, in seconds."""
        with self._lock:
            since = [at for space in self._spaces.values() for at in space.waiting_since()]
        return len(since), max(0.0, self._wall_clock() - min(since)) if since else 0.0

    def _held(self, kind: str) -> int:
        """How many places are held of locks of a kind."""
        with self._lock:
            return sum(space.places_held()[LockKind(kind)] for space in self._spaces.values())


def _unanswered(call: LockCall, why: str) -> Failed:
    """A call that was not made, or that may have worked."""
    if isinstance(call, ReadLimits):
        return Failed(LockAnswer(Reasons.LOCK_INVALID, f"ConfigMap {call.config_map} cannot be read: {why}"))
    return Failed(LockAnswer(Reasons.CREATE_FAILED, f"the Lease of a lock cannot be written: {why}; it is tried again"))
