"""Small builders for jobs as the cache holds them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from pkg.apis.meta import GVR, Job, ObjectMeta, ObservedSpec


def gvr(text: str) -> GVR:
    """`resource.version.group` or `resource.version` to a GVR, as GVR prints itself."""
    resource, version, *group = text.split(".")
    return GVR(".".join(group), version, resource)


def job(
    status: dict[str, Any] | None = None,
    *,
    generation: int = 1,
    deleting: bool = False,
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> Job:
    """A job with the given status; further keywords are fields of its spec, as they are on the wire."""
    meta = ObjectMeta(
        name="work-a",
        namespace="default",
        uid="u-1",
        generation=generation,
        labels=labels or {},
        deletion_timestamp=datetime(2026, 1, 1, tzinfo=UTC) if deleting else None,
    )
    return Job(meta, spec=msgspec.convert(spec, ObservedSpec), status=status or {})


def cond(kind: str, status: str = "True", reason: str = "", message: str = "", **more: Any) -> dict[str, Any]:
    """An entry of status.conditions."""
    entry: dict[str, Any] = {"type": kind, "status": status, **more}
    if reason:
        entry["reason"] = reason
    if message:
        entry["message"] = message
    return entry


def conds(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A status made of conditions and further fields."""
    return {"conditions": list(entries), **more}
