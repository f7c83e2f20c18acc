"""Which jobs can be attempts of their tasks. Other ones only pretend to be, though owner, labels and name agree.

Whoever may create jobs in the namespace can write any number into a job's name and label. Without a bound one such job
would raise the attempt of its task to 999999999, so that no later attempt has a number that a label may have. And an
attempt can have several names: with or without an index, or with the fallback ending. The controller gives one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.meta import ObjectMeta
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.progress import Task
from pkg.controllers.workflow.planner.snapshot import ObservedJob

# As the CRD says.
MAX_RETRIES: Final = 1_000
# What a run may have left behind of a flow that status knows nothing of: it was taken out of the spec and came back.
MAX_LEFT_BEHIND: Final = 99_999


def is_possible(ctx: Context, node: Node, task: Task, observed: ObservedJob) -> bool:
    """Whether the controller can have created this job for the task, as far as the spec in force says."""
    if not is_like(node, observed):
        return False
    return observed.attempt <= task.attempt or observed.attempt <= _highest_possible(ctx, node, task)


def is_like(node: Node, observed: ObservedJob) -> bool:
    """Whether a job is labelled as those of the flow: with an index, or without."""
    return (labels.INDEX in observed.job.metadata.labels) == node.is_indexed


def is_of_another_spec(node: Node, observed: ObservedJob, jobs: Iterable[ObservedJob]) -> bool:
    """Whether a spec before this one made a job, in which the flow had `for` and now has not, or the other way round.

    It is older than the jobs of the flow. Whoever wants to pass for one of these under another name comes later.
    """
    if is_like(node, observed):
        return False
    return all(_created(observed) <= _created(other) for other in jobs if is_like(node, other))


def _created(observed: ObservedJob) -> float:
    created = observed.job.metadata.creation_timestamp
    return created.timestamp() if created is not None else 0.0


def of_attempt(jobs: Sequence[ObservedJob], attempt: int, known_uid: str = "") -> ObservedJob | None:
    """The job of an attempt; known_uid: of the job that was taken for it before.

    Of several, the one that is not under deletion, then the known one, then the one that was created first: whoever
    wants to pass for an attempt under another of its names comes later.
    """
    if len(jobs) == 1:
        return jobs[0] if jobs[0].attempt == attempt else None
    found = [observed for observed in jobs if observed.attempt == attempt]
    if len(found) == 1:
        return found[0]
    return min(found, key=lambda observed: _precedence(observed.job.metadata, known_uid)) if found else None


def _precedence(meta: ObjectMeta, known_uid: str) -> tuple[bool, bool, float, int, str]:
    created = meta.creation_timestamp.timestamp() if meta.creation_timestamp is not None else 0.0
    return meta.is_deleting, meta.uid != known_uid, created, len(meta.name), meta.name


def _highest_possible(ctx: Context, node: Node, task: Task) -> int:
    """The highest attempt that a job of this task can have: the known one, or the last retry of this run.

    The first attempt after a restart is recorded before a job is created, so what status knows is enough.
    """
    edit = ctx.snapshot.edit
    # The spec that the workflow started with is not known: it may have allowed any number of retries.
    is_known = edit is None or edit.is_start_known
    retries = node.retry.max_retries if is_known else MAX_RETRIES
    return max(task.attempt, ctx.draft.state(node.number).first_attempt + retries)


def is_left_behind(attempt: int, known: int | None) -> bool:
    """Whether a restart begins above this attempt, which a job shows. known: what status knows, None for nothing.

    The spec may have been edited since the run, so its retries are not known.
    """
    return attempt <= (MAX_LEFT_BEHIND if known is None else known + MAX_RETRIES)
