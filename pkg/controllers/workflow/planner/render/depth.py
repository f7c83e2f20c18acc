"""Workflows that are jobs of other Workflows: a limit on how deep they nest, and the fields that they need.

Without a limit a template whose Workflow uses the same template would create Workflows for ever.
"""

from __future__ import annotations

from typing import Any, Final

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.locks import UNDER_LOCKS, names_of
from pkg.apis.flow.v1alpha1.types import API_VERSION, Flow, Workflow

MAX_DEPTH: Final = 8
"""How many levels of Workflows may be below the outermost one. The message of each level quotes the level below; with
this limit the outermost message still contains the cause."""


def is_workflow(body: dict[str, Any]) -> bool:
    """Whether the object is a Workflow of this API group."""
    return (body["apiVersion"], body["kind"]) == (API_VERSION, "Workflow")


def depth(workflow: Workflow) -> int:
    """How many Workflows are above this one; 0 if the annotation is missing or not a number."""
    text = workflow.metadata.annotations.get(labels.DEPTH, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def nest(workflow: Workflow, flow: Flow, body: dict[str, Any]) -> None:
    """Marks a rendered Workflow as nested in `workflow`, and makes the values of its parameters strings.

    A Workflow under locks is marked with who holds them: it may name none itself, and neither may those below it.

    The schema requires strings there, but rendering turns `"{{index}}"` into the integer 3: it becomes "3" again.
    """
    body["metadata"]["annotations"][labels.DEPTH] = str(depth(workflow) + 1)
    body["metadata"]["annotations"].pop(UNDER_LOCKS, None)
    if holder := _holder(workflow, flow):
        body["metadata"]["annotations"][UNDER_LOCKS] = holder
    spec = body["spec"]
    flows = spec.get("flows")
    for holder in (spec, *(flows if isinstance(flows, list) else ())):
        parameters = holder.get("parameters") if isinstance(holder, dict) else None
        for parameter in parameters if isinstance(parameters, list) else ():
            if isinstance(parameter, dict) and isinstance(value := parameter.get("value"), int):
                parameter["value"] = str(value).lower() if isinstance(value, bool) else str(value)


def _holder(workflow: Workflow, flow: Flow) -> str:
    """Who holds locks while a job of this flow runs; empty if nobody above it does."""
    if names_of(workflow.spec):
        return f"Workflow {workflow.metadata.name}"
    if names_of(flow):
        return f"flow {flow.name} of Workflow {workflow.metadata.name}"
    return workflow.metadata.annotations.get(UNDER_LOCKS, "")
