"""The state of one kind, and how each answer of the API server changes it. Pure: the time is an argument.

All times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from typing import TypeAlias, assert_never

import msgspec

from pkg.apis.meta import GVR
from pkg.kinds.kind import Kind


class KindTiming(msgspec.Struct, frozen=True):
    """How long to wait for what, in seconds."""

    retry: float = 1.0
    """Between two rounds of discovery while a kind is not served."""
    certain: float = 1.5
    """Absence is checked with `Discovery.is_gone` once discovery has shown it for so long."""
    settling: float = 2.1
    """The API server stalls creates for about 2 s after a CRD is established, so wait before using it. The tenth of a
    second is for the watch event of the CRD. For as long, discovery may answer from before a change of a CRD."""
    lasting: float = 10.0
    """A discovery that fails is reported once it has failed for so long: it does for a moment as a CRD is installed."""
    absent_at_once: int = 20
    """Of the kinds that have been absent for that long, so many are asked for in one round, the least recently asked
    first: what people write into templates must not become a stream of calls."""


class KindState(msgspec.Struct, frozen=True):
    """One kind. `kind` is None when it is not served, may not be used yet, or was not answered yet."""

    kind: Kind | None = None
    is_answered: bool = False
    is_stale: bool = False
    """Its CRD changed: ask again, though it is known."""
    absent_since: float | None = None
    """Since when discovery lacks the kind; None once the kind is usable."""
    absent_at: float = 0.0
    """When discovery lacked it last."""
    is_gone: bool = False
    """Whether its absence is certain: what is missing from its cache is missing from the cluster."""
    crd_changed_at: float | None = None
    """When the CRD of a kind that is not served changed last."""
    usable_at: float | None = None
    """When a kind that has just come may be used; None unless it has just come."""
    ask_again_at: float | None = None
    """When a usable kind is asked for once more: its CRD changed, or no answer came the last time."""
    undescribed_since: float | None = None
    """Since when the kind is served and its schema is missing."""

    def is_long_absent(self, timing: KindTiming) -> bool:
        """Whether discovery has lacked the kind for some time."""
        return self.absent_since is not None and self.absent_at - self.absent_since >= timing.certain

    @property
    def is_open(self) -> bool:
        """Whether the server is to be asked again."""
        return self.kind is None or self.absent_since is not None

    def is_due(self, now: float) -> bool:
        """Whether it is time to ask for the kind once more."""
        return self.kind is not None and self.ask_again_at is not None and now >= self.ask_again_at

    def is_schema_overdue(self, now: float, timing: KindTiming) -> bool:
        """Whether the schema has been missing for so long that the kind is used without."""
        return self.undescribed_since is not None and now - self.undescribed_since >= timing.certain


class Asked(msgspec.Struct, frozen=True):
    """The server is being asked about the kind now."""


class Unanswered(msgspec.Struct, frozen=True):
    """The server was asked, and no answer came that proves anything."""


class Absent(msgspec.Struct, frozen=True):
    """Discovery lacks the kind; `is_confirmed`: and this is no fault on the way to the server, nor a moment's."""

    is_confirmed: bool = False


class Closing(msgspec.Struct, frozen=True):
    """The server deletes objects of the kind and creates none: the CRD is being deleted."""


class Served(msgspec.Struct, frozen=True):
    """The server serves the kind; `is_creatable`: namespaced, and with the verb create."""

    is_creatable: bool


class Undescribed(msgspec.Struct, frozen=True):
    """The server serves the kind, and its schema does not have it yet."""


class Described(msgspec.Struct, frozen=True):
    """All that is needed to use the kind, or to refuse it, is known."""

    kind: Kind


class CrdChanged(msgspec.Struct, frozen=True):
    """The CRD of the kind came or changed, or is gone."""


class SchemaChanged(msgspec.Struct, frozen=True):
    """The schema of the kind has come, or is another one now."""


class CrdDeleted(msgspec.Struct, frozen=True):
    """The CRD of the kind is being deleted, or its informer found the kind gone."""


Input: TypeAlias = (
    Asked | Unanswered | Absent | Closing | Served | Undescribed | Described | SchemaChanged | CrdChanged | CrdDeleted
)


class Effect(Enum):
    """What the caller does about a step."""

    NONE = "none"
    COMING = "coming"  # the kind will be usable in a moment: get its cache ready
    SERVED = "served"  # the kind is usable
    CHANGED = "changed"  # a usable kind has changed
    GONE = "gone"  # the kind was usable and is not any more
    ABSENT = "absent"  # the kind is not served, which is new, or is certain now


