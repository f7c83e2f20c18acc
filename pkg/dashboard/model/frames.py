"""A frame: what differs between two states of a Workflow, and the movements that lead from the one to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pkg.dashboard.model.moves import Incoming, Move, moves
from pkg.dashboard.model.state import FlowState, Head, State


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """at: when it was seen, seconds since the epoch; head: None if it is as before; flows: those that changed, by
    position; number: one more than that of the frame, or of the state, before it.
    """

    at: float
    number: int = 0
    head: Head | None = None
    flows: Mapping[int, FlowState] = {}
    moves: tuple[Move, ...] = ()


def frame(
    before: State, after: State, incoming: Sequence[Sequence[Incoming]], at: float, number: int = 0
) -> Frame | None:
    """The frame between two states of the same shape; None if they are equal. incoming: by the position of the flow."""
    changed = {
        position: new
        for position, (old, new) in enumerate(zip(before.flows, after.flows, strict=True))
        if old is not new and old != new
    }
    head = after.head if after.head != before.head else None
    if not changed and head is None:
        return None
    found = tuple(
        move
        for position, new in changed.items()
        for move in moves(position, before.flows[position], new, incoming[position], after.flows)
    )
    return Frame(at, number, head, changed, found)
