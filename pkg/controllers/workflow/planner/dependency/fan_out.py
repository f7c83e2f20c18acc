"""Fixes how many tasks a flow with `for.itemsFrom` has, once its dependencies are True: one for each item of the list.

The number is recorded in status before the first of these tasks can have a job. Until then the flow has one task.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.fan_out import excess
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.outputs.items import ItemsError, items_of
from pkg.controllers.workflow.planner.progress import FlowState, Progress, empty_flow, from_flows

_EMPTY: Final = "the list of for.itemsFrom is empty"


def fix_number(ctx: Context, node: Node) -> bool:
    """Fixes the number of tasks of a flow whose dependencies are True; True if its only task has become final."""
    draft = ctx.draft
    if draft.state(node.number).fan_out is not None:
        return False  # status does not record it yet
    try:
        count = len(items_of(ctx, node))
    except ItemsError as error:
        return _end(ctx, node, Phase.FAILED, Reasons.RENDER_ERROR, str(error))
    pending = [(ctx.graph.nodes[number], draft.state(number).fan_out or 0) for number in _unrecorded(ctx)]
    if why := excess(ctx.graph, [*pending, (node, count)]):
        message = f"for.itemsFrom gives {count:,} items: {why}. Make the list shorter, or split the workflow"
        return _end(ctx, node, Phase.FAILED, Reasons.TOO_MANY_ITEMS, message)
    draft.edit(node.number, fan_out=count)
    return not count and _end(ctx, node, Phase.SKIPPED, Reasons.NO_REPLICAS, _EMPTY)


def waits_for_record(graph: Graph, progress: Progress) -> bool:
    """Whether a number of tasks is fixed that the graph does not have, because status does not record it yet."""
    return bool(graph.fan_outs) and any(
        progress.flows[number].fan_out is not None and graph.nodes[number].count is None for number in graph.fan_outs
    )


def grown(progress: Progress | None, before: object, after: object) -> Progress | None:
    """The progress once status records numbers of tasks, with all that is known of the other flows.

    before, after: what the spec was compiled to. None if they differ in anything else: then the progress is rebuilt
    from status, which does not record everything: when a job began to run, for one.
    """
    if progress is None or not isinstance(before, Graph) or not isinstance(after, Graph):
        return None
    if replace(after, nodes=before.nodes, total=before.total) != before or len(after.nodes) != len(before.nodes):
        return None
    changed = []
    for old, new in zip(before.nodes, after.nodes, strict=True):
        if old is new or old == new:
            continue
        if old.count is not None or new.count is None or replace(new, count=old.count, size=old.size) != old:
            return None
        changed.append(new)
    flows, acked, rendered = list(progress.flows), list(progress.acked), list(progress.rendered)
    for node in changed:
        if flows[node.number].fan_out != node.count:
            return None
        flows[node.number] = acked[node.number] = _with_tasks(flows[node.number], node)
        rendered[node.number] = None
    fresh = from_flows(flows)
    return msgspec.structs.replace(
        progress,
        flows=fresh.flows,
        acked=tuple(acked),
        counts=fresh.counts,
        not_final=fresh.not_final,
        failed=fresh.failed,
        stale=fresh.stale,
        startable=fresh.startable,
        rendered=tuple(rendered),
        output_bytes=fresh.output_bytes,
    )


def _with_tasks(state: FlowState, node: Node) -> FlowState:
    """The flow with as many tasks as its list has items; an empty list has ended its only task already."""
    if not node.count:
        return state
    fresh = empty_flow(node, state.first_attempt)
    return msgspec.structs.replace(state, tasks=fresh.tasks, tally=fresh.tally, timer_at=0.0)


def _unrecorded(ctx: Context) -> list[int]:
    """Flows whose number of tasks is fixed and not recorded yet."""
    graph = ctx.graph
    return [
        number
        for number in graph.fan_outs
        if graph.nodes[number].count is None and ctx.draft.state(number).fan_out is not None
    ]


def _end(ctx: Context, node: Node, phase: Phase, reason: str, message: str) -> bool:
    """Ends the flow's only task; returns True."""
    task = ctx.draft.task(node.number, 0)
    ended = msgspec.structs.replace(task, phase=phase, reason=reason, message=message[:1024], finished=ctx.now)
    return ctx.draft.put(node.number, 0, ended)
