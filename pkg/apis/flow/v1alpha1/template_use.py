"""Faults that only show when a workflow is read together with its templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from pkg.apis.flow.v1alpha1 import variables
from pkg.apis.flow.v1alpha1.edges import Edge, TemplateEdges, parameters_in
from pkg.apis.flow.v1alpha1.end_use import end_faults_with_template
from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.lock_faults import below_faults
from pkg.apis.flow.v1alpha1.object_faults import index_faults
from pkg.apis.flow.v1alpha1.output_faults import source_faults
from pkg.apis.flow.v1alpha1.parameters import FLOW, WORKFLOW, Given, Scopes, counted, missing_message
from pkg.apis.flow.v1alpha1.raw import ABSENT, RawError
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.spec_faults import FlowNames, Waits, edge_faults
from pkg.apis.flow.v1alpha1.types import Flow, Parameters, WorkflowSpec
from pkg.apis.flow.v1alpha1.value_use import ValueUse
from pkg.apis.flow.v1alpha1.when import names_in

# So many variables of templates are compared with flows, each once per flow that uses the template.
_MAX_COMPARED: Final = 500_000
# With so many missing parameters a similar name is looked for.
_MAX_SUGGESTIONS: Final = 20


def cycle_faults(reading: Reading) -> Iterator[Fault]:
    """Flows that would wait for ever: for each other, for themselves, or for a finally flow. Raises RawError.

    Pod addresses that templates and parameters need are included.
    """
    names = FlowNames(reading.spec)
    waits = Waits(names)
    others: list[Fault] = []
    for at, flow in enumerate(reading.spec.flows):
        reached = [edge for edge in reading.use.edges(flow) if edge.flow in names.first]
        waits.add(flow, (edge for edge in reading.mentions(flow) if edge.flow in names.first))
        waits.add(flow, reached)
        path = f"spec.flows[{at}]"
        template = reading.templates.get(flow.template_name)
        if template is not None:
            others.extend(source_faults(flow, template.spec, path))
        for edge in reached:
            place = place_of(edge, path, f"{path} (template {flow.template_name})")
            others.extend(edge_faults(flow, edge, place, names))
    yield from waits.cycles()
    yield from others


def value_faults(reading: Reading) -> Iterator[Fault]:
    """Parameters without a value that patches, and values of the workflow or of a flow, use. Raises RawError.

    Flows without their template are passed over, because the template may have a default.
    """
    seen: set[tuple[str, str]] = set()
    for at, flow in enumerate(reading.spec.flows):
        if flow.template_name not in reading.templates and flow.approval is None:
            continue
        try:
            found = list(_without_value(flow, reading.use, f"spec.flows[{at}]"))
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

    def fault(self, *, suggest: bool = True) -> Fault:
        message = missing_message(self.name, self.scopes, self.by, suggest=suggest)
        return fault(self.where, message, f"{{{{params.{variables.cut(self.name)}}}}}")


def _without_value(flow: Flow, use: ValueUse, path: str) -> Iterator[_Missing]:
    """What patch, condition and values of the Workflow use and nobody gives. What a value shows itself is left out."""
    used = [(name, found.by) for found in use.of(flow) if (name := found.token.parameter) is not None]
    in_patch = variables.may_hold(flow.raw_patch, b"params.")
    in_condition = names_in(flow.when).parameters if flow.when else ()
    if not used and not in_patch and not in_condition:
        return
    scopes = use.scopes(flow)
    if in_patch:
        for name, where in parameters_in(flow.raw_patch, lambda: flow.patch, f"{path}.patch"):
            if scopes.find(name) is None:
                yield _Missing(name, where, scopes)
    for name in in_condition:
        if scopes.find(name) is None:
            yield _Missing(name, f"{path}.when", scopes)
    lists = {WORKFLOW: "spec.parameters", FLOW: f"{path}.parameters"}
    for name, by in used:
        if by.scope in lists and name != by.name and scopes.find(name, by.scope) is None:
            yield _Missing(name, f"{lists[by.scope]}[{by.position}].value", scopes, by)


class _Required:
    """Parameters that each flow must give which uses a template, with the place that uses each."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._by_template: dict[str, Mapping[str, str]] = {}

    def of(self, template: TemplateEdges, name: str) -> Mapping[str, str]:
        found = self._by_template.get(name)
        if found is None:
            outer = Scopes(template.spec.parameters, _given(self._reading.spec))
            found = {one: place for one, place in template.parameters.items() if outer.find(one) is None}
            self._by_template[name] = found
        return found


def _given(spec: WorkflowSpec) -> Parameters:
    try:
        return spec.parameters
    except RawError:
        return ()  # a fault of the workflow by itself


