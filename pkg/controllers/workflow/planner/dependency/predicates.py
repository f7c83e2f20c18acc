"""The dependency reconciler: three-valued predicates decide which tasks may start and which are skipped.

True, Unknown or Impossible; a part that is Impossible because a probe gave up makes the task fail instead of being
skipped. Only flows that something happened to are looked at, in topological order, so that a skip runs through in
one go.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Sequence
from enum import IntEnum
from functools import lru_cache

import msgspec

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import HTTPGet, Strategy
from pkg.controllers.workflow.planner.actions import ProbeRequest
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
from pkg.controllers.workflow.planner.progress import NEVER, Draft, Task, TaskKey, counterpart, unpack
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


def reconcile(
    snapshot: Snapshot,
    graph: Graph,
    draft: Draft,
    stale: Iterable[int],
    *,
    may_release: Callable[[Node], bool],
    hidden: Collection[int] = (),
) -> float:
    """Releases, skips or fails Waiting tasks of the flows given and of all that depends on what changes by it.

    Flows for which may_release is False are passed by; hidden ones (that may have jobs which no cache shows yet, and
    a job proves that the dependencies were met) are not ended. Returns when a probe next gives up (seconds since the
    epoch, or NEVER).
    """
    evaluator = Evaluator(snapshot, graph, draft)
    heap = [(graph.nodes[number].rank, number) for number in set(stale)]
    heapq.heapify(heap)
    queued = {number for _, number in heap}
    while heap:
        _, number = heapq.heappop(heap)
        queued.discard(number)
        node = graph.nodes[number]
        if not draft.count(number, Phase.WAITING):
            continue
        if not may_release(node):
            if node.is_finally:
                draft.edit(
                    number, why=Reasons.WAITING_FOR_DEPENDENCIES, message="waits for every flow without finally to end"
                )
            continue
        if _evaluate(snapshot, graph, evaluator, draft, node, is_hidden=number in hidden):
            for other in node.dependents:
                if other != number and other not in queued:
                    queued.add(other)
                    heapq.heappush(heap, (graph.nodes[other].rank, other))
    return evaluator.wakes


def _evaluate(
    snapshot: Snapshot, graph: Graph, evaluator: Evaluator, draft: Draft, node: Node, *, is_hidden: bool
) -> bool:
    """Looks at the Waiting tasks of one flow, in the order of their indexes; True if one became final."""
    at = evaluator.requires(node)
    has_finals, blocked = False, None
    for index, task in enumerate(tuple(draft.tasks(node.number))):
        if task.phase is not Phase.WAITING or (task.released is not None and not node.needs_pod_ip):
            continue
        value, blocker = at(index)
        if value is Truth.TRUE:
            if task.released is None:
                draft.put(node.number, index, msgspec.structs.replace(task, released=snapshot.now))
        elif value is Truth.UNKNOWN:
            blocked = blocked or blocker
            if task.released is not None:  # an address that was there is gone: the only predicate that does not latch
                draft.put(node.number, index, msgspec.structs.replace(task, released=None, makeable=None))
        elif not is_hidden:
            has_finals = True
            failed = value is Truth.TIMED_OUT
            ended = msgspec.structs.replace(
                task,
                phase=Phase.FAILED if failed else Phase.SKIPPED,
                reason=Reasons.PROBE_TIMEOUT if failed else Reasons.DEPENDENCIES_IMPOSSIBLE,
                message=_impossible(graph, draft, blocker, failed),
                finished=snapshot.now,
            )
            draft.put(node.number, index, ended)
    if blocked is not None:
        draft.edit(node.number, why=Reasons.WAITING_FOR_DEPENDENCIES, message=_waits(graph, blocked))
    elif draft.state(node.number).why == Reasons.WAITING_FOR_DEPENDENCIES:
        draft.edit(node.number, why="", message="")
    return has_finals


def probes_wanted(graph: Graph, draft: Draft) -> list[ProbeRequest]:
    """Probes whose answer somebody still waits for, of replicas whose job may be asked."""
    wanted = []
    for number in graph.probing:
        node = graph.nodes[number]
        if draft.is_final(number) or not draft.count(number, Phase.WAITING):
            continue
        for predicate in node.probes():
            passed = draft.state(node.number).passed
            asked = graph.nodes[predicate.flow]
            for index, task in enumerate(draft.tasks(asked.number)):
                if (predicate.path, index) in passed or not (task.is_unfinished or is_serving(task)):
                    continue
                wanted.append(
                    ProbeRequest(
                        key=ProbeKey(node.name, predicate.path, index),
                        asked=TaskKey(asked.name, index),
                        attempt=task.attempt,
                        what=predicate.what,
                        period=float(predicate.probe.period_seconds),
                        timeout=float(predicate.probe.timeout_seconds),
                        threshold=predicate.probe.success_threshold,
                        role=predicate.probe.role,
                        pods=predicate.probe.pods,
                        gvr=draft.state(asked.number).gvr,
                    )
                )
    return wanted


_ASKS = {
    Ask.TARGET: "to succeed",
    Ask.TARGET_OR_FAILED: "to succeed or fail",
    Ask.TARGET_OR_SKIPPED: "to succeed or be skipped",
    Ask.TARGET_OR_FAILED_OR_SKIPPED: "to end",
    Ask.PENDING: "to get its job",
    Ask.RUNNING: "to run",
    Ask.COMPLETED: "to succeed",
    Ask.FAILED: "to fail",
    Ask.SKIPPED: "to be skipped",
    Ask.FINISHED: "to end",
}


def _waits(graph: Graph, blocker: Predicate) -> str:
    """One line that says what a flow waits for."""
    match blocker:
        case StatusPredicate(flow, ask, strategy):
            node = graph.nodes[flow]
            some = "any replica of " if node.size > 1 and strategy is Strategy.ANY else ""
            return f"waits for {some}{node.name} {_ASKS[ask]}"
        case PreviousPredicate(ask):
            return f"waits for the previous index {_ASKS[ask]}"
        case ProbePredicate(flow, _, _, what):
            kind = f"{what.scheme} {what.path}" if isinstance(what, HTTPGet) else "TCP"
            return f"waits for {graph.nodes[flow].name} to answer {kind} on port {what.port}"
        case PodIPPredicate(flow):
            return f"waits for the pod address of {graph.nodes[flow].name}"


def _impossible(graph: Graph, draft: Draft, blocker: Predicate | None, failed: bool) -> str:
    match blocker:
        case ProbePredicate(flow, _, _, what, _, fail_after):
            name = graph.nodes[flow].name
            kind = f"HTTP {what.path}" if isinstance(what, HTTPGet) else "TCP"
            if not failed:
                return f"{name} ended {draft.phase(flow)} before it answered {kind} on port {what.port}"
            limit = "before it ended" if fail_after is None else f"within {fail_after:g}s of running"
            return f"{name} did not answer {kind} on port {what.port} {limit}"
        case StatusPredicate(flow, ask):
            return f"{graph.nodes[flow].name} is {draft.phase(flow)} and was {_ASKS[ask]}"
        case PreviousPredicate(ask):
            return f"the previous index ended and was {_ASKS[ask]}"
        case PodIPPredicate(flow):
            return f"{graph.nodes[flow].name} ended before its pod had an address"
        case None:
            return "its dependencies cannot be met any more"
