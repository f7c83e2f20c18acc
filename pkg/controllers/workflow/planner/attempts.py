"""Which attempt numbers the controller can have given. A job with another one only pretends to be an attempt.

Whoever may create jobs in the namespace can write any number into a job's name and label. Without a bound one such job
would raise the attempt of its task to 999999999, so that no later attempt has a number that a label may have.
"""

from __future__ import annotations

from typing import Final

from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.progress import Task

# As the CRD says.
MAX_RETRIES: Final = 1_000
# What a run may have left behind of a flow that status knows nothing of: it was taken out of the spec and came back.
MAX_LEFT_BEHIND: Final = 99_999


def highest_possible(ctx: Context, node: Node, task: Task) -> int:
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
