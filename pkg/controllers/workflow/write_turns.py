"""Which call runs next, and how many at once, when many groups share a few threads. Pure: the time is an argument.

Groups take turns, and so do the owners of calls within a group. No group has more than its share, nor more than is
still free, so that some threads stay free however many groups are busy.

A call that hangs (an admission webhook that does not answer) delays the other calls of its group only. It gives its
place to another call after SLOW_SECONDS, as long as there are spare threads. Its group counts as slow from then on, and
all slow groups together have at most as many calls as half of the threads. Slow groups, and groups that have not proved
to be quick yet, leave a quarter of the threads to those that have.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum
from typing import Final, Generic, NamedTuple, TypeVar

from pkg.controllers.engine.rotation import Rotation

T = TypeVar("T")

SLOW_SECONDS = 2.0
"""A call that takes longer counts as hanging."""
PROMPT_SECONDS: Final = 0.1
"""A group whose last call took no longer is likely to be answered at once."""
SLOW_FOR_SECONDS: Final = 60.0
"""A group counts as slow for so long after its last hanging call."""
_REMEMBERED: Final = 4_096


class Tier(IntEnum):
    """How the calls of a group were answered so far."""

    SLOW = 0
    NEW = 1
    QUICK = 2


class Turn(NamedTuple, Generic[T]):
    """A call that runs now; `number` says which one to `finish`."""

    group: str
    number: int
    call: T


class _Group(Generic[T]):
    """The calls of one group: how many run, how many of these hang, and those that wait, by owner."""

    def __init__(self) -> None:
        self.tier = Tier.NEW
        self.running = 0
        self.hanging = 0
        self.slow_until: float | None = None  # None until its first call is answered
        self.since = 0  # orders the groups that wait
        self.took = float("inf")  # seconds of the call that was answered last
        self.waiting: Rotation[T] = Rotation()

    def tier_at(self, now: float) -> Tier:
        if self.hanging:
            return Tier.SLOW
        if self.slow_until is None:
            return Tier.NEW
        return Tier.SLOW if self.slow_until > now else Tier.QUICK


class Turns(Generic[T]):
    """threads: how many calls run at once, besides `spare` more that hang; share: how many calls of one group run.

    Times are seconds of one clock. add, take and finish take a time that does not grow with the number of groups.
    """

    def __init__(self, threads: int, share: int, spare: int = 0) -> None:
        self._threads = threads
        self._limits = {Tier.SLOW: max(1, threads // 2), Tier.NEW: max(1, threads * 3 // 4), Tier.QUICK: threads}
        self._share = share
        self._spare = spare
        self._groups: dict[str, _Group[T]] = {}
        self._waiting: dict[Tier, OrderedDict[str, _Group[T]]] = {tier: OrderedDict() for tier in Tier}
        self._used = dict.fromkeys(Tier, 0)
        self._young: OrderedDict[int, tuple[float, str]] = OrderedDict()  # running calls that do not hang: since when
        self._hanging = 0
        self._number = 0
        self._size = 0
        self._forget_at = _REMEMBERED

    def __len__(self) -> int:
        """How many calls wait."""
        return self._size

    @property
    def unanswered(self) -> int:
        """How many calls wait or run."""
        return self._size + self._hanging + len(self._young)

    def add(self, group: str, owner: str, call: T, now: float) -> None:
        """A call that waits for its turn."""
        found = self._groups.get(group)
        if found is None:
            self._forget(now)
            found = self._groups[group] = _Group()
        if not found.waiting:
            self._set_tier(group, found, now)
            self._enter(group, found)
        found.waiting.add(owner, call)
        self._size += 1

    def take(self, now: float) -> Turn[T] | None:
        """The next call, which counts as running from now on; None if none may run now."""
        name = self._next(now)
        if name is None:
            return None
        group = self._groups[name]
        del self._waiting[group.tier][name]
        call = group.waiting.take()
        self._size -= 1
        number = self._start(name, group, now)
        if group.waiting:
            self._enter(name, group)
        return Turn(name, number, call)

    def start(self, group: str, now: float) -> int | None:
        """The number of a call that runs from now on and never waited; None where it would have to, or where it is not
        likely to be answered at once.
        """
        self._age(now)
        found = self._groups.get(group)
        if self._size or found is None or found.took > PROMPT_SECONDS:
            return None
        if found.tier is not Tier.QUICK or not self._is_admitted(found, self._room(Tier.QUICK)):
            return None
        return self._start(group, found, now)

    def _start(self, name: str, group: _Group[T], now: float) -> int:
        self._number += 1
        self._young[self._number] = (now, name)
        group.running += 1
        self._used[group.tier] += 1
        return self._number

    def may_take(self, now: float) -> bool:
        """Whether `take` would return a call."""
        return self._next(now) is not None

    def next_change(self, now: float) -> float | None:
        """Seconds until another call may run although none was answered; None if that cannot be."""
        self._age(now)
        if not self._size or not self._young or self._hanging >= self._spare:
            return None
        began, _ = next(iter(self._young.values()))
        return began + SLOW_SECONDS - now + 0.001

    def finish(self, group: str, number: int, now: float) -> None:
        """A call was answered."""
        self._age(now)
        found = self._groups[group]
        young = self._young.pop(number, None)
        found.took = now - young[0] if young is not None else float("inf")
        if young is None:
            self._hanging -= 1
            found.hanging -= 1
            found.slow_until = now + SLOW_FOR_SECONDS
        elif found.slow_until is None:
            found.slow_until = float("-inf")
        found.running -= 1
        self._used[found.tier] -= 1
        self._set_tier(group, found, now)

    def clear(self) -> list[T]:
        """Forgets the calls that wait, and returns them."""
        left = [
            call for groups in self._waiting.values() for group in groups.values() for call in group.waiting.clear()
        ]
        for groups in self._waiting.values():
            groups.clear()
        self._size = 0
        return left

    def is_delayed(self, group: str, now: float) -> bool:
        """Whether the answer to the next call of a group is likely to be late: it has to wait, or the group is slow."""
        self._age(now)
        found = self._groups.get(group)
        if found is None:
            return self._room(Tier.NEW) <= 0
        tier = found.tier_at(now)
        return tier is Tier.SLOW or not self._is_admitted(found, self._room(tier))

    def tier(self, group: str, now: float) -> Tier:
        """How the calls of a group were answered so far. A call that hangs counts before it is answered."""
        self._age(now)
        found = self._groups.get(group)
        return found.tier_at(now) if found is not None else Tier.NEW

    def _age(self, now: float) -> None:
        """Counts the calls that hang by now."""
        while self._young:
            number, (began, name) = next(iter(self._young.items()))
            if now - began <= SLOW_SECONDS:
                return
            del self._young[number]
            self._hanging += 1
            group = self._groups[name]
            group.hanging += 1
            self._set_tier(name, group, now)

    def _room(self, tier: Tier) -> int:
        """How many more calls of a tier may run."""
        used = self._used
        in_place = used[Tier.SLOW] - min(self._hanging, self._spare)
        free = self._threads - in_place - used[Tier.NEW] - used[Tier.QUICK]
        room = free if tier is Tier.QUICK else min(free, self._limits[Tier.NEW] - in_place - used[Tier.NEW])
        return room if tier is not Tier.SLOW else min(room, self._limits[Tier.SLOW] - used[Tier.SLOW])

    def _is_admitted(self, group: _Group[T], room: int) -> bool:
        return group.running < min(self._share, room)

    def _next(self, now: float) -> str | None:
        """The group whose turn it is: of those that may run a call, the one that has waited longest for its turn."""
        if not self._size:
            return None
        self._age(now)
        found = [turn for tier in Tier if (turn := self._first(tier, now)) is not None]
        return min(found)[1] if found else None

    def _first(self, tier: Tier, now: float) -> tuple[int, str] | None:
        """The first group of a tier that may run a call. It passes no more groups than have calls that run."""
        room, moved = self._room(tier), list[str]()
        found = None
        for name, group in self._waiting[tier].items():
            if group.tier_at(now) is not tier:
                moved.append(name)  # it has been quick for long enough
            elif room <= 0:
                break
            elif self._is_admitted(group, room):
                found = group.since, name
                break
        for name in moved:
            self._set_tier(name, self._groups[name], now)
        return found

    def _set_tier(self, name: str, group: _Group[T], now: float) -> None:
        old, new = group.tier, group.tier_at(now)
        if new is old:
            return
        group.tier = new
        self._used[old] -= group.running
        self._used[new] += group.running
        if self._waiting[old].pop(name, None) is not None:
            self._waiting[new][name] = group

    def _enter(self, name: str, group: _Group[T]) -> None:
        """The group waits for its next turn, behind all others."""
        self._number += 1
        group.since = self._number
        self._waiting[group.tier][name] = group

    def _forget(self, now: float) -> None:
        """Forgets groups that have no calls and are not slow, once there are many."""
        if len(self._groups) <= self._forget_at:
            return
        self._groups = {
            name: group
            for name, group in self._groups.items()
            if group.running or group.waiting or group.tier_at(now) is Tier.SLOW
        }
        self._forget_at = max(_REMEMBERED, 2 * len(self._groups))