def use_faults(reading: Reading) -> Iterator[Fault]:
    """Every fault that only shows with the templates. Missing templates are passed over."""
    names = FlowNames(reading.spec)
    judged: list[tuple[Flow, Sequence[Edge], Sequence[Edge]]] = []
    required = _Required(reading)
    compared = 0
    seen: set[tuple[str, str]] = set()
    for at, flow in enumerate(reading.spec.flows):
        path, name = f"spec.flows[{at}]", flow.template_name
        place = f"{path} (template {name})"
        template = reading.templates.get(name)
        try:
            mentions = reading.mentions(flow)
            if template is not None and not template.is_readable:
                continue  # a fault of the template by itself
            if template is None:
                judged.append((flow, mentions, ()))
                missing = list(_without_value(flow, reading.use, path)) if flow.approval is not None else []
                yield from (found.fault() for found in missing)
                continue
            if flow.for_ is not None and flow.template_spec is None:
                yield from index_faults(template.spec, place)
            needed = required.of(template, name)
            is_plain = not needed and flow.raw_patch is ABSENT and not flow.when and not reading.use.of(flow)
            missing = [] if is_plain else list(_missing_parameters(flow, needed, reading.use, path, place))
            below = list(below_faults(reading.spec, flow, template.spec, path, place))
        except RawError:
            continue  # a fault of the template or the workflow by itself
        yield from below
        yield from source_faults(flow, template.spec, path)
        yield from end_faults_with_template(reading, flow, path)
        reached = reading.use.edges(flow)
        judged.append((flow, mentions, reached))
        compared += len(reached) + len(needed)
        if compared > _MAX_COMPARED:
            yield fault("spec.flows", f"the templates have too many variables to check {path} and the flows after it")
            return
        for found in missing:
            if found.key not in seen:
                seen.add(found.key)
                yield found.fault(suggest=len(seen) <= _MAX_SUGGESTIONS)
        for edge in reached:
            yield from edge_faults(flow, edge, place_of(edge, path, place), names)
    if any(reached for _, _, reached in judged):
        yield from _cycles_through_addresses(names, judged)


def _cycles_through_addresses(
    names: FlowNames, judged: Iterable[tuple[Flow, Sequence[Edge], Sequence[Edge]]]
) -> Iterator[Fault]:
    """Cycles that are none without the addresses which templates and parameters need."""
    alone, together = Waits(names), Waits(names)
    for flow, mentions, reached in judged:
        alone.add(flow, mentions)
        together.add(flow, mentions)
        together.add(flow, reached)
    if not any(alone.cycles()):
        yield from together.cycles()


def place_of(edge: Edge, path: str, place: str) -> str:
    """The path of an edge that comes from the template or from the value of a parameter."""
    if edge.path.startswith("template."):
        return f"{place}.{edge.path.removeprefix('template.')}"
    if edge.path.startswith("workflow."):
        return f"spec.{edge.path.removeprefix('workflow.')}"
    return f"{path}.{edge.path}"


def _missing_parameters(
    flow: Flow, required: Mapping[str, str], values: ValueUse, path: str, place: str
) -> Iterator[_Missing]:
    own = {one.name for one in values.own(flow) if one.value is not None} if required else set()
    for name, where in required.items():
        if name not in own:
            yield _Missing(name, f"{place}.{where}", values.scopes(flow))
    yield from _without_value(flow, values, path)


def unused_parameters(reading: Reading) -> Iterator[Fault]:
    """Parameters of the workflow and of flows that nothing puts in: probably a slip in a name. Raises RawError.

    Nothing is said of flows without their template, nor of the workflow's parameters if a template is missing.
    """
    used: set[str] = set()
    spec, templates = reading.spec, reading.templates
    is_complete = True
    has_outer = bool(spec.parameters)
    for at, flow in enumerate(spec.flows):
        template = templates.get(flow.template_name)
        if template is None and flow.approval is None:
            is_complete = False
            continue
        own = reading.use.own(flow)
        if not own and not has_outer:
            continue
        names = {*template.parameters} if template is not None else set()
        names.update(name for name, _ in parameters_in(flow.raw_patch, lambda flow=flow: flow.patch, "patch"))  # type: ignore[misc]
        names.update(names_in(flow.when).parameters if flow.when else ())
        if not has_outer and all(one.name in names for one in own):
            continue  # each is used in the template or patch itself
        counted_here = counted(names, reading.use.scopes(flow))
        used.update(name for scope, name in counted_here if scope == WORKFLOW)
        for position, one in enumerate(own):
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
