"""One timer for all CronWorkflows: a heap of wall-clock times, and one thread that waits for the earliest.

Schedules are times of the wall clock, which may be set while a process runs, and may stand still with its machine. So
the thread looks at the clock again after POLL_SECONDS at the latest, and does not trust one long wait.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

POLL_SECONDS: Final = 0.5
_log = structlog.get_logger("cronworkflow.alarms")


class Alarms:
    """ring(key) is called in the thread, once for each alarm. clock: seconds since the epoch."""

    def __init__(self, ring: Callable[[str], None], clock: Callable[[], float] = time.time) -> None:
        self._ring = ring
        self._clock = clock
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []  # may hold entries that are no longer in `_due`
        self._changed = threading.Condition()
        self._is_stopping = False
        self.thread = threading.Thread(target=self._run, name="cron-alarms", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """No alarm rings any more. Returns at once."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()

    def set(self, key: str, at: float | None) -> None:
        """Ring at this time, and not at the one that was set before; None: not at all."""
        with self._changed:
            if at is None:
                self._due.pop(key, None)
                return
            if self._due.get(key) == at:
                return
            is_first = not self._heap or at < self._heap[0][0]
            self._due[key] = at
            heapq.heappush(self._heap, (at, key))
            if len(self._heap) > 2 * len(self._due) + 64:
                self._heap = [(due, name) for name, due in self._due.items()]
                heapq.heapify(self._heap)
            if is_first:
                self._changed.notify()

    def clear(self) -> None:
        """Forget every alarm."""
        with self._changed:
            self._due.clear()
            self._heap.clear()

    def __len__(self) -> int:
        """How many alarms are set."""
        return len(self._due)

    def take_due(self) -> list[str]:
        """The keys whose time has come, the earliest first. They are forgotten."""
        with self._changed:
            now, found = self._clock(), []
            while self._heap and self._heap[0][0] <= now:
                at, key = heapq.heappop(self._heap)
                if self._due.get(key) == at:
                    del self._due[key]
                    found.append(key)
            return found

    def _wait(self) -> bool:
        """Waits for the next look; False at the end."""
        with self._changed:
            if not self._is_stopping:
                left = self._heap[0][0] - self._clock() if self._heap else None
                self._changed.wait(None if left is None else min(max(left, 0.0), POLL_SECONDS))
            return not self._is_stopping

    def _run(self) -> None:
        while self._wait():
            try:
                for key in self.take_due():
                    self._ring(key)
            except Exception:
                _log.exception("an alarm failed unexpectedly, the others go on")
