"""What `finally` flows know of how the workflow went, as the values of variables and of `when`."""

from __future__ import annotations

from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1.types import EndRecord, Failure


def variables_of(end: EndRecord) -> dict[str, str]:
    """The values of the variables, by name."""
    return {
        "workflow.phase": end.phase.value,
        "workflow.reason": end.reason,
        "workflow.message": end.message,
        "workflow.duration": str(end.duration),
        "workflow.failures": msgspec.json.encode(failures_of(end)).decode(),
    }


def fields_of(end: EndRecord) -> dict[str, Any]:
    """What `workflow` has in `when`, besides name, namespace and uid."""
    return {
        "phase": end.phase.value,
        "reason": end.reason,
        "message": end.message,
        "duration": end.duration,
        "failures": failures_of(end),
    }


def failures_of(end: EndRecord) -> list[dict[str, Any]]:
    """The failed tasks; the last item counts those that the list has no room for, and has the fields of the others."""
    found = [item_of(one) for one in end.failures]
    return [*found, more_item(end.more)] if end.more else found


def item_of(failure: Failure) -> dict[str, Any]:
    """One failed task, with every field."""
    return {
        "flow": failure.flow,
        "index": failure.index,
        "reason": failure.reason,
        "message": failure.message,
    }


def more_item(count: int) -> dict[str, Any]:
    """The item that counts the failed tasks that are not listed."""
    message = f"{count:,} more failed tasks are left out"
    return {"flow": "", "index": 0, "reason": "More", "message": message, "count": count}
