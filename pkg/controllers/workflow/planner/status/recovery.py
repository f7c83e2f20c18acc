"""Rebuilds Progress from status after a restart of the controller.

Jobs are folded into it afterwards, as in every pass. Status records what no job shows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1.indexes import unpack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import FlowStatus
from pkg.apis.meta import seconds
from pkg.controllers.workflow.planner.graph.model import Graph, Node
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
from pkg.controllers.workflow.planner.status.flow_status import seems_unmade

_RANGES: Final = tuple(Phase)


def recover(snapshot: Snapshot, graph: Graph) -> Progress:
    """The progress that the recorded status describes."""
    status = snapshot.workflow.status
    by_name = {flow.name: flow for flow in status.flows}
    flows = []
    for node in graph.nodes:
        recorded = by_name.get(node.name)
        if recorded is None or node.is_empty:
            flows.append(empty_flow(node))
        else:
            flows.append(_recover_flow(node, recorded, snapshot.now))
    progress = from_flows(flows)
    decided = conds.find(status.conditions, conds.DECIDED)
    if decided is not None and decided.status == conds.TRUE:
        decision = Decision(decided.reason, decided.message)
        return replace(progress, decision=decision, is_decision_acked=True)
    return progress


def _recover_flow(node: Node, recorded: FlowStatus, now: float) -> FlowState:
    fresh = empty_flow(node)
    tasks = list(fresh.tasks)
    if node.is_indexed:
        phases = {
            index: phase
            for phase in _RANGES
            for index in unpack_indexes(getattr(recorded, phase.value.lower()))
            if index < node.size
        }
    else:
        phases = {0: recorded.phase}
    kept = {index: item for item in recorded.kept for index in unpack_indexes(item.indexes)}
    shown = {item.index: item for item in recorded.replicas}
    for index, phase in phases.items():
        item, replica = kept.get(index), shown.get(index)
        single = not node.is_indexed
        reason = (
            item.reason if item and item.reason else replica.reason if replica else recorded.reason if single else ""
        )
        attempt = item.attempt if item else max(0, recorded.attempts - 1) if single else 0
        is_over = phase.is_final or phase is Phase.BACKOFF
        is_unmade = item.unmade if item else seems_unmade(reason, attempt, recorded.first_attempt)
        was_held = phase is Phase.SUSPENDED or bool(item and item.held)
        # Status does not record how long it was held, so its timeouts start again.
        begin = now if was_held else None
        tasks[index] = Task(
            phase=phase,
            attempt=attempt,
            reason=reason if is_over else "",
            message=(replica.message if replica else recorded.message if single else "") if is_over else "",
            had_job=phase not in (Phase.WAITING, Phase.SKIPPED) and not is_unmade,
            ran=phase in (Phase.RUNNING, Phase.SUCCEEDED) or bool(item and item.ran),
            reported=reason == Reasons.FAILED,
            started=_seconds(recorded.start_time),
            finished=_seconds(recorded.completion_time) if phase.is_final else None,
            due=_seconds(item.due) if item and phase is Phase.BACKOFF else None,
            current=Attempt(
                created=begin,
                makeable=begin,
                began=phase is Phase.RUNNING or bool(item and item.began),
                was_held=was_held,
            ),
        )
    return FlowState(
        tasks=tuple(tasks),
        tally=tally_of(tasks),
        wait_reason=recorded.reason if recorded.phase is Phase.WAITING else "",
        wait_message=recorded.message if recorded.phase is Phase.WAITING else "",
        gvr=recorded.gvr,
        renamed=recorded.renamed,
        first_attempt=recorded.first_attempt,
        passed={latch.probe: frozenset(unpack_indexes(latch.indexes)) for latch in recorded.passed},
        timer_at=0.0,  # evaluate the timers in the next pass
    )


def _seconds(text: str) -> float | None:
    return seconds(text) if text else None
