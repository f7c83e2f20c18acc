"""A workqueue with client-go's semantics: a key is queued once, and never handed out twice at the same time.

A key added while it is being processed runs once more afterwards, however often it was added. Delays sit in one
heap beside the ready keys and are watched by the thread that waits in `get`: no thread and no timer per delayed key.

Namespaces share the worker fairly: the next key is one of the namespace that has used the least time. A namespace with
a key that has been in processing for longer than `STUCK_SECONDS` (a call that hangs) gets no other one meanwhile. All
namespaces that had one lately have at most `MAX_SLOW` keys in processing together, and leave a thread to the others.

A key may be parked while it waits for answers from the network: it holds no worker, and it does not run before it is
unparked.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from typing import Protocol

from pkg.controllers.engine.backoff import Backoff
from pkg.controllers.engine.fair_order import FairOrder
from pkg.controllers.engine.waiters import Waiters

RETRY = Backoff(base=0.005, cap=30.0)
STUCK_SECONDS = 1.0
SLOW_SECONDS = 2.0
"""A namespace whose key was in processing for so long counts as slow, for SLOW_FOR_SECONDS at most."""
SLOW_FOR_SECONDS = 60.0
MAX_SLOW = 8


class QueueMetrics(Protocol):
    """What a queue counts. But for `follow` it is called with the queue's lock held: be quick, and do not call back."""

    def follow(self, queue: WorkQueue) -> None:
        """Look at this queue whenever somebody asks how long it is."""

    def added(self) -> None:
        """A key became ready."""

    def done(self, waited: float, worked: float) -> None:
        """A key was finished after `worked` seconds; before, it had waited `waited` seconds for a worker."""

    def retried(self) -> None:
        """A key was added with its rate limit."""


class NoQueueMetrics:
    """Counts nothing."""

    def follow(self, queue: WorkQueue) -> None:
        """Nothing to look at."""

    def added(self) -> None:
        """Nothing to count."""

    def done(self, waited: float, worked: float) -> None:
        """Nothing to count."""

    def retried(self) -> None:
        """Nothing to count."""


def namespace_of(key: str) -> str:
    """The namespace of `namespace/name`."""
    return key.partition("/")[0]


