"""Which of the objects that status records a controller has to read that does not know them yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pkg.apis.flow.v1alpha1.indexes import unpack_indexes
from pkg.apis.flow.v1alpha1.phases import FINAL, UNFINISHED
from pkg.apis.flow.v1alpha1.types import Action, FlowStatus, ObjectRecord, Workflow
from pkg.controllers.workflow.planner.graph.model import Graph


@dataclass(frozen=True, slots=True)
class NeededObjects:
    """Objects of one flow: those of the tasks with these indexes. needs_watch: their changes matter as well."""

    flow: str
    record: ObjectRecord
    indexes: tuple[int, ...]
    is_indexed: bool
    needs_watch: bool


def needed_objects(workflow: Workflow, graph: Graph) -> Iterator[NeededObjects]:
    """Those of unfinished tasks; of flows whose pods others probe; and all that were applied, before a restart: it runs
    services again that are gone.
    """
    status = workflow.status
    is_over = status.phase is not None and status.phase.is_final
    for record in status.record.objects if status.record is not None else ():
        if record.flow >= len(status.flows):
            continue
        flow = status.flows[record.flow]
        number = graph.by_name.get(flow.name)
        if number is None:
            continue
        node = graph.nodes[number]
        unfinished = _unfinished(flow, is_indexed=node.is_indexed)
        indexes = unfinished
        if record.action is Action.APPLY and (is_over or node.is_probed):
            indexes = tuple(one.index for one in record.objects)
        if indexes:
            needs_watch = bool(unfinished) or node.is_probed
            yield NeededObjects(flow.name, record, indexes, node.is_indexed, needs_watch)


def _unfinished(flow: FlowStatus, *, is_indexed: bool) -> tuple[int, ...]:
    if not is_indexed:
        return () if flow.phase in FINAL else (0,)
    return tuple(index for phase in UNFINISHED for index in unpack_indexes(flow.indexes_in(phase)))
