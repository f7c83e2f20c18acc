"""What is known of objects that tasks apply or delete: whether they were read, and how far a deletion is."""

from __future__ import annotations

import msgspec

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import Action
from pkg.apis.meta import Job
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.progress import Task, TaskKey

_MAX_FINALIZERS = 3


def is_unread(ctx: Context, key: TaskKey, task: Task) -> bool:
    """Whether it says nothing that no object of the task is seen: after a restart of the controller it is read later,
    or not at all if the task has ended and nobody asks for its object.
    """
    return task.current.action is not Action.CREATE and (task.has_verdict or key in ctx.snapshot.unseen)


def deletes(task: Task, found: Job | None, now: float, *, is_gone: bool) -> Task:
    """The task after a look at its object. found: the object, while it is there; now: seconds since the epoch."""
    if is_gone:
        done = msgspec.structs.replace(task, phase=Phase.SUCCEEDED, ran=True, finished=now, reason="", message="")
        return done.with_current(job="", job_uid="")
    if found is None:
        return task
    current = task.current
    return msgspec.structs.replace(
        task,
        phase=Phase.RUNNING,
        ran=True,
        message=held_by_finalizers(found),
        current=msgspec.structs.replace(
            current, began=True, ran_at=current.ran_at if current.ran_at is not None else now
        ),
    )


def held_by_finalizers(found: Job) -> str:
    """What a person reads while an object is being deleted and stays: who has to let it go. Empty if nobody has to."""
    meta = found.metadata
    if not meta.is_deleting or not meta.finalizers:
        return ""
    shown = ", ".join(meta.finalizers[:_MAX_FINALIZERS])
    more = f" and {len(meta.finalizers) - _MAX_FINALIZERS} more" if len(meta.finalizers) > _MAX_FINALIZERS else ""
    return f"{meta.name} is being deleted; it goes once its finalizers are off: {shown}{more}"
