"""The value of a flow's dependencies, from those of its predicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from pkg.controllers.workflow.planner.budget import Budget
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency import recorded_outputs
from pkg.controllers.workflow.planner.dependency.probes import ProbeEvaluator, Silence, has_ended
from pkg.controllers.workflow.planner.dependency.truth import Truth, both, either, over_replicas, truth
from pkg.controllers.workflow.planner.graph.model import (
    Clause,
    Node,
    OutputPredicate,
    PodIPPredicate,
    Predicate,
    PreviousPredicate,
    ProbePredicate,
    StatusPredicate,
)
from pkg.controllers.workflow.planner.progress import counterpart

# How many predicates are gone through in the time of one unit.
_VISITS_PER_UNIT = 12


class _Part(NamedTuple):
    """A predicate of a flow with its value, and its place among all of them."""

    value: Truth
    place: int
    predicate: Predicate


def _first(parts: Iterable[_Part], *, is_worst: bool) -> _Part | None:
    """The first of the parts whose value is the worst, or of those whose value is the best."""
    return max(parts, key=lambda part: (part.value if is_worst else -part.value, -part.place), default=None)


class Evaluator:
    """Answers predicates over a draft. Flows must be evaluated in topological order.

    `gives_up_at` is when the next probe gives up (seconds since the epoch, or NEVER).
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._tally = ctx.draft.tally
        self._probes = ProbeEvaluator(ctx)

    @property
    def gives_up_at(self) -> float:
        return self._probes.gives_up_at

    def passed_by(self, node: Node) -> dict[str, frozenset[int]]:
        """The probes of the flow that have passed by now: path -> indexes of the replicas that answered."""
        return {part.path: self._probes.passed(node, part) for part in node.probes()}

    def silence(self, node: Node, predicate: Predicate, index: int) -> Silence | None:
        """The replica that has not answered a probe, or has no address, which an index of the flow waits for."""
        if isinstance(predicate, ProbePredicate):
            return self._probes.silence(node, predicate, index if predicate.is_previous else None)
        if isinstance(predicate, PodIPPredicate):
            return self._probes.without_address(node, self._ctx.graph.nodes[predicate.flow], index)
        return None

    def requires(self, node: Node) -> Callable[[int], tuple[Truth, Predicate | None]]:
        """The value of a flow's dependencies at an index, with the first predicate that is not True.

        Predicates that do not depend on the index are evaluated once for all indexes, and so is every group of them:
        the work at one index grows only with the predicates that depend on it.
        """
        if (targets := node.plain) is not None:
            once = self.all_of(targets)
            return lambda _index: once
        return formula(
            node.requires,
            lambda predicate: self._shared(node, predicate),
            lambda predicate, index: self._indexed(node, predicate, index),
            self._ctx.budget,
        )

    def all_of(self, targets: tuple[StatusPredicate, ...]) -> tuple[Truth, Predicate | None]:
        """As `requires`, for what most flows have: each of some targets (`Node.plain`), whatever the index."""
        worst, mildest = Truth.TRUE, Truth.TIMED_OUT
        blocker: StatusPredicate | None = None
        first: StatusPredicate | None = None
        for predicate in targets:
            value = self._status(predicate)
            if value is Truth.TRUE:
                continue
            if value > worst:
                worst, blocker = value, predicate
            if first is None or value < mildest:
                mildest, first = value, predicate
        self._ctx.budget.spend(1 + len(targets) + len(targets) // _VISITS_PER_UNIT)
        return worst, blocker if worst.is_impossible else first

    def _status(self, predicate: StatusPredicate) -> Truth:
        found = self._tally(predicate.flow)
        if len(found) == 1:
            return truth(predicate.ask, next(iter(found)))
        return over_replicas(predicate.strategy, tuple({truth(predicate.ask, facts) for facts in found}))

    def _shared(self, node: Node, predicate: Predicate) -> Truth:
        """The value of a predicate that is the same for every index of the flow."""
        if isinstance(predicate, StatusPredicate):
            return self._status(predicate)
        if isinstance(predicate, ProbePredicate):
            return self._probes.over_replicas(node, predicate)
        if isinstance(predicate, OutputPredicate):
            return recorded_outputs.truth(self._ctx, predicate, 0)
        raise TypeError(f"{predicate} depends on the index")

    def _indexed(self, node: Node, predicate: Predicate, index: int) -> Truth:
        """The value of a predicate at one index of the flow."""
        self._ctx.budget.spend(1)
        draft = self._ctx.draft
        if isinstance(predicate, PreviousPredicate):
            return Truth.TRUE if index == 0 else truth(predicate.ask, draft.task(node.number, index - 1).facts)
        if isinstance(predicate, ProbePredicate):
            return Truth.TRUE if index == 0 else self._probes.at(node, predicate, index - 1)
        if isinstance(predicate, PodIPPredicate):
            asked = self._ctx.graph.nodes[predicate.flow]
            key = counterpart(asked, index)
            if self._ctx.snapshot.pod_ips.get(key):
                return Truth.TRUE
            task = draft.task(asked.number, key.index)
            return Truth.IMPOSSIBLE if has_ended(self._ctx, asked, key.index, task) else Truth.UNKNOWN
        if isinstance(predicate, OutputPredicate):
            return recorded_outputs.truth(self._ctx, predicate, index)
        raise TypeError(f"{predicate} does not depend on the index")


def _depends_on_index(predicate: Predicate) -> bool:
    if isinstance(predicate, ProbePredicate):
        return predicate.is_previous
    if isinstance(predicate, OutputPredicate):
        return predicate.is_by_index
    return isinstance(predicate, PreviousPredicate | PodIPPredicate)


def formula(
    clauses: Iterable[Clause],
    shared_value: Callable[[Predicate], Truth],
    indexed_value: Callable[[Predicate, int], Truth],
    budget: Budget,
) -> Callable[[int], tuple[Truth, Predicate | None]]:
    """The value of an AND of ORs of ANDs at an index, with the first predicate that is not True.

    shared_value: of a predicate that does not depend on the index, asked once for each; indexed_value: of another.
    """
    known: dict[Predicate, Truth] = {}
    parts = []
    shared: list[_Part] = []
    by_index: list[tuple[int, Predicate]] = []
    count = 0
    for clause in clauses:
        same: list[Truth] = []
        other: list[tuple[Truth, tuple[int, ...]]] = []
        for group in clause:
            values, indexed = [], []
            for predicate in group:
                count += 1
                if _depends_on_index(predicate):
                    indexed.append(len(by_index))
                    by_index.append((count, predicate))
                    continue
                if predicate not in known:
                    known[predicate] = shared_value(predicate)
                    shared.append(_Part(known[predicate], count, predicate))
                values.append(known[predicate])
            if indexed:
                other.append((both(values), tuple(indexed)))
            else:
                same.append(both(values))
        parts.append(((either(same),) if same else (), other))
    budget.spend(1 + len(known) + count // _VISITS_PER_UNIT)
    unmet = [part for part in shared if part.value is not Truth.TRUE]
    # One of these two is the first of the shared ones that holds a task back, whatever the rest says.
    held_by = [part for part in (_first(unmet, is_worst=True), _first(unmet, is_worst=False)) if part is not None]

    def at(index: int) -> tuple[Truth, Predicate | None]:
        own = [_Part(indexed_value(predicate, index), place, predicate) for place, predicate in by_index]
        result = both(
            either((*same, *(both((value, *(own[number].value for number in group))) for value, group in other)))
            for same, other in parts
        )
        if result is Truth.TRUE:
            return result, None
        found = [*held_by, *(part for part in own if part.value is not Truth.TRUE)]
        first = _first(found, is_worst=result.is_impossible)
        return result, first.predicate if first is not None else None

    if by_index:
        return at
    once = at(0)
    return lambda _index: once
