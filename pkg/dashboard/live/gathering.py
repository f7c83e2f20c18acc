"""Lines that a thread reads, for a viewer in the event loop: those of a short time are one event."""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from pkg.dashboard.live.encoding import event
from pkg.dashboard.live.viewer import Viewer

#: Seconds for which lines are gathered, and how many of them are one event at most.
GATHER_SECONDS: Final = 0.1
MAX_LINES: Final = 200


class Gatherer:
    """Gives a viewer each line at most `seconds` after it was added, also the last one before a pod falls silent."""

    def __init__(self, viewer: Viewer, loop: asyncio.AbstractEventLoop, seconds: float = GATHER_SECONDS) -> None:
        self._viewer = viewer
        self._loop = loop
        self._seconds = seconds
        self._lock = threading.Lock()
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """A line, from any thread. Raises RuntimeError once the event loop has ended."""
        with self._lock:
            self._lines.append(line)
            if len(self._lines) > 1:
                return  # they are given on together with the first
        self._loop.call_soon_threadsafe(self._loop.call_later, self._seconds, self._flush)

    def end(self, message: str) -> None:
        """No more lines; message: why, or empty. Raises RuntimeError once the event loop has ended."""
        self._loop.call_soon_threadsafe(self._flush)
        self._loop.call_soon_threadsafe(self._viewer.put, event("end", {"message": message}))

    def _flush(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        for start in range(0, len(lines), MAX_LINES):
            self._viewer.put(event("lines", lines[start : start + MAX_LINES]))
