"""Copies of one Workflow share what they have in common: a new copy takes memory only for what changed. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pkg.apis.flow.v1alpha1.types import FlowStatus, Workflow
from pkg.controllers.workflow.planner.progress import Rendered

_replace = msgspec.structs.replace


def with_shared_parts(old: Workflow, new: Workflow) -> Workflow:
    """`new`, with the spec, the flow statuses and the record of `old` where they are equal."""
    if old.metadata.uid != new.metadata.uid:
        return new
    is_same_spec = old.metadata.generation == new.metadata.generation and old.spec == new.spec
    before, after = old.status.flows, new.status.flows
    if len(before) == len(after):
        after = tuple(one if one == other else other for one, other in zip(before, after, strict=True))
    record = old.status.record if old.status.record == new.status.record else new.status.record
    status = _replace(new.status, flows=after, record=record)
    return _replace(new, spec=old.spec if is_same_spec else new.spec, status=status)


def with_recorded_flows(
    rendered: Sequence[Rendered | None], recorded: Sequence[FlowStatus]
) -> tuple[Rendered | None, ...]:
    """`Progress.rendered`, with the flow statuses of the cached Workflow where they are equal."""
    if len(rendered) != len(recorded):
        return tuple(rendered)
    return tuple(
        made if made is None or made.status is flow or made.status != flow else made._replace(status=flow)
        for made, flow in zip(rendered, recorded, strict=True)
    )
