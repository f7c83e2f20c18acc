"""Tries out the names of objects that are applied or deleted, so that one that cannot be is found before the start.

With `for.items` the name of each item is tried: the others may be wrong where the first one is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Final

from pkg.apis.flow.v1alpha1 import raw, variables
from pkg.apis.flow.v1alpha1.edges import TemplateEdges
from pkg.apis.flow.v1alpha1.faults import Fault, fault, shortened
from pkg.apis.flow.v1alpha1.filling import FieldError, object_name, plain_values
from pkg.apis.flow.v1alpha1.items import NO_ITEM, item_at
from pkg.apis.flow.v1alpha1.object_faults import NAME_RULE, is_name
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.types import Action, Flow
from pkg.apis.meta import ObjectMeta

#: So many names are tried. Those after that are judged when the objects are applied.
MAX_TRIED: Final = 20_000
# Stands for what is known only in a run; it fits everywhere in a name.
_LATER: Final = "0"


def name_faults(reading: Reading, metadata: ObjectMeta | None, faulty: Set[str] = frozenset()) -> Iterator[Fault]:
    """A fault for each flow with a name that no object can have, or with one name for two of its tasks.

    metadata: of the workflow, as far as it is known; faulty: templates whose own faults are reported elsewhere.
    """
    left = MAX_TRIED
    for at, flow in enumerate(reading.spec.flows):
        template = reading.templates.get(flow.template_name)
        if template is None or not template.is_readable or flow.template_name in faulty:
            continue
        if template.spec.action is Action.CREATE or flow.items_from or not _has_variable(template):
            continue  # only a run knows the items; a name without variables is judged with the template
        count = flow.replicas if flow.has_items else min(flow.replicas, 1)
        left -= count
        if left < 0:
            return
        yield from _of_flow(reading, flow, template, metadata, f"spec.flows[{at}]", count)


def _has_variable(template: TemplateEdges) -> bool:
    try:
        return any(variables.tokens(template.spec.metadata.name))
    except raw.RawError:
        return False  # a fault of metadata


def _of_flow(
    reading: Reading, flow: Flow, template: TemplateEdges, metadata: ObjectMeta | None, path: str, count: int
) -> Iterator[Fault]:
    place = f"{path}.templateSpec" if flow.template_spec is not None else f"{path} (template {flow.template_name})"
    first: dict[str, int] = {}
    for index in range(count):
        name = _name(reading, flow, template, metadata, index)
        if name is None:
            return
        of_item = f" (with {path}.for.items[{index}])" if flow.has_items else ""
        if not is_name(name):
            message = f'it becomes "{shortened(name)}"{of_item}; {NAME_RULE}'
            yield fault(f"{place}.metadata.name", message, name)
            return
        if first.setdefault(name, index) != index:
            message = (
                f'items {first[name]} and {index} both give "{shortened(name)}", so two tasks would mean one object;'
                " make the items differ, or add {{index}} to the name"
            )
            yield fault(f"{place}.metadata.name", message, name)
            return


def _name(reading: Reading, flow: Flow, template: TemplateEdges, metadata: ObjectMeta | None, index: int) -> str | None:
    """The name of the object of one task; None where it cannot be known, or where something else is at fault."""
    owner = metadata or ObjectMeta()
    owner = ObjectMeta(name=owner.name or _LATER, namespace=owner.namespace or _LATER, uid=owner.uid or _LATER)
    try:
        item = item_at(flow.for_, index) if flow.for_ is not None and flow.has_items else NO_ITEM
        needed = (*reading.mentions(flow), *reading.use.edges(flow))
        plain = plain_values(
            owner,
            flow,
            index=index,
            replicas=flow.replicas,
            attempt=0,
            pod_ips={edge.flow: _LATER for edge in needed},
            outputs={edge.variable: _LATER for edge in needed if edge.output},
            item=item,
        )
        return object_name(reading.spec, flow, template.spec, plain) or None
    except (raw.RawError, FieldError, variables.VariableError):
        return None
