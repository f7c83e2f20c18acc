"""What the flows of a workflow use through the values of their parameters: addresses, outputs, and other parameters.

A value counts for a flow only if the flow's template, patch or condition uses it, directly or within another value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pkg.apis.flow.v1alpha1 import edges, raw, variables
from pkg.apis.flow.v1alpha1.edges import Edge, TemplateEdges, edge_of
from pkg.apis.flow.v1alpha1.parameters import FLOW, TEMPLATE, WORKFLOW, Given, Scopes, Use, reached, variables_in
from pkg.apis.flow.v1alpha1.types import Flow, Parameters, WorkflowSpec, WorkTemplateSpec
from pkg.apis.flow.v1alpha1.variables import Known
from pkg.apis.flow.v1alpha1.when import names_in

#: Where a parameter is, as seen from its flow.
_LISTS: Final = {TEMPLATE: "template.parameters", WORKFLOW: "workflow.parameters", FLOW: "parameters"}
#: So many variables in values are looked at, each once per flow. Flows after that count as using no values.
_MAX_LOOKED_AT: Final = 500_000


class ValueUse:
    """What values the flows of one workflow use. `templates` by name, some of which may be missing."""

    def __init__(self, spec: WorkflowSpec, templates: Mapping[str, TemplateEdges]) -> None:
        self._templates = templates
        self._workflow = _or_none(spec)
        self._has_values = variables.may_hold(spec.raw_parameters)
        self._outer: dict[str, _Outer] = {}
        self._shared: dict[str, tuple[Use, ...]] = {}
        self._left = _MAX_LOOKED_AT
        # By identity: the spec keeps its flows alive.
        self._scopes: dict[int, Scopes] = {}
        self._used: dict[int, tuple[Use, ...]] = {}
        self._own: dict[int, Parameters] = {}
        self._read: dict[str, tuple[Known, ...]] = {}

    @property
    def is_over(self) -> bool:
        """Whether there were so many variables that not all were looked at."""
        return self._left < 0

    def edges(self, flow: Flow) -> tuple[Edge, ...]:
        """The addresses and outputs that the flow's template and its parameters need, once each per parameter."""
        template = self._templates.get(flow.template_name)
        own = template.edges if template is not None else ()
        used = self.of(flow)
        if not used:
            return own
        found = {
            (use.by, use.token.name): edge for use in used if (edge := edge_of(use.token, place(use.by))) is not None
        }
        return (*own, *found.values()) if found else own

    def own(self, flow: Flow) -> Parameters:
        """The parameters of the flow itself; none if they cannot be decoded."""
        if flow.raw_parameters is raw.ABSENT:
            return ()
        found = self._own.get(id(flow))
        if found is None:
            found = self._own[id(flow)] = _or_none(flow)
        return found

    def scopes(self, flow: Flow) -> Scopes:
        """The parameters that count for the flow."""
        outer = self._outer_of(flow).scopes
        if raw.is_empty(flow.raw_parameters):
            return outer
        scopes = self._scopes.get(id(flow))
        if scopes is None:
            scopes = self._scopes[id(flow)] = outer.with_flow(self.own(flow))
        return scopes

    def of(self, flow: Flow) -> tuple[Use, ...]:
        """The variables in all values that count for the flow."""
        found = self._used.get(id(flow))
        if found is None:
            found = self._used[id(flow)] = self._of(flow)
        return found

    def _of(self, flow: Flow) -> tuple[Use, ...]:
        name = flow.template_name
        outer = self._outer_of(flow)
        has_own = variables.may_hold(flow.raw_parameters)
        if not outer.has_values and not has_own:
            return ()
        in_condition = names_in(flow.when).parameters if flow.when else ()
        may_patch = variables.may_hold(flow.raw_patch, b"params.")
        if raw.is_empty(flow.raw_parameters) and not may_patch and not in_condition:
            if name not in self._shared:
                self._shared[name] = tuple(self._counted(reached(outer.live, outer.scopes, self._variables_in)))
            return self._shared[name]
        own = self.own(flow)
        scopes = self.scopes(flow)
        names = dict.fromkeys((*_patch_parameters(flow), *in_condition, *outer.live))
        names.update((one.name, None) for one in own if "{{" in (one.value or "") and one.name in outer.used)
        return tuple(self._counted(reached(names, scopes, self._variables_in)))

    def _variables_in(self, value: str) -> tuple[Known, ...]:
        found = self._read.get(value)
        if found is None:
            found = self._read[value] = variables_in(value)
        return found

    def _outer_of(self, flow: Flow) -> _Outer:
        name = flow.template_name
        if name not in self._outer:
            self._outer[name] = _Outer(self._templates.get(name), self._workflow, has_values=self._has_values)
        return self._outer[name]

    def _counted(self, uses: Iterable[Use]) -> Iterator[Use]:
        for use in uses:
            self._left -= 1
            if self._left < 0:
                return
            yield use


class _Outer:
    """What all flows with one template share.

    `used`: the parameters that the template uses; `live`: those of them whose value, unless a flow gives another one,
    has variables.
    """

    def __init__(self, template: TemplateEdges | None, workflow: Parameters, *, has_values: bool) -> None:
        defaults = _or_none(template.spec) if template is not None else ()
        self.scopes: Final = Scopes(defaults, workflow)
        self.has_values: Final = has_values or any("{{" in (one.value or "") for one in defaults)
        self._template = template
        self._used: frozenset[str] | None = None
        candidates = {one.name for one in (*defaults, *workflow) if "{{" in (one.value or "")}
        counting = (self.scopes.find(name) for name in candidates & self.used) if candidates else ()
        self.live: Final = sorted(one.name for one in counting if one is not None and one.has_variables)

    @property
    def used(self) -> frozenset[str]:
        if self._used is None:
            self._used = _used_by(self._template)
        return self._used


def _used_by(template: TemplateEdges | None) -> frozenset[str]:
    try:
        return frozenset(template.parameters) if template is not None else frozenset()
    except raw.RawError:
        return frozenset()


def _or_none(owner: WorkflowSpec | Flow | WorkTemplateSpec) -> Parameters:
    """The parameters of a part; none if they cannot be decoded, which is a fault of that part."""
    try:
        return owner.parameters
    except raw.RawError:
        return ()


def _patch_parameters(flow: Flow) -> Iterator[str]:
    try:
        yield from (name for name, _ in edges.parameters_in(flow.raw_patch, lambda: flow.patch, "patch"))
    except raw.RawError:
        return


def place(given: Given) -> str:
    """Where a value is, as seen from its flow: `parameters[0].value`, `workflow.parameters[2].value`."""
    return f"{_LISTS[given.scope]}[{given.position}].value"
