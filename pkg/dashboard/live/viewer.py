"""One viewer of a stream: a short queue of encoded events. Belongs to the thread of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

#: What a viewer may be behind before it gets the whole state instead of the events that it has missed.
MAX_EVENTS: Final = 64
MAX_BYTES: Final = 512 * 1024


class Viewer:
    """Events for one browser. A viewer that takes them too slowly loses them, and gets `resync()` instead.

    resync: the events that say everything as it is now; it is asked when the viewer is ready to take it.
    """

    def __init__(self, resync: Callable[[], bytes]) -> None:
        self._resync = resync
        self._queue: deque[bytes] = deque()
        self._size = 0
        self._is_behind = False
        self._is_closed = False
        self._ready = asyncio.Event()
        self.resyncs = 0
        """How often it has missed events."""

    def put(self, data: bytes) -> None:
        """An event for it."""
        if self._is_behind or self._is_closed:
            return
        if len(self._queue) >= MAX_EVENTS or (self._queue and self._size + len(data) > MAX_BYTES):
            self._is_behind = True
            self.resyncs += 1
            self._queue.clear()
            self._size = 0
        else:
            self._queue.append(data)
            self._size += len(data)
        self._ready.set()

    def close(self) -> None:
        """No more events; those in the queue are still taken."""
        self._is_closed = True
        self._ready.set()

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    async def take(self) -> bytes | None:
        """All that is there for it, as soon as there is something; None once it is closed."""
        while True:
            if self._is_behind:
                self._is_behind = False
                return self._resync()
            if self._queue:
                data = b"".join(self._queue)
                self._queue.clear()
                self._size = 0
                return data
            if self._is_closed:
                return None
            self._ready.clear()
            await self._ready.wait()
