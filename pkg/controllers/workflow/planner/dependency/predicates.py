"""Three-valued predicates over tasks: True, Unknown or Impossible.

A predicate that is Impossible because a probe timed out makes the task fail. Any other makes it skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from functools import lru_cache

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import Strategy
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.model import (
    Ask,
    Node,
    PodIPPredicate,
    Predicate,
    PreviousPredicate,
    ProbePredicate,
    StatusPredicate,
)
from pkg.controllers.workflow.planner.progress import NEVER, Task, counterpart, unpack_facts
from pkg.controllers.workflow.planner.snapshot import ProbeKey


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
    phase, had_job, ran, reported = unpack_facts(facts)
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


def is_serving(task: Task) -> bool:
    """Whether the task is a service that became ready and still has its job, so that its pods can be probed."""
    return task.current.ready and bool(task.current.job)


def has_ended(ctx: Context, node: Node, task: Task) -> bool:
    """Whether no pod of the task will answer a probe any more: it is final, and no service that serves or may serve.

    While the cache of the kind is incomplete, a recorded success may belong to a service whose job is not cached yet.
    """
    if not task.is_final or is_serving(task):
        return False
    return task.phase is not Phase.SUCCEEDED or not ctx.may_hide_jobs(node)


class Evaluator:
    """Evaluates predicates over a draft.

    `passed` collects the probes that passed in this pass: number of the waiting flow -> (path, index of the replica).
    `gives_up_at` is when the next probe gives up (seconds since the epoch, or NEVER).
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.passed: dict[int, set[tuple[str, int]]] = {}
        self.gives_up_at = NEVER

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
            asked = self._ctx.graph.nodes[predicate.flow]
            return over_replicas(
                predicate.strategy, [self._probe(node, predicate, asked, index) for index in range(asked.size)]
            )
        raise TypeError(f"{predicate} depends on the index")

    def _indexed(self, node: Node, predicate: Predicate, index: int) -> Truth:
        """The value of a predicate at one index of the flow."""
        draft = self._ctx.draft
        if isinstance(predicate, PreviousPredicate):
            return Truth.TRUE if index == 0 else truth(predicate.ask, draft.task(node.number, index - 1).facts)
        if isinstance(predicate, ProbePredicate):
            return Truth.TRUE if index == 0 else self._probe(node, predicate, node, index - 1)
        if isinstance(predicate, PodIPPredicate):
            asked = self._ctx.graph.nodes[predicate.flow]
            key = counterpart(asked, index)
            if self._ctx.snapshot.pod_ips.get(key):
                return Truth.TRUE
            task = draft.task(asked.number, key.index)
            return Truth.IMPOSSIBLE if has_ended(self._ctx, asked, task) else Truth.UNKNOWN
        raise TypeError(f"{predicate} does not depend on the index")

    def _probe(self, node: Node, predicate: ProbePredicate, asked: Node, index: int) -> Truth:
        draft, snapshot = self._ctx.draft, self._ctx.snapshot
        if (predicate.path, index) in draft.state(node.number).passed:
            return Truth.TRUE
        if ProbeKey(node.name, predicate.path, index) in snapshot.passed:
            self.passed.setdefault(node.number, set()).add((predicate.path, index))
            return Truth.TRUE
        task = draft.task(asked.number, index)
        if has_ended(self._ctx, asked, task):
            return Truth.TIMED_OUT if task.phase is Phase.SUCCEEDED else Truth.IMPOSSIBLE
        ran_at = task.current.ran_at
        if predicate.fail_after is not None and ran_at is not None and task.phase is not Phase.BACKOFF:
            gives_up = ran_at + predicate.fail_after
            if gives_up <= snapshot.now:
                return Truth.TIMED_OUT
            self.gives_up_at = min(self.gives_up_at, gives_up)
        return Truth.UNKNOWN


def _depends_on_index(predicate: Predicate) -> bool:
    if isinstance(predicate, ProbePredicate):
        return predicate.is_previous
    return isinstance(predicate, PreviousPredicate | PodIPPredicate)
