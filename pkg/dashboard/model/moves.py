"""What happened to the tasks of a flow between two of its states: the movements that are drawn of them.

A status is written for many changes at once, so a movement may stand for several: a task that is Waiting in the one
state and Succeeded in the next has started, and has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.indexes import pack_indexes, unpack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.dashboard.model.state import FlowState
from pkg.views.graph.picture import ArrowKind


class Kind(StrEnum):
    """What the tasks do, in the order in which it happens."""

    RESET = "reset"  # a restart takes back how they ended
    GATE = "gate"  # they come as far as the gate in front of the flow, and wait there
    START = "start"  # they come from the flows before it, or pass the gate
    HOLD = "hold"  # a queue holds their jobs
    FAIL = "fail"  # an attempt failed, and another one follows
    AGAIN = "again"  # that other one begins
    RETRY = "retry"  # both at once
    DONE = "done"
    DEAD = "dead"  # they failed for good
    CANCEL = "cancel"
    SKIP = "skip"


class Move(msgspec.Struct, frozen=True, omit_defaults=True):
    """flow: its position in the state; tasks: indexes as ranges; sources: the flows that they come from, by position.

    gated: of a start, that the tasks have waited at the gate.
    """

    kind: Kind
    flow: int
    tasks: str
    sources: tuple[int, ...] = ()
    gated: bool = False


class Incoming(msgspec.Struct, frozen=True, array_like=True):
    """An arrow to a flow: the position of the flow that it comes from, and how it waits for it."""

    source: int
    kind: ArrowKind


#: Reasons of a flow that is released, or would be, but for something beside the flows before it.
GATES: Final = frozenset(
    {Reasons.WAITING_FOR_PROBE, Reasons.PROBE_UNANSWERED, Reasons.APPROVAL_NEEDED, Reasons.LOCK_HELD}
)
_UNSTARTED: Final = frozenset({Phase.WAITING})
_ALIVE: Final = frozenset({Phase.PENDING, Phase.SUSPENDED, Phase.RUNNING})
_ENDS: Final[Mapping[Phase, Kind]] = {
    Phase.SUCCEEDED: Kind.DONE,
    Phase.FAILED: Kind.DEAD,
    Phase.CANCELLED: Kind.CANCEL,
    Phase.SKIPPED: Kind.SKIP,
}
_ORDER: Final = tuple(Kind)


def moves(
    flow: int, before: FlowState, after: FlowState, incoming: Iterable[Incoming], states: Sequence[FlowState]
) -> tuple[Move, ...]:
    """The movements of one flow at position `flow`; states: of all flows, afterwards."""
    found: dict[Kind, list[int]] = {}
    old, new = phases(before), phases(after)
    restarts = 0
    for index, phase in new.items():
        was = old.get(index, Phase.WAITING)
        for kind in _steps(was, phase):
            found.setdefault(kind, []).append(index)
        restarts += was is Phase.WAITING and phase not in (Phase.WAITING, Phase.SKIPPED)
        restarts += was is Phase.BACKOFF and phase in _ALIVE
    _add_hidden_retries(found, old, new, after.tries - before.tries - restarts)
    was_gated = before.phase is Phase.WAITING and before.reason in GATES
    if not was_gated and after.phase is Phase.WAITING and after.reason in GATES:
        found[Kind.GATE] = [index for index, phase in new.items() if phase is Phase.WAITING]
    sources = tuple(_sources(incoming, states)) if Kind.START in found or Kind.GATE in found else ()
    return tuple(
        Move(
            kind,
            flow,
            pack_indexes(sorted(found[kind])),
            sources if kind in (Kind.START, Kind.GATE) else (),
            gated=kind is Kind.START and was_gated,
        )
        for kind in _ORDER
        if found.get(kind)
    )


def phases(state: FlowState) -> dict[int, Phase]:
    """The phase of each task by its index."""
    if not state.tasks:
        return dict.fromkeys(range(state.size), state.phase)
    return {index: phase for phase, text in state.tasks.items() for index in unpack_indexes(text)}


def _steps(was: Phase, now: Phase) -> Iterator[Kind]:
    """What one task has done."""
    if was is now:
        return
    if was.is_final:
        yield Kind.RESET
        was = Phase.WAITING
        if now is Phase.WAITING:
            return
    if was is Phase.WAITING and now not in (Phase.SKIPPED, Phase.CANCELLED):
        yield Kind.START
    if was is Phase.BACKOFF and now in (*_ALIVE, Phase.SUCCEEDED):
        yield Kind.AGAIN
    if now is Phase.BACKOFF:
        yield Kind.FAIL
    elif now is Phase.SUSPENDED:
        yield Kind.HOLD
    elif now in _ENDS:
        yield _ENDS[now]


def _add_hidden_retries(
    found: dict[Kind, list[int]], old: Mapping[int, Phase], new: Mapping[int, Phase], count: int
) -> None:
    """Attempts that began and of which no state shows the Backoff before them: of tasks that run before and after."""
    if count <= 0:
        return
    alive = [index for index, phase in new.items() if phase in _ALIVE and old.get(index) in _ALIVE]
    if alive:
        found.setdefault(Kind.RETRY, []).extend(alive[:count])


def _sources(incoming: Iterable[Incoming], states: Sequence[FlowState]) -> Iterator[int]:
    """The flows that have let it go on."""
    for arrow in incoming:
        phase = states[arrow.source].phase
        if arrow.kind is ArrowKind.TARGET:
            is_met = phase in (Phase.SUCCEEDED, Phase.FAILED)
        elif arrow.kind is ArrowKind.FAILURE:
            is_met = phase is Phase.FAILED or states[arrow.source].count(Phase.FAILED) > 0
        else:
            is_met = phase not in (Phase.WAITING, Phase.SKIPPED)
        if is_met:
            yield arrow.source
