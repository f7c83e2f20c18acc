"""What one holder has, takes or gives back, and which call is next for it.

Two controllers may act at the same time: one was stopped for a while and continued, or both run without an election.
One must not delete the Lease of a holder whose job the other is about to make. So two times are kept (`Patience`):
- A controller makes a job only for a while after the API server has acknowledged the Leases to it.
- A controller that finds a Lease in a version that it has not written itself deletes it only once that while is over
  for whoever wrote it, and a list of the jobs has shown none. A job that it knows already proves as much.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockName
from pkg.controllers.workflow.planner.locks.calls import (
    GiveBack,
    Held,
    HolderCall,
    LookForJobs,
    Place,
    Take,
    TakeAgain,
)
from pkg.controllers.workflow.planner.locks.holders import Holder, KnownJobs
from pkg.controllers.workflow.planner.locks.line import Waiter

_FIRST_DELAY: Final = 0.5
_MAX_DELAY: Final = 30.0
_NEVER: Final = -math.inf


#: `Patience.may_create` of a controller without an election.
_UNELECTED_SECONDS: Final = 8.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. may_create: so long after it was acknowledged a Lease allows to make a job; infinite where an election
    ends that earlier. in_flight: so long a creation that was begun may take to arrive.
    """

    may_create: float = math.inf
    in_flight: float = 12.0

    @classmethod
    def of(cls, *, is_elected: bool) -> Patience:
        """With an election, a controller knows when it may not act any more. Without, a time says so."""
        return cls() if is_elected else cls(may_create=_UNELECTED_SECONDS)

    @property
    def for_others(self) -> float:
        """How long another controller may make a job by a Lease that was seen just now."""
        return self.in_flight + (self.may_create if self.may_create < math.inf else 0.0)


#: Of a controller with an election.
ELECTED: Final = Patience()


class State(Enum):
    """What a holder does with its places."""

    #: Its Leases were found. Whether it still needs them, its workflow will say.
    FOUND = "found"
    #: Its Leases were found, and it needs them: its job goes on. They were not written in this term.
    KEPT = "kept"
    TAKING = "taking"
    HELD = "held"
    #: It needs them no more, as far as is known here. Another controller may be about to make its job.
    DOUBTED = "doubted"
    GIVING = "giving"


@dataclass(slots=True)
class Slot:
    """One place of a holder. sent: a call that creates the Lease was made; acknowledged: in this term; unsure: such a
    call had no answer.
    """

    place: Place
    holder: Holder
    held: Held | None = None
    is_sent: bool = False
    is_acknowledged: bool = False
    is_unsure: bool = False
    #: When the call was made that was acknowledged last.
    acknowledged_at: float = _NEVER
    #: It is not needed: the holder has another place of the lock, or does not want this lock any more.
    is_extra: bool = False


