"""Renders the object of one attempt from template, parameters, variables, patch and index.

The result is the whole object, or a RenderError that names field and value.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from pkg.apis.flow.v1alpha1 import labels, patching, people, raw, variables
from pkg.apis.flow.v1alpha1.faults import shortened
from pkg.apis.flow.v1alpha1.filling import IDENTITY, FieldError, decoded, fill_template, object_name, plain_values
from pkg.apis.flow.v1alpha1.items import NO_ITEM, texts_in
from pkg.apis.flow.v1alpha1.object_faults import NAME_RULE, OF_OUR_GROUP, has_index, is_name
from pkg.apis.flow.v1alpha1.output_faults import source_faults
from pkg.apis.flow.v1alpha1.parameters import Plain
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Schema
from pkg.apis.flow.v1alpha1.substitution import SchemaNeeded
from pkg.apis.flow.v1alpha1.types import API_VERSION, GROUP, Action, Flow, Workflow, WorkTemplate
from pkg.apis.structs import Value
from pkg.controllers.workflow.planner.render import depth
from pkg.controllers.workflow.planner.render.hidden import outputs_in, without_values
from pkg.controllers.workflow.planner.render.job_names import fallback_name, job_name
from pkg.workloads import (
    KindRow,
    default_restart_policy,
    inject,
    limit,
    needs_schema,
    place_plugins,
    place_queue,
    place_scheduler,
    strip_ttl,
)

#: The API server takes no larger request, whatever etcd allows.
MAX_BODY: Final = 3 * 1024 * 1024


class RenderError(Exception):
    """The object cannot be rendered. `field` is a path (`template.jobSpec.x`, `patch[1].path`), `value` its value.

    reason: of the task that fails.
    """

    reason: ClassVar[str] = Reasons.RENDER_ERROR

    def __init__(self, field: str, value: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.value = value
        self.message = message


class NotAllowedError(RenderError):
    """A spec and a template that may not go together; Invalid, if the template was there when the spec was judged."""

    reason: ClassVar[str] = Reasons.INVALID


class Rendered(Value, frozen=True, gc=False):
    """An object ready to be created.

    `body` is its JSON. `removed_ttl_fields` are paths of fields that would have made the kind delete the finished job.
    """

    body: bytes
    name: str
    removed_ttl_fields: tuple[str, ...] = ()


class _Attempt(Value, frozen=True, gc=False):
    """What is rendered: the attempt of one index of a flow, and the template."""

    workflow: Workflow
    flow: Flow
    template: WorkTemplate
    index: int
    replicas: int
    attempt: int


def render(
    workflow: Workflow,
    flow: Flow,
    template: WorkTemplate,
    *,
    index: int,
    replicas: int | None = None,
    attempt: int,
    is_renamed: bool = False,
    pod_ips: Mapping[str, str],
    outputs: Mapping[str, str] = MappingProxyType({}),
    item: Any = NO_ITEM,
    kind: str,
    row: KindRow,
    schema: Schema | None = NO_SCHEMA,
    probed: bool = False,
    carries: str = "",
    begun: str = "",
    has_spec: bool = True,
) -> Rendered:
    """The object of one attempt.

    `index` is 0 for a flow without `for`; `replicas`: how many tasks it has, if not as the spec says; `item`: the
    decoded item of this index, if the flow has items; `is_renamed`: the object gets its fallback name; `pod_ips` maps
    the flows in `{{flows.NAME.podIP}}` to addresses; `outputs` are values by the names of variables; `kind`, `row` and
    `schema` belong to the template's resource; `schema` is None if it is not known yet; `probed` puts a label on the
    pods by which the controller watches them; `carries` is the annotation with the rules of the template, if there are
    any; `begun` is the one that says of which spec the workflow has begun, while status does not; without `has_spec`
    the keys of jobSpec are those of the object itself. Raises RenderError, and SchemaNeeded if the schema is needed and
    not known yet.
    """
    if row.refused:
        raise RenderError("template.gvr", str(template.spec.gvr.gvr), row.refused)
    for fault in source_faults(flow, template.spec, "spec"):  # the template may be newer than the graph
        raise NotAllowedError("outputs", "", fault.message)
    this = _Attempt(workflow, flow, template, index, flow.replicas if replicas is None else replicas, attempt)
    is_found = bool(flow.items_from or outputs_in(outputs))
    try:
        plain = plain_values(
            workflow.metadata,
            flow,
            index=index,
            replicas=this.replicas,
            attempt=attempt,
            pod_ips=pod_ips,
            outputs=outputs,
            item=item,
        )
        if template.spec.action is Action.DELETE:
            return Rendered(b"", _object_name(this, plain, is_found=is_found))
        target = fill_template(workflow.spec, flow, template.spec, plain, schema, has_spec=has_spec)
        head = {
            "apiVersion": template.spec.gvr.gvr.api_version,
            "kind": kind,
            "metadata": target["metadata"],
        }
        body = {**head, "spec": target["spec"]} if has_spec else {**head, **target["spec"], **head}
        if template.spec.action is Action.APPLY:
            return _applied(body, _object_name(this, plain, is_found=is_found), owner=workflow, row=row)
        if depth.is_workflow(body):
            if depth.depth(workflow) >= depth.MAX_DEPTH:
                text = f"workflows are nested {depth.MAX_DEPTH} levels deep here; does the template use itself?"
                raise RenderError("template.gvr", str(template.spec.gvr.gvr), text)
            depth.nest(workflow, flow, body)
        removed = _place(workflow, body, row)
        if schema is None and needs_schema(row, body):
            raise SchemaNeeded
        _inject(this, body, row, schema or NO_SCHEMA, probed=probed)
        _name_people(workflow, template, body)
        for ours, text in ((labels.RULES, carries), (labels.BEGUN, begun)):
            body["metadata"]["annotations"].pop(ours, None)
            if text:
                body["metadata"]["annotations"][ours] = text
        name = _identify(this, body, row, is_renamed)
        return Rendered(_encoded(body), name, removed)
    except FieldError as error:
        raise RenderError(error.field, "", error.message) from error
    except variables.VariableError as error:
        message = without_values(error.message, outputs_in(outputs))
        if flow.items_from:
            message = _without_item(message, item)
        raise RenderError(error.path, error.text, message) from error
    except patching.PatchError as error:
        message = without_values(error.message, outputs_in(outputs))
        raise RenderError(f"patch{error.place}", shortened(error.value), message) from error
    except RecursionError as error:
        raise RenderError("template.jobSpec", "", f"template or patch is {raw.TOO_DEEP}") from error


def _without_item(message: str, item: Any) -> str:
    """The same for an item that an output gave."""
    for text in texts_in(item):
        message = message.replace(f'"{text}"', "(an item)")
    return message


def _object_name(this: _Attempt, plain: Plain, *, is_found: bool) -> str:
    """The name of the object that the attempt applies or deletes. is_found: outputs may stand in it."""
    path, written = "template.metadata.name", this.template.spec.metadata.name
    if this.flow.for_ is not None and not has_index(written):
        raise RenderError(path, written, "must contain {{index}} or {{item}} in a flow with for")
    name = object_name(this.workflow.spec, this.flow, this.template.spec, plain)
    if not name:
        raise RenderError(path, "", f"action {this.template.spec.action} needs the name of the object")
    if not is_name(name):
        shown = written if is_found else name
        raise RenderError(path, shown, f"{shortened(shown)} {'gives' if is_found else 'is'} no name: {NAME_RULE}")
    return name


def _applied(body: dict[str, Any], name: str, *, owner: Workflow, row: KindRow) -> Rendered:
    """An object that stays: as template and patch say it, without anything of the run."""
    if body["apiVersion"].startswith(f"{GROUP}/"):
        raise RenderError("template.action", "Apply", OF_OUR_GROUP)
    metadata = body["metadata"]
    for key in IDENTITY:
        metadata.pop(key, None)
    for key in ("labels", "annotations"):
        if not metadata.get(key):
            metadata.pop(key, None)
    body["metadata"] = {"name": name, "namespace": owner.metadata.namespace, **metadata}
    default_restart_policy(row, body)
    return Rendered(_encoded(body), name)


def _name_people(workflow: Workflow, template: WorkTemplate, body: dict[str, Any]) -> None:
    """Records on an object of our own group who is behind it, whatever template and patch say."""
    annotations = body["metadata"]["annotations"]
    for name in people.ANNOTATIONS:
        annotations.pop(name, None)
    if template.spec.gvr.group != GROUP:
        return
    try:
        annotations.update(people.inherited(workflow.metadata.annotations, template.metadata.annotations))
    except people.PeopleFault as error:
        raise RenderError("the job", "", str(error)) from error


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        text = raw.encode(body)
    except raw.RawError as error:
        raise RenderError("the job", "", str(error)) from error
    if len(text) > MAX_BODY:
        message = f"has {len(text):,} bytes; the API server takes at most {MAX_BODY:,}: make template or patch smaller"
        raise RenderError("the job", "", message)
    return text


def _place(workflow: Workflow, body: dict[str, Any], row: KindRow) -> tuple[str, ...]:
    """Sets scheduler, plugins and queue in the fields that the kind has for them; returns the TTL fields removed."""
    spec = workflow.spec
    if spec.scheduler_name:
        place_scheduler(row, body, spec.scheduler_name)
    if spec.raw_plugins is not raw.ABSENT and (plugins := decoded("spec.plugins", lambda: spec.plugins)):
        place_plugins(row, body, plugins)
    if spec.queue_name:
        place_queue(row, body, spec.queue_name, scheduler=spec.scheduler_name)
    default_restart_policy(row, body)
    return strip_ttl(row, body)


def _inject(this: _Attempt, body: dict[str, Any], row: KindRow, schema: Schema, *, probed: bool) -> None:
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
        "WORKFLOW_REPLICAS": str(this.replicas),
        "WORKFLOW_ATTEMPT": str(this.attempt),
    }
    inject(row, body, labels={**ours, labels.PROBED: "true"} if probed else ours, env=env, schema=schema)


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
    for key in IDENTITY:
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
