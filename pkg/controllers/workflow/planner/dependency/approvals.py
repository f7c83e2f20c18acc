"""Asks people: a released task of a flow with `approval` waits until an entry of spec.approvals decides about it.

The entries are part of the spec and are never changed, so a controller that is started later finds the same verdict.
"""

from __future__ import annotations

from typing import Final

from pkg.apis.flow.v1alpha1.approvals import deciding, entry_fault, who_may
from pkg.apis.flow.v1alpha1.indexes import pack_indexes
from pkg.apis.flow.v1alpha1.people import shortened
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Approval, ApprovalDecision, GivenApproval
from pkg.controllers.workflow.planner.actions import Emit
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.outputs.condition import Ends
from pkg.controllers.workflow.planner.progress import Task

# Of what is to be decided, so many characters stand in status: the command behind it has to fit.
_MAX_ASKED: Final = 200
_MAX_EVENTS: Final = 5


def has_answer(ctx: Context, node: Node, index: int) -> bool:
    """Whether an entry decides about a task."""
    return _deciding(ctx, node, index) is not None


def decide(ctx: Context, node: Node, index: int) -> bool:
    """Ends a Waiting task about which an entry decides; True if it has ended."""
    entry = _deciding(ctx, node, index)
    if entry is None:
        return False
    return ctx.draft.put(node.number, index, _verdict(entry).applied(ctx.draft.task(node.number, index), ctx.now))


def _deciding(ctx: Context, node: Node, index: int) -> GivenApproval | None:
    entries = ctx.snapshot.workflow.spec.approvals
    if not entries:
        return None
    found = deciding(entries, node.name, index, ctx.draft.state(node.number).approvals)
    return found[1] if found is not None else None


def _verdict(entry: GivenApproval) -> Ends:
    by = f" by {shortened(entry.by)}" if entry.by else ""
    why = f": {entry.comment}" if entry.comment else ""
    if entry.decision is ApprovalDecision.APPROVE:
        return Ends(Phase.SUCCEEDED, Reasons.APPROVED, f"approved{by}{why}"[:512])
    return Ends(Phase.FAILED, Reasons.REJECTED, f"rejected{by}{why}"[:512])


def timed_out(task: Task, node: Node, now: float) -> Task:
    """A task about which nobody decided within the timeout of its flow."""
    approval = node.flow.approval or Approval()
    message = f"nobody decided within {node.flow.timeout}; {who_may(approval)} might have approved or rejected it"
    return Ends(Phase.FAILED, Reasons.DEADLINE_EXCEEDED, message[:512]).applied(task, now)


def show(ctx: Context, node: Node) -> bool:
    """Shows on the flow that tasks wait for a person; False if none does."""
    waiting = [
        index
        for index, task in enumerate(ctx.draft.tasks(node.number))
        if task.phase is Phase.WAITING and task.released is not None
    ]
    if waiting:
        ctx.draft.edit(node.number, wait_reason=Reasons.APPROVAL_NEEDED, wait_message=_asks(ctx, node, waiting))
    return bool(waiting)


def _asks(ctx: Context, node: Node, waiting: list[int]) -> str:
    """What is to be decided, who may, and how."""
    approval, meta = node.flow.approval or Approval(), ctx.snapshot.workflow.metadata
    what = " ".join(approval.message.split())
    what = what if len(what) <= _MAX_ASKED else f"{what[: _MAX_ASKED - 3]}..."
    indexes = f"index {pack_indexes(waiting[:8])}{' and more' if len(waiting) > 8 else ''}: " if node.is_indexed else ""
    command = f"kubectl workflow approve -n {meta.namespace} {meta.name} {node.name}"
    return f"{indexes}{what or 'waits for an approval'} ({who_may(approval)} may decide: {command}, or reject)"


def without_effect(ctx: Context) -> list[Emit]:
    """Events about new entries that decide about nothing. Without the admission webhook nobody refuses them."""
    entries, seen = ctx.snapshot.workflow.spec.approvals, ctx.draft.base.approvals_seen
    if len(entries) <= seen:
        return []
    flows = {node.name: node.flow for node in ctx.graph.nodes}
    faults = (entry_fault(entries[at], at, flows) for at in range(seen, len(entries)))
    return [Emit("ApprovalIgnored", str(one), is_warning=True) for one in faults if one is not None][:_MAX_EVENTS]
