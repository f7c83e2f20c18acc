"""From a spec and its templates to the graph, or to everything that is wrong with them; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from pkg.apis.flow.v1alpha1 import edges, validation
from pkg.apis.flow.v1alpha1.types import WorkflowSpec, WorkTemplate
from pkg.controllers.workflow.planner.graph.model import Graph, compile_graph

Compiled: TypeAlias = Graph | tuple[validation.Fault, ...]


def compile_spec(spec: WorkflowSpec, templates: Mapping[str, WorkTemplate]) -> Compiled:
    """The graph of a spec with the templates there are, by name, or the faults that keep it from ever running.

    Only what makes the whole workflow senseless counts here; what is wrong with one job fails its task when it is made.
    """
    # A restart of flows that are not there is told by an Event; it must not end a workflow that runs.
    faults = validation.validate_workflow(msgspec.structs.replace(spec, restart=None))
    if faults:
        return faults
    known = {flow.name for flow in spec.flows}
    needs: dict[str, frozenset[str]] = {}
    for flow in spec.flows:
        template = templates.get(flow.template_name)
        names = edges.pod_ip_edges(flow, template.spec if template is not None else None) & known
        if names:
            needs[flow.name] = frozenset(names)
    if needs:
        faults = validation.cycle_faults(spec, {name: template.spec for name, template in templates.items()})
        if faults:
            return faults
    return compile_graph(spec, needs)


def in_force(before: Compiled, now: Compiled, *, is_changed: bool) -> Compiled:
    """The graph to go by after the spec (`is_changed`: against the rules) or a template was edited.

    A workflow that was edited into one that can never run ends, and its jobs end by the graph that they began with.
    """
    return before if is_changed and isinstance(before, Graph) and not isinstance(now, Graph) else now
