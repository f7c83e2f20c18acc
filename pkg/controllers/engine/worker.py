"""The thread that works on one shard: take a key, reconcile it, requeue it as the result says.

A reconcile that raises is logged with its traceback and tried again; it never ends the thread. While a reconcile waits
for a call that hangs, more threads work on the shard, so that it delays no other namespace.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count

import structlog

from pkg.controllers.engine.activity import Activity
from pkg.controllers.engine.result import Again, Later, Parked, Result, requeue
from pkg.controllers.engine.workqueue import WorkQueue
from pkg.kube.log_context import RECONCILE

_log = structlog.get_logger(__name__)
MAX_THREADS = 16
"""Threads of one shard; all but one end when there is nothing to do for them."""
_IDLE_SECONDS = 5.0


class Worker:
    """Runs `reconcile(key)` for the keys of one queue, one at a time, in a thread of its own.

    `relieve` starts another thread if this one is stuck. `subject` is the name of the field with the key in the log
    lines of a reconcile, beside the id `reconcile` (queue name and a running number). `activity` is the key that its
    own thread reconciles now.
    """

    def __init__(
        self,
        queue: WorkQueue,
        reconcile: Callable[[str], Result],
        *,
        subject: str = "workflow",
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._subject = subject
        self._reconciles = count(1)
        self._stopping = False
        self._lock = threading.Lock()
        self._helpers: set[threading.Thread] = set()
        self._runner = threading.Thread(target=self._run, name=f"worker-{queue.name}", daemon=True)
        self.activity = Activity(self._runner)

    def start(self) -> None:
        self._runner.start()

    def stop(self) -> None:
        """Let the running reconcile finish and start no other. Returns at once; shuts the queue down."""
        self._stopping = True
        self._queue.shut_down()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until all threads have ended; False if one still runs after `timeout` seconds."""
        ends_at = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            threads = [self._runner, *self._helpers]
        for thread in threads:
            thread.join(None if ends_at is None else max(0.0, ends_at - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def relieve(self) -> bool:
        """Starts another thread if the others are stuck, or must stay free, and a key could run; whether it did."""
        with self._lock:
            threads = 1 + len(self._helpers)
            if self._stopping or threads >= MAX_THREADS or not self._queue.needs_thread(threads):
                return False
            helper = threading.Thread(target=self._help, name=f"worker-{self._queue.name}-{threads}", daemon=True)
            self._helpers.add(helper)
            helper.start()
            return True

    @property
    def is_alive(self) -> bool:
        return self._runner.is_alive()

    def step(self, timeout: float | None = None) -> bool:
        """Take one key, waiting at most `timeout` seconds, and reconcile it; False if there was none."""
        return self._step(timeout, self.activity.of)

    def _step(self, timeout: float | None, activity: Callable[[str], AbstractContextManager[None]]) -> bool:
        key = self._queue.get(timeout)
        if key is None:
            return False
        if self._stopping:
            self._queue.done(key)
            return False
        token = RECONCILE.set((self._subject, key, self._queue.name, next(self._reconciles)))
        try:
            with activity(key):
                result = self._run_reconciler(key)
            requeue(self._queue, key, result)
        finally:
            self._queue.done(key)
            RECONCILE.reset(token)
        return True

    def _run_reconciler(self, key: str) -> Result:
        try:
            result = self._reconcile(key)
        except Exception as error:
            _log.exception("reconcile failed unexpectedly, it is tried again", error=type(error).__name__)
            return Again(f"unexpected {type(error).__name__}: {error}")
        if isinstance(result, Again):
            # What failed has been logged where it failed; a conflict is no failure.
            _log.debug("key is requeued after a failure", reason=result.reason)
        elif isinstance(result, Parked):
            _log.debug("key is parked", reason=result.reason)
        elif isinstance(result, Later):
            _log.debug("key is requeued", reason=result.reason, seconds=result.seconds)
        return result

    def _run(self) -> None:
        while self._goes_on():
            pass

    def _goes_on(self) -> bool:
        try:
            return not self._stopping and self.step()
        except Exception:
            _log.exception("worker failed unexpectedly, it continues")
            return True

    def _help(self) -> None:
        """Works on the shard as long as there is something to do."""
        try:
            while not self._stopping and self._step(_IDLE_SECONDS, lambda key: nullcontext()):
                pass
        except Exception:
            _log.exception("worker failed unexpectedly, another one takes its place")
        finally:
            with self._lock:
                self._helpers.discard(threading.current_thread())


class Relief:
    """Looks at workers every `interval` seconds, and relieves those that need it."""

    def __init__(self, workers: Sequence[Worker], interval: float = 0.25) -> None:
        self._workers = tuple(workers)
        self._interval = interval
        self._stopping = threading.Event()
        self._runner = threading.Thread(target=self._run, name="relief", daemon=True)

    def start(self) -> None:
        self._runner.start()

    def stop(self) -> None:
        """End the thread; returns at once."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            for worker in self._workers:
                try:
                    worker.relieve()
                except Exception:
                    _log.exception("a worker could not be relieved, it is tried again")
