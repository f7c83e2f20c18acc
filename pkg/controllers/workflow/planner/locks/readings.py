"""What is known of the ConfigMaps of semaphores, and when each is read again.

One GET serves all semaphores of a ConfigMap, and all who wait for them. It is made again only while somebody waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.controllers.workflow.planner.locks.calls import Failed, Limits
from pkg.controllers.workflow.planner.locks.limit import MUTEX, Limit, limit_of

#: A value that was read counts for so many seconds.
FRESH_SECONDS: Final = 10.0


@dataclass(slots=True)
class _Reading:
    """at: when it was last read (seconds since the epoch); trouble: why that failed, if it has never been read."""

    data: Mapping[str, str] | None = None
    at: float = 0.0
    is_known: bool = False
    is_asked: bool = False
    fault: str = ""
    trouble: str = ""

    def is_fresh(self, now: float) -> bool:
        """Whether it counts. It does not if the clock was set back to before it."""
        return 0 <= now - self.at < FRESH_SECONDS


class Readings:
    """The ConfigMaps of one namespace."""

    def __init__(self) -> None:
        self._maps: dict[str, _Reading] = {}

    def limit(self, lock: LockName) -> Limit | None:
        """How many may hold a lock; None while that is not known."""
        if lock.kind is LockKind.MUTEX:
            return MUTEX
        reading = self._maps.get(lock.config_map)
        if reading is None or not reading.is_known:
            return None
        return Limit(0, reading.fault) if reading.fault else limit_of(lock, reading.data)

    def trouble(self, lock: LockName) -> str:
        """Why the limit of a lock is not known, for people; empty if it is, or has not been asked for."""
        reading = self._maps.get(lock.config_map) if lock.kind is LockKind.SEMAPHORE else None
        return reading.trouble if reading is not None else ""

    def due(self, locks: Iterable[LockName], now: float) -> list[str]:
        """The ConfigMaps that are to be read now, for these locks that somebody waits for."""
        found = []
        for name in dict.fromkeys(lock.config_map for lock in locks if lock.kind is LockKind.SEMAPHORE):
            reading = self._maps.setdefault(name, _Reading())
            if not reading.is_asked and not reading.is_fresh(now):
                reading.is_asked = True
                found.append(name)
        return found

    def next_at(self, locks: Iterable[LockName]) -> float | None:
        """When the next one is due (seconds since the epoch); None if nobody waits for a semaphore."""
        names = {lock.config_map for lock in locks if lock.kind is LockKind.SEMAPHORE}
        found = [self._maps[name] for name in names if name in self._maps]
        return min((one.at + FRESH_SECONDS for one in found if not one.is_asked), default=None)

    def forget_stale(self, locks: Iterable[LockName], now: float) -> None:
        """Nothing is remembered of a ConfigMap that nobody waits for, once it counts no more."""
        stale = {name for name, one in self._maps.items() if not one.is_asked and not one.is_fresh(now)}
        if stale:
            stale -= {lock.config_map for lock in locks if lock.kind is LockKind.SEMAPHORE}
        for name in stale:
            del self._maps[name]

    def answered(self, name: str, answer: Limits | Failed, now: float) -> None:
        """What was read. After a failure that passes, the value before goes on to count."""
        reading = self._maps.setdefault(name, _Reading())
        reading.is_asked, reading.at = False, now
        if isinstance(answer, Limits):
            reading.data, reading.fault, reading.is_known = answer.data, "", True
        elif not answer.may_have_worked:
            reading.fault, reading.is_known = answer.answer.message, True
        reading.trouble = answer.answer.message if isinstance(answer, Failed) and not reading.is_known else ""
