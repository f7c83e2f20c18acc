"""Whether a job that is under deletion ended first.

A job whose deletion began before it had reported an end was deleted, whatever it says last: a Pod that traps SIGTERM
and exits with 0 while its node is drained has not done its work.
"""

from __future__ import annotations

from datetime import timedelta

from pkg.apis.meta import Job
from pkg.controllers.workflow.planner.progress import Task
from pkg.workloads.job_end import ends_of


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
    ended = max(ends_of(job.status), default=None)
    return ended is None or ended >= began
