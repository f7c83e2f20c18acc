"""Warns of `{{item}}` in a flow that has no items: it stays as it is, and reaches the containers so."""

from __future__ import annotations

from collections.abc import Iterator

from pkg.apis.flow.v1alpha1.edges import item_in
from pkg.apis.flow.v1alpha1.faults import Fault
from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.types import Flow

_MESSAGE = (
    "{{item}} stays as it is, because the flow has no items: give it for.items, or write {{{{item}}}} to say that it is"
    " text"
)


def without_items(reading: Reading) -> Iterator[Fault]:
    """The first place of each flow without items where its patch, its parameters or its template have `{{item}}`."""
    for at, flow in enumerate(reading.spec.flows):
        if flow.has_items:
            continue
        path = f"spec.flows[{at}]"
        template = reading.templates.get(flow.template_name)
        try:
            place = item_in(flow.raw_patch, lambda flow=flow: flow.patch, f"{path}.patch")  # type: ignore[misc]
            place = place or item_in(flow.raw_parameters, lambda flow=flow: _values(flow), f"{path}.parameters")  # type: ignore[misc]
            if not place and template is not None and template.item_place:
                place = f"{path} (template {flow.template_name}).{template.item_place}"
        except RawError:
            continue  # a fault of the flow or of the template
        if place:
            yield Fault(place, _MESSAGE)


def _values(flow: Flow) -> list[str]:
    return [parameter.value or "" for parameter in flow.parameters]
