"""Logs the stack of a thread whose reconcile takes far too long.

The log line shows which part of the code is slow, or which call it waits for, while this happens.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Sequence

import structlog

from pkg.controllers.engine.activity import Activity, Task

_log = structlog.get_logger("engine.watchdog")
_MAX_FRAMES = 40


class Watchdog:
    """Looks at `activities` every `interval` seconds; a task that takes longer than `limit` seconds is logged, and
    again each time that it has taken twice as long as at the last line.
    """

    def __init__(self, activities: Sequence[Activity], limit: float, interval: float = 0.5) -> None:
        self._activities = tuple(activities)
        self._limit = limit
        self._interval = interval
        self._logged: dict[int, tuple[Task, float]] = {}  # by position: the task, and after how long it is logged next
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns at once."""
        self._stopping.set()

    def look(self) -> None:
        """One look at every activity. For the watchdog's thread, and for tests."""
        for number, activity in enumerate(self._activities):
            task, seconds = activity.task, activity.busy_seconds()
            if task is None:
                self._logged.pop(number, None)
                continue
            logged, limit = self._logged.get(number, (None, self._limit))
            if logged is not task:
                limit = self._limit
            if seconds >= limit:
                self._logged[number] = (task, 2 * seconds)
                _log.warning(
                    "reconcile takes long", key=task.name, seconds=round(seconds, 1), stack=stack_of(activity.thread)
                )

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            try:
                self.look()
            except Exception:
                _log.exception("watchdog failed unexpectedly, it goes on")


def stack_of(thread: threading.Thread) -> str:
    """Where a thread is now, innermost call last, one line per call; empty if it has ended."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return ""
    frames = traceback.extract_stack(frame, limit=None)[-_MAX_FRAMES:]
    return "\n".join(f"{entry.filename}:{entry.lineno} {entry.name}" for entry in frames)
