"""What flows wait for, said anew before status is written.

The message of a flow names the phase of the flow that it waits for. That phase changes more often than status is
written, and mostly without a consequence. So it is looked up when somebody will read it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.phases import WAITING
from pkg.apis.flow.v1alpha1.reasons import DEPENDENCY_WAITS, Reasons
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.messages import waits_for
from pkg.controllers.workflow.planner.dependency.predicates import Evaluator
from pkg.controllers.workflow.planner.dependency.truth import Truth
from pkg.controllers.workflow.planner.edits import HELD
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.progress import FlowState, Progress

_OF_FLOWS: Final = frozenset({Reasons.WAITING_FOR_DEPENDENCIES})


def reworded(ctx: Context, progress: Progress) -> Progress:
    """The progress of this pass, with the messages of the flows that wait for a flow whose phase has changed.

    While an edit holds the workflow, nothing is judged. A flow whose dependencies were met meanwhile, or can never be,
    says that the edit holds it. Where the dependencies are not known, because this controller never saw the spec before
    the edit, the messages stay as they are.
    """
    is_held, edit = ctx.snapshot.is_held, ctx.snapshot.edit
    if is_held and edit is not None and not edit.is_start_known:
        return progress
    # What the budget of an earlier pass left comes first.
    asked = (*progress.outdated, *(progress.stale - progress.outdated if is_held else ()))
    if not asked:
        return progress
    evaluator, flows = Evaluator(ctx), list(progress.flows)
    left: set[int] = set()
    for number in asked:
        node, state = ctx.graph.nodes[number], flows[number]
        index = _waiting(ctx, node, state) if is_held else 0
        if index is None or state.wait_reason not in (DEPENDENCY_WAITS if is_held else _OF_FLOWS):
            continue
        if is_held and ctx.budget.is_spent:
            left.add(number)
            continue
        value, blocker = evaluator.requires(node)(index)
        if value is not Truth.UNKNOWN:
            said = (Reasons.SPEC_CHANGED, HELD) if is_held else None
        else:
            said = waits_for(ctx, node, blocker, index) if blocker is not None else None
        if said is not None and said != (state.wait_reason, state.wait_message):
            flows[number] = msgspec.structs.replace(state, wait_reason=said[0], wait_message=said[1])
    return msgspec.structs.replace(progress, flows=tuple(flows), outdated=frozenset(left))


def _waiting(ctx: Context, node: Node, state: FlowState) -> int | None:
    """The first index that waits for its dependencies; None if none does, or all wait for the other flows to end."""
    if node.is_finally:
        return None
    ctx.budget.spend(1 + len(state.tasks) // 8)
    waits = (index for index, task in enumerate(state.tasks) if task.phase is WAITING and task.released is None)
    return next(waits, None)
