"""Renders the object of one attempt from template, parameters, variables, patch and index.

The result is the whole object, or a RenderError that names field and value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import labels, patching, variables
from pkg.apis.flow.v1alpha1.types import API_VERSION, Flow, Workflow, WorkTemplate
from pkg.controllers.workflow.planner.render import depth
from pkg.controllers.workflow.planner.render.job_names import fallback_name, job_name
from pkg.workloads import (
    KindRow,
    default_restart_policy,
    inject,
    limit,
    place_plugins,
    place_queue,
    place_scheduler,
    strip_ttl,
)

# The controller sets these fields. What template or patch say there is dropped.
_IDENTITY: Final = ("name", "generateName", "namespace", "uid", "resourceVersion", "ownerReferences")
_MAX_VALUE: Final = 200


class RenderError(Exception):
    """The object cannot be rendered. `field` is a path (`template.jobSpec.x`, `patch[1].path`), `value` its value."""

    def __init__(self, field: str, value: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.value = value
        self.message = message


class Rendered(msgspec.Struct, frozen=True):
    """An object ready to be created.

    `body` belongs to the caller, who may change it.
    `removed_ttl_fields` are the paths of fields that would have made the kind delete the finished job by itself.
    """

    body: dict[str, Any]
    name: str
    removed_ttl_fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What is rendered: the attempt of one index of a flow, and the template."""

    workflow: Workflow
    flow: Flow
    template: WorkTemplate
    index: int
    attempt: int


def render(
    workflow: Workflow,
    flow: Flow,
    template: WorkTemplate,
    *,
    index: int,
    attempt: int,
    is_renamed: bool = False,
    pod_ips: Mapping[str, str],
    kind: str,
    row: KindRow,
    probed: bool = False,
) -> Rendered:
    """The object of one attempt.

    `index` is 0 for a flow without `for`; `is_renamed`: the object gets its fallback name;
    `pod_ips` maps the flows in `{{flows.NAME.podIP}}` to addresses; `kind` and `row` belong to the template's resource;
    `probed` puts a label on the pods by which the controller watches them. Raises RenderError.
    """
    if row.refused:
        raise RenderError("template.gvr", str(template.spec.gvr.gvr), row.refused)
    this = _Attempt(workflow, flow, template, index, attempt)
    try:
        target = _patched(this, _values(this, pod_ips))
        body = {
            "apiVersion": template.spec.gvr.gvr.api_version,
            "kind": kind,
            "metadata": target["metadata"],
            "spec": target["spec"],
        }
        if depth.is_workflow(body):
            if depth.depth(workflow) >= depth.MAX_DEPTH:
                text = f"workflows are {depth.MAX_DEPTH} deep inside of each other here; does the template use itself?"
                raise RenderError("template.gvr", str(template.spec.gvr.gvr), text)
            depth.nest(workflow, body)
        removed = _place(workflow, body, row)
        _inject(this, body, row, probed=probed)
        name = _identify(this, body, row, is_renamed)
        return Rendered(body, name, removed)
    except variables.VariableError as error:
        raise RenderError(error.path, error.text, error.message) from error
    except patching.PatchError as error:
        place = error.path if error.path.startswith("[") or not error.path else f".{error.path}"
        raise RenderError(f"patch{place}", _short(error.value), error.message) from error
    except RecursionError as error:
        raise RenderError("template.jobSpec", "", "template or patch are nested too deeply") from error


def _values(this: _Attempt, pod_ips: Mapping[str, str]) -> dict[str, str]:
    """The value of every variable; parameters of the flow over those of the workflow over the template's defaults."""
    owner = this.workflow.metadata
    values = {
        "workflow.name": owner.name,
        "workflow.namespace": owner.namespace,
        "workflow.uid": owner.uid,
        "flow.name": this.flow.name,
        "index": str(this.index),
        "replicas": str(this.flow.replicas),
        "attempt": str(this.attempt),
    }
    for parameters in (this.template.spec.parameters, this.workflow.spec.parameters, this.flow.parameters):
        for parameter in parameters:
            values[f"params.{parameter.name}"] = parameter.value
    for name, address in pod_ips.items():
        values[f"flows.{name}.podIP"] = address
    return values


def _patched(this: _Attempt, values: dict[str, str]) -> dict[str, Any]:
    """`{metadata, spec}` of the template with variables and patch."""
    meta = this.template.spec.metadata
    text = variables.Place.TEXT
    target = {
        "metadata": {
            "labels": variables.substitute(meta.labels, values, "template.metadata.labels", text),
            "annotations": variables.substitute(meta.annotations, values, "template.metadata.annotations", text),
        },
        "spec": variables.substitute(this.template.spec.job_spec, values, "template.jobSpec"),
    }
    if this.flow.patch is None:
        return target
    return patching.apply(target, patching.fill(this.flow.patch, values, "patch"))


def _place(workflow: Workflow, body: dict[str, Any], row: KindRow) -> tuple[str, ...]:
    """Sets scheduler, plugins and queue in the fields that the kind has for them; returns the TTL fields removed."""
    spec = workflow.spec
    if spec.scheduler_name:
        place_scheduler(row, body, spec.scheduler_name)
    if spec.plugins:
        place_plugins(row, body, spec.plugins)
    if spec.queue_name:
        place_queue(row, body, spec.queue_name, scheduler=spec.scheduler_name)
    default_restart_policy(row, body)
    return strip_ttl(row, body)


def _inject(this: _Attempt, body: dict[str, Any], row: KindRow, *, probed: bool) -> None:
    """Adds the labels and environment variables that identify workflow, flow, index and attempt."""
    owner = this.workflow.metadata
    ours = labels.for_task(
        workflow=owner.name, uid=owner.uid, flow=this.flow.name, index=_own_index(this), attempt=this.attempt
    )
    body["metadata"]["labels"].update(ours)
    env = {
        "WORKFLOW_NAME": owner.name,
        "WORKFLOW_FLOW": this.flow.name,
        "WORKFLOW_INDEX": str(this.index),
        "WORKFLOW_REPLICAS": str(this.flow.replicas),
        "WORKFLOW_ATTEMPT": str(this.attempt),
    }
    inject(row, body, labels={**ours, labels.PROBED: "true"} if probed else ours, env=env)


def _identify(this: _Attempt, body: dict[str, Any], row: KindRow, is_renamed: bool) -> str:
    """Sets name, namespace and owner; returns the name."""
    owner = this.workflow.metadata
    rule = limit(row, body)
    index, attempt, flow = _own_index(this), this.attempt, this.flow.name
    if is_renamed:
        name = fallback_name(workflow=owner.name, flow=flow, index=index, attempt=attempt, rule=rule, uid=owner.uid)
    else:
        name = job_name(workflow=owner.name, flow=flow, index=index, attempt=attempt, rule=rule)
    metadata = body["metadata"]
    for key in _IDENTITY:
        metadata.pop(key, None)
    metadata["name"] = name
    metadata["namespace"] = owner.namespace
    metadata["ownerReferences"] = [
        {
            "apiVersion": API_VERSION,
            "kind": "Workflow",
            "name": owner.name,
            "uid": owner.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    return name


def _own_index(this: _Attempt) -> int | None:
    return this.index if this.flow.for_ is not None else None


def _short(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    except RecursionError:
        text = "(nested too deeply to be shown)"
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."
