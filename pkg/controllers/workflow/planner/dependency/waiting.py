"""What flows wait for, said anew before status is written.

The message of a flow names the phase of the flow that it waits for. That phase changes more often than status is
written, and mostly without a consequence. So it is looked up when somebody will read it.
"""

from __future__ import annotations

import msgspec

from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.messages import waits_for
from pkg.controllers.workflow.planner.dependency.predicates import Evaluator
from pkg.controllers.workflow.planner.dependency.truth import Truth
from pkg.controllers.workflow.planner.progress import Progress


def reworded(ctx: Context, progress: Progress) -> Progress:
    """The progress of this pass, with the messages of the flows that wait for a flow whose phase has changed."""
    if not progress.outdated or ctx.snapshot.is_held:
        return progress
    evaluator, flows = Evaluator(ctx), list(progress.flows)
    for number in progress.outdated:
        node, state = ctx.graph.nodes[number], flows[number]
        if state.wait_reason != Reasons.WAITING_FOR_DEPENDENCIES:
            continue
        value, blocker = evaluator.requires(node)(0)
        if value is Truth.UNKNOWN and blocker is not None:
            reason, message = waits_for(ctx, node, blocker, 0)
            if message != state.wait_message:
                flows[number] = msgspec.structs.replace(state, wait_reason=reason, wait_message=message)
    return msgspec.structs.replace(progress, flows=tuple(flows), outdated=frozenset())
