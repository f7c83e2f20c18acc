"""The phases of tasks, flows and workflows, and the tables of legal moves between them.

Code that changes a phase calls `advance`, which refuses an illegal move. The diagrams in ARCHITECTURE.md are generated
from the same tables.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Phase of a task, and of a flow. The phase of a flow is folded from the phases of its tasks."""

    WAITING = "Waiting"
    PENDING = "Pending"
    SUSPENDED = "Suspended"
    RUNNING = "Running"
    BACKOFF = "Backoff"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        return self in FINAL

    @property
    def field(self) -> str:
        """The field of TaskCounts, and of FlowStatus, that is about this phase."""
        return self.value.lower()


class WorkflowPhase(StrEnum):
    """Phase of a workflow."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    TERMINATING = "Terminating"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def is_final(self) -> bool:
        return self is WorkflowPhase.SUCCEEDED or self is WorkflowPhase.FAILED


class IllegalMove(ValueError):
    """A change of a phase that the table does not allow; the message names both phases."""


# Members under names of their own, for code that runs often: Python 3.11 takes five times as long for Phase.WAITING.
WAITING: Final = Phase.WAITING
PENDING: Final = Phase.PENDING
SUSPENDED: Final = Phase.SUSPENDED
RUNNING: Final = Phase.RUNNING
BACKOFF: Final = Phase.BACKOFF
SUCCEEDED: Final = Phase.SUCCEEDED
FAILED: Final = Phase.FAILED
SKIPPED: Final = Phase.SKIPPED
CANCELLED: Final = Phase.CANCELLED

_P = Phase
FINAL: Final = frozenset({_P.SUCCEEDED, _P.FAILED, _P.SKIPPED, _P.CANCELLED})
UNFINISHED: Final = frozenset({_P.PENDING, _P.SUSPENDED, _P.RUNNING})

# A watch shows the latest state of a job, not every state: a job may turn Succeeded without being observed Running. And
# after a crash a Waiting task moves at once to the phase that its job shows.
_SEEN: Final = frozenset({_P.PENDING, _P.SUSPENDED, _P.RUNNING, _P.BACKOFF, _P.SUCCEEDED, _P.FAILED, _P.CANCELLED})
TASK_MOVES: Final[dict[Phase, frozenset[Phase]]] = {
    _P.WAITING: _SEEN | {_P.SKIPPED},
    _P.PENDING: _SEEN - {_P.PENDING},
    _P.SUSPENDED: _SEEN - {_P.SUSPENDED},
    _P.RUNNING: _SEEN - {_P.RUNNING},
    _P.BACKOFF: _SEEN - {_P.BACKOFF, _P.CANCELLED},
    _P.SUCCEEDED: frozenset(),
    _P.FAILED: frozenset(),
    _P.SKIPPED: frozenset(),
    _P.CANCELLED: frozenset(),
}

_W = WorkflowPhase
WORKFLOW_MOVES: Final[dict[WorkflowPhase, frozenset[WorkflowPhase]]] = {
    _W.PENDING: frozenset({_W.RUNNING, _W.SUSPENDED, _W.TERMINATING, _W.SUCCEEDED, _W.FAILED}),
    _W.RUNNING: frozenset({_W.SUSPENDED, _W.TERMINATING, _W.SUCCEEDED, _W.FAILED}),
    _W.SUSPENDED: frozenset({_W.RUNNING, _W.TERMINATING, _W.SUCCEEDED, _W.FAILED}),
    # Running: a decided workflow with remaining: Continue was held for an edit, which was taken back.
    _W.TERMINATING: frozenset({_W.RUNNING, _W.SUCCEEDED, _W.FAILED}),
    _W.SUCCEEDED: frozenset(),
    _W.FAILED: frozenset(),
}


def advance(now: Phase, then: Phase) -> Phase:
    """The phase after a move from `now` to `then`; the same phase is always allowed.

    Raises IllegalMove if the table does not allow the move.
    """
    if now is not then and then not in TASK_MOVES[now]:
        raise IllegalMove(f"a task cannot go from {now} to {then}")
    return then


def advance_workflow(now: WorkflowPhase, then: WorkflowPhase) -> WorkflowPhase:
    """The same as `advance`, for a workflow."""
    if now is not then and then not in WORKFLOW_MOVES[now]:
        raise IllegalMove(f"a workflow cannot go from {now} to {then}")
    return then


def fold(counts: dict[Phase, int]) -> Phase:
    """The phase of a flow, from the number of its tasks in each phase.

    A flow without tasks is Skipped. (`for: {replicas: 0}` has one task, which is Skipped.)
    """
    present = {phase for phase, count in counts.items() if count}
    if any(not phase.is_final for phase in present):
        for phase in (_P.RUNNING, _P.PENDING, _P.SUSPENDED, _P.BACKOFF):
            if phase in present:
                return phase
        return _P.RUNNING if any(phase.is_final for phase in present) else _P.WAITING
    for phase in (_P.FAILED, _P.CANCELLED, _P.SUCCEEDED):
        if phase in present:
            return phase
    return _P.SKIPPED
