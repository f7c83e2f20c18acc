"""Which entry of spec.approvals a person adds to a Workflow, and why none would have an effect. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1.approvals import overruling
from pkg.apis.flow.v1alpha1.indexes import unpack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import MAX_COMMENT, ApprovalDecision, Flow, FlowStatus, GivenApproval, Workflow

_DONE: Final = {ApprovalDecision.APPROVE: "approved", ApprovalDecision.REJECT: "rejected"}


class CannotDecide(ValueError):
    """The decision would have no effect; the message says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class Decided:
    """An entry to add. done: what then has happened, in a sentence; steps: the JSON Patch that adds it."""

    entry: GivenApproval
    done: str
    steps: tuple[Mapping[str, Any], ...]


def decide(workflow: Workflow, target: str, decision: ApprovalDecision, comment: str = "") -> Decided:
    """The entry about `FLOW` or `FLOW/INDEX`, which may not ask yet. Raises CannotDecide."""
    name, index = _target(target)
    meta, status = workflow.metadata, workflow.status
    flow = next((one for one in workflow.spec.flows if one.name == name), None)
    if flow is None or flow.approval is None:
        what = f"flow {name} has no approval" if flow is not None else f'no flow "{name}" waits for approval or has one'
        raise CannotDecide(_with_those_that_have(workflow, what))
    if status.phase is not None and status.phase.is_final:
        restart = f"kubectl workflow retry -n {meta.namespace} {meta.name} --flow {name} asks again"
        raise CannotDecide(f"{meta.name} has ended ({status.phase}); {restart}")
    if len(comment) > MAX_COMMENT:
        raise CannotDecide(f"the comment has {len(comment):,} characters; at most {MAX_COMMENT} are allowed")
    known = next((one for one in status.flows if one.name == name), None)
    where = _check(flow, known, index)
    entry = GivenApproval(flow=name, decision=decision, index=index, comment=comment)
    _check_entries(workflow, entry, where)
    is_asking = known is not None and known.reason == Reasons.APPROVAL_NEEDED
    early = "" if is_asking else ", before it asks"
    return Decided(entry, f"{meta.name}: {where} is {_DONE[decision]}{early}", _steps(workflow, entry))


def open_approvals(workflow: Workflow) -> dict[str, tuple[int, ...]]:
    """The flows that a person may still decide about, with the indexes that are not decided; those that ask first."""
    if workflow.status.phase is not None and workflow.status.phase.is_final:
        return {}
    states = {one.name: one for one in workflow.status.flows}
    found = {}
    for flow in workflow.spec.flows:
        known = states.get(flow.name)
        if flow.approval is None or (known is not None and known.phase.is_final):
            continue
        phases = {} if known is None else _phases(known)
        size = len(phases) or max(1, flow.replicas)
        found[flow.name] = tuple(index for index in range(size) if index not in phases or not phases[index].is_final)
    asking = {name for name, known in states.items() if known.reason == Reasons.APPROVAL_NEEDED}
    return dict(sorted(found.items(), key=lambda item: item[0] not in asking))


def _target(text: str) -> tuple[str, int | None]:
    name, slash, index = text.partition("/")
    if not slash:
        return name, None
    if not (name and index.isascii() and index.isdigit() and len(index) <= 5):
        raise CannotDecide(f'"{text}" names no task; write FLOW or FLOW/INDEX, such as regions/3')
    return name, int(index)


def _check(flow: Flow, known: FlowStatus | None, index: int | None) -> str:
    """The flow or task in words. Raises CannotDecide if it is final, or does not exist."""
    if index is None:
        if known is not None and known.phase.is_final:
            raise CannotDecide(f"flow {flow.name} is {known.phase} already: {known.message or known.reason}")
        return f"flow {flow.name}"
    where = f"index {index} of flow {flow.name}"
    phases = {} if known is None else _phases(known)
    size = len(phases) or max(1, flow.replicas)
    if index >= size and not (known is None and flow.items_from):
        highest = f"the highest index is {size - 1}" if size > 1 else "it has one task"
        raise CannotDecide(f"there is no {where}; {highest}")
    if index in phases and phases[index].is_final:
        raise CannotDecide(f"{where} is {phases[index]} already")
    return where


def _check_entries(workflow: Workflow, entry: GivenApproval, where: str) -> None:
    """Raises CannotDecide if an earlier entry decides, which status may not show yet."""
    found = overruling(workflow, entry, len(workflow.spec.approvals))
    if found is not None:
        at, first = found
        by = f" by {first.by}" if first.by else ""
        raise CannotDecide(
            f"{where} is {_DONE[first.decision]}{by} already, in spec.approvals[{at}], and the first entry counts"
        )


def _phases(known: FlowStatus) -> dict[int, Phase]:
    found = {index: phase for phase in Phase for index in unpack_indexes(known.indexes_in(phase))}
    return found or {0: known.phase}


def _with_those_that_have(workflow: Workflow, what: str) -> str:
    """What is wrong, and the flows that may be decided about, those that ask first."""
    asking = {one.name for one in workflow.status.flows if one.reason == Reasons.APPROVAL_NEEDED}
    named = [flow.name for flow in workflow.spec.flows if flow.approval is not None]
    named.sort(key=lambda name: name not in asking)
    if not named:
        return f"workflow {workflow.metadata.name} has no flow with approval"
    return f"{what}; {'flow' if len(named) == 1 else 'flows'} with approval: {_some(named)}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")


def _steps(workflow: Workflow, entry: GivenApproval) -> tuple[Mapping[str, Any], ...]:
    """Another workflow of that name may have been made meanwhile, and two people may add the first entry at once."""
    meta, value = workflow.metadata, msgspec.to_builtins(entry)
    same: list[Mapping[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": meta.uid}]
    if workflow.spec.approvals:
        return (*same, {"op": "add", "path": "/spec/approvals/-", "value": value})
    version = {"op": "test", "path": "/metadata/resourceVersion", "value": meta.resource_version}
    return (*same, version, {"op": "add", "path": "/spec/approvals", "value": [value]})
