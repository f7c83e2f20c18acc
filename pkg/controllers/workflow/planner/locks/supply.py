"""What there is of each lock of a namespace: its places, who has them, and why nobody can take it now."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName, lease_name
from pkg.controllers.workflow.planner.locks import words
from pkg.controllers.workflow.planner.locks.calls import Held, Place
from pkg.controllers.workflow.planner.locks.holders import Holder, LockAnswer
from pkg.controllers.workflow.planner.locks.places import free_places, place_to_take
from pkg.controllers.workflow.planner.locks.readings import Readings
from pkg.controllers.workflow.planner.locks.tenure import Slot

#: A Lease that is none of ours and has the name of a place is looked at again after so many seconds.
STRANGER_SECONDS: Final = 30.0
#: Leases that the API server refuses to create are tried again after so many seconds: at first, and at most.
_REFUSED_SECONDS: Final = (1.0, 30.0)
_UNKNOWN: Final = "unknown"


class Supply:
    """Times are seconds since the epoch. What is done to `readings` is told by `touch`."""

    def __init__(self) -> None:
        self.readings = Readings()
        self._touched: set[LockName] = set()
        #: Who has each place; None: a Lease that is none of ours.
        self._taken: dict[LockName, dict[int, Slot | None]] = {}
        self._strangers: dict[Place, float] = {}
        #: Places that a stranger's Lease had when they were tried last. They are being tried again, or will be.
        self._suspect: set[Place] = set()
        #: Locks whose Leases the API server refuses: until when, how often, and why.
        self._refused: dict[LockName, tuple[float, int, LockAnswer]] = {}

    def free(self, lock: LockName) -> int:
        """How many more can take a lock now; 0 while nobody knows."""
        limit = self.readings.limit(lock)
        return 0 if limit is None else free_places(self._taken.get(lock, {}), limit.places)

    def is_shut(self, lock: LockName) -> bool:
        """Whether nobody can take a lock, however many hold it."""
        limit = self.readings.limit(lock)
        if limit is None or limit.fault:
            return True
        return lock in self._refused and self._refused[lock][0] < math.inf

    def is_closed(self, lock: LockName) -> bool:
        """Whether the key of a semaphore says that nobody may take it."""
        limit = self.readings.limit(lock)
        return limit is not None and not limit.fault and limit.places == 0

    def why(self, lock: LockName) -> LockAnswer | None:
        """Why nobody can take a lock now; None if somebody can, or if that is not known."""
        found = self.standing(lock)
        if found == _UNKNOWN:
            return None
        if not isinstance(found, str):
            return found
        holders = [_shown(slot) for _, slot in self._places(lock) if slot is not None]
        return words.closed(lock, holders) if found == words.CLOSED else words.held_by(lock, holders)

    def standing(self, lock: LockName) -> LockAnswer | str | None:
        """As `why`, but only the topic of an answer that says who holds the lock, and a text also if nobody knows."""
        limit = self.readings.limit(lock)
        if limit is None:
            trouble = self.readings.trouble(lock)
            return words.unread(lock, trouble) if trouble else _UNKNOWN
        if limit.fault:
            return words.invalid(lock, limit.fault)
        if (refused := self._refused.get(lock)) is not None:
            return refused[2]
        if self.free(lock):
            return None
        for number, slot in self._places(lock) if self._suspect else ():
            if slot is None or (slot.held is None and slot.place in self._suspect):
                return words.stranger(lock, lease_name(lock, number))
        return words.CLOSED if self.is_closed(lock) else words.HELD

    def touch(self, locks: Iterable[LockName]) -> None:
        """Something else may stand in the way of these locks now."""
        self._touched.update(locks)

    def take_touched(self) -> set[LockName]:
        """The locks of which that is so since the last call."""
        touched, self._touched = self._touched, set()
        return touched

    def reserve(self, holder: Holder, lock: LockName) -> Slot:
        """A free place, for this holder."""
        limit = self.readings.limit(lock)
        number = place_to_take(self._taken.get(lock, {}), limit.places if limit is not None else 0)
        assert number is not None, "a place is reserved only where one is free"
        return self.put(Slot(Place(lock, number), holder))

    def put(self, slot: Slot) -> Slot:
        """A holder has this place, or takes it."""
        self._taken.setdefault(slot.place.lock, {})[slot.place.number] = slot
        self._strangers.pop(slot.place, None)
        self._touched.add(slot.place.lock)
        return slot

    def at(self, place: Place) -> Slot | None:
        """Who has a place; None if nobody of ours has."""
        return self._taken.get(place.lock, {}).get(place.number)

    def drop(self, place: Place) -> None:
        """Nobody has this place any more."""
        places = self._taken.get(place.lock, {})
        places.pop(place.number, None)
        if not places:
            self._taken.pop(place.lock, None)
        self._touched.add(place.lock)

    def stranger(self, place: Place, now: float) -> None:
        """A Lease that is none of ours has the name of this place."""
        self._taken.setdefault(place.lock, {})[place.number] = None
        self._strangers[place] = now + STRANGER_SECONDS
        self._suspect.add(place)
        self._touched.add(place.lock)

    def refuse(self, lock: LockName, answer: LockAnswer, now: float) -> None:
        """The API server refuses a Lease of this lock."""
        tries = self._refused[lock][1] + 1 if lock in self._refused else 1
        first, longest = _REFUSED_SECONDS
        self._refused[lock] = (now + min(longest, first * 2 ** min(tries - 1, 10)), tries, answer)
        self._touched.add(lock)

    def allowed(self, place: Place) -> bool:
        """The API server writes Leases of this lock, or would, and no stranger's has this place; whether it had refused
        one before.
        """
        self._suspect.discard(place)
        self._touched.add(place.lock)
        return self._refused.pop(place.lock, None) is not None

    def due(self, now: float) -> list[LockName]:
        """The locks that may be tried again now, because a stranger's Lease or a refusal was long ago."""
        found = []
        for place, until in list(self._strangers.items()):
            if until <= now:
                del self._strangers[place]
                self.drop(place)
                found.append(place.lock)
        for lock, (until, tries, answer) in list(self._refused.items()):
            if until <= now:
                self._refused[lock] = (math.inf, tries, answer)  # it is open until a try is answered
                found.append(lock)
        return found

    def next_at(self, waited_for: Iterable[LockName]) -> float | None:
        """When something is due; None if nothing is."""
        times = [*self._strangers.values(), *(until for until, _, _ in self._refused.values() if until < math.inf)]
        if (reading := self.readings.next_at(waited_for)) is not None:
            times.append(reading)
        return min(times, default=None)

    def held(self) -> Mapping[LockKind, int]:
        """How many places are held, by the kind of the lock."""
        found = dict.fromkeys(LockKind, 0)
        for lock, places in self._taken.items():
            found[lock.kind] += sum(slot is not None for slot in places.values())
        return found

    def _places(self, lock: LockName) -> list[tuple[int, Slot | None]]:
        """Its places that are taken, the lowest first."""
        return sorted(self._taken.get(lock, {}).items(), key=lambda item: item[0])


def _shown(slot: Slot) -> Held:
    return slot.held if slot.held is not None else Held(slot.place, slot.holder, "", 0)
