"""The status write: a JSON Patch from the recorded status to the new one, valid for one resourceVersion only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1.types import FlowStatus, WorkflowStatus
from pkg.controllers.workflow.planner.actions import PatchStatus
from pkg.controllers.workflow.planner.snapshot import Snapshot


def patch_status(snapshot: Snapshot, new: WorkflowStatus) -> PatchStatus | None:
    """The write, or None if nothing changed."""
    operations = diff(snapshot.workflow.status, new)
    if not operations:
        return None
    meta = snapshot.workflow.metadata
    guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": meta.resource_version}
    return PatchStatus(meta.namespace, meta.name, (guard, *operations))


def diff(old: WorkflowStatus, new: WorkflowStatus) -> tuple[dict[str, Any], ...]:
    """JSON Patch from one status to the other, flows by list index; empty if they are equal."""
    if old.phase is None:
        return ({"op": "add", "path": "/status", "value": new},)
    operations: list[dict[str, Any]] = []
    defaults = WorkflowStatus()
    for field in msgspec.structs.fields(WorkflowStatus):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before == after:
            continue
        path = f"/status/{field.encode_name}"
        if field.name == "flows" and len(before) == len(after) and before:
            operations.extend(_flow_operations(path, before, after))
        elif after == getattr(defaults, field.name) and field.name != "tasks":
            operations.append({"op": "remove", "path": path})
        else:
            operations.append({"op": "add", "path": path, "value": after})
    return tuple(operations)


def _flow_operations(path: str, before: Iterable[FlowStatus], after: Iterable[FlowStatus]) -> list[dict[str, Any]]:
    return [
        {"op": "replace", "path": f"{path}/{number}", "value": new}
        for number, (old, new) in enumerate(zip(before, after, strict=True))
        if old is not new and old != new
    ]
