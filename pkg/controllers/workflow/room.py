"""How many creations of one namespace may wait for their answers at once, and which workflow is next to create.

The bodies of planned jobs take memory until they are answered. A namespace with a thousand wide workflows would have
all of them rendered long before the API server takes them. So a workflow without room plans no creation. It waits in a
line of its namespace, and its key is requeued when it is its turn. Its other changes are reconciled meanwhile.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

from pkg.controllers.engine.workqueue import namespace_of

MAX_CREATIONS: Final = 1024
MAX_BYTES: Final = 4 * 2**20
# Creations of one turn while other workflows of the namespace are in line.
TURN: Final = 32
# So many workflows are called at once; one that is called may have nothing to create any more.
_MAX_CALLED: Final = 8


@dataclass(slots=True)
class _Line:
    """The creations of one namespace, and the keys (`namespace/name`) that wait for room, longest first."""

    creations: int = 0
    size: int = 0
    waiting: OrderedDict[str, None] = field(default_factory=OrderedDict)
    #: Requeued because it is their turn, and not reconciled yet.
    called: set[str] = field(default_factory=set)
    #: Being reconciled in their turn.
    running: set[str] = field(default_factory=set)

    @property
    def is_unused(self) -> bool:
        return not (self.creations or self.waiting or self.called or self.running)


class Room:
    """Thread-safe. call(key): requeues a key whose turn it is; creations, size: what one namespace may have in flight,
    the size in bytes of rendered jobs.
    """

    def __init__(self, call: Callable[[str], None], *, creations: int = MAX_CREATIONS, size: int = MAX_BYTES) -> None:
        self._call = call
        self._creations = creations
        self._size = size
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}

    def reconciling(self, key: str) -> Reconciling:
        """Wrap every reconcile of a key with this: at its end the turn of the key, if it had one, is over."""
        return Reconciling(self, key)

    def begin(self, key: str) -> None:
        """A reconcile of the key begins."""
        with self._lock:
            line = self._lines.get(namespace_of(key))
            if line is not None and key in line.called:
                line.called.discard(key)
                line.running.add(key)

    def end(self, key: str) -> None:
        """It has ended."""
        namespace = namespace_of(key)
        with self._lock:
            line = self._lines.get(namespace)
            if line is None:
                return
            line.running.discard(key)
            called = self._next(namespace)
        self._requeue(called)

    def turn(self, key: str) -> int | None:
        """How many jobs a reconcile of this key may create now: none (0), a few, or as many as one pass may (None)."""
        with self._lock:
            line = self._lines.get(namespace_of(key))
            if line is None:
                return None
            if key in line.running:
                return TURN if line.waiting else None
            return None if self._has_room(line) and not line.waiting else 0

    def wait(self, key: str) -> bool:
        """Puts a key in line; False if it may create jobs at once instead."""
        namespace = namespace_of(key)
        with self._lock:
            line = self._lines.get(namespace)
            if line is None or (self._has_room(line) and not line.waiting):
                return False
            line.waiting[key] = None
            called = self._next(namespace)
        self._requeue(called)
        return True

    def take(self, namespace: str, creations: int, size: int) -> None:
        """So many creations, with bodies of so many bytes, begin."""
        with self._lock:
            line = self._lines.setdefault(namespace, _Line())
            line.creations += creations
            line.size += size

    def give_back(self, namespace: str, creations: int, size: int) -> None:
        """They have been answered, or are given up."""
        with self._lock:
            line = self._lines[namespace]
            line.creations -= creations
            line.size -= size
            called = self._next(namespace)
        self._requeue(called)

    def waiting(self, namespace: str) -> int:
        """How many workflows of a namespace are in line."""
        with self._lock:
            line = self._lines.get(namespace)
            return 0 if line is None else len(line.waiting)

    def _has_room(self, line: _Line) -> bool:
        return line.creations < self._creations and line.size < self._size

    def _next(self, namespace: str) -> list[str]:
        """Takes the keys from the line whose turn it is; the lock is held."""
        line = self._lines.get(namespace)
        if line is None:
            return []
        found = []
        while line.waiting and self._has_room(line) and len(line.called) + len(line.running) < _MAX_CALLED:
            key, _ = line.waiting.popitem(last=False)
            line.called.add(key)
            found.append(key)
        if line.is_unused:
            del self._lines[namespace]
        return found

    def _requeue(self, keys: list[str]) -> None:
        for key in keys:
            self._call(key)


class Reconciling:
    """The `with` block of `Room.reconciling`."""

    def __init__(self, room: Room, key: str) -> None:
        self._room = room
        self._key = key

    def __enter__(self) -> None:
        self._room.begin(self._key)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.end(self._key)
