"""What a viewer is sent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pkg.dashboard.live.viewer import Viewer


class Events:
    """The events of a viewer, one by one."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._found: list[tuple[str, Any]] = []

    async def next(self, name: str = "") -> tuple[str, Any]:
        """The next event, or the next one of this name; fails after 20 s."""
        while True:
            while self._found:
                event = self._found.pop(0)
                if name in ("", event[0]):
                    return event
            data = await asyncio.wait_for(self._viewer.take(), 20)
            assert data is not None, f"the stream ended before {name or 'the next event'}"
            for text in data.decode().split("\n\n"):
                if text:
                    first, second = text.split("\n")
                    self._found.append((first.removeprefix("event: "), json.loads(second.removeprefix("data: "))))
