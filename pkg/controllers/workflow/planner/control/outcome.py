"""When the outcome of a workflow is certain, and what then happens to the tasks that are not final."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from enum import IntEnum
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1 import defaults
from pkg.apis.flow.v1alpha1.phases import BACKOFF, CANCELLED, FAILED, SKIPPED, SUCCEEDED, SUSPENDED, WAITING
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Action, PolicyType, Remaining, Shutdown, WorkflowSpec
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.progress import Decision, Task


class Mode(IntEnum):
    """What happens to the remaining tasks. Of several modes that apply, the highest holds."""

    RUN = 0  # the outcome is not decided
    CONTINUE = 1
    DRAIN = 2
    CANCEL = 3

    @property
    def ends_remaining(self) -> bool:
        return self >= Mode.DRAIN


_ALL_WELL: Final = "every flow succeeded, was skipped, or failed and was tolerated"
_REMAINING = {Remaining.CONTINUE: Mode.CONTINUE, Remaining.DRAIN: Mode.DRAIN, Remaining.CANCEL: Mode.CANCEL}


def mode(spec: WorkflowSpec, decision: Decision | None, *, is_overdue: bool) -> Mode:
    """What happens to the remaining tasks. A later Stop, Terminate or timeout can only make the mode stricter."""
    if decision is None:
        return Mode.RUN
    asked = _REMAINING[defaults.remaining(spec.success_policy, succeeded=decision.is_success)]
    if decision.reason in (Reasons.STOPPED, Reasons.SPEC_CHANGED, Reasons.INVALID):
        asked = Mode.DRAIN
    if decision.reason in (Reasons.TERMINATED, Reasons.DEADLINE_EXCEEDED):
        asked = Mode.CANCEL
    if spec.shutdown is Shutdown.STOP:
        asked = max(asked, Mode.DRAIN)
    if spec.shutdown is Shutdown.TERMINATE or is_overdue:
        asked = max(asked, Mode.CANCEL)
    return asked


def held_mode(spec: WorkflowSpec, decision: Decision | None) -> Mode:
    """The same as `mode` while the workflow is held for an edit: only shutdown ends the remaining tasks."""
    if decision is None:
        return Mode.RUN
    asked = Mode.CONTINUE
    if spec.shutdown is Shutdown.STOP or decision.reason == Reasons.STOPPED:
        asked = Mode.DRAIN
    if spec.shutdown is Shutdown.TERMINATE or decision.reason == Reasons.TERMINATED:
        asked = Mode.CANCEL
    return asked


def decide(spec: WorkflowSpec, draft: Draft, *, is_overdue: bool, is_held_open: bool = False) -> Decision | None:
    """The outcome as soon as it is certain, None before.

    is_held_open: the success policy has to wait, because a restart named flows that are not final. A success that is
    seen in the same pass as the timeout counts, because it may have come first while no controller ran.
    """
    if (asked := by_shutdown(spec)) is not None:
        return asked
    found = None if is_held_open else _by_policy(spec, draft)
    if is_overdue and (found is None or not found.is_success):
        return Decision(Reasons.DEADLINE_EXCEEDED, f"the workflow ran longer than its timeout of {spec.timeout}")
    return found


def without_finally(spec: WorkflowSpec, draft: Draft) -> Decision:
    """What the flows without `finally`, which are all final, come to."""
    finals = frozenset(draft.graph.finals)
    found = _all(draft, finals) if spec.success_policy.type is PolicyType.ALL else _by_policy(spec, draft)
    return found or Decision(Reasons.ALL_SUCCEEDED, _ALL_WELL)


def by_shutdown(spec: WorkflowSpec) -> Decision | None:
    """The outcome that spec.shutdown sets, None without it."""
    if spec.shutdown is Shutdown.TERMINATE:
        return Decision(Reasons.TERMINATED, "spec.shutdown is Terminate")
    if spec.shutdown is Shutdown.STOP:
        return Decision(Reasons.STOPPED, "spec.shutdown is Stop")
    return None


def _by_policy(spec: WorkflowSpec, draft: Draft) -> Decision | None:
    match spec.success_policy.type:
        case PolicyType.ALL:
            return _all(draft)
        case PolicyType.ANY:
            return _any(draft)
        case PolicyType.CRITICAL:
            return _critical(draft)


def _all(draft: Draft, left_out: frozenset[int] = frozenset()) -> Decision | None:
    """left_out: flows that are not looked at."""
    graph = draft.graph
    if (draft.failed or draft.counts[CANCELLED]) and not _is_recovery_open(draft):
        lost = _first(graph, (number for number in _untolerated(draft) if number not in left_out))
        if lost is not None:
            return Decision(Reasons.TASK_FAILED, f"flow {lost.name} failed{_why(draft, lost)}")
        if draft.counts[CANCELLED]:  # it failed before the restart, and was not restarted
            cancelled = (node for node in graph.nodes if draft.count(node.number, CANCELLED))
            if one := next((node for node in cancelled if node.number not in left_out), None):
                return Decision(Reasons.TASK_FAILED, f"flow {one.name} was cancelled")
    if not draft.not_final <= left_out:
        return None
    return Decision(Reasons.ALL_SUCCEEDED, _ALL_WELL)


def _any(draft: Draft) -> Decision | None:
    graph = draft.graph
    can_any = False
    for number in graph.leaves:
        phase = draft.phase(number)
        if phase is SUCCEEDED:
            return Decision(Reasons.ANY_SUCCEEDED, f"flow {graph.nodes[number].name} succeeded")
        can_any = can_any or _can_succeed(draft, number)
    if can_any or _is_recovery_open(draft):
        return None
    return Decision(Reasons.NO_LEAF_CAN_SUCCEED, "no leaf (a flow that no other flow depends on) can succeed any more")


def _critical(draft: Draft) -> Decision | None:
    graph = draft.graph
    if all(draft.phase(number) is SUCCEEDED for number in graph.critical):
        return Decision(Reasons.CRITICAL_SUCCEEDED, "every critical flow succeeded")
    if _is_recovery_open(draft):
        return None
    lost = _first(graph, (number for number in graph.critical if not _can_succeed(draft, number)))
    if lost is None:
        return None
    return Decision(
        Reasons.CRITICAL_FAILED, f"the critical flow {lost.name} is {draft.phase(lost.number)}{_why(draft, lost)}"
    )


def _can_succeed(draft: Draft, number: int) -> bool:
    """Whether all tasks of a flow have Succeeded, or still may."""
    if draft.count(number, FAILED, CANCELLED):
        return False
    return not draft.is_final(number) or draft.phase(number) is SUCCEEDED


def _is_recovery_open(draft: Draft) -> bool:
    """Whether a flow that waits for the failure of a failed flow is not final yet."""
    nodes = draft.graph.nodes
    return any(not draft.is_final(other) for number in draft.failed for other in nodes[number].recoveries)


def _untolerated(draft: Draft) -> Iterator[int]:
    """Flows with a Failed task that is not tolerated.

    A failure is tolerated by continueOnFail, by a recovery branch that succeeded, and by one that failed and was
    tolerated in that way itself. Branches are visited before the flows that they recover, so each flow is visited once.
    """
    failed = [draft.graph.nodes[number] for number in draft.failed]
    recovered: set[int] = set()
    for node in sorted((node for node in failed if node.recoveries), key=lambda node: node.rank, reverse=True):
        for other in node.recoveries:
            phase = draft.phase(other)
            if phase is SUCCEEDED or (phase is FAILED and other in recovered):
                recovered.add(node.number)
                break
    for node in failed:
        if node.number not in recovered and not node.flow.continue_on_fail:
            yield node.number


def _first(graph: Graph, numbers: Iterable[int]) -> Node | None:
    number = min(numbers, default=None)
    return None if number is None else graph.nodes[number]


def _why(draft: Draft, node: Node) -> str:
    """Reason and message of a failed task of the flow, for the sentence about the workflow."""
    for index, task in enumerate(draft.tasks(node.number)):
        if task.phase is FAILED:
            where = f" (index {index})" if node.is_indexed else ""
            return f"{where}: {task.reason}" + (f", {task.message}" if task.message else "")
    return ""


def end_remaining(
    ctx: Context, how: Mode, *, with_finally: bool, is_service: Callable[[Node], bool], hidden: Collection[int] = ()
) -> None:
    """Ends the tasks that a decided workflow does not wait for. The control step deletes the jobs of Cancelled tasks.

    hidden: flows that may have jobs which no cache shows yet. Their tasks do not end.
    """
    for number in sorted(ctx.draft.not_final):
        node = ctx.graph.nodes[number]
        if (node.is_finally and not with_finally) or number in hidden:
            continue
        is_unready = is_service(node)
        for index, task in enumerate(tuple(ctx.draft.tasks(number))):
            if not task.is_final:
                ctx.draft.put(number, index, ended(task, how, ctx.now, is_unready_service=is_unready))


def ended(task: Task, how: Mode, now: float, *, is_unready_service: bool) -> Task:
    """One task that is not final, under Drain or Cancel."""
    replace = msgspec.structs.replace
    if task.phase is WAITING:
        message = "the outcome was decided before it started"
        return replace(task, phase=SKIPPED, reason=Reasons.WORKFLOW_DECIDED, message=message, finished=now)
    if task.phase is BACKOFF:
        return replace(task, phase=FAILED, due=None, finished=now)
    if how is Mode.CANCEL or task.phase is SUSPENDED or is_unready_service:
        message = "deleted after the outcome was decided"
        if task.current.action is not Action.CREATE:
            message = f"ended after the outcome was decided; {task.current.job} is left as it is"
        cancelled = replace(task, phase=CANCELLED, reason=Reasons.WORKFLOW_DECIDED, message=message, finished=now)
        return cancelled.with_current(held_at=None)
    return task
