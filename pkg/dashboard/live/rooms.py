"""All rooms: one per Workflow that somebody looks at. Belongs to the thread of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pkg.dashboard.live.room import Room
from pkg.kube.client import Client

#: Rooms at once: each has a thread, a connection and a whole Workflow.
MAX_ROOMS: Final = 200
#: Seconds that a room stays open without anybody in it: a page that is loaded anew finds it there.
_LINGER_SECONDS: Final = 20.0


class Full(Exception):
    """So many Workflows are looked at that there is no room for another one."""


class Rooms:
    """Opens a room for the first who looks at a Workflow, and closes it some time after the last."""

    def __init__(self, client: Client, linger: float = _LINGER_SECONDS) -> None:
        self._client = client
        self._linger = linger
        self._rooms: dict[tuple[str, str], Room] = {}
        self._users: dict[Room, int] = {}
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._rooms)

    @contextmanager
    def using(self, namespace: str, name: str) -> Iterator[Room]:
        """The room of a Workflow, which stays open within the block. Raises Full."""
        room = self._rooms.get((namespace, name))
        if room is None:
            room = self._open(namespace, name)
        self._users[room] += 1
        try:
            yield room
        finally:
            self._users[room] -= 1
            if not self._users[room]:
                asyncio.get_running_loop().call_later(self._linger, self._close_if_empty, room)

    def close(self) -> None:
        """Close all, and open no other."""
        self._is_closed = True
        for room in self._rooms.values():
            room.close()

    def _open(self, namespace: str, name: str) -> Room:
        if self._is_closed:
            raise Full("the dashboard is shutting down")
        if len(self._rooms) >= MAX_ROOMS and not self._close_one():
            raise Full(f"{MAX_ROOMS} workflows are looked at, and more are not followed at once; try again later")
        loop = asyncio.get_running_loop()
        room = Room(self._client, namespace, name, loop, lambda: self._forget(room))
        self._rooms[namespace, name] = room
        self._users[room] = 0
        return room

    def _close_one(self) -> bool:
        """Closes a room without anybody in it; whether there was one."""
        empty = next((room for room in self._rooms.values() if not self._users[room]), None)
        if empty is not None:
            self._close_if_empty(empty)
        return empty is not None

    def _close_if_empty(self, room: Room) -> None:
        if not self._users.get(room, 1):
            room.close()
            self._forget(room)
            del self._users[room]

    def _forget(self, room: Room) -> None:
        """The next who asks gets a new one."""
        if self._rooms.get(room.key) is room:
            del self._rooms[room.key]
