"""The order in which ready items run when many groups share one worker. Pure.

Start-time fair queuing: every group has a virtual time, which grows by the cost of what ran for it. The group with the
lowest virtual time is next, so a group that has had much waits. A group that had nothing to run gets no credit for that
time: it starts at the virtual time of the group that ran last.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")

_SWEEP_SIZE = 64


class FairOrder(Generic[T]):
    """Ready items by group, first in first out inside a group. push, pop and charge take O(log groups)."""

    def __init__(self) -> None:
        self._items: dict[str, deque[T]] = {}
        # One entry per group with items: (virtual time when it was pushed, serial number, group).
        self._heap: list[tuple[float, int, str]] = []
        self._times: dict[str, float] = {}
        self._now = 0.0
        self._serial = count()
        self._size = 0
        self._sweep_at = _SWEEP_SIZE

    def push(self, group: str, item: T) -> None:
        """Append `item` to its group."""
        items = self._items.get(group)
        if items is None:
            items = self._items[group] = deque()
            self._times[group] = max(self._times.get(group, 0.0), self._now)
            self._enter(group)
        items.append(item)
        self._size += 1

    def pop(self, is_held: Callable[[str], bool] = lambda group: False) -> T | None:
        """The next item of a group that is not held; None if there is none."""
        held: list[tuple[float, int, str]] = []
        try:
            return self._pop(is_held, held)
        finally:
            for entry in held:
                heapq.heappush(self._heap, entry)

    def _pop(self, is_held: Callable[[str], bool], held: list[tuple[float, int, str]]) -> T | None:
        while self._heap:
            entry = heapq.heappop(self._heap)
            entered_at, _, group = entry
            if self._times[group] > entered_at:
                self._enter(group)  # it was charged meanwhile
                continue
            if is_held(group):
                held.append(entry)
                continue
            items = self._items[group]
            item = items.popleft()
            self._size -= 1
            self._now = entered_at
            if items:
                self._enter(group)
            else:
                del self._items[group]
            return item
        return None

    def charge(self, group: str, cost: float) -> None:
        """Add what an item of the group cost, in any unit that is the same for all groups."""
        self._times[group] = self._times.get(group, self._now) + cost
        if len(self._times) > self._sweep_at:
            self._sweep()

    def count(self, group: str) -> int:
        """How many items of the group are ready."""
        return len(self._items.get(group, ()))

    @property
    def groups(self) -> int:
        """How many groups have ready items."""
        return len(self._items)

    def names(self) -> Collection[str]:
        """The groups with ready items."""
        return self._items.keys()

    def __len__(self) -> int:
        return self._size

    def _enter(self, group: str) -> None:
        heapq.heappush(self._heap, (self._times[group], next(self._serial), group))

    def _sweep(self) -> None:
        """Forget groups without items whose virtual time is below `now`: they would start at `now` anyway."""
        self._times = {group: time for group, time in self._times.items() if group in self._items or time > self._now}
        self._sweep_at = max(_SWEEP_SIZE, 2 * len(self._times))