class WorkQueue:
    """Thread-safe queue of keys, `namespace/name`. Times are seconds of `clock`, which must be monotonic."""

    def __init__(
        self,
        name: str = "",
        *,
        retry: Backoff = RETRY,
        metrics: QueueMetrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._retry = retry
        self._metrics: QueueMetrics = metrics or NoQueueMetrics()
        self._clock = clock
        self._ready: FairOrder[str] = FairOrder()
        self._dirty: dict[str, float] = {}  # key -> since when it waits to run
        self._processing: dict[str, float] = {}  # key -> since when it runs
        self._waited: dict[str, float] = {}  # key in processing -> how long it had waited
        self._slow_until: dict[str, float] = {}  # by namespace
        self._waiters = 0  # threads that wait in `get`
        self._parked: set[str] = set()
        self._unparked: set[str] = set()  # while in processing, before they could be parked
        self._told: set[str] = set()  # added since they were handed out, and not by `unpark` or as `noted` alone
        self._resumed: set[str] = set()  # in processing, and not in `_told` when they were handed out
        self._heap: list[tuple[float, str]] = []  # may hold entries that are no longer in `_due`
        self._due: dict[str, float] = {}
        self._requeues: dict[str, int] = {}
        self._shutting_down = False
        self._lock = threading.Lock()
        self._wanted = Waiters(self._lock)
        self._idle = Waiters(self._lock)
        self._metrics.follow(self)

    def add(self, key: str, *, noted: bool = False) -> None:
        """Make `key` ready now; a pending delay of the key is superseded. Ignored once shutting down.

        noted: what happened is also kept elsewhere, so that it does not count for `is_resumed`.
        """
        with self._lock:
            if not self._shutting_down:
                self._due.pop(key, None)
                self._add(key, noted=noted)

    def add_after(self, key: str, seconds: float) -> None:
        """Make `key` ready in so many seconds; of two delays of one key the earlier counts."""
        with self._lock:
            if not self._shutting_down:
                self._delay(key, seconds)

    def add_rate_limited(self, key: str) -> None:
        """Make `key` ready after its own delay, which doubles with every call until `forget`."""
        with self._lock:
            if self._shutting_down:
                return
            tries = self._requeues.get(key, 0)
            self._requeues[key] = tries + 1
            self._metrics.retried()
            self._delay(key, self._retry.delay(tries))

    def get(self, timeout: float | None = None) -> str | None:
        """The next ready key, which counts as processing until `done`. Waits for one, at most `timeout` seconds.

        None when the time is over, or when the queue is shutting down and nothing is left in it.
        """
        deadline = None if timeout is None else self._clock() + timeout
        with self._lock:
            while True:
                now = self._clock()
                self._promote(now)
                key = self._ready.pop(self._holder(now, self._waiters))
                if key is not None:
                    return self._hand_out(key, now)
                if self._shutting_down:
                    return None
                if deadline is not None and now >= deadline:
                    return None
                self._waiters += 1
                try:
                    self._wanted.wait(self._patience(now, deadline))
                finally:
                    self._waiters -= 1

    def done(self, key: str) -> None:
        """`key` is no longer processed; it becomes ready again if it was added meanwhile."""
        with self._lock:
            started = self._processing.pop(key, None)
            if started is not None:
                now = self._clock()
                worked = now - started
                self._ready.charge(namespace_of(key), worked)
                self._metrics.done(self._waited.pop(key, 0.0), worked)
                self._judge(namespace_of(key), worked, now)
            self._unparked.discard(key)
            self._resumed.discard(key)
            if key in self._dirty and key not in self._parked:
                self._push(key)
            elif not self._processing:
                self._idle.notify_all()

    def park(self, key: str) -> None:
        """Let `key`, which is in processing, not run again before `unpark`, whatever is added. Call it before `done`.

        If `unpark` was called since `key` was handed out, the key becomes ready at once instead.
        """
        with self._lock:
            if key in self._unparked:
                self._unparked.discard(key)  # it is ready again already
            elif key in self._processing and not self._shutting_down:
                self._parked.add(key)

    def unpark(self, key: str) -> None:
        """Make `key` ready: what it is parked for, or is about to be parked for, has come."""
        with self._lock:
            if self._shutting_down:
                return
            was_parked, is_processing = key in self._parked, key in self._processing
            self._parked.discard(key)
            if self._due.pop(key, None) is not None:
                self._told.add(key)
            if is_processing and not was_parked:
                self._unparked.add(key)
            if key not in self._dirty:
                self._add(key, noted=True)
            elif was_parked and not is_processing:
                self._push(key)

    def is_resumed(self, key: str) -> bool:
        """Whether `key`, which is in processing, was only unparked or added as `noted` before it was handed out."""
        with self._lock:
            return key in self._resumed

    def forget(self, key: str) -> None:
        """Reset the key's rate limit."""
        with self._lock:
            self._requeues.pop(key, None)

    def cancel(self, key: str) -> None:
        """Give up a pending delay of `key`; a key that is ready stays so."""
        with self._lock:
            self._due.pop(key, None)

    def num_requeues(self, key: str) -> int:
        """How often `key` was added with its rate limit since it was last forgotten."""
        with self._lock:
            return self._requeues.get(key, 0)

    def shut_down(self) -> None:
        """Take nothing more; delays are given up. What is ready is still handed out, then `get` returns None."""
        with self._lock:
            self._shut_down()

    def shut_down_with_drain(self, timeout: float | None = None) -> bool:
        """Shut down and wait until what was ready or running is done; False if that took longer than `timeout`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            self._shut_down()
            while self._processing or self._ready:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._idle.wait(left)
            return True

    @property
    def is_shutting_down(self) -> bool:
        with self._lock:
            return self._shutting_down

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        with self._lock:
            self._promote(self._clock())
            return len(self._due)

    def parked(self) -> int:
        """How many keys are parked."""
        with self._lock:
            return len(self._parked)

    def share(self, key: str) -> tuple[int, int, int]:
        """How many keys of the namespace of `key` are ready, how many namespaces have ready keys, and how many keys are
        ready at all. Keys whose delay is over count once a worker has looked.
        """
        if not self._ready:
            return 0, 0, 0  # without the lock, which others hold often
        with self._lock:
            return self._ready.count(namespace_of(key)), self._ready.groups, len(self._ready)

    def __len__(self) -> int:
        """How many keys are ready."""
        with self._lock:
            self._promote(self._clock())
            return len(self._ready)

    def unfinished_seconds(self) -> float:
        """How long the keys in processing have been so, summed up: grows without end when a worker is stuck."""
        with self._lock:
            now = self._clock()
            return sum(now - started for started in self._processing.values())

    def longest_running_seconds(self) -> float:
        """How long the oldest key in processing has been so; 0 when none is."""
        with self._lock:
            now = self._clock()
            return max((now - started for started in self._processing.values()), default=0.0)

    def needs_thread(self, threads: int) -> bool:
        """Whether a key could run if there were more than so many threads."""
        with self._lock:
            now = self._clock()
            self._promote(now)
            if not self._ready or self._waiters > 1:
                return False
            stuck = sum(now - started > STUCK_SECONDS for started in self._processing.values())
            is_held = self._holder(now, waiters=1)
            has_work = any(not is_held(group) for group in self._ready.names())
            return has_work and stuck + self._waiters >= threads

    def _judge(self, namespace: str, worked: float, now: float) -> None:
        """Notes whether a namespace is slow. Each quick key halves the time for which it counts as slow."""
        until = self._slow_until.get(namespace, now)
        if worked > SLOW_SECONDS:
            self._slow_until = {name: until for name, until in self._slow_until.items() if until > now}
            self._slow_until[namespace] = now + SLOW_FOR_SECONDS
        elif until - now > 1.0:
            self._slow_until[namespace] = now + (until - now) / 2
        else:
            self._slow_until.pop(namespace, None)
        if worked > STUCK_SECONDS or until > now:
            self._wanted.notify_all()  # the namespace, or another slow one, may go on

    def _holder(self, now: float, waiters: int) -> Callable[[str], bool]:
        """Whether a namespace gets no key now, if so many other threads wait for one."""
        if not self._processing and not self._slow_until:
            return lambda namespace: False
        stuck = {namespace_of(key) for key, since in self._processing.items() if now - since > STUCK_SECONDS}
        slow = {name for name, until in self._slow_until.items() if until > now} | stuck
        if not waiters or sum(namespace_of(key) in slow for key in self._processing) >= MAX_SLOW:
            return slow.__contains__
        return stuck.__contains__

    def _add(self, key: str, *, noted: bool = False) -> None:
        if not noted:
            self._told.add(key)
        if key in self._dirty:
            return
        self._dirty[key] = self._clock()
        if key not in self._processing and key not in self._parked:
            self._push(key)

    def _push(self, key: str) -> None:
        self._ready.push(namespace_of(key), key)
        self._metrics.added()
        self._wanted.notify()

    def _delay(self, key: str, seconds: float) -> None:
        if seconds <= 0:
            self._due.pop(key, None)
            self._add(key)
            return
        at = self._clock() + seconds
        known = self._due.get(key)
        if known is not None and known <= at:
            return
        self._due[key] = at
        heapq.heappush(self._heap, (at, key))
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._due):
            self._heap = [(due, name) for name, due in self._due.items()]
            heapq.heapify(self._heap)
        self._wanted.notify()

    def _promote(self, now: float) -> None:
        heap = self._heap
        while heap:
            at, key = heap[0]
            if self._due.get(key) != at:
                heapq.heappop(heap)
                continue
            if at > now:
                return
            heapq.heappop(heap)
            del self._due[key]
            self._add(key)

    def _hand_out(self, key: str, now: float) -> str:
        self._waited[key] = max(now - self._dirty.pop(key, now), 0.0)
        self._processing[key] = now
        if key in self._told:
            self._told.discard(key)
        else:
            self._resumed.add(key)
        return key

    def _patience(self, now: float, deadline: float | None) -> float | None:
        ends = [end for end in (self._heap[0][0] if self._heap else None, deadline) if end is not None]
        return max(min(ends) - now, 0.0) if ends else None

    def _shut_down(self) -> None:
        self._shutting_down = True
        for key in self._parked:
            self._dirty.pop(key, None)
        self._parked.clear()
        self._told.clear()
        self._due.clear()
        self._heap.clear()
        self._wanted.notify_all()
