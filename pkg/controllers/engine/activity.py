"""What a thread is doing, and since when: for health checks and for the watchdog."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pkg.apis.structs import Frozen


class Task(Frozen, frozen=True):
    """One piece of work of a thread, begun at `since` (seconds of a monotonic clock)."""

    name: str
    since: float


class Activity:
    """The activity of one thread: only this thread writes, any thread may read."""

    def __init__(self, thread: threading.Thread, clock: Callable[[], float] = time.monotonic) -> None:
        self.thread = thread
        self._clock = clock
        self._task: Task | None = None

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """The thread works on `name` inside the block."""
        self._task = Task(name, self._clock())
        try:
            yield
        finally:
            self._task = None

    @property
    def task(self) -> Task | None:
        """What the thread works on now; None while it waits for work."""
        return self._task

    def busy_seconds(self) -> float:
        """How long the thread has been at its present task; 0 while it waits for work."""
        task = self._task
        return self._clock() - task.since if task is not None else 0.0
