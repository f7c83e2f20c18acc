"""Tries out whether a job of each flow can be rendered, so that what would fail every task is found before it starts.

A trial renders the first attempt at index 0, or with each item of a flow that lists some. What fails there is a fault:
that task would fail, and is not retried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import Final

from pkg.apis.flow.v1alpha1 import patching, raw, variables
from pkg.apis.flow.v1alpha1.bare import is_bare
from pkg.apis.flow.v1alpha1.edges import Edge, TemplateEdges
from pkg.apis.flow.v1alpha1.end_use import uses
from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.filling import FieldError, fill_template, plain_values
from pkg.apis.flow.v1alpha1.items import NO_ITEM, item_at
from pkg.apis.flow.v1alpha1.labels import SCHEDULED
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Schema
from pkg.apis.flow.v1alpha1.types import Flow
from pkg.apis.meta import ObjectMeta

#: So many bytes of templates and patches are rendered. Flows and items after that are not tried.
MAX_TRIED: Final = 2_000_000
# Where text becomes something else: a string that is one variable alone, a conversion, and a variable in a key.
_MAY_FAIL: Final = re.compile(rb'"\{\{[^"{}]*\}\}"|\{\{[^"{}]*\||\{\{[^"{}]*\}\}[^"]*":|\\u')
# What nobody knows before the workflow runs.
_UID: Final = "00000000-0000-0000-0000-000000000000"
_ADDRESS: Final = "10.0.0.1"
_OUTPUT: Final = "0"
_TIME: Final = "2026-01-01T00:00:00Z"


def render_faults(
    reading: Reading,
    metadata: ObjectMeta | None = None,
    schemas: Mapping[str, Schema] | None = None,
    faulty: Set[str] = frozenset(),
) -> Iterator[Fault]:
    """A fault for each flow whose job cannot be rendered. Flows whose template is missing are passed over.

    metadata: of the workflow, as far as it is known; schemas: of the kinds of templates, by the name of the template;
    a kind without one takes everything; faulty: templates whose own faults are reported elsewhere. Call it if
    `use_faults` finds nothing, because it finds the same again.
    """
    owner = metadata or ObjectMeta()
    owner = ObjectMeta(
        name=owner.name or "workflow",
        namespace=owner.namespace or "default",
        uid=owner.uid or _UID,
        annotations={SCHEDULED: owner.annotations.get(SCHEDULED, _TIME)},
    )
    may_fail: dict[str, bool] = {}
    passed: set[tuple[str, bytes, bytes]] = set()
    left = MAX_TRIED
    for at, flow in enumerate(reading.spec.flows):
        name = flow.template_name
        template = reading.templates.get(name)
        if template is None or not template.is_readable or name in faulty or flow.replicas == 0:
            continue
        if name not in may_fail:
            texts = (template.spec.raw_job_spec, template.spec.raw_metadata)
            may_fail[name] = any(_MAY_FAIL.search(bytes(text)) for text in texts)
        if raw.is_empty(flow.raw_patch) and not may_fail[name] and not flow.has_items:
            continue
        if flow.items_from and _has_item(flow, template):
            continue  # only a run knows the items
        # Values matter only where they become something else than text.
        has_values = may_fail[name] or variables.may_hold(flow.raw_patch)
        key = (name, bytes(flow.raw_patch), bytes(flow.raw_parameters) if has_values else b"")
        if key in passed and not flow.has_items:
            continue
        schema = (schemas or {}).get(name, NO_SCHEMA)
        for index in range(flow.replicas if flow.has_items else 1):
            left -= template.size + len(key[1]) + len(key[2])
            if left < 0:
                return
            found = _tried(reading, flow, template, owner, schema, f"spec.flows[{at}]", index)
            if found is not None:
                yield found
                break
        else:
            passed.add(key)


def _has_item(flow: Flow, template: TemplateEdges) -> bool:
    """Whether a job of the flow may be rendered with an item."""
    texts = (template.spec.raw_job_spec, template.spec.raw_metadata, template.spec.raw_parameters)
    return any(variables.may_hold(text, b"item") for text in (*texts, flow.raw_patch, flow.raw_parameters))


def _tried(
    reading: Reading, flow: Flow, template: TemplateEdges, owner: ObjectMeta, schema: Schema, path: str, index: int
) -> Fault | None:
    item = NO_ITEM
    of_end = dict.fromkeys(variables.OF_END, _OUTPUT)
    needed: tuple[Edge, ...] = ()
    try:
        if patching.faults(flow.patch):
            return None  # faults of the flow by itself
        needed = (*reading.mentions(flow), *reading.use.edges(flow))
        names = {edge.flow for edge in needed}
        if flow.for_ is not None and flow.has_items:
            item = item_at(flow.for_, index)
        plain = plain_values(
            owner,
            flow,
            index=index,
            replicas=flow.replicas,
            attempt=0,
            pod_ips=dict.fromkeys(names, _ADDRESS),
            outputs={edge.variable: _OUTPUT for edge in needed if edge.output} | (of_end if flow.finally_ else {}),
            item=item,
        )
        has_spec = not is_bare(template.spec.gvr.gvr, schema)
        fill_template(reading.spec, flow, template.spec, plain, schema, has_spec=has_spec)
    except (raw.RawError, FieldError):
        return None  # a fault of the flow or of the template by itself
    except variables.VariableError as error:
        if any(edge.output for edge in needed) or any(uses(reading, flow)):
            return None  # nobody knows yet whether the value fits; of a flow without finally it is said elsewhere
        with_item = f" (with {path}.for.items[{index}])" if item is not NO_ITEM else ""
        return fault(_place(error.path, path, flow), f"{error.message}{with_item}", error.text)
    except patching.PatchError as error:
        return fault(f"{path}.patch{error.place}", error.message, error.value)
    except RecursionError:
        return fault(path, f"template or patch is {raw.TOO_DEEP}")
    return None


def _place(place: str, path: str, flow: Flow) -> str:
    """A place of the renderer, such as `template.jobSpec.x` or `flow.parameters[0].value`, as a path of the spec."""
    for head, whole in (
        ("template.", f"{path} (template {flow.template_name})."),
        ("workflow.", "spec."),
        ("flow.", f"{path}."),
    ):
        if place.startswith(head):
            return whole + place.removeprefix(head)
    return f"{path}.{place}"
