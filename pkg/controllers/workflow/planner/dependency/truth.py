"""Three-valued logic: True, Unknown or Impossible, and the truth table of status predicates.

A predicate that is Impossible because a probe timed out makes the task fail. Any other makes it skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import lru_cache

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import Strategy
from pkg.controllers.workflow.planner.graph.model import Ask
from pkg.controllers.workflow.planner.progress import phase_of


class Truth(IntEnum):
    """Value of a predicate; TIMED_OUT is Impossible with a ProbeTimeout among its causes."""

    TRUE = 0
    UNKNOWN = 1
    IMPOSSIBLE = 2
    TIMED_OUT = 3

    @property
    def is_impossible(self) -> bool:
        return self >= Truth.IMPOSSIBLE


def both(values: Iterable[Truth]) -> Truth:
    """AND: Impossible if any part is."""
    return max(values, default=Truth.TRUE)


def either(values: Iterable[Truth]) -> Truth:
    """OR: True if any part is, Impossible only if all are. No part at all is True."""
    found = list(values)
    if not found or Truth.TRUE in found:
        return Truth.TRUE
    if Truth.UNKNOWN in found:
        return Truth.UNKNOWN
    return max(found)


@lru_cache(maxsize=8192)
def truth(ask: Ask, facts: int) -> Truth:
    """The truth table of status predicates: the answer to a question about a task with these `Task.facts`."""
    phase, had_job, ran, reported = phase_of(facts), bool(facts & 16), bool(facts & 32), bool(facts & 64)
    is_true = {
        Ask.TARGET: phase is Phase.SUCCEEDED,
        Ask.TARGET_OR_FAILED: phase in (Phase.SUCCEEDED, Phase.FAILED),
        Ask.TARGET_OR_SKIPPED: phase in (Phase.SUCCEEDED, Phase.SKIPPED),
        Ask.TARGET_OR_FAILED_OR_SKIPPED: phase in (Phase.SUCCEEDED, Phase.FAILED, Phase.SKIPPED),
        Ask.PENDING: had_job,
        Ask.RUNNING: ran or reported or phase is Phase.SUCCEEDED,
        Ask.COMPLETED: phase is Phase.SUCCEEDED,
        Ask.FAILED: phase is Phase.FAILED,
        Ask.SKIPPED: phase is Phase.SKIPPED,
        Ask.FINISHED: phase.is_final,
    }[ask]
    if is_true:
        return Truth.TRUE
    return Truth.IMPOSSIBLE if phase.is_final else Truth.UNKNOWN


def over_replicas(strategy: Strategy, values: Sequence[Truth]) -> Truth:
    """One value from those of all replicas."""
    return both(values) if strategy is Strategy.ALL else either(values)
