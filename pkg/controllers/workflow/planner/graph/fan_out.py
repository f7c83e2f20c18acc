"""The graph of a workflow in which flows have as many tasks as `for.itemsFrom` gave them in this run.

Compiled from the spec alone such a flow has one task, and its number is not known. Status records the number once the
dependencies of the flow are met, and from then on the graph has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pkg.apis.flow.v1alpha1 import cost, records
from pkg.apis.flow.v1alpha1.growth import together
from pkg.apis.flow.v1alpha1.types import MAX_TASKS, WorkflowStatus
from pkg.controllers.workflow.planner.graph.model import Graph, Node


def recorded_counts(graph: object, status: WorkflowStatus) -> dict[str, int]:
    """The numbers of tasks that status records, by the name of the flow."""
    if not isinstance(graph, Graph) or not graph.fan_outs:
        return {}
    memories = records.by_flow(status)
    return {
        name: memories[name].record.tasks or 0
        for name in (graph.nodes[number].name for number in graph.fan_outs)
        if name in memories and memories[name].record.tasks is not None
    }


def with_counts(graph: Graph, counts: Mapping[str, int]) -> Graph:
    """The graph with these numbers of tasks, by the names of flows; the same graph if it has them."""
    nodes = list(graph.nodes)
    for number in graph.fan_outs:
        node = nodes[number]
        count = counts.get(node.name)
        if node.count != count:
            nodes[number] = replace(node, count=count, size=max(1, count or 0))
    if all(new is old for new, old in zip(nodes, graph.nodes, strict=True)):
        return graph
    return replace(graph, nodes=tuple(nodes), total=sum(node.size for node in nodes))


def excess(graph: Graph, more: Iterable[tuple[Node, int]]) -> str:
    """Why these flows cannot have so many tasks, besides those that the graph has; empty if they can."""
    more = tuple(more)
    total = graph.total + sum(max(1, count) - node.size for node, count in more)
    if total > MAX_TASKS:
        return f"the workflow would have {total:,} tasks, and at most {MAX_TASKS:,} are allowed"
    known = [node.growth.of(node.size) for node in (graph.nodes[number] for number in graph.fan_outs)]
    added = [node.growth.of(count) for node, count in more]
    faults = cost.faults(together(graph.cost, *known, *added))
    return faults[0].message if faults else ""
