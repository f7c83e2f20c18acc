"""Which flows use what a workflow knows of its own end: `{{workflow.phase}}` and the like. Only `finally` flows may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pkg.apis.flow.v1alpha1 import raw, variables
from pkg.apis.flow.v1alpha1.edges import end_in
from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.types import Flow
from pkg.apis.flow.v1alpha1.value_use import place
from pkg.apis.flow.v1alpha1.when import names_in


class EndUse(NamedTuple):
    """A variable of OF_END in what a flow uses. path: as seen from the flow, or of `template.` or `workflow.`."""

    path: str
    name: str


def own_uses(flow: Flow) -> Iterator[EndUse]:
    """Those in the flow itself: in patch, when, and values of its parameters. What cannot be decoded has none."""
    if flow.when:
        names = (f"workflow.{name}" for name in names_in(flow.when).workflow)
        yield from (EndUse("when", name) for name in names if name in variables.OF_END)
    try:
        found = end_in(flow.raw_patch, lambda: flow.patch, "patch")
        if found is not None:
            yield EndUse(*found)
        if variables.may_hold(flow.raw_parameters, b"workflow."):
            for at, one in enumerate(flow.parameters):
                for token in variables.tokens(one.value or ""):
                    if isinstance(token, variables.Known) and token.is_of_end:
                        yield EndUse(f"parameters[{at}].value", token.name)
    except raw.RawError:
        return  # a fault of the field


def uses(reading: Reading, flow: Flow) -> Iterator[EndUse]:
    """All of them: those of the flow itself, of its template, and in the values of parameters that count for it."""
    yield from own_uses(flow)
    template = reading.templates.get(flow.template_name)
    if template is not None and template.is_readable and template.end_place[0]:
        yield EndUse(f"template.{template.end_place[0]}", template.end_place[1])
    for used in reading.use.of(flow):
        if used.token.is_of_end:
            yield EndUse(place(used.by), used.token.name)


def end_faults(flow: Flow, path: str) -> Iterator[Fault]:
    """Uses in a flow without `finally`, as the flow itself shows them. path: of the flow."""
    if not flow.finally_:
        for found in own_uses(flow):
            yield fault(f"{path}.{found.path}", _message(found.name, in_braces=found.path != "when"), found.name)


def end_faults_with_template(reading: Reading, flow: Flow, path: str) -> Iterator[Fault]:
    """The same with those of its template, and of parameters of template and workflow."""
    if flow.finally_:
        return
    for found in uses(reading, flow):
        head, _, rest = found.path.partition(".")
        if head == "template":
            where = f"{path} (template {flow.template_name}).{rest}"
        elif head == "workflow":
            where = f"spec.{rest}"
        else:
            continue  # said of the flow by itself
        yield fault(where, f"{_message(found.name)}, and flow {flow.name} is none", found.name)
        return


def _message(name: str, *, in_braces: bool = True) -> str:
    """The message for a variable in a flow that is not finally."""
    if not in_braces:
        return f"{name} is known in finally flows only: the workflow has to be over to say how it went"
    return (
        f"{{{{{name}}}}} is known in finally flows only: the workflow has to be over to say how it went (write"
        f" {{{{{{{{{name}}}}}}}}} for the plain text, such as in a Workflow that this one makes)"
    )
