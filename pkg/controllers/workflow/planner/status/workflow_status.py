"""The status of the whole workflow. It survives a crash, and records what no job shows.

Flows that did not change keep the FlowStatus that was last made of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Record, TaskCounts, WorkflowStatus
from pkg.apis.meta import Condition, timestamp
from pkg.controllers.workflow.planner.control.timeouts import is_paused, suspended_seconds
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import Decision, Progress, Rendered
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.controllers.workflow.planner.status import concern
from pkg.controllers.workflow.planner.status.concern import Concern
from pkg.controllers.workflow.planner.status.fitting import ALWAYS_FITS, fit
from pkg.controllers.workflow.planner.status.flow_record import flow_memory, without_repeats
from pkg.controllers.workflow.planner.status.flow_status import MANY_FLOWS, flow_status

# Bytes of a status besides its flows.
_FRAME = 8_192
_TAKEN_BACK = "the spec means again what it meant at the start"


@dataclass(frozen=True, slots=True)
class RenderedStatus:
    """A status, and what was made on the way."""

    status: WorkflowStatus
    #: Its parts per flow, which the next call reuses.
    flows: tuple[Rendered, ...]
    #: What was left out because the object has no room for it; empty for nothing.
    left_out: str
    #: What waits for a person, if anything does.
    blocked: Concern | None = None


def workflow_status(
    snapshot: Snapshot,
    graph: Graph,
    progress: Progress,
    phase: WorkflowPhase,
    restarted: Iterable[str] | None = None,
) -> RenderedStatus:
    """The whole status, as far as the object has room for it.

    restarted: names of the flows that a restart names now; None if there is no new restart.
    """
    old = snapshot.workflow.status
    rendered = tuple(item for item in render_flows(graph, progress) if item is not None)
    counts = {name.field: count for name, count in progress.counts.items()}
    finals = sum(count for name, count in progress.counts.items() if name.is_final)
    statuses = tuple(item.status for item in rendered)
    blocked = None if phase.is_final else concern.blocked_by(snapshot, graph, progress, statuses)
    reason, message = concern.headline(snapshot, graph, progress, statuses, blocked)
    found = conditions(snapshot, old.conditions, phase, progress.decision)
    status = WorkflowStatus(
        phase=phase,
        reason=reason,
        message=message[: conds.MAX_MESSAGE],
        start_time=old.start_time or timestamp(snapshot.now),
        completion_time=(old.completion_time or timestamp(snapshot.now)) if phase.is_final else "",
        observed_generation=snapshot.workflow.metadata.generation,
        progress=f"{finals}/{graph.total}",
        tasks=TaskCounts(total=graph.total, **counts),
        conditions=_with_blocked(snapshot, found, blocked),
        flows=statuses,
        record=_record(snapshot, progress, rendered, phase, records.restarted(old) if restarted is None else restarted),
    )
    left_out = ""
    if len(graph.nodes) > MANY_FLOWS or graph.status_room < ALWAYS_FITS:
        status, left_out = fit(status, graph.status_room)
    return RenderedStatus(status, rendered, left_out, blocked)


def _record(
    snapshot: Snapshot,
    progress: Progress,
    rendered: Iterable[Rendered],
    phase: WorkflowPhase,
    restarted: Iterable[str],
) -> Record:
    """The record. restarted: names of the flows that the last restart named."""
    old = records.record_of(snapshot.workflow.status)
    rendered = tuple(rendered)
    kinds, flows, rules = records.grouped(item.memory for item in rendered)
    return Record(
        spec_hash=old.spec_hash if snapshot.edit is not None else snapshot.spec_hash,
        restarted_at=old.restarted_at,
        restarted_flows=records.positions_of(restarted, (item.status.name for item in rendered)),
        suspended_at=_suspended_at(snapshot, phase),
        # Rounded up: a timeout may come late, never early.
        suspended_seconds=old.suspended_seconds if is_paused(snapshot) else math.ceil(suspended_seconds(snapshot)),
        kinds=records.with_left(kinds, snapshot.workflow.status),
        rules=rules,
        flows=flows,
        objects=records.objects_of(item.memory for item in rendered),
        job_retain_policy=snapshot.workflow.spec.job_retain_policy,
        end=progress.end,
    )


def render_flows(graph: Graph, progress: Progress, most: int | None = None) -> tuple[Rendered | None, ...]:
    """`Progress.rendered` after these flows. `most`: how many flows that changed are rendered, None for all of them."""
    indexed = sum(node.is_indexed for node in graph.nodes)
    room = graph.status_room - _FRAME
    left = len(graph.nodes) if most is None else most
    rendered = []
    for node, state, made in zip(graph.nodes, progress.flows, progress.rendered, strict=True):
        if left and (made is None or made.state is not state):
            left -= 1
            memory = flow_memory(node, state)
            status = flow_status(node, state, memory.record, len(graph.nodes), indexed, room)
            if len(graph.nodes) > MANY_FLOWS and not node.is_indexed:
                memory = without_repeats(memory, status)
            made = Rendered(state, status, memory)
        rendered.append(made)
    return tuple(rendered)


def is_rendered(progress: Progress) -> bool:
    """Whether every flow has been rendered as it is now."""
    pairs = zip(progress.flows, progress.rendered, strict=True)
    return all(made is not None and made.state is state for state, made in pairs)


def restarted_status(
    snapshot: Snapshot, graph: Graph, progress: Progress, token: str, numbers: Iterable[int]
) -> RenderedStatus:
    """The status at the start of a restart: timeouts start again, and the decision is removed.

    numbers: of the flows for which the outcome waits.
    """
    removed = (conds.DECIDED, conds.FINISHED, conds.SUCCEEDED)
    old = snapshot.workflow.status
    fresh = msgspec.structs.replace(
        old,
        phase=WorkflowPhase.RUNNING,
        start_time=timestamp(snapshot.now),
        completion_time="",
        conditions=conds.without(old.conditions, *removed),
    )
    fresh = records.moved(fresh, restarted_at=token, suspended_at="", suspended_seconds=0)
    names = tuple(graph.nodes[number].name for number in numbers)
    begun = replace(snapshot, workflow=msgspec.structs.replace(snapshot.workflow, status=fresh))
    return workflow_status(begun, graph, progress, WorkflowPhase.RUNNING, names)


def _suspended_at(snapshot: Snapshot, phase: WorkflowPhase) -> str:
    if not is_paused(snapshot) or phase.is_final:
        return ""
    return records.record_of(snapshot.workflow.status).suspended_at or timestamp(snapshot.now)


def conditions(
    snapshot: Snapshot, old: tuple[Condition, ...], phase: WorkflowPhase, decision: Decision | None
) -> tuple[Condition, ...]:
    """The conditions, but for Blocked.

    Decided is there once it is True, Succeeded at the end, Suspended and SpecChanged once they ever were True.
    """
    found = conds.without(old, conds.STATUS_RULES_FAULTY)  # what an earlier controller wrote
    if not phase.is_final:
        found = _put(snapshot, found, conds.FINISHED, False, Reasons.NOT_FINISHED, "the workflow has not ended")
    if decision is not None:
        found = _put(snapshot, found, conds.DECIDED, True, decision.reason, decision.message)
    if phase.is_final and decision is not None:
        found = _put(snapshot, found, conds.FINISHED, True, decision.reason, decision.message)
        found = _put(snapshot, found, conds.SUCCEEDED, decision.is_success, decision.reason, decision.message)
    is_suspended = snapshot.workflow.spec.suspend and not phase.is_final
    edit = snapshot.edit if not phase.is_final else None
    if is_suspended or edit is not None or conds.find(found, conds.SUSPENDED) is not None:
        reason = "SpecSuspend" if is_suspended else "Resumed" if edit is None else Reasons.SPEC_CHANGED
        message = f"spec.suspend is {str(is_suspended).lower()}"
        if edit is not None and not is_suspended:
            message = "the spec was edited; the condition SpecChanged says what to do"
        found = _put(snapshot, found, conds.SUSPENDED, is_suspended or edit is not None, reason, message)
    if edit is not None:
        found = _put(snapshot, found, conds.SPEC_CHANGED, True, Reasons.SPEC_CHANGED, edit.message)
    elif conds.is_true(found, conds.SPEC_CHANGED):
        reason, message = ("Ended", "the workflow has ended") if phase.is_final else ("TakenBack", _TAKEN_BACK)
        found = _put(snapshot, found, conds.SPEC_CHANGED, False, reason, message)
    return found


def _with_blocked(snapshot: Snapshot, found: tuple[Condition, ...], blocked: Concern | None) -> tuple[Condition, ...]:
    """Adds the condition Blocked, once anything ever waited for a person."""
    if blocked is not None:
        return _put(snapshot, found, conds.BLOCKED, True, blocked.reason, blocked.message)
    if conds.find(found, conds.BLOCKED) is None:
        return found
    return _put(snapshot, found, conds.BLOCKED, False, *concern.UNBLOCKED)


def _put(
    snapshot: Snapshot, found: tuple[Condition, ...], type_: str, is_true: bool, reason: str, message: str
) -> tuple[Condition, ...]:
    condition = Condition(
        type=type_,
        status=conds.TRUE if is_true else conds.FALSE,
        reason=reason,
        message=message,
        last_transition_time=timestamp(snapshot.now)[:19] + "Z",
        observed_generation=snapshot.workflow.metadata.generation,
    )
    return conds.put(found, condition)