@dataclass(slots=True)
class Tenure:
    """One holder. attempt: for which it holds; waiter: as it stood in line; then: it stands in line again afterwards;
    is_repair: it has held everything before, and something was lost; is_counted: it counts as acquired; retry_at: when
    a call is made again. Times are seconds of the keeper's clock.
    """

    holder: Holder
    state: State
    attempt: int | None = None
    locks: tuple[LockName, ...] = ()
    kinds: tuple[str, ...] = ()
    slots: list[Slot] = field(default_factory=list)
    waiter: Waiter | None = None
    then: Waiter | None = None
    is_repair: bool = False
    is_counted: bool = False
    in_flight: HolderCall | None = None
    called_at: float = _NEVER
    tries: int = 0
    retry_at: float = _NEVER
    #: Until when another controller may make a job for it; None if none has written its Leases.
    others_until: float | None = None
    #: A version that was seen while a write was under way, and `others_until` before it: it may be of that write.
    suspect: tuple[Place, int, float | None] | None = None
    #: Its job was there when it needed nothing any more, so that nobody can make it.
    is_settled: bool = False
    #: What its plan knew of its jobs then.
    known: KnownJobs = field(default_factory=KnownJobs)
    #: The jobs that a list has shown, until a plan knows them all.
    listed: frozenset[str] | None = None

    def slot_at(self, place: Place) -> Slot | None:
        return next((slot for slot in self.slots if slot.place == place), None)

    def slot_of(self, lock: LockName) -> Slot | None:
        """The slot by which it has this lock, or takes it."""
        return next((slot for slot in self.slots if slot.place.lock == lock and not slot.is_extra), None)

    def may_create(self, now: float, patience: Patience) -> bool:
        """Whether its job may be made now: it holds everything, and was told so not too long ago."""
        if self.state is not State.HELD or self.misses(self.waiter):
            return False
        return all(now - slot.acknowledged_at < patience.may_create for slot in self.slots if not slot.is_extra)

    def misses(self, waiter: Waiter | None) -> bool:
        """Whether a task does not have all that it waits for, because somebody else has taken what it had lost."""
        return waiter is not None and not self.holder.is_whole and not set(waiter.locks) <= set(self.locks)

    def is_proven(self, known: KnownJobs) -> bool:
        """Whether its job is there already, so that nobody can make it any more."""
        if self.holder.is_whole or known.newest < 0:
            return False
        is_of_attempt = self.attempt is not None and known.newest >= self.attempt
        return known.is_final or is_of_attempt or self.state is State.KEPT

    def next_call(self) -> HolderCall | None:
        """What is to be done next; None if nothing is, so that it is at its end."""
        match self.state:
            case State.FOUND | State.KEPT:
                return None
            case State.DOUBTED:
                return LookForJobs(self.holder, self.kinds) if self.listed is None else None
        for slot in self.slots:
            if slot.is_extra or self.state is State.GIVING:
                return GiveBack(slot.place, self.holder, slot.held)
        if self.state is not State.TAKING:
            return None
        for lock in self.locks:
            own = self.slot_of(lock)
            if own is not None and not own.is_acknowledged:
                return TakeAgain(own.held) if own.held is not None else Take(own.place, self.holder, self.kinds)
        return None

    def mark_extra(self, locks: Iterable[LockName]) -> None:
        """One slot of each of these locks is needed, and no other: that of the lowest place, so that two controllers
        which have taken two places for one holder keep the same.
        """
        needed = set(locks)
        for slot in sorted(self.slots, key=lambda slot: slot.place.number):
            slot.is_extra = slot.place.lock not in needed
            needed.discard(slot.place.lock)

    def unsent(self) -> list[Slot]:
        """The places that it gives back without ever having asked for them."""
        is_giving = self.state in (State.GIVING, State.DOUBTED)
        return [one for one in self.slots if (one.is_extra or is_giving) and one.held is None and not one.is_sent]

    def ask_again(self) -> None:
        """Every Lease is to be acknowledged once more."""
        self.state = State.TAKING
        for slot in self.slots:
            slot.is_acknowledged = False

    def delay(self) -> float:
        """Seconds until a call that failed is made again."""
        self.tries += 1
        return float(min(_MAX_DELAY, _FIRST_DELAY * 2 ** min(self.tries - 1, 10)))

    # What other controllers may do

    def seen(self, held: Held, until: float) -> None:
        """Its Lease is in a version that no answer has shown: another controller may make its job until then."""
        call = self.in_flight
        if isinstance(call, Take | TakeAgain) and call.place == held.place:
            self.suspect = (held.place, held.version, self.others_until)
        self.doubt(until)

    def list_answered(self, uids: frozenset[str]) -> None:
        """A list has shown these jobs. It counts if nobody could make one any more when it was asked for."""
        if self.others_until is None or self.others_until <= self.called_at:
            self.listed = uids

    def acknowledged(self, held: Held, *, is_shared: bool, until: float) -> None:
        """A write of its Lease was acknowledged. is_shared: in a version that was not known before."""
        if self.suspect is not None and self.suspect[:2] == (held.place, held.version):
            self.others_until = self.suspect[2]  # it was this very write
        self.suspect = None
        if is_shared:
            self.doubt(until)

    def doubt(self, until: float) -> None:
        self.others_until = until if self.others_until is None else max(self.others_until, until)
        self.listed = None
