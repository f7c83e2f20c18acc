"""The waiters of one namespace in their order, and which of them are next.

A waiter takes all of its locks at once or none. It is next when every one of them has a free place and nobody who waits
longer for one of them is still there. So nobody is passed by, and nobody holds one lock while it waits for another.

Who is next costs the same however many wait: only the first of the locks concerned are looked at.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockName
from pkg.controllers.workflow.planner.locks.holders import Holder, LockAnswer

#: So many entries of waiters who have left may stand in the line of one lock, beyond as many as there are waiters.
_LEFT_OVER: Final = 64
#: Since when somebody waits, and what decides between those who began at the same time.
Order = tuple[float, str, int, int]


@dataclass(frozen=True, slots=True)
class Waiter:
    """One who waits. since: seconds since the epoch; rank: its place among those of its workflow; shown: see Want."""

    holder: Holder
    attempt: int
    locks: tuple[LockName, ...]
    since: float
    rank: tuple[int, int] = (0, 0)
    kinds: tuple[str, ...] = ()
    shown: LockAnswer | None = field(default=None, compare=False)

    @property
    def order(self) -> Order:
        return (self.since, self.holder.key, *self.rank)


class Line:
    """Everybody who waits for a lock of one namespace."""

    def __init__(self) -> None:
        self._waiters: dict[Holder, Waiter] = {}
        self._by_lock: dict[LockName, list[tuple[Order, Holder]]] = {}
        #: How many wait for each lock.
        self._numbers: dict[LockName, int] = {}
        #: Locks that nobody can take now, and those who stand aside for that reason: they hold up nobody else.
        self._shut: dict[LockName, set[Holder]] = {}

    def __len__(self) -> int:
        return len(self._waiters)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self._waiters.values())

    def __contains__(self, holder: object) -> bool:
        return holder in self._waiters

    def get(self, holder: Holder) -> Waiter | None:
        """The waiter, if this one waits."""
        return self._waiters.get(holder)

    def waiting_for(self, lock: LockName) -> int:
        """How many wait for a lock."""
        return self._numbers.get(lock, 0)

    def locks(self) -> Iterator[LockName]:
        """The locks that somebody waits for."""
        yield from self._numbers

    def add(self, waiter: Waiter) -> None:
        """Adds a waiter, or puts it in the place of the one that this holder was."""
        before = self._waiters.get(waiter.holder)
        if before == waiter:
            self._waiters[waiter.holder] = waiter  # it may show something else
            return
        if before is not None:
            self.remove(waiter.holder)
        self._waiters[waiter.holder] = waiter
        for lock in waiter.locks:
            self._numbers[lock] = self._numbers.get(lock, 0) + 1
        self._stand(waiter)

    def remove(self, holder: Holder) -> Waiter | None:
        """Takes a waiter out, and returns it."""
        waiter = self._waiters.pop(holder, None)
        if waiter is None:
            return None
        for lock in waiter.locks:
            self._shut.get(lock, set()).discard(holder)
            self._numbers[lock] -= 1
            if not self._numbers[lock]:
                del self._numbers[lock]
                self._by_lock.pop(lock, None)
        return waiter

    def shut(self, lock: LockName) -> list[LockName]:
        """Nobody can take this lock now. Those who wait for it stand aside until it is opened.

        Returns the locks at which those behind them may be next now.
        """
        if lock in self._shut:
            return []
        aside = {holder for _, holder in self._by_lock.pop(lock, ()) if self._waits(holder, lock)}
        self._shut[lock] = aside
        return sorted({other for holder in aside for other in self._waiters[holder].locks if other != lock})

    def open(self, lock: LockName) -> None:
        """The lock can be taken again. Those who stood aside return to their old places."""
        for holder in self._shut.pop(lock, ()):
            waiter = self._waiters.get(holder)
            if waiter is not None:
                self._stand(waiter)

    def is_shut(self, lock: LockName) -> bool:
        return lock in self._shut

    def is_behind(self, waiter: Waiter, lock: LockName) -> bool:
        """Whether somebody else is before this waiter at a lock."""
        first = self.first(lock)
        return first is not None and first.holder != waiter.holder

    def next(self, locks: Iterable[LockName], free: Callable[[LockName], int]) -> Waiter | None:
        """One who can take all of its locks now, among those who wait for one of `locks`; None if nobody can.

        free(lock): how many places a lock has that nobody holds. The caller takes the waiter out, gives it the places,
        and asks again with the locks of that waiter: the one behind it may be next.
        """
        for lock in dict.fromkeys(locks):
            waiter = self.first(lock)
            if waiter is not None and self._is_next(waiter, free):
                return waiter
        return None

    def _is_next(self, waiter: Waiter, free: Callable[[LockName], int]) -> bool:
        return all(free(lock) > 0 and not self.is_behind(waiter, lock) for lock in waiter.locks)

    def _stand(self, waiter: Waiter) -> None:
        """Puts a waiter in line at each of its locks, or aside if one of them is shut."""
        shut = [lock for lock in waiter.locks if lock in self._shut]
        for lock in shut:
            self._shut[lock].add(waiter.holder)
        if shut:
            return
        for lock in waiter.locks:
            heap = self._by_lock.setdefault(lock, [])
            heapq.heappush(heap, (waiter.order, waiter.holder))
            if len(heap) > 2 * self._numbers[lock] + _LEFT_OVER:
                self._tidy(lock)

    def first(self, lock: LockName) -> Waiter | None:
        """The first in line at a lock. Entries of those who have left, or stand aside, are dropped on the way."""
        heap = self._by_lock.get(lock)
        while heap:
            order, holder = heap[0]
            waiter = self._waiters.get(holder)
            if waiter is not None and waiter.order == order and lock in waiter.locks and not self._stands_aside(waiter):
                return waiter
            heapq.heappop(heap)
        return None

    def _tidy(self, lock: LockName) -> None:
        """Drops the entries of those who have left: somebody may come and go while others wait before it."""
        present = (waiter for waiter in self._waiters.values() if lock in waiter.locks)
        heap = [(waiter.order, waiter.holder) for waiter in present if not self._stands_aside(waiter)]
        heapq.heapify(heap)
        self._by_lock[lock] = heap

    def _stands_aside(self, waiter: Waiter) -> bool:
        return any(lock in self._shut for lock in waiter.locks)

    def _waits(self, holder: Holder, lock: LockName) -> bool:
        waiter = self._waiters.get(holder)
        return waiter is not None and lock in waiter.locks
