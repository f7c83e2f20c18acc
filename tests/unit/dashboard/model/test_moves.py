"""Which movements lead from one state of a flow to the next."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.dashboard.model.moves import Incoming, Kind, Move, moves
from pkg.dashboard.model.state import FlowState
from pkg.views.graph.picture import ArrowKind

P, K = Phase, Kind


def one(phase: Phase, reason: str = "", tries: int = 0) -> FlowState:
    return FlowState(phase=phase, reason=reason, tries=tries)


def many(tries: int = 0, reason: str = "", **tasks: str) -> FlowState:
    found = {Phase(name.capitalize()): text for name, text in tasks.items()}
    phase = next(iter(found)) if len(found) == 1 else Phase.RUNNING
    return FlowState(phase=phase, size=4, reason=reason, tries=tries, tasks=found)


CASES = {
    "a flow that starts comes from the flow before it": (
        one(P.WAITING),
        one(P.RUNNING, tries=1),
        [Move(K.START, 1, "0", (0,))],
    ),
    "a flow whose job waits for a node has started": (
        one(P.WAITING),
        one(P.PENDING, tries=1),
        [Move(K.START, 1, "0", (0,))],
    ),
    "a task that ended between two states has started and ended": (
        one(P.WAITING),
        one(P.SUCCEEDED, tries=1),
        [Move(K.START, 1, "0", (0,)), Move(K.DONE, 1, "0")],
    ),
    "a flow with replicas splits": (
        many(waiting="0-3"),
        many(tries=4, running="0-3"),
        [Move(K.START, 1, "0-3", (0,))],
    ),
    "replicas that start later come later": (
        many(tries=2, running="0-1", waiting="2-3"),
        many(tries=3, running="0-2", waiting="3"),
        [Move(K.START, 1, "2", (0,))],
    ),
    "an attempt that failed is followed by another": (
        many(tries=4, running="0-3"),
        many(tries=4, running="0-2", backoff="3"),
        [Move(K.FAIL, 1, "3")],
    ),
    "the next attempt begins": (
        many(tries=4, running="0-2", backoff="3"),
        many(tries=5, running="0-3"),
        [Move(K.AGAIN, 1, "3")],
    ),
    "the next attempt has succeeded already": (
        one(P.BACKOFF, tries=1),
        one(P.SUCCEEDED, tries=2),
        [Move(K.AGAIN, 1, "0"), Move(K.DONE, 1, "0")],
    ),
    "an attempt that failed and its successor are in one state": (
        one(P.RUNNING, tries=1),
        one(P.RUNNING, tries=2),
        [Move(K.RETRY, 1, "0")],
    ),
    "attempts that begin from Waiting are no retries": (
        many(tries=0, waiting="0-3"),
        many(tries=2, running="0-1", waiting="2-3"),
        [Move(K.START, 1, "0-1", (0,))],
    ),
    "a gate that has not answered is waited at": (
        one(P.WAITING, "WaitingForDependencies"),
        one(P.WAITING, "WaitingForProbe"),
        [Move(K.GATE, 1, "0", (0,))],
    ),
    "nothing moves while the gate is waited at": (
        one(P.WAITING, "WaitingForProbe"),
        one(P.WAITING, "ProbeUnanswered"),
        [],
    ),
    "a gate that has answered is passed": (
        one(P.WAITING, "WaitingForProbe"),
        one(P.RUNNING, tries=1),
        [Move(K.START, 1, "0", (0,), gated=True)],
    ),
    "a task that failed for good stays": (one(P.RUNNING, tries=1), one(P.FAILED, tries=1), [Move(K.DEAD, 1, "0")]),
    "a branch that is not taken fades": (one(P.WAITING), one(P.SKIPPED), [Move(K.SKIP, 1, "0")]),
    "what is cancelled before its start has not started": (one(P.WAITING), one(P.CANCELLED), [Move(K.CANCEL, 1, "0")]),
    "a job that a queue holds": (one(P.PENDING, tries=1), one(P.SUSPENDED, tries=1), [Move(K.HOLD, 1, "0")]),
    "a restart takes back how it ended": (one(P.FAILED, tries=1), one(P.WAITING, tries=1), [Move(K.RESET, 1, "0")]),
    "a restart whose first attempt runs already": (
        one(P.FAILED, tries=1),
        one(P.RUNNING, tries=2),
        [Move(K.RESET, 1, "0"), Move(K.START, 1, "0", (0,))],
    ),
    "nothing happened": (one(P.RUNNING, tries=1), one(P.RUNNING, tries=1), []),
}


@pytest.mark.parametrize(("before", "after", "expected"), CASES.values(), ids=CASES.keys())
def test_moves(before: FlowState, after: FlowState, expected: list[Move]) -> None:
    states = [one(P.SUCCEEDED, tries=1), after]
    assert list(moves(1, before, after, [Incoming(0, ArrowKind.TARGET)], states)) == expected


SOURCES = {
    "all flows that were waited for merge": (
        [P.SUCCEEDED, P.SUCCEEDED],
        [ArrowKind.TARGET, ArrowKind.TARGET],
        (0, 1),
    ),
    "of alternatives, the one that was met": ([P.SKIPPED, P.SUCCEEDED], [ArrowKind.TARGET, ArrowKind.TARGET], (1,)),
    "the failure branch comes from what failed": (
        [P.FAILED, P.SUCCEEDED],
        [ArrowKind.FAILURE, ArrowKind.FAILURE],
        (0,),
    ),
    "a gate comes from the flow that answers while it runs": (
        [P.RUNNING, P.WAITING],
        [ArrowKind.PROBE, ArrowKind.PROBE],
        (0,),
    ),
    "a value comes from a flow that has begun": ([P.SUCCEEDED, P.WAITING], [ArrowKind.VALUE, ArrowKind.VALUE], (0,)),
}


@pytest.mark.parametrize(("phases", "kinds", "expected"), SOURCES.values(), ids=SOURCES.keys())
def test_where_it_comes_from(phases: list[Phase], kinds: list[ArrowKind], expected: tuple[int, ...]) -> None:
    states = [*map(one, phases), one(P.RUNNING, tries=1)]
    incoming = [Incoming(position, kind) for position, kind in enumerate(kinds)]
    (move,) = moves(2, one(P.WAITING), states[2], incoming, states)
    assert move == Move(K.START, 2, "0", expected)
