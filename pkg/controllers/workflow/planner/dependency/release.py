"""Which tasks may start, and which are skipped or fail because their dependencies can never be met.

Only flows that depend on a change are evaluated, in topological order. So one call carries a skip through the graph.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable

import msgspec

from pkg.apis.flow.v1alpha1.phases import FAILED, SKIPPED, WAITING
from pkg.apis.flow.v1alpha1.reasons import DEPENDENCY_WAITS, Reasons
from pkg.apis.structs import Value
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency import approvals, start_delay
from pkg.controllers.workflow.planner.dependency.fan_out import fix_number
from pkg.controllers.workflow.planner.dependency.messages import cannot_be_met, waits_for
from pkg.controllers.workflow.planner.dependency.predicates import Evaluator
from pkg.controllers.workflow.planner.dependency.truth import Truth
from pkg.controllers.workflow.planner.graph.model import Node, Predicate
from pkg.controllers.workflow.planner.outputs.condition import Ends, Judge, Waits
from pkg.controllers.workflow.planner.progress import Task


class Released(Value, frozen=True, gc=False):
    """The result of one evaluation. Flows are given by their numbers."""

    #: When the next probe gives up (seconds since the epoch, or NEVER).
    gives_up_at: float
    #: Flows that exceed the budget of the pass.
    left: frozenset[int]
    #: Hidden flows whose tasks would have ended. They are evaluated again: a flow is hidden no longer once its cache is
    #: complete, and also once its template is deleted, which no event of a job shows.
    withheld: frozenset[int]


def reconcile(
    ctx: Context, stale: Iterable[int], *, may_release: Callable[[Node], bool], hidden: Collection[int] = ()
) -> Released:
    """Releases, skips or fails Waiting tasks of the given flows, and of all flows that depend on what changes by it.

    Flows for which may_release is False are left out. Tasks of hidden flows do not end: these flows may have jobs that
    no cache shows yet, and a job proves that the dependencies were met.
    """
    graph, draft = ctx.graph, ctx.draft
    evaluator = Evaluator(ctx)
    heap = [(graph.nodes[number].rank, number) for number in set(stale)]
    heapq.heapify(heap)
    queued = {number for _, number in heap}
    withheld: set[int] = set()
    while heap and not ctx.budget.is_spent:
        _, number = heapq.heappop(heap)
        queued.discard(number)
        node = graph.nodes[number]
        if not draft.count(number, WAITING):
            continue
        if not may_release(node):
            if node.is_finally:
                message = "waits for every flow without finally to end"
                draft.explain(number, Reasons.WAITING_FOR_DEPENDENCIES, message)
            continue
        if _evaluate(ctx, evaluator, node, withheld if number in hidden else None):
            for other in node.dependents:
                if other != number and other not in queued:
                    queued.add(other)
                    heapq.heappush(heap, (graph.nodes[other].rank, other))
    return Released(evaluator.gives_up_at, frozenset(queued), frozenset(withheld))


def _evaluate(ctx: Context, evaluator: Evaluator, node: Node, withheld: set[int] | None) -> bool:
    """Evaluates the Waiting tasks of one flow, in the order of their indexes; True if one became final.

    withheld: None, or for a hidden flow where it is added to if one of its tasks would have ended.
    """
    draft = ctx.draft
    dependencies_at = evaluator.requires(node)
    has_finals = False
    shown: tuple[Predicate, int] | None = None
    waiting: Task | None = None
    ready: Task | None = None
    judge = Judge(ctx, node, node.when) if node.when is not None else None
    unjudged: Waits | None = None
    delays = start_delay.Delays(node, ctx.now) if node.start_delay else None
    is_approval = node.is_approval
    for index, task in enumerate(tuple(draft.tasks(node.number))):
        if task.phase is not WAITING:
            continue
        if task.released is not None and (is_approval or not node.needs_pod_ip):
            has_finals = (is_approval and approvals.decide(ctx, node, index)) or has_finals
            continue
        value, blocker = dependencies_at(index)
        if value is Truth.TRUE:
            if node.count is None:
                has_finals = fix_number(ctx, node) or has_finals
            elif task.released is None:
                verdict = None if judge is None or start_delay.has_begun(task) else judge.verdict(index)
                if isinstance(verdict, Ends) and withheld is not None:
                    withheld.add(node.number)
                elif isinstance(verdict, Ends):
                    draft.put(node.number, index, verdict.applied(task, ctx.now))
                    has_finals = True
                if verdict is not None:
                    unjudged = verdict if isinstance(verdict, Waits) else unjudged
                    continue
                if delays is not None and (later := delays.of(task)) is not None:
                    draft.put(node.number, index, later)
                    continue
                if ready is None or task is not waiting:  # thousands of tasks that are one value in memory stay so
                    waiting, ready = task, msgspec.structs.replace(task, released=ctx.now)
                draft.put(node.number, index, ready)
                has_finals = (is_approval and approvals.decide(ctx, node, index)) or has_finals
        elif value is Truth.UNKNOWN:
            if shown is None and blocker is not None:
                shown = (blocker, index)
            if task.released is not None:
                draft.put(node.number, index, _withdrawn(task))
        elif withheld is not None:
            withheld.add(node.number)
        else:
            has_finals = True
            draft.put(node.number, index, _ended(ctx, task, index, blocker, is_timeout=value is Truth.TIMED_OUT))
    _latch(ctx, evaluator, node)
    if not (is_approval and approvals.show(ctx, node)):
        _show(ctx, evaluator, node, shown, unjudged or (delays.waits if delays is not None else None))
    return has_finals


def _show(
    ctx: Context, evaluator: Evaluator, node: Node, shown: tuple[Predicate, int] | None, unjudged: Waits | None
) -> None:
    """Shows on the flow what its tasks wait for. shown: a dependency, and the index that waits for it."""
    draft = ctx.draft
    if shown is not None:
        blocker, index = shown
        reason, message = waits_for(ctx, node, blocker, index, evaluator.silence(node, blocker, index))
        draft.explain(node.number, reason, message)
    elif unjudged is not None:
        draft.explain(node.number, unjudged.reason, unjudged.message)
    elif node.is_approval or draft.state(node.number).wait_reason in DEPENDENCY_WAITS:
        draft.explain(node.number, "", "")


def _withdrawn(task: Task) -> Task:
    """The task after the pod lost its address that its job needs: only this predicate is not latched."""
    return msgspec.structs.replace(task, released=None).with_current(makeable=None)


def _ended(ctx: Context, task: Task, index: int, blocker: Predicate | None, *, is_timeout: bool) -> Task:
    """A task whose dependencies can never be met: Failed if a probe timed out, else Skipped."""
    return msgspec.structs.replace(
        task,
        phase=FAILED if is_timeout else SKIPPED,
        reason=Reasons.PROBE_TIMEOUT if is_timeout else Reasons.DEPENDENCIES_IMPOSSIBLE,
        message=cannot_be_met(ctx, blocker, index, is_timeout),
        finished=ctx.now,
    )


def _latch(ctx: Context, evaluator: Evaluator, node: Node) -> None:
    """Records the probes of the flow that passed: they count as passed from now on."""
    if node.is_probing:
        passed = {path: indexes for path, indexes in evaluator.passed_by(node).items() if indexes}
        ctx.draft.edit(node.number, passed=passed)
