"""The conditions of a Workflow, and functions that set one without changing the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pkg.apis.meta import Condition

DECIDED: Final = "Decided"
FINISHED: Final = "Finished"
SUCCEEDED: Final = "Succeeded"
SUSPENDED: Final = "Suspended"
SPEC_CHANGED: Final = "SpecChanged"
BLOCKED: Final = "Blocked"
#: Written by earlier controllers; Blocked has taken its place.
STATUS_RULES_FAULTY: Final = "StatusRulesFaulty"
ORDER: Final = (DECIDED, FINISHED, SUCCEEDED, SUSPENDED, SPEC_CHANGED, BLOCKED)

TRUE: Final = "True"
FALSE: Final = "False"
UNKNOWN: Final = "Unknown"

MAX_MESSAGE: Final = 1_024


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of that type, if there is one."""
    for condition in conditions:
        if condition.type == type_:
            return condition
    return None


def is_true(conditions: Iterable[Condition], type_: str) -> bool:
    """Whether the condition is there with status "True"."""
    found = find(conditions, type_)
    return found is not None and found.status == TRUE


def put(conditions: tuple[Condition, ...], condition: Condition) -> tuple[Condition, ...]:
    """The conditions with one set; `lastTransitionTime` changes only if the status of the condition changes.

    Returns the same tuple if only its time would differ, so that a caller may compare with `is`.
    """
    condition = msgspec.structs.replace(condition, message=condition.message[:MAX_MESSAGE])
    old = find(conditions, condition.type)
    if old is None:
        return _sorted((*conditions, condition))
    if old.status == condition.status:
        seen = (old.reason, old.message, old.observed_generation)
        if seen == (condition.reason, condition.message, condition.observed_generation):
            return conditions
        condition = msgspec.structs.replace(condition, last_transition_time=old.last_transition_time)
    return tuple(condition if was.type == condition.type else was for was in conditions)


def without(conditions: tuple[Condition, ...], *types: str) -> tuple[Condition, ...]:
    """The conditions without those of the given types; the same tuple if there are none."""
    kept = tuple(condition for condition in conditions if condition.type not in types)
    return conditions if len(kept) == len(conditions) else kept


def _sorted(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return tuple(sorted(conditions, key=lambda c: (ORDER.index(c.type) if c.type in ORDER else len(ORDER), c.type)))
