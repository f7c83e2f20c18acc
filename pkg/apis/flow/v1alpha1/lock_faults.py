"""Faults of mutexes and semaphores that the schema of the CRD cannot refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.locks import UNDER_LOCKS
from pkg.apis.flow.v1alpha1.raw import ABSENT
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Flow, WorkflowSpec, WorkTemplateSpec

_BOTH: Final = (
    "the workflow has locks of its own (spec.mutexes, spec.semaphores), so its flows can have none: two workflows could"
    " wait for each other for ever. Give the locks to the workflow or to its flows, not to both"
)
_MAX_HOLDER: Final = 160


def lock_faults(owner: Flow | WorkflowSpec, path: str) -> Iterator[Fault]:
    """The faults of the locks of a flow, or of a workflow as a whole. path: of the owner."""
    first: dict[str, int] = {}
    for at, name in enumerate(owner.mutexes):
        if first.setdefault(name, at) != at:
            message = f'mutex "{name}" is given twice, first in {path}.mutexes[{first[name]}]; keep one'
            yield fault(f"{path}.mutexes[{at}]", message, name)
    first = {}
    for at, semaphore in enumerate(owner.semaphores):
        ref = semaphore.config_map_key_ref
        text = f"{ref.name}/{ref.key}"
        if first.setdefault(text, at) != at:
            message = f"semaphore {text} is given twice, first in {path}.semaphores[{first[text]}]; keep one"
            yield fault(f"{path}.semaphores[{at}]", message, text)


def level_faults(spec: WorkflowSpec) -> Iterator[Fault]:
    """A fault for each flow that has locks although the workflow as a whole has some."""
    if not spec.mutexes and not spec.semaphores:
        return
    for at, flow in enumerate(spec.flows):
        for field, given in (("mutexes", flow.mutexes), ("semaphores", flow.semaphores)):
            if given:
                yield Fault(f"spec.flows[{at}].{field}", _BOTH)


def nested_faults(spec: WorkflowSpec, annotations: Mapping[str, str]) -> Iterator[Fault]:
    """A fault for each place where a Workflow names locks although it is the job of one that holds some.

    annotations: of the nested Workflow. The controller writes into them who holds locks above it.
    """
    holder = annotations.get(UNDER_LOCKS)
    if holder is None:
        return
    message = (
        f"this Workflow is a job of {holder[:_MAX_HOLDER]}, which holds locks while it runs, so it can name none: two"
        " could wait for each other for ever. Remove the locks here, or those above"
    )
    owners: list[tuple[Flow | WorkflowSpec, str]] = [(spec, "spec")]
    owners += [(flow, f"spec.flows[{at}]") for at, flow in enumerate(spec.flows)]
    for owner, path in owners:
        for field, given in (("mutexes", owner.mutexes), ("semaphores", owner.semaphores)):
            if given:
                yield Fault(f"{path}.{field}", message)


def below_faults(spec: WorkflowSpec, flow: Flow, template: WorkTemplateSpec, path: str, place: str) -> Iterator[Fault]:
    """A fault for each lock of a Workflow that a flow makes while it, or its own workflow, holds locks.

    path, place: of the flow, and of its template. Raises RawError. Nothing is said of a flow with a patch, which may
    take the locks off.
    """
    if template.gvr.gvr != WORKFLOWS or flow.raw_patch is not ABSENT:
        return
    owner: Flow | WorkflowSpec = spec if spec.mutexes or spec.semaphores else flow
    if not owner.mutexes and not owner.semaphores:
        return
    message = (
        f"this Workflow runs while {'spec' if owner is spec else path} holds locks, so it can name none: two could wait"
        " for each other for ever. Remove the locks here, or those above"
    )
    made = template.job_spec
    flows = made.get("flows")
    places = [(made, ""), *((one, f".flows[{at}]") for at, one in enumerate(flows if isinstance(flows, list) else ()))]
    for part, where in places:
        for field in ("mutexes", "semaphores"):
            if isinstance(part, dict) and part.get(field):
                yield Fault(f"{place}.jobSpec{where}.{field}", message)
