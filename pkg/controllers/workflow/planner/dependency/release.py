"""Which tasks may start, and which are skipped or fail because their dependencies can never be met.

Only flows that a change concerns are evaluated, in topological order, so one call carries a skip through the graph.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable

import msgspec

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.dependency.messages import cannot_be_met, waits_for
from pkg.controllers.workflow.planner.dependency.predicates import Evaluator, Truth
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.snapshot import Snapshot


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
                message = "waits for every flow without finally to end"
                draft.edit(number, why=Reasons.WAITING_FOR_DEPENDENCIES, message=message)
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
                message=cannot_be_met(graph, draft, blocker, failed),
                finished=snapshot.now,
            )
            draft.put(node.number, index, ended)
    if blocked is not None:
        draft.edit(node.number, why=Reasons.WAITING_FOR_DEPENDENCIES, message=waits_for(graph, blocked))
    elif draft.state(node.number).why == Reasons.WAITING_FOR_DEPENDENCIES:
        draft.edit(node.number, why="", message="")
    return has_finals
