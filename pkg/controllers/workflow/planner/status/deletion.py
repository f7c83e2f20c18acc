"""Whether a job that is under deletion ended first.

A job whose deletion began before it had reported an end was deleted, whatever it says last: a Pod that traps SIGTERM
and exits with 0 while its node is drained has not done its work.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from pkg.apis.meta import Job, seconds
from pkg.controllers.workflow.planner.progress import Task

# Where kinds write when a job ended.
_TIMES: Final = ("completionTime", "finishedAt", "endTime", "terminationTime")
# Conditions that say that a job has ended, for kinds without such a time (a Job that failed).
_ENDS: Final = frozenset({"Complete", "Completed", "Failed", "Succeeded", "Finished"})


def counts_as_deleted(task: Task, job: Job, *, is_final: bool) -> bool:
    """Whether a job of the newest attempt, which has no verdict yet, was deleted before it ended.

    is_final: it says that it has ended. If its deletion was not seen before, the times decide, and without a time of
    its end it was deleted.
    """
    if task.current.doomed:
        return True
    deleted_at = job.metadata.deletion_timestamp
    if deleted_at is None:
        return False
    if not is_final:
        return True
    # The API server adds the grace period to the time of the request. All times are truncated to seconds.
    began = (deleted_at - timedelta(seconds=job.metadata.deletion_grace_period_seconds)).timestamp()
    ended = max(_ends_of(job.status), default=None)
    return ended is None or ended >= began


def _ends_of(status: dict[str, Any]) -> Iterator[float]:
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
