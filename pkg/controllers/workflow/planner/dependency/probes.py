"""HTTP and TCP probes: what their answers mean for the flows that wait, and which of them are needed now.

Answers are evaluated once per question and set of replicas, however many flows wait for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Strategy
from pkg.controllers.workflow.planner.actions import ProbeRequest
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.truth import Truth, over_replicas
from pkg.controllers.workflow.planner.graph.model import Node, ProbePredicate
from pkg.controllers.workflow.planner.progress import NEVER, ProbeKey, Task, TaskKey, counterpart

_NONE: Final[frozenset[int]] = frozenset()


def is_serving(task: Task) -> bool:
    """Whether the task is a service that became ready and still has its job, so that its pods can be probed."""
    return task.current.ready and bool(task.current.job)


def has_ended(ctx: Context, node: Node, index: int, task: Task) -> bool:
    """Whether no pod of the task will answer a probe any more: it is final, and no service that serves or may serve.

    While the cache of the kind is incomplete, a recorded success may belong to a service whose job is not cached yet.
    So it is with an applied service that this controller has not read yet.
    """
    if not task.is_final or is_serving(task):
        return False
    return task.phase is not Phase.SUCCEEDED or not (ctx.may_hide_jobs(node) or ctx.may_serve_unseen(node, index))


def _answers_since(task: Task) -> float | None:
    """Since when the pods of a task can answer (seconds since the epoch); None if they cannot now."""
    return task.current.ran_at if task.phase is Phase.RUNNING or is_serving(task) else None


@dataclass(frozen=True, slots=True)
class Silence:
    """A replica that has not answered a probe, or whose pod has no address.

    is_running: its pods can answer; is_long: for many periods already.
    """

    index: int
    is_running: bool
    is_long: bool


# A probe that has not passed for so many of its periods, since the asked attempt first ran, waits for a person.
PERIODS: Final = 10
# So does a pod address that has not come for as long as that takes with the usual period.
ADDRESS_SECONDS: Final = 50.0


class ProbeEvaluator:
    """Answers probe predicates over a draft, for one call of the dependency step.

    `gives_up_at` is when the next probe gives up (seconds since the epoch, or NEVER).
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.gives_up_at = NEVER
        # Replicas whose probe passes now, by `ProbePredicate.asked_as`.
        self._passing: dict[tuple[str, str], set[int]] = {}
        for key in ctx.snapshot.passed:
            self._passing.setdefault((key.flow, key.path), set()).add(key.index)
        # Shared among all flows that ask the same and had the same replicas answer before.
        self._all_passed: dict[tuple[tuple[str, str], frozenset[int]], frozenset[int]] = {}
        # The first replica that has not answered, and since when it runs.
        self._unanswered: dict[tuple[tuple[str, str], frozenset[int]], tuple[int, float | None]] = {}
        self._silent: dict[tuple[int, float | None], list[Truth]] = {}
        self._values: dict[tuple[tuple[str, str], float | None, Strategy, frozenset[int]], Truth] = {}

    def passed(self, node: Node, predicate: ProbePredicate) -> frozenset[int]:
        """The replicas for which this probe of the flow has passed, now or before."""
        before = self._ctx.draft.state(node.number).passed.get(predicate.path, _NONE)
        found = self._all_passed.get((predicate.asked_as, before))
        if found is None:
            found = before | self._passing.get(predicate.asked_as, set())
            self._all_passed[predicate.asked_as, before] = found
        return found

    def over_replicas(self, node: Node, predicate: ProbePredicate) -> Truth:
        """The value of a probe over all replicas of the asked flow."""
        passed = self.passed(node, predicate)
        key = (predicate.asked_as, predicate.fail_after, predicate.strategy, passed)
        value = self._values.get(key)
        if value is None:
            silent = self._silent_values(predicate)
            self._ctx.budget.spend(1 + len(silent) // 8)
            values = [Truth.TRUE if index in passed else unanswered for index, unanswered in enumerate(silent)]
            value = self._values[key] = over_replicas(predicate.strategy, values)
        return value

    def at(self, node: Node, predicate: ProbePredicate, index: int) -> Truth:
        """The value of a probe of the flow's own replica `index`, which may change during the call."""
        if index in self.passed(node, predicate):
            return Truth.TRUE
        return self._without_answer(node, index, self._ctx.draft.task(node.number, index), predicate.fail_after)

    def silence(self, node: Node, predicate: ProbePredicate, own_index: int | None = None) -> Silence | None:
        """The first replica that has not answered a probe of the flow, a running one first; None if there is none.

        own_index: the index that waits, if it asks the previous index of its own flow.
        """
        if own_index is not None:
            index, task = own_index - 1, self._ctx.draft.task(predicate.flow, own_index - 1)
            ran_at = _answers_since(task)
        else:
            passed = self.passed(node, predicate)
            found = self._unanswered.get((predicate.asked_as, passed))
            if found is None:
                tasks = self._ctx.draft.tasks(predicate.flow)
                self._ctx.budget.spend(1 + len(tasks) // 8)
                left = [(at, _answers_since(task)) for at, task in enumerate(tasks) if at not in passed]
                found = next((one for one in left if one[1] is not None), left[0] if left else (-1, None))
                self._unanswered[predicate.asked_as, passed] = found
            index, ran_at = found
        if index < 0:
            return None
        period = predicate.probe.period_seconds
        is_long = ran_at is not None and self._is_long(node, Reasons.PROBE_UNANSWERED, ran_at + PERIODS * period)
        return Silence(index, ran_at is not None, is_long)

    def without_address(self, node: Node, asked: Node, own_index: int) -> Silence:
        """The task whose pod address an index of the flow waits for."""
        index = counterpart(asked, own_index).index
        ran_at = _answers_since(self._ctx.draft.task(asked.number, index))
        is_long = ran_at is not None and self._is_long(node, Reasons.NO_POD_ADDRESS, ran_at + ADDRESS_SECONDS)
        return Silence(index, ran_at is not None, is_long)

    def _is_long(self, node: Node, reason: str, due: float) -> bool:
        """Whether a flow waits for so long that a person should look. reason: what it shows then."""
        if self._ctx.draft.state(node.number).wait_reason == reason:
            return True  # it was before this controller started, which is from when `ran_at` may count
        if due > self._ctx.now:
            self.gives_up_at = min(self.gives_up_at, due)
        return due <= self._ctx.now

    def _silent_values(self, predicate: ProbePredicate) -> list[Truth]:
        """What the probe comes to for each replica of the asked flow if that replica has not answered."""
        key = (predicate.flow, predicate.fail_after)
        found = self._silent.get(key)
        if found is None:
            asked = self._ctx.graph.nodes[predicate.flow]
            tasks = self._ctx.draft.tasks(asked.number)
            found = self._silent[key] = [
                self._without_answer(asked, index, task, predicate.fail_after) for index, task in enumerate(tasks)
            ]
            self._ctx.budget.spend(1 + len(tasks) // 2)
        return found

    def _without_answer(self, asked: Node, index: int, task: Task, fail_after: float | None) -> Truth:
        if has_ended(self._ctx, asked, index, task):
            return Truth.TIMED_OUT if task.phase is Phase.SUCCEEDED else Truth.IMPOSSIBLE
        ran_at = task.current.ran_at
        if fail_after is not None and ran_at is not None and task.phase is not Phase.BACKOFF:
            gives_up = ran_at + fail_after
            if gives_up <= self._ctx.now:
                return Truth.TIMED_OUT
            self.gives_up_at = min(self.gives_up_at, gives_up)
        return Truth.UNKNOWN


def needed_probes(ctx: Context) -> Iterator[ProbeRequest]:
    """The probes whose answer a Waiting task needs, of replicas whose pods can be asked. Each question once."""
    graph, draft = ctx.graph, ctx.draft
    answered: dict[tuple[str, str], tuple[ProbePredicate, frozenset[int]]] = {}
    for number in graph.probing:
        if draft.is_final(number) or not draft.count(number, Phase.WAITING):
            continue
        passed = draft.state(number).passed
        for predicate in graph.nodes[number].probes():
            known = passed.get(predicate.path, _NONE)
            before = answered.get(predicate.asked_as)
            if before is None or before[1] != known:
                # Only what every waiting flow has seen is not asked any more.
                answered[predicate.asked_as] = (predicate, known if before is None else known & before[1])
    for predicate, known in answered.values():
        for index, task in enumerate(draft.tasks(predicate.flow)):
            if index not in known and (task.is_unfinished or is_serving(task)):
                yield _request(ctx, predicate, index, task)


def _request(ctx: Context, predicate: ProbePredicate, index: int, task: Task) -> ProbeRequest:
    asked = ctx.graph.nodes[predicate.flow]
    return ProbeRequest(
        key=ProbeKey(*predicate.asked_as, index),
        asked=TaskKey(asked.name, index),
        attempt=task.attempt,
        what=predicate.what,
        period=float(predicate.probe.period_seconds),
        timeout=float(predicate.probe.timeout_seconds),
        threshold=predicate.probe.success_threshold,
        role=predicate.probe.role,
        pods=predicate.probe.pods,
        gvr=task.current.gvr or ctx.draft.state(asked.number).gvr,
    )
