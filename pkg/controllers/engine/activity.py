"""What a thread is doing, and since when: for health checks and for the watchdog."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

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

    def of(self, name: str) -> ActivityBlock:
        """The thread works on `name` inside the `with` block."""
        return ActivityBlock(self, name)

    def begin(self, name: str) -> None:
        """The thread works on `name` from now on."""
        self._task = Task(name, self._clock())

    def end(self) -> None:
        """The thread waits for work."""
        self._task = None

    @property
    def task(self) -> Task | None:
        """What the thread works on now; None while it waits for work."""
        return self._task

    def busy_seconds(self) -> float:
        """How long the thread has been at its present task; 0 while it waits for work."""
        task = self._task
        return self._clock() - task.since if task is not None else 0.0


class ActivityBlock:
    """The `with` block of `Activity.of`. A class and no `@contextmanager`, which would cost more per reconcile."""

    def __init__(self, activity: Activity, name: str) -> None:
        self._activity = activity
        self._name = name

    def __enter__(self) -> None:
        self._activity.begin(self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._activity.end()
