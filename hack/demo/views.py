"""What the demo shows of a workflow at one moment, as plain numbers and words. PURE: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.flow.v1alpha1.indexes import unpack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Flow, FlowStatus, Workflow
from pkg.apis.meta import seconds


@dataclass(frozen=True, slots=True)
class FlowView:
    """One line. size, running, done: tasks; attempts: of the task that has the most; seconds: from start to end or
    now; retry_in: seconds to the next attempt, None if none is due."""

    name: str
    phase: Phase
    size: int
    running: int
    done: int
    attempts: int
    seconds: float | None
    retry_in: float | None


@dataclass(frozen=True, slots=True)
class WorkflowView:
    """One panel; `seconds` as in FlowView, `progress` as status has it (`7/12`)."""

    name: str
    phase: WorkflowPhase
    progress: str
    seconds: float | None
    flows: tuple[FlowView, ...]


def view(workflow: Workflow, now: float) -> WorkflowView:
    """The workflow as its status shows it at `now` (seconds since the epoch)."""
    status = workflow.status
    known = {flow.name: flow for flow in status.flows}
    return WorkflowView(
        name=workflow.metadata.name,
        phase=status.phase or WorkflowPhase.PENDING,
        progress=status.progress,
        seconds=elapsed(status.start_time, status.completion_time, now),
        flows=tuple(_flow(flow, known.get(flow.name), now) for flow in workflow.spec.flows),
    )


def elapsed(start: str, end: str, now: float) -> float | None:
    """Seconds from `start` to `end`, or to `now` while that is empty; None if not begun. Timestamps as in status."""
    if not start:
        return None
    return max(0.0, (seconds(end) if end else now) - seconds(start))


def _flow(flow: Flow, status: FlowStatus | None, now: float) -> FlowView:
    size = flow.replicas
    if status is None:
        return FlowView(flow.name, Phase.WAITING, size, 0, 0, 0, None, None)
    if flow.items_from:  # only status knows how many there are
        size = sum(len(unpack_indexes(status.indexes_in(phase))) for phase in Phase)
    if flow.for_ is not None:
        running = len(unpack_indexes(status.running))
        final = (status.succeeded, status.failed, status.skipped, status.cancelled)
        done = sum(len(unpack_indexes(indexes)) for indexes in final)
    else:
        running, done = int(status.phase is Phase.RUNNING), int(status.phase.is_final)
    retry = max(0.0, seconds(status.next_attempt_time) - now) if status.next_attempt_time else None
    return FlowView(
        name=flow.name,
        phase=status.phase,
        size=size,
        running=running,
        done=done,
        attempts=status.attempts,
        seconds=elapsed(status.start_time, status.completion_time, now),
        retry_in=retry,
    )
