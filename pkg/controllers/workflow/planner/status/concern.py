"""What a user should look at first: what waits for a person, and the reason and message of the workflow as a whole.

Both follow from the states of the flows alone, so they change only when a flow does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import BLOCKING, Reasons
from pkg.apis.flow.v1alpha1.types import FlowStatus, WorkflowStatus
from pkg.controllers.workflow.planner.actions import Emit
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import Progress
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.controllers.workflow.planner.status.flow_status import why

#: Reason and message of the condition Blocked while nothing waits for a person.
UNBLOCKED = Reasons.NOTHING_BLOCKS, "nothing waits for a person"
SUSPENDED = Reasons.WORKFLOW_SUSPENDED, "spec.suspend is true; set it to false to go on"
# Why a flow waits for another task of the same workflow, whose own reason says more.
_FOLLOWS = frozenset({"", Reasons.WAITING_FOR_DEPENDENCIES, Reasons.PARALLELISM_REACHED})


@dataclass(frozen=True, slots=True)
class Concern:
    """A reason, and a message that says where, what and what to do. where: the flow, or what else the cause is in.

    has_event: it has an Event of its own, because it is why a released task has no job.
    """

    reason: str
    where: str
    text: str
    has_event: bool = False

    @property
    def message(self) -> str:
        return f"{self.where}: {self.text}" if self.text else self.where

    @property
    def cause(self) -> tuple[str, str]:
        """What makes it another cause, and so another Event, whatever the message says."""
        return self.reason, self.where


def blocked_by(snapshot: Snapshot, graph: Graph, progress: Progress, statuses: Sequence[FlowStatus]) -> Concern | None:
    """An edit that holds the workflow, else the first flow that waits for a person; None if there is neither.

    statuses: of the flows, in their order.
    """
    if snapshot.edit is not None and snapshot.workflow.spec.shutdown is None:
        return Concern(Reasons.SPEC_CHANGED, "spec", snapshot.edit.message, has_event=True)
    for number, status in enumerate(statuses):
        if status.reason not in BLOCKING or status.phase.is_final:
            continue
        if status.reason == Reasons.CREATE_FAILED and not _is_lasting(snapshot, status.name):
            continue
        return _concern(graph, progress, number)
    return None


def headline(
    snapshot: Snapshot, graph: Graph, progress: Progress, statuses: Sequence[FlowStatus], blocked: Concern | None
) -> tuple[str, str]:
    """Reason and message of the whole workflow.

    Of an edit that holds it, else of its decision, else of what blocks it, else of what it waits for.

    Both are empty while it runs as it should.
    """
    decision = progress.decision
    if blocked is not None and blocked.reason == Reasons.SPEC_CHANGED:
        return blocked.reason, blocked.text
    if decision is not None:
        return decision.reason, decision.message
    if blocked is not None:
        return blocked.reason, blocked.message
    if snapshot.workflow.spec.suspend:
        return SUSPENDED
    for number, status in enumerate(statuses):
        if status.phase is Phase.BACKOFF:
            found = _concern(graph, progress, number)
            return Reasons.TASK_RETRY, f"{found.where}: {found.reason}: {found.text}"
    if not progress.counts.get(Phase.RUNNING):
        for number, status in enumerate(statuses):
            if status.reason not in _FOLLOWS and not status.phase.is_final:
                found = _concern(graph, progress, number)
                return found.reason, found.message
    return "", ""


def _concern(graph: Graph, progress: Progress, number: int) -> Concern:
    """A flow with the whole of its message, which its own status may have to cut."""
    node, state = graph.nodes[number], progress.flows[number]
    reason, text = why(node, state, state.phase)
    return Concern(reason, f"flow {node.name}", text, has_event=reason == state.wait_reason)


def _is_lasting(snapshot: Snapshot, flow: str) -> bool:
    """Whether creations of a flow have failed for long; a controller that starts takes the word of the status."""
    if recorded_cause(snapshot.workflow.status) == (Reasons.CREATE_FAILED, f"flow {flow}"):
        return True
    return any(key.flow == flow and fault.is_lasting for key, fault in snapshot.faults.items())


def recorded_cause(status: WorkflowStatus) -> tuple[str, str] | None:
    """The `Concern.cause` that the condition Blocked names; None if it is not True."""
    found = conds.find(status.conditions, conds.BLOCKED)
    if found is None or found.status != conds.TRUE:
        return None
    return found.reason, found.message.partition(": ")[0]


def blocked_event(before: tuple[str, str] | None, now: Concern | None) -> tuple[Emit, ...]:
    """The Event of a workflow that waits for a person, once for each cause that has no other Event."""
    if now is None or now.cause == before or now.has_event:
        return ()
    return (Emit("Blocked", f"{now.reason}: {now.message}", is_warning=True),)
