"""The Events of a pass on the Workflow."""

from __future__ import annotations

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1.phases import BACKOFF, FAILED, SUCCEEDED, WorkflowPhase
from pkg.apis.flow.v1alpha1.reasons import BLOCKING, Reasons
from pkg.controllers.workflow.planner.actions import Emit, FailedAttempt
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.control import restart
from pkg.controllers.workflow.planner.dependency.approvals import without_effect
from pkg.controllers.workflow.planner.edits import is_held_in
from pkg.controllers.workflow.planner.progress import Decision, TaskKey
from pkg.controllers.workflow.planner.snapshot import Snapshot

# Each has an Event of its own.
_OBSTACLES = (BLOCKING | {Reasons.NAMESPACE_TERMINATING}) - {Reasons.UNKNOWN_STATUS}

# Phases of a task with a job that have an Event.
_SAID = frozenset({FAILED, BACKOFF})


def events_of(ctx: Context, decision: Decision | None, phase: WorkflowPhase) -> list[Emit]:
    """Events about failures, retries, obstacles to creations, the decision and the end."""
    snapshot, graph, draft = ctx.snapshot, ctx.graph, ctx.draft
    found: list[Emit] = []
    said = (one for one in draft.touched if draft.task(*one).phase in _SAID or graph.nodes[one[0]].is_approval)
    for number, index in sorted(said):
        node, task = graph.nodes[number], draft.task(number, index)
        was = draft.base.flows[number].tasks[index]
        if was.phase is task.phase and was.attempt == task.attempt:
            continue
        name = f"flow {node.name}, index {index}," if node.is_indexed else f"flow {node.name}"
        failed = FailedAttempt(TaskKey(node.name, index), task.attempt, task.message)
        if node.is_approval and task.phase is SUCCEEDED:
            found.append(Emit(Reasons.APPROVED, f"{name.rstrip(',')}: {task.message}"))
        elif task.phase is FAILED:
            text = f"{name} failed: {task.reason}: {task.message}"
            found.append(Emit("TaskFailed", text, is_warning=True, failed=failed))
        elif task.phase is BACKOFF and task.due is not None:
            retry = task.attempt - draft.state(number).first_attempt + 1
            wait = f"retry {retry} of {node.retry.max_retries} in {task.due - snapshot.now:.1f}s"
            text = f"{name.rstrip(',')}: {task.reason}: {task.message}; {wait}"
            found.append(Emit("TaskRetry", text, is_warning=True, failed=failed))
    for number in sorted(number for number in draft.changed if draft.state(number).wait_reason in _OBSTACLES):
        state = draft.state(number)
        if state.wait_reason != draft.base.flows[number].wait_reason:
            is_warning = state.wait_reason != Reasons.APPROVAL_NEEDED
            text = f"flow {graph.nodes[number].name}: {state.wait_message}"
            found.append(Emit(state.wait_reason, text, is_warning=is_warning))
    found += without_effect(ctx)
    found += _edit(snapshot, phase)
    # A workflow that ends as it is decided gets one Event for both.
    if decision is not None and draft.base.decision is None and not phase.is_final:
        found.append(Emit("Decided", f"{decision.reason}: {decision.message}", is_warning=not decision.is_success))
    if phase.is_final and decision is not None:
        found.append(Emit(f"Workflow{phase}", decision.message, is_warning=phase is WorkflowPhase.FAILED))
        if restart.is_due(snapshot) and (refused := restart.refusal(restart.adopting(snapshot))):
            found.append(restart_refused(refused))
    return found


def _edit(snapshot: Snapshot, phase: WorkflowPhase) -> list[Emit]:
    """The Events of an edit that holds the workflow, and of its end."""
    recorded, edit = snapshot.workflow.status, snapshot.edit
    if edit is None:
        is_over = is_held_in(recorded) and not phase.is_final
        return [Emit("SpecTakenBack", "the edit was taken back; the workflow goes on")] if is_over else []
    held = conds.find(recorded.conditions, conds.SPEC_CHANGED)
    is_known = held is not None and is_held_in(recorded) and held.message == edit.message[: conds.MAX_MESSAGE]
    return [] if is_known or phase.is_final else [Emit(Reasons.SPEC_CHANGED, edit.message, is_warning=True)]


def restart_refused(why: str) -> Emit:
    """The Event of a restart that is refused."""
    return Emit("RestartRefused", why, is_warning=True)


def shortened(before: str, now: str) -> tuple[Emit, ...]:
    """The Event of a status that for the first time leaves something out. before, now: what was and is left out."""
    if not now or before:
        return ()
    message = f"spec and status together reach what etcd stores (1.5 MiB): status leaves out {now}"
    return (Emit("StatusShortened", message, is_warning=True),)
