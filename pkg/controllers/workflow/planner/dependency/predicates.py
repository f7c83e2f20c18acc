"""Three-valued predicates over tasks: True, Unknown or Impossible.

A predicate that is Impossible because a probe timed out makes the task fail; any other makes it skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from functools import lru_cache

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import Strategy
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.model import (
    Ask,
    Graph,
    Node,
    PodIPPredicate,
    Predicate,
    PreviousPredicate,
    ProbePredicate,
    StatusPredicate,
)
from pkg.controllers.workflow.planner.progress import NEVER, Task, counterpart, unpack
from pkg.controllers.workflow.planner.snapshot import ProbeKey, Snapshot


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
    """OR: True if any part is, Impossible only if all are; no part at all is True."""
    found = list(values)
    if not found or Truth.TRUE in found:
        return Truth.TRUE
    if Truth.UNKNOWN in found:
        return Truth.UNKNOWN
    return max(found)


@lru_cache(maxsize=8192)
def truth(ask: Ask, standing: int) -> Truth:
    """The table of status predicates: what a question about a task in this standing comes to."""
    phase, had_job, ran, reported = unpack(standing)
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


class Evaluator:
    """Answers predicates over a draft; remembers which probe latches a release rests on."""

    def __init__(self, snapshot: Snapshot, graph: Graph, draft: Draft) -> None:
        self._snapshot = snapshot
        self._graph = graph
        self._draft = draft
        self.wakes = NEVER

    def requires(self, node: Node) -> Callable[[int], tuple[Truth, Predicate | None]]:
        """The value of a flow's dependencies at an index, with the first part that is not True.

        What does not depend on the index is answered once.
        """
        known: dict[Predicate, Truth] = {}
        has_index = False
        for predicate in node.predicates():
            if isinstance(predicate, PreviousPredicate | PodIPPredicate) or _asks_previous(predicate):
                has_index = True
            elif predicate not in known:
                known[predicate] = self._shared(node, predicate)

        def at(index: int) -> tuple[Truth, Predicate | None]:
            def value(predicate: Predicate) -> Truth:
                found = known.get(predicate)
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
        if isinstance(predicate, StatusPredicate):
            values = {truth(predicate.ask, standing) for standing in self._draft.tally(predicate.flow)}
            return over_replicas(predicate.strategy, tuple(values))
        if isinstance(predicate, ProbePredicate):
            asked = self._graph.nodes[predicate.flow]
            values_ = [self._probe(node, predicate, asked, index) for index in range(asked.size)]
            return over_replicas(predicate.strategy, values_)
        raise TypeError(f"{predicate} depends on the index")

    def _indexed(self, node: Node, predicate: Predicate, index: int) -> Truth:
        if isinstance(predicate, PreviousPredicate):
            return Truth.TRUE if index == 0 else truth(predicate.ask, self._draft.task(node.number, index - 1).standing)
        if isinstance(predicate, ProbePredicate):
            return Truth.TRUE if index == 0 else self._probe(node, predicate, node, index - 1)
        if isinstance(predicate, PodIPPredicate):
            asked = self._graph.nodes[predicate.flow]
            key = counterpart(asked, index)
            if self._snapshot.pod_ips.get(key):
                return Truth.TRUE
            task = self._draft.task(asked.number, key.index)
            return Truth.IMPOSSIBLE if has_ended(self._snapshot, self._draft, asked, task) else Truth.UNKNOWN
        raise TypeError(f"{predicate} does not depend on the index")

    def _probe(self, node: Node, predicate: ProbePredicate, asked: Node, index: int) -> Truth:
        state = self._draft.state(node.number)
        if (predicate.path, index) in state.passed:
            return Truth.TRUE
        if ProbeKey(node.name, predicate.path, index) in self._snapshot.passed:
            self._draft.edit(node.number, passed=state.passed | {(predicate.path, index)})
            return Truth.TRUE
        task = self._draft.task(asked.number, index)
        if has_ended(self._snapshot, self._draft, asked, task):
            return Truth.TIMED_OUT if task.phase is Phase.SUCCEEDED else Truth.IMPOSSIBLE
        if predicate.fail_after is not None and task.ran_at is not None and task.phase is not Phase.BACKOFF:
            gives_up = task.ran_at + predicate.fail_after
            if gives_up <= self._snapshot.now:
                return Truth.TIMED_OUT
            self.wakes = min(self.wakes, gives_up)
        return Truth.UNKNOWN


def _asks_previous(predicate: Predicate) -> bool:
    return isinstance(predicate, ProbePredicate) and predicate.is_previous


def is_serving(task: Task) -> bool:
    """A service that became ready and whose job is still there: final, yet its pods may be asked."""
    return task.ready and bool(task.job)


def has_ended(snapshot: Snapshot, draft: Draft, node: Node, task: Task) -> bool:
    """Whether nobody of this task can be asked any more: final, and no service that serves, or may turn out to.

    Until the kind's cache is complete, a recorded success may be that of a service whose job is only not seen yet.
    """
    if not task.is_final or is_serving(task):
        return False
    may_serve = snapshot.may_hide_jobs(node.flow.template_name, draft.state(node.number).gvr)
    return task.phase is not Phase.SUCCEEDED or not may_serve
