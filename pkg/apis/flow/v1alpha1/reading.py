"""A Workflow and its templates, read once for everything that judges them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from pkg.apis.flow.v1alpha1 import edges, raw
from pkg.apis.flow.v1alpha1.edges import Edge, TemplateEdges, read_edges
from pkg.apis.flow.v1alpha1.types import Flow, WorkflowSpec
from pkg.apis.flow.v1alpha1.value_use import ValueUse


class Reading:
    """What several judgements of one spec share. For one thread.

    `templates`: what the templates need, by name; some may be missing. Those that stand in the spec are added.
    """

    def __init__(self, spec: WorkflowSpec, templates: Mapping[str, TemplateEdges] | None = None) -> None:
        self.spec: Final = spec
        self.templates: Final = {**(templates or {}), **_inline(spec)}
        # By identity: the spec keeps its flows alive.
        self._mentions: dict[int, tuple[Edge, ...] | raw.RawError] = {}

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all flows."""
        return frozenset(flow.name for flow in self.spec.flows)

    @cached_property
    def use(self) -> ValueUse:
        """What the values of parameters use."""
        return ValueUse(self.spec, self.templates)

    def mentions(self, flow: Flow) -> tuple[Edge, ...]:
        """Every mention of a flow in dependsOn, for.dependsOn, patch and when of `flow`.

        Raises RawError for dependsOn.
        """
        has_none = flow.raw_depends_on is raw.ABSENT and flow.for_ is None and flow.raw_patch is raw.ABSENT
        if has_none and not flow.when:
            return ()
        found = self._mentions.get(id(flow))
        if found is None:
            try:
                found = tuple(edges.mentions(flow))
            except raw.RawError as error:
                found = error
            self._mentions[id(flow)] = found
        if isinstance(found, raw.RawError):
            raise found
        return found


def _inline(spec: WorkflowSpec) -> dict[str, TemplateEdges]:
    """What the templates need that stand in flows, by `Flow.template_name`."""
    return {flow.template_name: read_edges(flow.template_spec) for flow in spec.flows if flow.template_spec is not None}
