"""What one holder has, takes or gives back, and which call is next for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockName
from pkg.controllers.workflow.planner.locks.calls import GiveBack, Held, LeaseCall, Place, Take, TakeAgain
from pkg.controllers.workflow.planner.locks.holders import Holder
from pkg.controllers.workflow.planner.locks.line import Waiter

_FIRST_DELAY: Final = 0.5
_MAX_DELAY: Final = 30.0


class State(Enum):
    """What a holder does with its places."""

    #: Its Leases were found. Whether it still needs them, its workflow will say.
    FOUND = "found"
    TAKING = "taking"
    HELD = "held"
    GIVING = "giving"


@dataclass(slots=True)
class Slot:
    """One place of a holder. sent: a call that creates the Lease was made; acknowledged: in this term."""

    place: Place
    holder: Holder
    held: Held | None = None
    is_sent: bool = False
    is_acknowledged: bool = False
    #: It is not needed: the holder has another place of the lock, or does not want this lock any more.
    is_extra: bool = False


@dataclass(slots=True)
class Tenure:
    """One holder. attempt: for which it holds; waiter: as it stood in line; then: it stands in line again afterwards;
    is_repair: it has held everything before, and something was lost; retry_at: seconds since the epoch.
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
    in_flight: LeaseCall | None = None
    tries: int = 0
    retry_at: float = 0.0

    def slot_at(self, place: Place) -> Slot | None:
        return next((slot for slot in self.slots if slot.place == place), None)

    def slot_of(self, lock: LockName) -> Slot | None:
        """The slot by which it has this lock, or takes it."""
        return next((slot for slot in self.slots if slot.place.lock == lock and not slot.is_extra), None)

    def next_call(self) -> LeaseCall | None:
        """What is to be done next; None if nothing is, so that it is at its end."""
        if self.state is State.FOUND:
            return None
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

    def unsent(self) -> list[Slot]:
        """The places that it gives back without ever having asked for them."""
        is_giving = self.state is State.GIVING
        return [one for one in self.slots if (one.is_extra or is_giving) and one.held is None and not one.is_sent]

    def delay(self) -> float:
        """Seconds until a call that failed is made again."""
        self.tries += 1
        return float(min(_MAX_DELAY, _FIRST_DELAY * 2 ** min(self.tries - 1, 10)))
