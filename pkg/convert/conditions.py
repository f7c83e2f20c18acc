"""Conditions over the ends of other steps: any mix of and, or, not, as the alternatives of a dependsOn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

#: As many alternatives as orGroups may have, and the first one.
MAX_ALTERNATIVES: Final = 65

SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"
SKIPPED: Final = "Skipped"
FINISHED: Final = "Finished"
RUNNING: Final = "Running"
ANY_SUCCEEDED: Final = "AnySucceeded"
ALL_FAILED: Final = "AllFailed"

_NOT: Final = {
    SUCCEEDED: (FAILED, SKIPPED),
    FAILED: (SUCCEEDED, SKIPPED),
    SKIPPED: (SUCCEEDED, FAILED),
}


class CannotSay(ValueError):
    """A condition that dependsOn cannot say; the message says why."""


@dataclass(frozen=True, slots=True, order=True)
class Ask:
    """A flow has come to this state."""

    flow: str
    state: str


#: An OR of ANDs. Without alternatives it is never true; with one empty alternative always.
Condition = tuple[frozenset[Ask], ...]
ALWAYS: Final[Condition] = (frozenset(),)


def ask(flow: str, *states: str) -> Condition:
    """The flow is in one of these states."""
    return tuple(frozenset({Ask(flow, state)}) for state in states)


def not_in(flow: str, state: str) -> Condition:
    """The flow has ended, and not in this state. Raises CannotSay."""
    if state not in _NOT:
        raise CannotSay(f"the opposite of {state} is none of the states that a flow ends in")
    return ask(flow, *_NOT[state])


def both(*conditions: Condition) -> Condition:
    """All of them hold. Raises CannotSay if that has too many alternatives."""
    found: Condition = ALWAYS
    for condition in conditions:
        found = _simple(one | other for one in found for other in condition)
    return found


def either(*conditions: Condition) -> Condition:
    """One of them holds. Raises CannotSay if that has too many alternatives."""
    return _simple(one for condition in conditions for one in condition)


def _simple(alternatives: Iterable[frozenset[Ask]]) -> Condition:
    """Without alternatives that another one includes."""
    kept: list[frozenset[Ask]] = []
    for one in alternatives:
        if any(other <= one for other in kept):
            continue
        kept = [other for other in kept if not one <= other]
        kept.append(one)
        if len(kept) > MAX_ALTERNATIVES:
            raise CannotSay(f"it has more than {MAX_ALTERNATIVES} alternatives")
    return tuple(kept)


@dataclass(slots=True)
class _Group:
    targets: list[str] = field(default_factory=list)
    phases: list[dict[str, str]] = field(default_factory=list)
    strategy: str = ""

    def as_object(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.targets:
            found["targets"] = self.targets
        if self.strategy:
            found["strategy"] = self.strategy
        if self.phases:
            found["probe"] = {"taskStatusList": self.phases}
        return found


def depends_on(condition: Condition, may_be_skipped: Iterable[str] = ()) -> dict[str, Any]:
    """The dependsOn of a condition; empty if it always holds.

    may_be_skipped: flows whose skip counts as success where success is asked for. Raises CannotSay.
    """
    if frozenset() in condition:
        return {}
    if not condition:
        raise CannotSay("it is never true")
    skipped = set(may_be_skipped)
    groups = [_group(one) for one in sorted(condition, key=lambda one: (len(one), sorted(one)))]
    found = groups[0].as_object()
    if skipped.intersection(target for group in groups for target in group.targets):
        found["onSkipped"] = "Ignore"
    if groups[1:]:
        found["orGroups"] = [group.as_object() for group in groups[1:]]
    return found


def _group(asks: frozenset[Ask]) -> _Group:
    found = _Group()
    strategies = set()
    for one in sorted(asks):
        if one.state in (SUCCEEDED, ANY_SUCCEEDED):
            found.targets.append(one.flow)
            strategies.add("Any" if one.state == ANY_SUCCEEDED else "")
        else:
            phase = FAILED if one.state == ALL_FAILED else one.state
            found.phases.append({"taskName": one.flow, "phase": phase})
            strategies.add("All" if one.state == ALL_FAILED else "")
    named = strategies - {""}
    if len(named) > 1 or (named and "" in strategies and len(asks) > 1):
        raise CannotSay("any and all of the tasks of several flows cannot be asked for in one alternative")
    found.strategy = named.pop() if named else ""
    return found
