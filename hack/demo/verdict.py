"""Compares the end of a workflow with the one that its example states. PURE.

An annotation of the example states it:
`{"phase": "Succeeded", "flows": {name: phase}, "attempts": {name: number}}`.
"""

from __future__ import annotations

import msgspec

from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Workflow

ANNOTATION = "examples.workflow.sh/expect"


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end that an example states."""

    phase: WorkflowPhase
    flows: dict[str, Phase] = {}
    attempts: dict[str, int] = {}


class NoExpectation(Exception):
    """The annotation is missing or cannot be read; the text says which."""


def expected(workflow: Workflow) -> Expected:
    """The end that the workflow's annotation states. Raises NoExpectation."""
    name, text = workflow.metadata.name, workflow.metadata.annotations.get(ANNOTATION)
    if text is None:
        raise NoExpectation(f"{name} has no annotation {ANNOTATION}")
    try:
        return msgspec.json.decode(text, type=Expected)
    except msgspec.DecodeError as error:
        raise NoExpectation(f"{name}: the annotation {ANNOTATION} cannot be read: {error}") from error


def differences(workflow: Workflow, want: Expected) -> list[str]:
    """Every difference to the stated end, in words; empty if there is none."""
    status = workflow.status
    if status.phase is None or not status.phase.is_final:
        return [f"still {status.phase or 'not begun'}"]
    found = [] if status.phase is want.phase else [f"is {status.phase}, not {want.phase}"]
    flows = {flow.name: flow for flow in status.flows}
    for name, phase in want.flows.items():
        flow = flows.get(name)
        if flow is None:
            found.append(f"{name} is not in its status")
        elif flow.phase is not phase:
            found.append(f"{name} is {flow.phase}, not {phase}")
    for name, number in want.attempts.items():
        if name in flows and flows[name].attempts != number:
            found.append(f"{name} took {flows[name].attempts} attempts, not {number}")
    return found
