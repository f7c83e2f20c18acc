"""The predicate that an output is recorded: True, Unknown, or Impossible once the task has ended without it."""

from __future__ import annotations

from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.truth import Truth
from pkg.controllers.workflow.planner.graph.model import OutputPredicate
from pkg.controllers.workflow.planner.outputs.values import has_output


def truth(ctx: Context, asked: OutputPredicate, index: int) -> Truth:
    """The value of the predicate as seen from a task of this index.

    Of a flow with `for` and no pick it is True once all tasks are final and one of them has the output. While the
    number of its tasks is not known, any index may come to exist.
    """
    node, draft = ctx.graph.nodes[asked.flow], ctx.draft
    if node.is_indexed and not asked.pick:
        if not draft.is_final(node.number):
            return Truth.UNKNOWN
        ctx.budget.spend(1 + node.size // 8)
        has_any = any(has_output(task, asked.output) for task in draft.tasks(node.number))
        return Truth.TRUE if has_any else Truth.IMPOSSIBLE
    at = asked.index_for(index)
    if at >= node.size:
        is_unknown = node.count is None and not draft.is_final(node.number)
        return Truth.UNKNOWN if is_unknown else Truth.IMPOSSIBLE
    task = draft.task(node.number, at)
    if has_output(task, asked.output):
        return Truth.TRUE
    return Truth.IMPOSSIBLE if task.is_final else Truth.UNKNOWN
