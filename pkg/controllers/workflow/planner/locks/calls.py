"""The calls to the API server that locks need, and their answers, as values. The edge makes them, one after another for
each holder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from pkg.apis.flow.v1alpha1.locks import LockName
from pkg.controllers.workflow.planner.locks.holders import Holder, LockAnswer


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a lock."""

    lock: LockName
    number: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A Lease of ours as the cluster has it: this holder has this place. since: RFC 3339; version: resourceVersion."""

    place: Place
    holder: Holder
    uid: str
    version: int
    since: str = ""
    kinds: tuple[str, ...] = ()


# The calls.


@dataclass(frozen=True, slots=True)
class Take:
    """Create the Lease of a place for a holder. Only one can."""

    place: Place
    holder: Holder
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TakeAgain:
    """Write the Lease that the holder has already, as it was seen.

    Another controller may have begun to delete it, in the version that it saw; from now on that is refused.
    """

    held: Held

    @property
    def place(self) -> Place:
        return self.held.place

    @property
    def holder(self) -> Holder:
        return self.held.holder


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Delete the Lease of a place, as it was seen, if this holder has it. held: None if its creation had no answer."""

    place: Place
    holder: Holder
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class LookForJobs:
    """List the jobs of a holder, past every cache, before its Lease is deleted. kinds: as `GVR.parse` reads them."""

    holder: Holder
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Get the ConfigMap of semaphores."""

    config_map: str


LeaseCall: TypeAlias = Take | TakeAgain | GiveBack
HolderCall: TypeAlias = LeaseCall | LookForJobs
LockCall: TypeAlias = HolderCall | ReadLimits

# Their answers.


@dataclass(frozen=True, slots=True)
class Taken:
    """The holder has the place, and the API server has acknowledged it.

    is_shared: the Lease was there already, in a version that this controller did not know.
    """

    held: Held
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class TakenByOther:
    """Another holder has the place. held: None if the Lease is none of ours, or is gone again."""

    held: Held | None = None
    is_stranger: bool = False


@dataclass(frozen=True, slots=True)
class GivenBack:
    """The holder does not have the place, whoever deleted the Lease."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The Lease was not deleted: the holder has the place, in a version that this controller did not know."""

    held: Held


@dataclass(frozen=True, slots=True)
class JobsFound:
    """The uids of the jobs that a holder has."""

    uids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Limits:
    """The data of the ConfigMap; None if there is none."""

    data: Mapping[str, str] | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Failed:
    """The call failed. may_have_worked: the API server did not say that it refuses it; answer: for those who wait."""

    answer: LockAnswer
    may_have_worked: bool = True


CallAnswer: TypeAlias = Taken | TakenByOther | GivenBack | Rewritten | JobsFound | Limits | Failed
