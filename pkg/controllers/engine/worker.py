"""The thread that works on one shard: take a key, reconcile it, requeue it as the result says.

A reconcile that raises is logged with its traceback and tried again; it never ends the thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count

import structlog

from pkg.controllers.engine.activity import Activity
from pkg.controllers.engine.result import Again, Later, Parked, Result, requeue
from pkg.controllers.engine.workqueue import WorkQueue

_log = structlog.get_logger(__name__)


class Worker:
    """Runs `reconcile(key)` for the keys of one queue, one at a time, in a thread of its own.

    `subject` is the name under which the key is bound to the log context of a reconcile, beside the id `reconcile`
    (queue name and a running number). `activity` is the key that it reconciles now.
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
        self._thread = threading.Thread(target=self._run, name=f"worker-{queue.name}", daemon=True)
        self.activity = Activity(self._thread)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the running reconcile finish and start no other. Returns at once; shuts the queue down."""
        self._stopping = True
        self._queue.shut_down()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the thread has ended; False if it still runs after `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def step(self, timeout: float | None = None) -> bool:
        """Take one key, waiting at most `timeout` seconds, and reconcile it; False if there was none."""
        key = self._queue.get(timeout)
        if key is None:
            return False
        if self._stopping:
            self._queue.done(key)
            return False
        with structlog.contextvars.bound_contextvars(
            **{self._subject: key, "reconcile": f"{self._queue.name}-{next(self._reconciles)}"}
        ):
            try:
                with self.activity.of(key):
                    result = self._run_reconciler(key)
                requeue(self._queue, key, result)
            finally:
                self._queue.done(key)
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
        more = True
        while more and not self._stopping:
            try:
                more = self.step()
            except Exception:
                _log.exception("worker failed unexpectedly, it continues")
