"""The value of a flow's dependencies, from those of its predicates."""

from __future__ import annotations

from collections.abc import Callable

from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.probes import ProbeEvaluator, Silence, has_ended
from pkg.controllers.workflow.planner.dependency.truth import Truth, both, either, over_replicas, truth
from pkg.controllers.workflow.planner.graph.model import (
    Node,
    PodIPPredicate,
    Predicate,
    PreviousPredicate,
    ProbePredicate,
    StatusPredicate,
)
from pkg.controllers.workflow.planner.progress import counterpart


class Evaluator:
    """Answers predicates over a draft. Flows must be evaluated in topological order.

    `gives_up_at` is when the next probe gives up (seconds since the epoch, or NEVER).
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._probes = ProbeEvaluator(ctx)

    @property
    def gives_up_at(self) -> float:
        return self._probes.gives_up_at

    def passed_by(self, node: Node) -> dict[str, frozenset[int]]:
        """The probes of the flow that have passed by now: path -> indexes of the replicas that answered."""
        return {part.path: self._probes.passed(node, part) for part in node.probes()}

    def silence(self, node: Node, predicate: ProbePredicate, index: int) -> Silence | None:
        """The replica that has not answered a probe which an index of the flow waits for."""
        return self._probes.silence(node, predicate, index if predicate.is_previous else None)

    def requires(self, node: Node) -> Callable[[int], tuple[Truth, Predicate | None]]:
        """The value of a flow's dependencies at an index, with the first predicate that is not True.

        Predicates that do not depend on the index are evaluated once for all indexes.
        """
        shared: dict[Predicate, Truth] = {}
        has_index = False
        for predicate in node.predicates():
            if _depends_on_index(predicate):
                has_index = True
            elif predicate not in shared:
                shared[predicate] = self._shared(node, predicate)
        self._ctx.budget.spend(1 + len(shared))

        def at(index: int) -> tuple[Truth, Predicate | None]:
            def value(predicate: Predicate) -> Truth:
                found = shared.get(predicate)
                return self._indexed(node, predicate, index) if found is None else found

            result = both(either(both(map(value, group)) for group in clause) for clause in node.requires)
            blocker = None
            if result is not Truth.TRUE:
                unmet = (part for part in node.predicates() if value(part) is not Truth.TRUE)
                blocker = max(
                    unmet, key=lambda part: value(part) if result.is_impossible else -value(part), default=None
                )
            return result, blocker

        if has_index:
            return at
        once = at(0)
        return lambda _index: once

    def _shared(self, node: Node, predicate: Predicate) -> Truth:
        """The value of a predicate that is the same for every index of the flow."""
        if isinstance(predicate, StatusPredicate):
            found = {truth(predicate.ask, facts) for facts in self._ctx.draft.tally(predicate.flow)}
            return over_replicas(predicate.strategy, tuple(found))
        if isinstance(predicate, ProbePredicate):
            return self._probes.over_replicas(node, predicate)
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
            return Truth.IMPOSSIBLE if has_ended(self._ctx, asked, task) else Truth.UNKNOWN
        raise TypeError(f"{predicate} does not depend on the index")


def _depends_on_index(predicate: Predicate) -> bool:
    if isinstance(predicate, ProbePredicate):
        return predicate.is_previous
    return isinstance(predicate, PreviousPredicate | PodIPPredicate)
