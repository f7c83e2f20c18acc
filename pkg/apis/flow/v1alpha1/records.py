"""Reads and makes `status.record`, the controller's own memory in the status of a Workflow.

An older controller wrote the same facts outside of `record`: in the fields of WorkflowStatus and FlowStatus that are
marked as deprecated. They are read there until `record` is written, and the write that adds `record` removes them.

Positions are those of `status.flows` in the same status. The spec may name other flows meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from pkg.apis.flow.v1alpha1.indexes import pack_indexes, unpack_indexes
from pkg.apis.flow.v1alpha1.types import (
    FlowRecord,
    FlowStatus,
    KindRecord,
    ObjectRecord,
    Record,
    RulesRecord,
    WorkflowStatus,
)

_replace = msgspec.structs.replace


class FlowMemory(NamedTuple):
    """What is recorded of one flow.

    gvr, later: the resource of its first job, and those of later jobs, as `GVR.parse` reads them; record: without
    positions; rules: the hashes of the rules that its jobs may carry; objects: those of its tasks, without position.
    """

    gvr: str = ""
    record: FlowRecord = FlowRecord(flows="")
    rules: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    objects: tuple[ObjectRecord, ...] = ()


NOTHING: Final = FlowMemory()


def record_of(status: WorkflowStatus) -> Record:
    """The record of a status, made from what an older controller wrote if there is none."""
    if status.record is not None:
        return status.record
    kinds, flows, _ = grouped(map(_older, status.flows))
    return Record(
        spec_hash=status.spec_hash,
        restarted_at=status.restarted_at,
        restarted_flows=status.restarted_flows,
        suspended_at=status.suspended_at,
        suspended_seconds=_whole(status.suspended_seconds),
        kinds=kinds,
        flows=flows,
    )


def moved(status: WorkflowStatus, **changes: Any) -> WorkflowStatus:
    """The status with its record, in which these fields are changed, and without what an older controller wrote."""
    record = record_of(status)
    if changes:
        record = _replace(record, **changes)
    if status.record is not None:
        return _replace(status, record=record)
    return _replace(
        status,
        record=record,
        flows=tuple(map(_without_older, status.flows)),
        restarted_at="",
        restarted_flows="",
        suspended_at="",
        suspended_seconds=0,
        spec_hash="",
    )


def by_flow(status: WorkflowStatus) -> dict[str, FlowMemory]:
    """What is recorded of each flow, by its name."""
    if status.record is None:
        return {flow.name: _older(flow) for flow in status.flows}
    names = [flow.name for flow in status.flows]
    gvrs = {name: kind.gvr for kind in status.record.kinds for name in names_at(names, kind.flows)}
    later: dict[str, list[str]] = {}
    for kind in status.record.kinds:
        for name in names_at(names, kind.later):
            later.setdefault(name, []).append(kind.gvr)
    details = {
        name: record
        for item in status.record.flows
        for record in (_replace(item, flows=""),)
        for name in names_at(names, item.flows)
    }
    objects: dict[str, list[ObjectRecord]] = {}
    for one in status.record.objects:
        if one.flow < len(names):
            objects.setdefault(names[one.flow], []).append(one)
    rules: dict[str, list[str]] = {}
    for entry in status.record.rules:
        for name in names_at(names, entry.flows):
            rules.setdefault(name, []).append(entry.hash)
    return {
        name: FlowMemory(
            gvrs.get(name, ""),
            details.get(name, NOTHING.record),
            tuple(rules.get(name, ())),
            tuple(later.get(name, ())),
            tuple(objects.get(name, ())),
        )
        for name in names
    }


def approvals_before(status: WorkflowStatus, flow: str) -> int:
    """How many entries of spec.approvals were there at the last restart of a flow; 0 if nothing is recorded."""
    known = by_flow(status).get(flow)
    return known.record.approvals if known is not None else 0


def with_left(kinds: tuple[KindRecord, ...], before: WorkflowStatus) -> tuple[KindRecord, ...]:
    """The kinds, and those that only flows had which are gone: their jobs may be there."""
    left = kinds_of(before) - {kind.gvr for kind in kinds}
    return (*kinds, *map(KindRecord, sorted(left))) if left else kinds


def grouped(
    memories: Iterable[FlowMemory],
) -> tuple[tuple[KindRecord, ...], tuple[FlowRecord, ...], tuple[RulesRecord, ...]]:
    """The fields `kinds`, `flows` and `rules` of a record. memories: of each flow, in the order of `status.flows`."""
    kinds: dict[str, tuple[list[int], list[int]]] = {}
    rules: dict[str, list[int]] = {}
    flows: dict[FlowRecord, list[int]] = {}
    for position, memory in enumerate(memories):
        if memory.gvr:
            kinds.setdefault(memory.gvr, ([], []))[0].append(position)
        for gvr in memory.later:
            kinds.setdefault(gvr, ([], []))[1].append(position)
        for found in memory.rules:
            rules.setdefault(found, []).append(position)
        if memory.record != NOTHING.record:
            flows.setdefault(memory.record, []).append(position)
    return (
        tuple(KindRecord(gvr, pack_indexes(first), pack_indexes(later)) for gvr, (first, later) in kinds.items()),
        tuple(_replace(record, flows=pack_indexes(positions)) for record, positions in flows.items()),
        tuple(RulesRecord(found, pack_indexes(positions)) for found, positions in rules.items()),
    )


def objects_of(memories: Iterable[FlowMemory]) -> tuple[ObjectRecord, ...]:
    """The field `objects` of a record. memories: as in `grouped`."""
    return tuple(_replace(one, flow=position) for position, memory in enumerate(memories) for one in memory.objects)


def kinds_of(status: WorkflowStatus) -> set[str]:
    """The resources of all jobs that the flows have had, as `GVR.parse` reads them."""
    if status.record is None:
        return {flow.gvr for flow in status.flows if flow.gvr}
    return {kind.gvr for kind in status.record.kinds}


def restarted(status: WorkflowStatus) -> tuple[str, ...]:
    """The names of the flows that the last restart named."""
    positions = status.restarted_flows if status.record is None else status.record.restarted_flows
    return tuple(names_at([flow.name for flow in status.flows], positions)) if positions else ()


def positions_of(names: Iterable[str], flows: Iterable[str]) -> str:
    """Where these names stand among the names of all flows, as ranges. Other names are left out."""
    wanted = set(names)
    return pack_indexes(position for position, name in enumerate(flows) if name in wanted) if wanted else ""


def names_at(names: Sequence[str], positions: str) -> Iterator[str]:
    """The names at these positions, given as ranges. A position that does not exist is left out."""
    return (names[position] for position in unpack_indexes(positions) if position < len(names))


def _older(flow: FlowStatus) -> FlowMemory:
    if not (flow.renamed or flow.first_attempt or flow.kept or flow.passed):
        return FlowMemory(flow.gvr) if flow.gvr else NOTHING
    return FlowMemory(flow.gvr, FlowRecord("", flow.renamed, flow.first_attempt, kept=flow.kept, passed=flow.passed))


def _without_older(flow: FlowStatus) -> FlowStatus:
    return _replace(flow, gvr="", passed=(), renamed="", first_attempt=0, kept=()) if _older(flow) != NOTHING else flow


def _whole(seconds: Any) -> int:
    """Whole seconds, rounded up: a timeout may come late, never early."""
    return math.ceil(seconds) if isinstance(seconds, int | float) else 0
