"""Faults that only show when a workflow is read together with its templates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import patching, variables
from pkg.apis.flow.v1alpha1.edges import TemplateEdges, mentions
from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.spec_faults import FlowNames, Waits, edge_faults
from pkg.apis.flow.v1alpha1.types import Flow, WorkflowSpec, WorkTemplateSpec

# A variable in a key of an object: a pointer of a patch may or may not lead there.
_VARIABLE_KEY: Final = re.compile(rb'\{\{[^"{}]*\}\}[^"]*":')
# So many variables of templates are compared with flows, each once per flow that uses the template.
_MAX_COMPARED: Final = 500_000
# So many bytes of templates and patches are read to try JSON Patches out. Flows after that are not tried.
_MAX_TRIED: Final = 20_000_000


def cycle_faults(spec: WorkflowSpec, templates: Mapping[str, TemplateEdges]) -> Iterator[Fault]:
    """Cycles of flows that wait for each other, those through pod addresses in templates included. Raises RawError."""
    names = FlowNames(spec)
    waits = Waits(names)
    for flow in spec.flows:
        template = templates.get(flow.template_name)
        edges = (*mentions(flow), *(template.edges if template is not None else ()))
        waits.add(flow, (edge for edge in edges if edge.flow in names.first))
    return waits.cycles()


class _Use:
    """What all flows that use a template share: it is read once, however many flows there are."""

    def __init__(self, spec: WorkTemplateSpec, given: frozenset[str]) -> None:
        """`given`: names of the parameters of the workflow."""
        self.spec = spec
        self.edges = TemplateEdges(spec)
        self.given = given | {parameter.name for parameter in spec.parameters}
        #: Parameters that each flow must give, with the place that uses each.
        self.required: dict[str, str] = {}
        for path, text in (("jobSpec", spec.raw_job_spec), ("metadata", spec.raw_metadata)):
            if variables.may_hold(text, b"params."):
                tree = spec.job_spec if text is spec.raw_job_spec else msgspec.to_builtins(spec.metadata)
                for name, place in _parameters_of(tree, path):
                    if name not in self.given:
                        self.required.setdefault(name, place)
        self.size = len(bytes(spec.raw_job_spec))
        self.has_variables = variables.may_hold(spec.raw_job_spec)
        self.has_variable_keys = _VARIABLE_KEY.search(bytes(spec.raw_job_spec)) is not None


def use_faults(spec: WorkflowSpec, templates: Mapping[str, WorkTemplateSpec]) -> Iterator[Fault]:
    """Every fault that only shows with the templates, which are given by name. Missing templates are passed over."""
    names = FlowNames(spec)
    alone, together = Waits(names), Waits(names)
    uses: dict[str, _Use | None] = {}
    compared, tried = 0, 0
    try:
        given = frozenset(parameter.name for parameter in spec.parameters)
    except RawError:
        given = frozenset()  # a fault of the workflow by itself
    for at, flow in enumerate(spec.flows):
        path, name = f"spec.flows[{at}]", flow.template_name
        try:
            if name not in uses:
                uses[name] = _Use(templates[name], given) if name in templates else None
            use, edges = uses[name], tuple(mentions(flow))
        except RawError:
            continue  # a fault of the template or the workflow by itself
        alone.add(flow, edges)
        together.add(flow, edges)
        if use is None:
            continue
        together.add(flow, use.edges.edges)
        place = f"{path} (template {name})"
        compared += len(use.edges.edges) + len(use.required)
        if compared > _MAX_COMPARED:
            yield fault("spec.flows", f"the templates have too many variables to check {path} and the flows after it")
            return
        yield from _missing_parameters(flow, use, path, place)
        for edge in use.edges.edges:
            yield from edge_faults(flow, edge, f"{place}.{edge.path.removeprefix('template.')}", names)
        tried += use.size + len(bytes(flow.raw_patch))
        if tried <= _MAX_TRIED:
            yield from _try_patch(flow, use, path)
    if not any(alone.cycles()):
        yield from together.cycles()


def _parameters_of(tree: Any, path: str) -> Iterator[tuple[str, str]]:
    """The names of parameters in a tree, each with the path of the string that has it."""
    for found in variables.scan(tree, path):
        if isinstance(found.token, variables.Known) and (name := found.token.parameter) is not None:
            yield name, found.path


def _missing_parameters(flow: Flow, use: _Use, path: str, place: str) -> Iterator[Fault]:
    if not use.required and not variables.may_hold(flow.raw_patch, b"params."):
        return
    own = {parameter.name for parameter in flow.parameters}
    missing = [(name, f"{place}.{where}") for name, where in use.required.items() if name not in own]
    if variables.may_hold(flow.raw_patch, b"params."):
        used = _parameters_of(flow.patch, f"{path}.patch")
        missing += [(name, where) for name, where in used if name not in own and name not in use.given]
    for name, where in missing:
        shown = variables.cut(name)
        message = f'no parameter is named "{shown}"; give it in the flow, in spec.parameters or in the template'
        yield fault(where, message, f"{{{{params.{shown}}}}}")


def _try_patch(flow: Flow, use: _Use, path: str) -> Iterator[Fault]:
    """Applies a patch, unless its result depends on variables or on a test."""
    patch = flow.patch
    if patch is None or patching.faults(patch):
        return
    if isinstance(patch, list):
        depends = any(step["op"] == "test" or "{{" in step["path"] or "{{" in step.get("from", "") for step in patch)
        if depends or use.has_variable_keys:
            return
    elif variables.may_hold(flow.raw_patch) or use.has_variables:
        return
    metadata = msgspec.to_builtins(use.spec.metadata)
    metadata = {"labels": metadata.get("labels", {}), "annotations": metadata.get("annotations", {})}
    try:
        patching.apply({"metadata": metadata, "spec": use.spec.job_spec}, patch)
    except patching.PatchError as error:
        yield fault(f"{path}.patch{error.place}", error.message, error.value)
