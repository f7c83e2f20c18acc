"""Rebuilds Progress from status after a restart of the controller.

Jobs are folded into it afterwards, as in every pass. Status records what no job shows.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.indexes import unpack_indexes
from pkg.apis.flow.v1alpha1.phases import UNFINISHED, Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.records import FlowMemory
from pkg.apis.flow.v1alpha1.types import FlowRecord, FlowStatus, Kept, ObjectOfTask, ObjectRecord, ReplicaStatus
from pkg.apis.meta import seconds
from pkg.controllers.workflow.planner.graph.in_force import is_indexed
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.outputs.record import outputs_by_index
from pkg.controllers.workflow.planner.progress import (
    Attempt,
    Decision,
    FlowState,
    Progress,
    Task,
    empty_flow,
    from_flows,
    tally_of,
)
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.controllers.workflow.planner.status.concern import recorded_cause
from pkg.controllers.workflow.planner.status.failures import is_explained
from pkg.controllers.workflow.planner.status.flow_record import seems_unmade
from pkg.controllers.workflow.planner.status.server_warnings import WARNED

_RANGES: Final = tuple(Phase)


def recover(snapshot: Snapshot, graph: Graph) -> Progress:
    """The progress that the recorded status describes."""
    status = snapshot.workflow.status
    by_name = {flow.name: flow for flow in status.flows}
    memories = records.by_flow(status)
    flows = []
    for node in graph.nodes:
        recorded = by_name.get(node.name)
        if recorded is None or (node.is_empty and node.items_from is None):
            flows.append(empty_flow(node))
        elif _has_other_tasks(node, recorded):
            # A restart adopts a spec in which the flow has other tasks.
            fresh = empty_flow(node)
            gvr, record, rules, later, _ = memories[node.name]
            attempts = record.first_attempt
            flows.append(
                msgspec.structs.replace(
                    fresh,
                    gvr=gvr,
                    later_gvrs=later,
                    rules=rules,
                    renamed=record.renamed,
                    first_attempt=attempts,
                    approvals=record.approvals,
                )
            )
        else:
            # An older controller did not record the kind of each attempt.
            gvr = memories[node.name].gvr if status.record is not None else ""
            flows.append(_recover_flow(node, recorded, memories[node.name], snapshot.now, gvr))
    for number in graph.fan_outs:
        flows[number] = msgspec.structs.replace(flows[number], fan_out=graph.nodes[number].count)
    if snapshot.edit is not None and not snapshot.edit.is_start_known:  # the made up spec knows no for.itemsFrom
        numbers = (memories[node.name].record.tasks for node in graph.nodes)
        flows = [msgspec.structs.replace(flow, fan_out=number) for flow, number in zip(flows, numbers, strict=True)]
    end = status.record.end if status.record is not None else None
    progress = msgspec.structs.replace(
        from_flows(flows), blocked=recorded_cause(status), end=end, is_end_acked=end is not None
    )
    decided = conds.find(status.conditions, conds.DECIDED)
    if decided is not None and decided.status == conds.TRUE:
        decision = Decision(decided.reason, decided.message)
        return msgspec.structs.replace(progress, decision=decision, is_decision_acked=True)
    return progress


def _has_other_tasks(node: Node, recorded: FlowStatus) -> bool:
    """Whether status shows tasks that the flow does not have: a restart adopts a spec with another `for`."""
    if is_indexed(recorded) != node.is_indexed:
        return True
    if node.items_from is None:
        return recorded.reason == Reasons.NO_REPLICAS
    # Before its number of tasks is fixed, a flow has one task, which has no job.
    return node.count is None and _phases(node, recorded).get(0) not in (Phase.WAITING, Phase.SKIPPED, Phase.FAILED)


def _recover_flow(node: Node, recorded: FlowStatus, memory: FlowMemory, now: float, gvr: str) -> FlowState:
    """One flow. gvr: the kind of the jobs of which nothing else is recorded; empty if it is not known."""
    warned = recorded.message if recorded.reason == Reasons.SERVER_WARNING else ""
    if warned:  # which is about the flow, and no reason of its tasks
        recorded = msgspec.structs.replace(recorded, reason="", message="")
    elif recorded.phase is Phase.PENDING:
        message, _, warned = recorded.message.partition(WARNED)
        recorded = msgspec.structs.replace(recorded, message=message)
    record = memory.record
    # Of a list, status may show only the one task that there was before the number was fixed.
    tasks = list(empty_flow(node, record.first_attempt if node.count else 0).tasks)
    kept = {index: item for item in record.kept for index in unpack_indexes(item.indexes)}
    shown = {item.index: item for item in recorded.replicas}
    for index, phase in _phases(node, recorded).items():
        if node.is_indexed:
            tasks[index] = _recover_task(phase, kept.get(index), shown.get(index), recorded, record, now, gvr)
        else:
            single = ReplicaStatus(0, recorded.phase, recorded.reason, recorded.message)
            newest = recorded.attempts - 1
            tasks[index] = _recover_task(phase, kept.get(index), single, recorded, record, now, gvr, newest)
    tasks = [_with_due(task, node, record, now) for task in tasks]
    for index, values in outputs_by_index(recorded).items():
        if index < node.size:
            tasks[index] = msgspec.structs.replace(tasks[index], outputs=values)
    for asked in record.asked:
        for index in unpack_indexes(asked.indexes):
            if index < node.size and tasks[index].phase is Phase.WAITING:
                tasks[index] = msgspec.structs.replace(tasks[index], released=seconds(asked.since))
    if node.is_approval:
        tasks = [msgspec.structs.replace(task, had_job=False) for task in tasks]
    for start in record.starts:
        for index in unpack_indexes(start.indexes):
            if index < node.size and tasks[index].phase is Phase.WAITING:
                tasks[index] = msgspec.structs.replace(tasks[index], due=seconds(start.due))
    is_waiting = recorded.phase is Phase.WAITING and not warned
    for recorded_objects in memory.objects:
        for one in recorded_objects.objects:
            if one.index < len(tasks):
                tasks[one.index] = _with_object(tasks[one.index], recorded_objects, one)
    return FlowState(
        tasks=tuple(tasks),
        tally=tally_of(tasks),
        wait_reason=recorded.reason if is_waiting else "",
        wait_message=recorded.message if is_waiting else "",
        server_warning=warned,
        gvr=memory.gvr,
        later_gvrs=memory.later,
        rules=memory.rules,
        renamed=record.renamed,
        first_attempt=record.first_attempt,
        approvals=record.approvals,
        hands_out=record.hands_out and not node.outputs,
        passed={latch.probe: frozenset(unpack_indexes(latch.indexes)) for latch in record.passed},
        timer_at=0.0,  # evaluate the timers in the next pass
    )


def _with_due(task: Task, node: Node, record: FlowRecord, now: float) -> Task:
    """The task; the whole delay begins now for a retry whose time status does not know.

    An older controller that worked in between wrote that time outside of `record`, where nobody reads it any more.
    """
    if task.phase is not Phase.BACKOFF or task.due is not None:
        return task
    return msgspec.structs.replace(task, due=now + node.retry.delay(task.attempt - record.first_attempt + 1))


def _with_object(task: Task, record: ObjectRecord, one: ObjectOfTask) -> Task:
    """The task with the object that it applied, or found and deletes."""
    if task.phase in (Phase.WAITING, Phase.SKIPPED):
        return task
    return task.with_current(job=one.name, job_uid=one.uid, gvr=record.gvr, action=record.action)


def _phases(node: Node, recorded: FlowStatus) -> dict[int, Phase]:
    """The phase of each task that status shows, by index."""
    if not node.is_indexed:
        return {0: recorded.phase}
    return {
        index: phase for phase in _RANGES for index in unpack_indexes(recorded.indexes_in(phase)) if index < node.size
    }


def _recover_task(
    phase: Phase,
    kept: Kept | None,
    shown: ReplicaStatus | None,
    flow: FlowStatus,
    record: FlowRecord,
    now: float,
    gvr: str,
    newest: int = 0,
) -> Task:
    """One task, from what status keeps and shows of it. newest: its newest attempt, where status does not keep it."""
    reason = (kept.reason if kept is not None else "") or (shown.reason if shown is not None else "")
    attempt = kept.attempt if kept is not None else max(0, newest)
    has_verdict = phase.is_final or phase is Phase.BACKOFF
    is_unmade = kept.unmade if kept is not None else seems_unmade(reason, attempt, record.first_attempt)
    was_held = phase is Phase.SUSPENDED or bool(kept and kept.held)
    # Status does not record how long it was held, so its timeouts start again.
    begin = now if was_held else None
    return Task(
        phase=phase,
        attempt=attempt,
        reason=reason if has_verdict else "",
        message=shown.message if shown is not None and has_verdict else "",
        had_job=phase not in (Phase.WAITING, Phase.SKIPPED) and not is_unmade,
        ran=phase in (Phase.RUNNING, Phase.SUCCEEDED) or bool(kept and kept.ran),
        reported=has_verdict and reason == Reasons.FAILED,
        started=_seconds(flow.start_time),
        finished=_seconds(flow.completion_time) if phase.is_final else None,
        due=_seconds(kept.due) if kept is not None and phase is Phase.BACKOFF else None,
        current=Attempt(
            gvr=(kept.gvr if kept is not None else "") or gvr if phase in UNFINISHED else "",
            created=begin,
            makeable=begin,
            began=phase is Phase.RUNNING or bool(kept and kept.began),
            was_held=was_held,
            waits_since=_seconds(kept.waits_since) if kept is not None else None,
            explained=is_explained(shown.message) if shown is not None else False,
        ),
    )


def _seconds(text: str) -> float | None:
    return seconds(text) if text else None
