"""When a job of any kind ended, by what most kinds write into their status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pkg.apis.meta import seconds

# Where kinds write when a job ended.
_TIMES: Final = ("completionTime", "finishedAt", "endTime", "terminationTime")
# Conditions that say that a job has ended, for kinds without such a time (a Job that failed).
_ENDS: Final = frozenset({"Complete", "Completed", "Failed", "Succeeded", "Finished"})


def ends_of(status: Mapping[str, Any]) -> Iterator[float]:
    """The times at which a job, or a container of a Pod, ended (seconds since the epoch)."""
    found = [status.get(name) for name in _TIMES]
    found.extend(
        condition.get("lastTransitionTime")
        for condition in _objects(status.get("conditions"))
        if condition.get("type") in _ENDS and condition.get("status") == "True"
    )
    for name in ("containerStatuses", "initContainerStatuses"):
        for container in _objects(status.get(name)):
            state = container.get("state")
            ended = state.get("terminated") if isinstance(state, dict) else None
            found.append(ended.get("finishedAt") if isinstance(ended, dict) else None)
    for text in found:
        if isinstance(text, str):
            try:
                yield seconds(text)
            except ValueError:
                continue  # of a custom resource that writes something else there


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
