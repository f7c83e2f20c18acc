"""Whether status records the verdicts that a job follows from, where no job shows them.

A controller that is started later reads no output a second time, and judges no condition again: what a job was made
from is in status before the job is made.
"""

from __future__ import annotations

from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.model import Node, OutputPredicate, Predicate, PreviousPredicate
from pkg.controllers.workflow.planner.progress import Task


def are_verdicts_recorded(ctx: Context, node: Node, index: int) -> bool:
    """Whether the acknowledged status has the verdicts on the tasks that this one depends on."""
    if not node.follows_recorded:
        return True
    return all(_is_recorded(ctx, node, part, index) for part in node.predicates())


def _is_recorded(ctx: Context, node: Node, part: Predicate, index: int) -> bool:
    number = node.number if isinstance(part, PreviousPredicate) else part.flow
    if number not in node.follows_recorded:
        return True
    base, tasks = ctx.draft.base, ctx.draft.tasks(number)
    acked, hands_out = base.acked[number], bool(ctx.graph.nodes[number].outputs)
    if isinstance(part, PreviousPredicate):
        return index == 0 or _is_acked(acked.tasks[index - 1], tasks[index - 1], hands_out)
    if isinstance(part, OutputPredicate) and part.pick:
        at = part.index_for(index)
        return _is_acked(acked.tasks[at], tasks[at], hands_out)
    if acked.is_final or tasks is acked.tasks:
        return True
    ctx.budget.spend(1 + len(tasks) // 8)
    return all(_is_acked(before, task, hands_out) for before, task in zip(acked.tasks, tasks, strict=True))


def _is_acked(before: Task, task: Task, hands_out: bool) -> bool:
    """Whether a verdict is recorded, or needs no record. A job that ran shows how it ended, but not its outputs."""
    return before.is_final or not task.is_final or (task.had_job and not hands_out)
