"""The rights that a template needs of the people behind it: to the kind that it creates, or to the one object it names.

A job gets its name from the controller, so the right to create is asked for the kind. An object that is applied or
deleted is named by the template, and rights may be limited to names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pkg.apis.flow.v1alpha1 import variables
from pkg.apis.flow.v1alpha1.filling import FieldError, object_name, plain_values
from pkg.apis.flow.v1alpha1.object_faults import is_name
from pkg.apis.flow.v1alpha1.people import Behind, Question
from pkg.apis.flow.v1alpha1.types import Action, Flow, WorkflowSpec, WorkTemplateSpec
from pkg.apis.meta import GVR, ObjectMeta

_UNKNOWN: Final = "?"
#: What each action needs, in the order in which a missing right is named.
VERBS: Final = {
    Action.CREATE: ("create",),
    Action.APPLY: ("create", "patch", "get"),
    Action.DELETE: ("delete",),
}


def questions(
    behind: Iterable[Behind], gvr: GVR, namespace: str, action: Action = Action.CREATE, name: str = ""
) -> dict[Question, Behind]:
    """What to ask about each person. name: of the object, for Apply and Delete."""
    people = tuple(behind)
    return {
        Question(one.person, gvr.group, gvr.resource, namespace, verb, name): one
        for verb in VERBS[action]
        for one in people
    }


def name_alone(template: WorkTemplateSpec) -> str:
    """The name of the object, if the template alone says it; empty if it has variables, or cannot be read."""
    try:
        name = template.metadata.name
    except ValueError:
        return ""
    return "" if "{{" in name else name


def name_in(workflow: WorkflowSpec, owner: ObjectMeta, flow: Flow, template: WorkTemplateSpec) -> str:
    """The name of the object of a flow's first task; empty where it is not known before the workflow runs.

    owner: metadata of the workflow, as far as it is known.
    """
    if flow.for_ is not None and flow.has_items:
        return ""  # items may come from a run
    # What is not known makes a name that none can have.
    known = ObjectMeta(
        name=owner.name or _UNKNOWN,
        namespace=owner.namespace or _UNKNOWN,
        uid=owner.uid or _UNKNOWN,
        annotations=owner.annotations,
    )
    plain = plain_values(known, flow, index=0, replicas=flow.replicas, attempt=0, pod_ips={})
    try:
        name = object_name(workflow, flow, template, plain)
    except (FieldError, variables.VariableError):
        return ""
    return name if is_name(name) else ""
