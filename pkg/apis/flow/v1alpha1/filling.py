"""Makes `{metadata, spec}` of a job: the template with the values of its variables, and with the patch of the flow.

The renderer makes jobs with it. Validation tries out with it whether a job of a flow can be rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pkg.apis.flow.v1alpha1 import patching, raw, variables
from pkg.apis.flow.v1alpha1.bare import as_spec
from pkg.apis.flow.v1alpha1.items import NO_ITEM, WithItem
from pkg.apis.flow.v1alpha1.labels import SCHEDULED
from pkg.apis.flow.v1alpha1.parameters import Plain, Resolved, Scopes
from pkg.apis.flow.v1alpha1.schema import Schema
from pkg.apis.flow.v1alpha1.substitution import TEXT, Places, fill_text, substitute
from pkg.apis.flow.v1alpha1.types import Flow, WorkflowSpec, WorkTemplateSpec
from pkg.apis.meta import ObjectMeta

#: Fields of metadata that the controller sets. What template or patch say of them has no effect.
IDENTITY: Final = ("name", "generateName", "namespace", "uid", "resourceVersion", "ownerReferences")

# Where the parameters of each scope are, in messages.
_PARAMETERS: Final = ("template.parameters", "workflow.parameters", "flow.parameters")

T = TypeVar("T")


class FieldError(ValueError):
    """A field that stays text until it is used cannot be decoded. `field` names it: `template.jobSpec`, `patch`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def decoded(field: str, decode: Callable[[], T]) -> T:
    """A raw field; `field` is its name in messages. Raises FieldError."""
    try:
        return decode()
    except raw.RawError as error:
        raise FieldError(field, str(error)) from error


def plain_values(
    owner: ObjectMeta,
    flow: Flow,
    *,
    index: int,
    replicas: int,
    attempt: int,
    pod_ips: Mapping[str, str],
    outputs: Mapping[str, str] = MappingProxyType({}),
    item: Any = NO_ITEM,
) -> Plain:
    """The values of the variables that are no parameters.

    owner: metadata of the workflow; replicas: number of tasks of the flow; pod_ips: addresses by the names of flows;
    outputs: recorded outputs by the names of variables; item: the decoded item of this index, if the flow has items.
    """
    plain = {
        "workflow.name": owner.name,
        "workflow.namespace": owner.namespace,
        "workflow.uid": owner.uid,
        "flow.name": flow.name,
        "index": str(index),
        "replicas": str(replicas),
        "attempt": str(attempt),
    }
    if (scheduled := owner.annotations.get(SCHEDULED)) is not None:
        plain[variables.SCHEDULED_TIME] = scheduled
    for name, address in pod_ips.items():
        plain[f"flows.{name}.podIP"] = address
    plain.update(outputs)
    return plain if item is NO_ITEM else WithItem(plain, item, index, is_shown=not flow.items_from)


def fill_template(
    workflow: WorkflowSpec,
    flow: Flow,
    template: WorkTemplateSpec,
    plain: Plain,
    schema: Schema | None,
    *,
    has_spec: bool = True,
) -> dict[str, Any]:
    """`{metadata: {labels, annotations}, spec}` of the template with variables and patch.

    Without has_spec the kind has no `.spec`: `spec` in the result holds the keys of the object itself.

    plain: see `plain_values`; parameters of the flow count over those of the workflow over the template's defaults.
    schema: that of the kind, None if it is not known yet. Raises FieldError, VariableError, PatchError, SchemaNeeded,
    and RecursionError for a tree that is nested far beyond raw.MAX_DEPTH.
    """

    if not has_spec:
        schema = as_spec(schema)
    values = _values(workflow, flow, template, plain)
    meta = decoded("template.metadata", lambda: template.metadata)
    spec = decoded("template.jobSpec", lambda: template.job_spec)
    if variables.may_hold(template.raw_job_spec):
        spec = substitute(spec, values, "template.jobSpec", Places(schema, ("spec",)))
    labels, annotations = meta.labels, meta.annotations
    if variables.may_hold(template.raw_metadata):
        labels = substitute(labels, values, "template.metadata.labels", TEXT)
        annotations = substitute(annotations, values, "template.metadata.annotations", TEXT)
    target = {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}
    patch = None if flow.raw_patch is raw.ABSENT else decoded("patch", lambda: flow.patch)
    if patch is None:
        return target
    if variables.may_hold(flow.raw_patch):
        patch = patching.fill(patch, values, "patch", schema)
    if not has_spec:
        return patching.apply_bare(target, patch)
    return patching.apply(target, patch)


def object_name(workflow: WorkflowSpec, flow: Flow, template: WorkTemplateSpec, plain: Plain) -> str:
    """The name that a template gives to the object that it applies or deletes. Raises FieldError and VariableError."""
    name = decoded("template.metadata", lambda: template.metadata).name
    return fill_text(name, _values(workflow, flow, template, plain), "template.metadata.name") if "{{" in name else name


def _values(workflow: WorkflowSpec, flow: Flow, template: WorkTemplateSpec, plain: Plain) -> Resolved:
    def scopes() -> Scopes:
        return Scopes(
            decoded(_PARAMETERS[0], lambda: template.parameters),
            decoded(_PARAMETERS[1], lambda: workflow.parameters),
            decoded(_PARAMETERS[2], lambda: flow.parameters),
        )

    return Resolved(plain, scopes, _PARAMETERS)
