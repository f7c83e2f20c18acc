"""Why a Workflow is where it is: what it waits for, since when, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.reasons import BLOCKING, DEPENDENCY_WAITS, Reasons
from pkg.views.advice import advice
from pkg.views.durations import elapsed
from pkg.views.workflow_view import FlowView, WorkflowView

#: Causes that are listed one by one.
MAX_CAUSES: Final = 8
_NO_CONTROLLER: Final = (
    "no controller has written its status yet, for which a busy one takes up to 5 s; does one run?"
    " kubectl get pods -n workflow-system; kubectl workflow version"
)


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that holds the workflow up, or made it fail.

    where: `flow NAME`, or `the workflow`; others: how many flows have the same cause; since: seconds, None if that is
    not known; todo: what to do, empty if nothing is known; needs_person: it does not pass by itself.
    """

    where: str
    phase: str
    reason: str
    message: str
    since: float | None
    todo: str
    needs_person: bool = False
    others: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """summary: one sentence; causes: the most important first; more: how many are not listed; runs: flows that run."""

    summary: str
    causes: tuple[Cause, ...]
    more: int
    runs: tuple[FlowView, ...]


def why(found: WorkflowView, now: float) -> Answer:
    """The answer at `now`, in seconds since the epoch."""
    causes = _joined([*_of_workflow(found, now), *sorted(_of_flows(found, now), key=_rank)])
    runs = tuple(flow for flow in found.flows if flow.phase is Phase.RUNNING)
    return Answer(_summary(found), tuple(causes[:MAX_CAUSES]), max(0, len(causes) - MAX_CAUSES), runs)


def _summary(found: WorkflowView) -> str:
    if found.phase is None:
        return _NO_CONTROLLER
    if found.phase is WorkflowPhase.SUCCEEDED:
        return "it succeeded, and waits for nothing"
    if found.phase is WorkflowPhase.FAILED:
        return "it failed; nothing more will run before it is restarted"
    if found.blocked is not None:
        return "it waits for a person"
    if any(flow.phase is Phase.RUNNING for flow in found.flows):
        return "it runs, and nothing waits for a person"
    return "nothing runs at the moment, and nothing waits for a person"


def _of_workflow(found: WorkflowView, now: float) -> Iterator[Cause]:
    """What is about the workflow as a whole."""
    of_flow = any(flow.reason == found.reason for flow in found.flows)
    blocked = found.blocked
    if found.is_deleting:
        yield Cause("the workflow", "being deleted", "", "its jobs are deleted first", None, "")
    if blocked is not None and not any(flow.reason == blocked.reason for flow in found.flows):
        todo = advice(blocked.reason, namespace=found.namespace, name=found.name)
        since = elapsed(blocked.last_transition_time, None, now)
        yield Cause("the workflow", str(found.phase or ""), blocked.reason, blocked.message, since, todo, True)
    elif found.reason and not of_flow and found.phase not in (WorkflowPhase.SUCCEEDED, WorkflowPhase.RUNNING):
        todo = advice(found.reason, namespace=found.namespace, name=found.name)
        since = elapsed(found.ended, None, now) if found.ended else None
        yield Cause("the workflow", str(found.phase or ""), found.reason, found.message, since, todo, found.suspended)


def _of_flows(found: WorkflowView, now: float) -> Iterator[Cause]:
    ended = found.phase is not None and found.phase.is_final
    for flow in found.flows:
        if flow.phase in (Phase.SUCCEEDED, Phase.SKIPPED) or (flow.phase is Phase.RUNNING and not flow.reason):
            continue
        if ended and flow.phase is not Phase.FAILED:
            continue
        if not flow.reason and not flow.message:
            continue
        is_cause = found.blocked is not None and found.blocked.reason == flow.reason
        if is_cause and found.blocked is not None:
            since = elapsed(found.blocked.last_transition_time, None, now)
        else:
            # A flow that waits has no time of its own in status.
            since = None if flow.started is None else max(0.0, now - flow.started)
        yield Cause(
            where=f"flow {flow.name}",
            phase=str(flow.phase),
            reason=flow.reason,
            message=flow.message,
            since=since if flow.phase is not Phase.FAILED else None,
            todo=advice(flow.reason, namespace=found.namespace, name=found.name, flow=flow.name),
            needs_person=flow.reason in BLOCKING and not flow.phase.is_final,
        )


def _rank(cause: Cause) -> int:
    """What needs a person first, then failures, then what waits for something outside, then what waits for a flow."""
    if cause.needs_person:
        return 0
    if cause.phase == Phase.FAILED:
        return 1
    if cause.reason in DEPENDENCY_WAITS - {Reasons.WAITING_FOR_PROBE}:
        return 3
    return 2


def _joined(causes: list[Cause]) -> list[Cause]:
    """Flows that say the same are one cause; so are all that wait for other flows."""
    found: dict[tuple[str, str], Cause] = {}
    for cause in causes:
        waits = cause.reason == Reasons.WAITING_FOR_DEPENDENCIES
        key = (cause.reason, "" if waits else cause.message)
        first = found.get(key)
        found[key] = cause if first is None else replace(first, others=first.others + 1)
    return list(found.values())
