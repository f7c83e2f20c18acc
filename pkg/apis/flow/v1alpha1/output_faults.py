"""What is wrong with the outputs of a flow, as far as its manifest shows it by itself."""

from __future__ import annotations

from collections.abc import Iterator

from pkg.apis.flow.v1alpha1 import variables
from pkg.apis.flow.v1alpha1.edges import Edge
from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.raw import ABSENT, RawError
from pkg.apis.flow.v1alpha1.types import Action, Flow, OutputSource, WorkTemplateSpec

_FORMS = "path, cel or terminationMessage"
_MAX_SHOWN = 5


def output_faults(flow: Flow, path: str) -> Iterator[Fault]:
    """The faults of a flow's outputs. path: of the flow in the spec."""
    if flow.raw_outputs is ABSENT:
        return
    try:
        outputs = flow.outputs
    except RawError as error:
        yield Fault(f"{path}.outputs", str(error))
        return
    first: dict[str, int] = {}
    for at, output in enumerate(outputs):
        where = f"{path}.outputs[{at}]"
        if first.setdefault(output.name, at) != at:
            message = f'output "{output.name}" is given twice, first in {path}.outputs[{first[output.name]}]; keep one'
            yield fault(f"{where}.name", message, output.name)
        given = given_forms(output.from_)
        if len(given) != 1:
            message = f"an output has exactly one of {_FORMS}; this one has {' and '.join(given) or 'none'}"
            yield fault(f"{where}.from", message, given)


def given_forms(source: OutputSource) -> list[str]:
    """The fields of a source that are set, as manifests spell them."""
    forms = (("path", source.path), ("cel", source.cel), ("terminationMessage", source.termination_message))
    return [name for name, value in forms if value not in ("", None)]


def template_of(flow: Flow) -> str:
    """The template of a flow, as messages name it."""
    return "templateSpec" if flow.template_spec is not None else f"template {flow.template_name}"


def own_wait(edge: Edge) -> str:
    """Why a flow cannot wait for itself in this way."""
    if edge.output:
        return "a flow cannot use its own output: that is there once its tasks have succeeded; name another flow"
    return "a flow cannot wait for itself; to wait for its previous index, use for.dependsOn"


def source_faults(flow: Flow, template: WorkTemplateSpec, path: str) -> Iterator[Fault]:
    """Outputs of a template that can have none: it deletes its object, or makes a Secret, whose values would stand in
    the status of the workflow, which more people may read.
    """
    if flow.raw_outputs is ABSENT:
        return
    if template.action is Action.DELETE:
        why = "deletes an object, so there is nothing that outputs could be read from; remove outputs"
        yield Fault(f"{path}.outputs", f"{template_of(flow)} {why}")
    elif (template.gvr.group, template.gvr.resource) == ("", "secrets"):
        message = (
            f"{template_of(flow)} makes a Secret, and outputs of Secrets are not allowed: they would stand in"
            " the status of the Workflow; let the job read the Secret itself"
        )
        yield Fault(f"{path}.outputs", message)


def output_use_faults(flow: Flow, edge: Edge, path: str, asked: Flow) -> Iterator[Fault]:
    """What is wrong with an output that a flow uses. path: where it does; asked: the flow that the edge names."""
    try:
        names = [output.name for output in asked.outputs]
    except RawError:
        return  # a fault of the list
    if edge.output not in names:
        near = variables.nearest(edge.output, names)
        has = f"it has {', '.join(names[:_MAX_SHOWN])}" if names else "it has none"
        meant = f'; did you mean "{near}"?' if near else ""
        message = f'flow "{asked.name}" has no output "{variables.cut(edge.output)}"; {has}{meant}'
        yield fault(path, message, edge.output)
    elif edge.pick and asked.for_ is None:
        message = f'flow "{asked.name}" has no for, so its output {edge.output} is one value; leave [{edge.pick}] out'
        yield fault(path, message, f"[{edge.pick}]")
    elif edge.pick and not asked.items_from:  # how many tasks that has, only a run knows
        size, highest = asked.replicas, flow.replicas - 1 if edge.pick == "index" else int(edge.pick)
        if highest >= size:
            message = f'flow "{asked.name}" has the indexes 0 to {size - 1}, so there is no [{highest}]'
            message = message if size else f'flow "{asked.name}" has for.replicas 0, so its outputs have no item'
            yield fault(path, message, f"[{edge.pick}]")
