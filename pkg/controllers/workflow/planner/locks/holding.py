"""When a task holds its locks: from before an attempt's job is made until that job is finished or gone."""

from __future__ import annotations

from pkg.controllers.workflow.planner.progress import Task


def keeps_locks(task: Task | None, recorded: Task | None, *, has_unfinished_job: bool) -> bool:
    """Whether a task keeps what it holds.

    task: as it is now, recorded: as the acknowledged status has it; None if the workflow has no such task any more.
    has_unfinished_job: a job of it, of whatever attempt, exists and has not finished; it may be under deletion.

    A task that has ended keeps its locks until status records the end: a controller that is started then would
    otherwise take the job for one that runs.
    """
    if has_unfinished_job:
        return True
    if task is None or recorded is None:
        return False
    if task.is_unfinished or recorded.is_unfinished:
        return True
    return (task.phase, task.attempt) != (recorded.phase, recorded.attempt)
