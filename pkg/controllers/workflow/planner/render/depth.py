"""A Workflow as a job of another: how deep that may go, and what its fields need; pure.

A template that makes workflows which use the same template would go on for ever, faster than anybody could delete them.
"""

from __future__ import annotations

from typing import Any, Final

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import API_VERSION, Workflow

MAX_DEPTH: Final = 8
"""Workflows below the outermost one; so few that the message of the outermost still ends with the cause."""


def is_workflow(body: dict[str, Any]) -> bool:
    """Whether the object is a Workflow of ours."""
    return (body["apiVersion"], body["kind"]) == (API_VERSION, "Workflow")


def depth(workflow: Workflow) -> int:
    """How many workflows a workflow is inside of; 0 where nobody, or something else than a number, says so."""
    text = workflow.metadata.annotations.get(labels.DEPTH, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def nest(workflow: Workflow, body: dict[str, Any]) -> None:
    """Makes a rendered Workflow one that is inside of `workflow`.

    Values of parameters are strings in its schema, whatever variable they were: `"{{index}}"` is handed on as "3".
    """
    body["metadata"]["annotations"][labels.DEPTH] = str(depth(workflow) + 1)
    spec = body["spec"]
    flows = spec.get("flows")
    for holder in (spec, *(flows if isinstance(flows, list) else ())):
        parameters = holder.get("parameters") if isinstance(holder, dict) else None
        for parameter in parameters if isinstance(parameters, list) else ():
            if isinstance(parameter, dict) and isinstance(value := parameter.get("value"), int):
                parameter["value"] = str(value).lower() if isinstance(value, bool) else str(value)
