"""Faults that only show when a workflow is read together with its templates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from pkg.apis.flow.v1alpha1 import patching, variables
from pkg.apis.flow.v1alpha1.edges import Edge, TemplateEdges, mentions, parameters_in
from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.parameters import FLOW, WORKFLOW, Given, Scopes, counted, missing_message
from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.spec_faults import FlowNames, Waits, edge_faults
from pkg.apis.flow.v1alpha1.types import Flow, Parameters, WorkflowSpec, WorkTemplateSpec
from pkg.apis.flow.v1alpha1.value_use import ValueUse

# A variable in a key of an object: a pointer of a patch may or may not lead there.
_VARIABLE_KEY: Final = re.compile(rb'\{\{[^"{}]*\}\}[^"]*":')
# So many variables of templates are compared with flows, each once per flow that uses the template.
_MAX_COMPARED: Final = 500_000
# With so many missing parameters a similar name is looked for.
_MAX_SUGGESTIONS: Final = 20
# So many bytes of templates and patches are read to try JSON Patches out. Flows after that are not tried.
_MAX_TRIED: Final = 20_000_000


def cycle_faults(spec: WorkflowSpec, templates: Mapping[str, TemplateEdges]) -> Iterator[Fault]:
    """Cycles of flows that wait for each other, those through pod addresses in templates included. Raises RawError."""
    names = FlowNames(spec)
    waits = Waits(names)
    use = ValueUse(spec, templates)
    for flow in spec.flows:
        waits.add(flow, (edge for edge in (*mentions(flow), *use.edges(flow)) if edge.flow in names.first))
    return waits.cycles()


def value_faults(spec: WorkflowSpec, templates: Mapping[str, TemplateEdges]) -> Iterator[Fault]:
    """Parameters without a value that patches, and values of the workflow or of a flow, use. Raises RawError.

    Flows without their template are passed over, because the template may have a default.
    """
    use = ValueUse(spec, templates)
    seen: set[tuple[str, str]] = set()
    for at, flow in enumerate(spec.flows):
        template = templates.get(flow.template_name)
        if template is None:
            continue
        try:
            found = list(_without_value(flow, use, f"spec.flows[{at}]"))
        except RawError:
            continue  # a fault of the flow or of the template, which fails its tasks
        for missing in found:
            if missing.key not in seen:
                seen.add(missing.key)
                yield missing.fault(suggest=len(seen) <= _MAX_SUGGESTIONS)


class _Missing(NamedTuple):
    """A parameter without a value: its name, where it is used, the parameters there are, in whose value it stands."""

    name: str
    where: str
    scopes: Scopes
    by: Given | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.where

    def fault(self, *, suggest: bool) -> Fault:
        message = missing_message(self.name, self.scopes, self.by, suggest=suggest)
        return fault(self.where, message, f"{{{{params.{variables.cut(self.name)}}}}}")


def _without_value(flow: Flow, use: ValueUse, path: str) -> Iterator[_Missing]:
    """What a patch and values of the Workflow use and nobody gives. What a value shows by itself is left out."""
    used = [(name, found.by) for found in use.of(flow) if (name := found.token.parameter) is not None]
    in_patch = variables.may_hold(flow.raw_patch, b"params.")
    if not used and not in_patch:
        return
    scopes = use.scopes(flow)
    if in_patch:
        for name, where in parameters_in(flow.raw_patch, lambda: flow.patch, f"{path}.patch"):
            if scopes.find(name) is None:
                yield _Missing(name, where, scopes)
    lists = {WORKFLOW: "spec.parameters", FLOW: f"{path}.parameters"}
    for name, by in used:
        if by.scope in lists and name != by.name and scopes.find(name, by.scope) is None:
            yield _Missing(name, f"{lists[by.scope]}[{by.position}].value", scopes, by)


class _Use:
    """What all flows that use a template share: it is read once, however many flows there are."""

    def __init__(self, spec: WorkTemplateSpec, edges: TemplateEdges, given: Parameters) -> None:
        """`given`: the parameters of the workflow."""
        self.spec = spec
        self.edges = edges
        outer = Scopes(spec.parameters, given)
        #: Parameters that each flow must give, with the place that uses each.
        self.required = {name: place for name, place in edges.parameters.items() if outer.find(name) is None}
        self.size = len(bytes(spec.raw_job_spec))
        self.has_variables = variables.may_hold(spec.raw_job_spec)
        self.has_variable_keys = _VARIABLE_KEY.search(bytes(spec.raw_job_spec)) is not None


def use_faults(spec: WorkflowSpec, templates: Mapping[str, WorkTemplateSpec]) -> Iterator[Fault]:
    """Every fault that only shows with the templates, which are given by name. Missing templates are passed over."""
    names = FlowNames(spec)
    alone, together = Waits(names), Waits(names)
    uses: dict[str, _Use | None] = {}
    compared, tried = 0, 0
    read = dict(_readable(templates))
    values = ValueUse(spec, read)
    seen: set[tuple[str, str]] = set()
    try:
        given = spec.parameters
    except RawError:
        given = ()  # a fault of the workflow by itself
    for at, flow in enumerate(spec.flows):
        path, name = f"spec.flows[{at}]", flow.template_name
        place = f"{path} (template {name})"
        try:
            if name not in uses:
                template = read.get(name)
                uses[name] = _Use(templates[name], template, given) if template is not None else None
            use, edges = uses[name], tuple(mentions(flow))
            missing = [] if use is None else list(_missing_parameters(flow, use, values, path, place))
        except RawError:
            continue  # a fault of the template or the workflow by itself
        alone.add(flow, edges)
        together.add(flow, edges)
        if use is None:
            continue
        reached = values.edges(flow)
        together.add(flow, reached)
        compared += len(reached) + len(use.required)
        if compared > _MAX_COMPARED:
            yield fault("spec.flows", f"the templates have too many variables to check {path} and the flows after it")
            return
        for found in missing:
            if found.key not in seen:
                seen.add(found.key)
                yield found.fault(suggest=len(seen) <= _MAX_SUGGESTIONS)
        for edge in reached:
            yield from edge_faults(flow, edge, _place_of(edge, path, place), names)
        tried += use.size + len(bytes(flow.raw_patch))
        if tried <= _MAX_TRIED:
            yield from _try_patch(flow, use, path)
    if not any(alone.cycles()):
        yield from together.cycles()


def _readable(templates: Mapping[str, WorkTemplateSpec]) -> Iterator[tuple[str, TemplateEdges]]:
    """The templates without those that cannot be decoded, which is a fault of the template by itself."""
    for name, spec in templates.items():
        try:
            yield name, TemplateEdges(spec)
        except RawError:
            continue


def _place_of(edge: Edge, path: str, place: str) -> str:
    """The path of an edge that comes from the template or from the value of a parameter."""
    if edge.path.startswith("template."):
        return f"{place}.{edge.path.removeprefix('template.')}"
    if edge.path.startswith("workflow."):
        return f"spec.{edge.path.removeprefix('workflow.')}"
    return f"{path}.{edge.path}"


def _missing_parameters(flow: Flow, use: _Use, values: ValueUse, path: str, place: str) -> Iterator[_Missing]:
    own = {one.name for one in flow.parameters if one.value is not None} if use.required else set()
    missing = [name for name in use.required if name not in own]
    scopes = values.scopes(flow) if missing else Scopes()
    for name in missing:
        yield _Missing(name, f"{place}.{use.required[name]}", scopes)
    yield from _without_value(flow, values, path)


def unused_parameters(spec: WorkflowSpec, templates: Mapping[str, TemplateEdges]) -> Iterator[Fault]:
    """Parameters of the workflow and of flows that nothing puts in: probably a slip in a name. Raises RawError.

    Nothing is said of flows without their template, nor of the workflow's parameters if a template is missing.
    """
    used: set[str] = set()
    values = ValueUse(spec, templates)
    is_complete = True
    for at, flow in enumerate(spec.flows):
        template = templates.get(flow.template_name)
        if template is None:
            is_complete = False
            continue
        scopes = values.scopes(flow)
        names = {*template.parameters}
        names.update(name for name, _ in parameters_in(flow.raw_patch, lambda flow=flow: flow.patch, "patch"))  # type: ignore[misc]
        counted_here = counted(names, scopes)
        used.update(name for scope, name in counted_here if scope == WORKFLOW)
        for position, one in enumerate(flow.parameters):
            if (FLOW, one.name) not in counted_here:
                yield _unused(one.name, f"spec.flows[{at}].parameters[{position}].name", names, "its template or patch")
    for position, one in enumerate(spec.parameters if is_complete else ()):
        if one.name not in used:
            candidates = {name for template in templates.values() for name in template.parameters}
            yield _unused(one.name, f"spec.parameters[{position}].name", candidates, "any flow or template")


def _unused(name: str, path: str, used: Iterable[str], where: str) -> Fault:
    near = variables.nearest(name, sorted(used))
    hint = f'; did you mean "{variables.cut(near)}"?' if near else ""
    return fault(path, f'parameter "{name}" is given, and nothing in {where} uses it{hint}', name)


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
