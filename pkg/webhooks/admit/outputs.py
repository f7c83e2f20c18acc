"""Warns of a variable in the default of an output: nothing is put in, and other flows get the text with braces."""

from __future__ import annotations

from collections.abc import Iterator

from pkg.apis.flow.v1alpha1 import variables
from pkg.apis.flow.v1alpha1.faults import Fault
from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.types import Flow, WorkflowSpec

_MESSAGE = (
    "a default is text as it stands, so no variable is put in; write the value, or put the variable where the output is"
    " used"
)


def variables_in_defaults(spec: WorkflowSpec) -> Iterator[Fault]:
    """The first default of each flow that has a variable of ours."""
    for at, flow in enumerate(spec.flows):
        place = _first(flow)
        if place is not None:
            yield Fault(f"spec.flows[{at}].outputs[{place}].default", _MESSAGE)


def _first(flow: Flow) -> int | None:
    try:
        outputs = flow.outputs
    except RawError:
        return None  # a fault of the list
    for place, output in enumerate(outputs):
        if any(isinstance(token, variables.Known) for token in variables.tokens(output.default or "")):
            return place
    return None
