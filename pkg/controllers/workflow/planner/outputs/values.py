"""The recorded outputs as values: of one task, or of all tasks of a flow with `for` as a list."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pkg.apis.flow.v1alpha1.variables import OutputOf, name_of
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.model import Node, OutputPredicate
from pkg.controllers.workflow.planner.outputs.end import variables_of
from pkg.controllers.workflow.planner.progress import Task


def has_output(task: Task, name: str) -> bool:
    """Whether a value of the output is recorded with the task."""
    return any(one == name for one, _ in task.outputs)


def output_of(task: Task, name: str) -> str | None:
    """The recorded value; None if there is none."""
    return next((value for one, value in task.outputs if one == name), None)


def listed(tasks: Sequence[Task], name: str) -> list[str | None]:
    """The values of all tasks in the order of their indexes, None where a task has none."""
    return [output_of(task, name) for task in tasks]


def text_of(ctx: Context, asked: OutputPredicate, index: int) -> str | None:
    """What a variable stands for in a job of this index; None where nothing is recorded."""
    node = ctx.graph.nodes[asked.flow]
    tasks = ctx.draft.tasks(node.number)
    if node.is_indexed and not asked.pick:
        values = listed(tasks, asked.output)
        ctx.budget.spend(1 + len(values) // 4)
        return None if all(value is None for value in values) else msgspec.json.encode(values).decode()
    at = asked.index_for(index)
    return output_of(tasks[at], asked.output) if at < node.size else None


def variables_for(ctx: Context, node: Node, index: int) -> dict[str, str]:
    """The values that only a run knows in a job of the flow, by the name of the variable: outputs, and how it went."""
    found = variables_of(ctx.draft.end) if node.reads_end and ctx.draft.end is not None else {}
    for asked in node.reads:
        value = text_of(ctx, asked, index)
        if value is not None:
            found[name_of(OutputOf(ctx.graph.nodes[asked.flow].name, asked.output, asked.pick))] = value
    return found
