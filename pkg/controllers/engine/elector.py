"""Leadership: at most one process acts, and it stops acting by its own clock before another may begin.

The elector has a client and a thread of its own, so that no amount of work delays a renewal. `is_leader` reads the
clock and not a flag that this thread sets. So a process that was stopped and continued, or whose machine slept, knows
at once that its Lease has expired.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable

import msgspec
import structlog

from pkg.apis.meta import timestamp
from pkg.controllers.engine.activity import Activity
from pkg.controllers.engine.claim import LEASES, Claim, Rival
from pkg.controllers.engine.leadership import Lease, LeaseApi, LeaseChanges, steady_clock
from pkg.controllers.engine.lease import (
    Acquire,
    LeaseOptions,
    LeaseRecord,
    Observed,
    Renew,
    Wait,
    acquired,
    judge,
    observe,
    released,
    renewed,
)
from pkg.kube.errors import Conflict, Exists, KubeError, NotFound, Stopped

_JITTER = 1.2
_log = structlog.get_logger("engine.elector")
_NEVER = float("-inf")


class Elector:
    """Campaigns for a Lease, again and again until stopped.

    `on_started` and `on_stopped` are called in turn on a thread of their own, so that a slow one delays no renewal;
    a lost Lease does not end the process. `on_leading(name, bool)` is for the metrics. The client belongs to the
    elector; its timeout per call should be well under the renew deadline. `claim`: with it this process stays out while
    a controller with another Lease acts. `changes`: with it a standby sees each change of the Lease at once, without
    reading it. ValueError if the options cannot work.
    """

    def __init__(
        self,
        client: LeaseApi,
        options: LeaseOptions,
        on_started: Callable[[], None],
        on_stopped: Callable[[], None],
        *,
        on_leading: Callable[[str, bool], None] = lambda name, leading: None,
        claim: Claim | None = None,
        changes: LeaseChanges | None = None,
        clock: Callable[[], float] = steady_clock,
        wall_clock: Callable[[], float] = time.time,
        rng: Callable[[], float] = random.random,
    ) -> None:
        if faults := options.faults():
            raise ValueError("; ".join(faults))
        self._client = client
        self._options = options
        self._callbacks = (on_stopped, on_started)
        self._on_leading = on_leading
        self._claim = claim
        self._changes = changes
        self._claimed = ""
        self._rival: Rival | None = None
        self._clock = clock
        self._wall_clock = wall_clock
        self._rng = rng
        self._observed: Observed | None = None
        self._lease: Lease | None = None
        self._seen: Lease | None = None
        self._wake = threading.Event()
        self._leading = False
        self._valid_until = _NEVER
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._release = False
        self._announcements: queue.SimpleQueue[bool | None] = queue.SimpleQueue()
        self._reported = ""
        self._thread = threading.Thread(target=self._run, name="elector", daemon=True)
        self._callback_thread = threading.Thread(target=self._run_callbacks, name="elector-callbacks", daemon=True)
        self._activity = Activity(self._thread)

    @property
    def activities(self) -> tuple[Activity, ...]:
        """What the thread that keeps the Lease does, and that the one of the callbacks runs."""
        return (self._activity, Activity(self._callback_thread))

    def start(self) -> None:
        """Begin to campaign."""
        self._on_leading(self._options.name, False)
        self._callback_thread.start()
        self._thread.start()
        if self._changes is not None:
            self._changes.start(self.see)

    def stop(self, *, release: bool = True, timeout: float = 1.0) -> None:
        """Stop leading at once, then release the Lease if `release`; returns within about `timeout` seconds."""
        deadline = time.monotonic() + timeout
        self._release = release
        self._stopping.set()
        self._wake.set()
        self._valid_until = _NEVER
        if self._changes is not None:
            self._changes.stop()
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline - time.monotonic()))
        self._client.abort()
        if self._callback_thread.is_alive():
            self._callback_thread.join(max(0.05, deadline - time.monotonic()))

    def is_leader(self) -> bool:
        """Whether this process may act now: the last renewal began less than the renew deadline ago."""
        return self._clock() < self._valid_until

    def renewal_age(self) -> float | None:
        """Seconds since the last renewal began; None while this process does not lead."""
        valid_until = self._valid_until
        if valid_until == _NEVER or not self._leading:
            return None
        return max(0.0, self._clock() - (valid_until - self._options.renew_deadline))

    def wait_leader(self, timeout: float | None = None) -> bool:
        """Wait until this process leads, `timeout` seconds at most; whether it does."""
        with self._changed:
            self._changed.wait_for(lambda: self._leading or self._stopping.is_set(), timeout)
        return self.is_leader()

    def see(self, lease: Lease | None) -> None:
        """The Lease has changed to this; None: it is not known any more how it is. For the thread of a watch."""
        self._seen = lease
        record = _record(lease)
        if not self._leading or record is None or record.holder_identity != self._options.identity:
            self._wake.set()

    def step(self) -> float:
        """One try to get or keep the Lease; the seconds until the next. For the elector's thread, and for tests."""
        began = self._clock()
        self._check_time()
        try:
            verdict = self._try()
        except Stopped:
            return self._options.retry_period
        except KubeError as error:
            self._lease = self._seen = None
            self._report("the Lease cannot be reached", error=str(error))
            verdict = None
        if verdict is None:
            if self._leading:
                return min(self._options.retry_period, max(0.0, self._valid_until - self._clock()))
            return self._pause()
        if isinstance(verdict, Rival):
            if self._leading:
                self._lost("another controller, with another Lease, acts on these workflows")
            self._report_rival(verdict)
            return self._pause()
        if isinstance(verdict, Wait):
            if self._leading:
                self._lost("another process holds the Lease")
            self._report("the Lease is held by another process", holder=verdict.holder)
            return min(verdict.seconds, self._pause())
        if isinstance(verdict, Acquire) and self._leading:
            self._lost("the Lease was released by another process")  # which may have led: begin a new term
        # The term may have run out during the renewal; work of that time may have been dropped.
        self._check_time()
        self._won(began)
        return self._options.retry_period

    def _check_time(self) -> None:
        """Ends a term that has run out. A late renewal must not continue it: callers have seen `is_leader` say no."""
        if self._leading and not self.is_leader() and not self._stopping.is_set():
            self._lost("the Lease was not renewed in time")

    def _try(self, *, again: bool = True) -> Acquire | Renew | Wait | Rival | None:
        """Read the Lease and write it if this process may; None if another process was faster."""
        options = self._options
        # While leading, the copy from the last write is the current one, unless another process wrote: no GET. Nor is
        # there one for a standby that watches the Lease. A write of an old copy is refused.
        lease = (self._lease if self._leading else self._seen) or self._get()
        record = _record(lease)
        self._observed = observe(self._observed, record, self._clock())
        verdict = judge(self._observed, self._clock(), options)
        now = timestamp(self._wall_clock())
        if not isinstance(verdict, Wait) and (rival := self._find_rival()) is not None:
            if isinstance(verdict, Renew):
                self._give_up(lease)
            return rival
        try:
            match verdict:
                case Acquire():
                    self._write(lease, acquired(record, now, options))
                case Renew():
                    self._write(lease, renewed(record or LeaseRecord(), now, options))
                case Wait():
                    self._lease = None
                    return verdict
            if (rival := self._take_claim()) is not None:
                self._give_up(self._lease)
                return rival
        except (Conflict, Exists, NotFound) as error:
            if isinstance(error, NotFound) and lease is None:
                raise  # the namespace is missing: trying again at once would fail again
            self._lease = self._seen = None
            # A leader tries again at once, because a stale copy must not delay it by a retry period.
            return self._try(again=False) if self._leading and again else None
        return verdict

    def _find_rival(self) -> Rival | None:
        """Another controller that acts: looked for before this process begins to lead, and found since in between."""
        if self._leading:
            return self._rival
        self._rival = None
        return self._claim.rival() if self._claim is not None else None

    def _take_claim(self) -> Rival | None:
        """Claims the workflows for the Lease that was just written, unless it has done so."""
        uid = str(self._lease["metadata"].get("uid", "")) if self._lease is not None else ""
        if self._claim is None or (self._leading and uid == self._claimed):
            return None
        rival = self._claim.take(uid)
        self._claimed = uid
        return rival

    def _give_up(self, lease: Lease | None) -> None:
        """Releases the Lease, which this process holds."""
        record = _record(lease)
        if lease is not None and record is not None:
            self._write(lease, released(record, timestamp(self._wall_clock())))
        self._lease = None

    def _keep_claim(self) -> None:
        """Claims again what somebody may have removed, and looks for a controller that has claimed it instead."""
        if self._claim is None or not self.is_leader():
            return
        try:
            rival = self._claim.take(self._claimed)
            self._rival = rival if rival is not None and rival.is_certain else None
        except KubeError as error:
            _log.debug("the claim of this controller was not looked at", error=str(error))

    def _get(self) -> Lease | None:
        try:
            return self._client.get(LEASES, self._options.namespace, self._options.name, dict)
        except NotFound:
            return None

    def _write(self, lease: Lease | None, record: LeaseRecord) -> None:
        options = self._options
        spec = msgspec.to_builtins(record)
        if lease is None:
            body: Lease = {
                "apiVersion": LEASES.api_version,
                "kind": "Lease",
                "metadata": {"name": options.name, "namespace": options.namespace},
                "spec": spec,
            }
            self._lease = self._client.create(LEASES, options.namespace, body, dict)
        else:
            body = {**lease, "spec": {**(lease.get("spec") or {}), **spec}}
            self._lease = self._client.replace(LEASES, options.namespace, options.name, body, dict)
        self._observed = observe(self._observed, _record(self._lease), self._clock())

    def _won(self, began: float) -> None:
        if self._stopping.is_set():
            return
        self._valid_until = began + self._options.renew_deadline
        if self._stopping.is_set():  # `stop` may have been called in between; it wins
            self._valid_until = _NEVER
        self._reported = ""
        if not self._leading:
            _log.info("leading", lease=self._options.name, identity=self._options.identity)
            self._set_leading(True)

    def _lost(self, why: str) -> None:
        self._valid_until = _NEVER
        _log.warning("no longer leading", lease=self._options.name, identity=self._options.identity, why=why)
        self._set_leading(False)

    def _set_leading(self, leading: bool) -> None:
        with self._changed:
            self._leading = leading
            self._changed.notify_all()
        self._on_leading(self._options.name, leading)
        self._announcements.put(leading)

    def _pause(self) -> float:
        """Candidates try at random moments, so that they do not all write at once."""
        return self._options.retry_period * (1 + _JITTER * self._rng())

    def _report(self, text: str, **keys: str) -> None:
        """Log once why this process does not lead, not on every try."""
        if (line := f"{text} {keys}") != self._reported:
            self._reported = line
            _log.info(text, lease=self._options.name, **keys)

    def _report_rival(self, rival: Rival) -> None:
        text, fields = rival.report()
        if (line := f"{text} {fields}") != self._reported:
            self._reported = line
            say = _log.warning if rival.is_certain else _log.info
            say(text, lease=f"{self._options.namespace}/{self._options.name}", **fields)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._activity.of(f"the lease {self._options.name}"):
                    pause = self.step()
            except Exception:
                _log.exception("renewing the lease failed unexpectedly, it is tried again")
                pause = self._options.retry_period
            self._wake.wait(pause)
            self._wake.clear()
        self._finish()

    def _finish(self) -> None:
        was_leading = self._leading
        if was_leading:
            self._valid_until = _NEVER
            self._set_leading(False)
        self._announcements.put(None)
        lease = self._lease
        if was_leading and self._release and lease is not None and (record := _record(lease)) is not None:
            try:
                self._write(lease, released(record, timestamp(self._wall_clock())))
                _log.info("lease released", lease=self._options.name)
            except KubeError as error:
                _log.warning("lease not released, it will expire", lease=self._options.name, error=str(error))
        with self._changed:
            self._changed.notify_all()

    def _run_callbacks(self) -> None:
        """Calls back, and in between looks after the claim, which must delay no renewal."""
        while True:
            try:
                leading = self._announcements.get(timeout=self._options.lease_duration)
            except queue.Empty:
                self._keep_claim()
                continue
            if leading is None:
                return
            try:
                self._callbacks[leading]()
            except Exception:
                _log.exception("leadership callback failed", leading=leading)


def _record(lease: Lease | None) -> LeaseRecord | None:
    if lease is None:
        return None
    try:
        return msgspec.convert(lease.get("spec") or {}, LeaseRecord)
    except msgspec.ValidationError:
        # The API server's schema prevents this. A Lease that cannot be decoded counts as not held.
        return LeaseRecord()
