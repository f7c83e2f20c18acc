"""Faults of templates whose action is Apply or Delete: such a template says which object it means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pkg.apis.flow.v1alpha1 import raw, variables
from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.types import GROUP, Action, WorkTemplateSpec

#: What the API server takes as the name of most objects.
NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?\Z")
MAX_NAME: Final = 253
NAME_RULE: Final = (
    'an object\'s name has lower case letters, digits, "-" and ".", begins and ends with a letter or digit, and has at'
    f" most {MAX_NAME} characters"
)
OF_OUR_GROUP: Final = (
    f"action Apply is not there for objects of {GROUP}: nobody would be responsible for what they make. Use Create,"
    " whose object belongs to the Workflow"
)


def object_faults(spec: WorkTemplateSpec, root: str) -> Iterator[Fault]:
    """The faults of action, force and metadata.name. root: the path of the template's spec."""
    if spec.force and spec.action is not Action.APPLY:
        message = f"force takes over fields of other managers, which action {spec.action} has nothing to do with"
        yield fault(f"{root}.force", f"{message}; remove it, or set action: Apply", True)
    if spec.action is Action.CREATE:
        return
    if spec.action is Action.APPLY and spec.gvr.group == GROUP:
        yield fault(f"{root}.action", OF_OUR_GROUP, spec.action.value)
    if spec.action is Action.DELETE and spec.completion is not None:
        message = "a task of action Delete is done when the object is gone; remove completion"
        yield fault(f"{root}.completion", message, spec.completion.value)
    try:
        name = spec.metadata.name
    except raw.RawError:
        return  # a fault of metadata
    if not name:
        message = f"action {spec.action} needs the name of the object; give it in {root}.metadata.name"
        yield fault(f"{root}.metadata.name", message)
    elif not any(variables.tokens(name)) and not is_name(name):
        yield fault(f"{root}.metadata.name", NAME_RULE, name)


def index_faults(spec: WorkTemplateSpec, root: str) -> Iterator[Fault]:
    """What is wrong with the name for a flow with `for`: all of its tasks would mean one object."""
    if spec.action is Action.CREATE:
        return
    try:
        name = spec.metadata.name
    except raw.RawError:
        return
    if name and not has_index(name):
        message = (
            "in a flow with for the name must contain {{index}} or {{item}}, else all its tasks mean one object:"
            f" for example {name[:60]}-{{{{index}}}}"
        )
        yield fault(f"{root}.metadata.name", message, name)


def is_name(name: str) -> bool:
    """Whether the API server takes this as the name of an object."""
    return len(name) <= MAX_NAME and NAME.match(name) is not None


def has_index(name: str) -> bool:
    """Whether a name has a variable that differs between the tasks of a flow with `for`."""
    names = (getattr(token, "name", "") for token in variables.tokens(name))
    return any(name in ("index", "item") or name.startswith("item.") for name in names)