class Step(msgspec.Struct, frozen=True):
    """The next state, and what follows from the step."""

    state: KindState
    effect: Effect = Effect.NONE


def advance(state: KindState, happened: Input, now: float, timing: KindTiming) -> Step:
    """The step that `happened` at `now` makes."""
    match happened:
        case Asked():
            return Step(_replace(state, is_stale=False, ask_again_at=None if state.is_due(now) else state.ask_again_at))
        case Unanswered():  # whatever made a known kind be asked for is still to be learned
            due = now + timing.retry
            again = due if state.ask_again_at is None else min(due, state.ask_again_at)
            return Step(_replace(state, ask_again_at=again if state.kind is not None else state.ask_again_at))
        case Absent(is_confirmed):
            return _absent(state, is_confirmed, now)
        case Closing() | CrdDeleted():
            was_usable = state.kind is not None or (isinstance(happened, Closing) and not state.is_answered)
            new = _replace(state, kind=None, is_answered=True)
            return Step(new, Effect.GONE if was_usable else Effect.NONE)
        case Served(is_creatable):
            return _served(state, is_creatable, now, timing)
        case Undescribed():
            since = now if state.undescribed_since is None else state.undescribed_since
            return Step(_replace(state, undescribed_since=since))
        case Described(kind):
            new = _replace(state, kind=kind, is_answered=True, crd_changed_at=None, undescribed_since=None)
            if state.kind is None:
                return Step(new, Effect.SERVED)
            return Step(new, Effect.NONE if state.kind == kind else Effect.CHANGED)
        case SchemaChanged():
            return Step(_replace(state, is_stale=True))
        case CrdChanged():
            if state.kind is None:
                return Step(_replace(state, is_stale=True, crd_changed_at=now))
            return Step(_replace(state, is_stale=True, ask_again_at=now + timing.settling))
        case _:
            assert_never(happened)


def _absent(state: KindState, is_confirmed: bool, now: float) -> Step:
    """A usable kind stays so until its absence is confirmed."""
    since = now if state.absent_since is None else state.absent_since
    new = _replace(state, absent_since=since, absent_at=now, usable_at=None, is_gone=state.is_gone or is_confirmed)
    if state.kind is not None:
        return Step(_replace(new, kind=None), Effect.GONE) if is_confirmed else Step(new)
    is_news = not state.is_answered or new.is_gone != state.is_gone
    return Step(_replace(new, is_answered=True), Effect.ABSENT if is_news else Effect.NONE)


def _served(state: KindState, is_creatable: bool, now: float, timing: KindTiming) -> Step:
    """A kind that was absent settles first; one that was there when first asked for is used at once."""
    if state.absent_since is None:
        return Step(state)
    if state.kind is not None:
        return Step(_replace(state, absent_since=None))  # its absence was never confirmed
    effect = Effect.NONE
    if state.usable_at is None:
        came_at = now if state.crd_changed_at is None else state.crd_changed_at
        state = _replace(state, usable_at=came_at + timing.settling)
        effect = Effect.COMING if is_creatable else Effect.NONE
    if state.usable_at is not None and now >= state.usable_at:
        state = _replace(state, absent_since=None, crd_changed_at=None, usable_at=None, is_gone=False)
    return Step(state, effect)


def to_ask(states: Mapping[GVR, KindState], now: float, timing: KindTiming) -> list[GVR]:
    """The kinds to ask for in this round: all that are open, but only a few of those that have been absent for long."""
    prompt: list[GVR] = []
    absent: list[GVR] = []
    for gvr, state in states.items():
        is_prompt = state.is_stale or state.usable_at is not None or state.is_due(now)
        if not is_prompt and state.is_long_absent(timing):
            absent.append(gvr)
        elif state.is_open or is_prompt:
            prompt.append(gvr)
    absent.sort(key=lambda gvr: states[gvr].absent_at)
    return prompt + absent[: timing.absent_at_once]


def pause(states: Mapping[GVR, KindState], tried: Collection[GVR], now: float, timing: KindTiming) -> float | None:
    """Seconds until the next round, after a round that asked for `tried`; None: until something happens."""
    if any(state.is_stale or (not state.is_answered and gvr not in tried) for gvr, state in states.items()):
        return 0.0
    times = [timing.retry] if any(state.is_open for state in states.values()) else []
    for state in states.values():
        if state.usable_at is not None and state.usable_at > now:
            times.append(state.usable_at - now)
        if state.kind is not None and state.ask_again_at is not None:
            times.append(max(0.0, state.ask_again_at - now))
    return min(times, default=None)


def _replace(state: KindState, **changes: object) -> KindState:
    return msgspec.structs.replace(state, **changes)
