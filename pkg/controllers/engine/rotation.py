"""Queues that take turns: one item of each in turn, so that an owner with many items delays no other. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Rotation(Generic[T]):
    """Items by owner, first in first out for each owner. Every call takes a time that does not grow with their number,
    but for `clear`.
    """

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[T]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def add(self, owner: str, item: T) -> None:
        """An item that waits behind the others of its owner."""
        self._queues.setdefault(owner, deque()).append(item)

    def take(self) -> T:
        """The next item; its owner's next one is behind those of all other owners. KeyError if there is none."""
        owner, items = self._queues.popitem(last=False)
        item = items.popleft()
        if items:
            self._queues[owner] = items
        return item

    def clear(self) -> list[T]:
        """Removes all items, and returns them."""
        left = [item for items in self._queues.values() for item in items]
        self._queues.clear()
        return left
