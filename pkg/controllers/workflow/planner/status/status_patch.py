"""The status write: a JSON Patch from the recorded status to the new one, valid for one resourceVersion only."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1.types import Record, WorkflowStatus
from pkg.controllers.workflow.planner.actions import PatchStatus
from pkg.controllers.workflow.planner.snapshot import Snapshot

# Lists of which a write names the changed items only.
_LISTS: Final = frozenset({"flows", "kinds", "rules"})


def patch_status(snapshot: Snapshot, new: WorkflowStatus) -> PatchStatus | None:
    """The write, or None if nothing changed."""
    operations = diff(WorkflowStatus() if snapshot.is_unwritten else snapshot.workflow.status, new)
    if not operations:
        return None
    meta = snapshot.workflow.metadata
    guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": meta.resource_version}
    return PatchStatus(meta.namespace, meta.name, (guard, *operations))


def diff(old: WorkflowStatus, new: WorkflowStatus) -> tuple[dict[str, Any], ...]:
    """JSON Patch from one status to the other, items of long lists by their index; empty if they are equal."""
    if old.phase is None:
        return ({"op": "add", "path": "/status", "value": new},)
    return tuple(_changes("/status", old, new))


def _changes(path: str, old: msgspec.Struct, new: msgspec.Struct) -> Iterator[dict[str, Any]]:
    """The operations from one struct to another of the same type."""
    for field in _fields(type(old)):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before == after:
            continue
        place = f"{path}/{field.encode_name}"
        if isinstance(before, Record) and isinstance(after, Record):
            yield from _changes(place, before, after)
        elif field.name in _LISTS and before and after:
            yield from _list_changes(place, before, after)
        elif after == field.default and field.name != "tasks":
            yield {"op": "remove", "path": place}
        else:
            yield {"op": "add", "path": place, "value": after}


@functools.cache
def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Cached: msgspec evaluates every annotation of the type at each call, which takes longer than a small pass."""
    return msgspec.structs.fields(struct)


def _list_changes(
    path: str, before: Sequence[msgspec.Struct], after: Sequence[msgspec.Struct]
) -> Iterator[dict[str, Any]]:
    """The operations from one list to another: the equal items at both ends stay."""
    shorter = min(len(before), len(after))
    start = next((at for at in range(shorter) if not _is_same(before[at], after[at])), shorter)
    end = next((at for at in range(shorter - start) if not _is_same(before[-1 - at], after[-1 - at])), shorter - start)
    for at in range(start, shorter - end):
        if not _is_same(before[at], after[at]):
            yield {"op": "replace", "path": f"{path}/{at}", "value": after[at]}
    first = shorter - end
    for _ in range(len(before) - len(after)):
        yield {"op": "remove", "path": f"{path}/{first}"}
    for at in range(first, first + len(after) - len(before)):
        yield {"op": "add", "path": f"{path}/{at}", "value": after[at]}


def _is_same(one: msgspec.Struct, other: msgspec.Struct) -> bool:
    return one is other or one == other
