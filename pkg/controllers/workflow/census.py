"""Counts cached workflows for the metrics: by phase, their tasks, what waits, and what waits for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1.indexes import count_indexes
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import FlowStatus, Workflow
from pkg.apis.meta import seconds
from pkg.telemetry.census import Census

#: The reason of tasks that wait in a flow whose other tasks have begun: its status shows no reason of theirs.
IN_A_STARTED_FLOW = "FlowStarted"


def census(workflows: Iterable[Workflow]) -> Census:
    """What the statuses of these workflows add up to. It goes through flows only where a task waits."""
    by_phase: Counter[str] = Counter()
    tasks: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    blocked: Counter[str] = Counter()
    since: float | None = None
    for workflow in workflows:
        status = workflow.status
        phase = status.phase or WorkflowPhase.PENDING
        by_phase[phase.value] += 1
        if phase.is_final:
            continue
        for task_phase in Phase:
            if count := status.tasks.of(task_phase):
                tasks[task_phase.value] += count
        if status.tasks.waiting:
            for flow in status.flows:
                _count_waiting(flow, waiting)
        condition = conds.find(status.conditions, conds.BLOCKED)
        if condition is not None and condition.status == conds.TRUE:
            blocked[condition.reason] += 1
            at = seconds(condition.last_transition_time)
            since = at if since is None else min(since, at)
    return Census(by_phase, tasks, waiting, blocked, since)


def _count_waiting(flow: FlowStatus, waiting: Counter[str]) -> None:
    if flow.phase is Phase.WAITING:
        waiting[flow.reason or "Pending"] += count_indexes(flow.waiting) if flow.waiting else 1
    elif flow.waiting:
        waiting[IN_A_STARTED_FLOW] += count_indexes(flow.waiting)
