"""Lines that a thread reads, for one browser: those of a short time are one event, and none is lost.

A log that is written faster than the browser takes it makes the thread wait, and then the API server.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final

from pkg.dashboard.live.encoding import event

#: Seconds for which lines are gathered, how many of them are one event, and how many bytes may wait to be taken.
GATHER_SECONDS: Final = 0.1
MAX_LINES: Final = 200
MAX_BYTES: Final = 512 * 1024


class Closed(Exception):
    """Nobody takes the lines any more."""


class LineFeed:
    """`add` and `end` belong to the thread that reads, everything else to the thread of the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float = GATHER_SECONDS) -> None:
        self._loop = loop
        self._seconds = seconds
        self._ready = asyncio.Event()
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._size = 0
        self._end: bytes | None = None
        self._is_closed = False
        # A browser that connects anew forgets what it had: the log begins again with its last lines.
        self._first = event("begin", {})

    def add(self, line: str) -> None:
        """A line, which is sent at most `seconds` later. Waits while many are not taken. Raises Closed."""
        with self._changed:
            while self._size > MAX_BYTES and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                raise Closed
            self._lines.append(line)
            self._size += len(line) + 3
            is_first = len(self._lines) == 1
        if is_first:
            self._call(self._wake_later)

    def end(self, message: str) -> None:
        """No more lines; message: why, or empty. Raises Closed."""
        with self._changed:
            self._end = event("end", {"message": message})
        self._call(self._ready.set)

    def close(self) -> None:
        """Nobody takes any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._ready.set()

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    async def take(self) -> bytes | None:
        """All lines that are there, as soon as there are some; None after the last."""
        if self._first:
            found, self._first = self._first, b""
            return found
        await self._ready.wait()
        self._ready.clear()
        with self._changed:
            if self._is_closed:
                return None
            lines, self._lines, self._size = self._lines, [], 0
            ending, self._end = self._end, None
            if ending is not None:
                self._is_closed = True
                self._ready.set()
            self._changed.notify_all()
        starts = range(0, len(lines), MAX_LINES)
        return b"".join([*(event("lines", lines[at : at + MAX_LINES]) for at in starts), ending or b""])

    def _wake_later(self) -> None:
        self._loop.call_later(self._seconds, self._ready.set)

    def _call(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError as error:
            raise Closed from error  # the event loop has ended
