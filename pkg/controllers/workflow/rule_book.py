"""A cache of compiled status rules: one entry per template, compiled once per version of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from pkg.apis.flow.v1alpha1.types import WorkTemplate
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.rules import TemplateRules, compile_rules


class RuleBook:
    """The compiled rules of every template that has some. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[str, int], TemplateRules]] = {}

    def of(self, template: WorkTemplate) -> TemplateRules | None:
        """How jobs of the template are read; None if it has no rules of its own."""
        if template.spec.status_rules is None:
            return None
        meta = template.metadata
        version = (meta.uid, meta.generation)
        held = self._known.get(meta.key)
        if held is not None and held[0] == version:
            return held[1]
        with self._lock:
            made = compile_rules(template)
            self._known[meta.key] = (version, made)
        return made

    def by_flow(self, graph: Graph, templates: Mapping[str, WorkTemplate]) -> dict[str, TemplateRules]:
        """The rules of each flow whose template has some; `templates` by name."""
        found = {name: rules for name, template in templates.items() if (rules := self.of(template)) is not None}
        if not found:
            return {}
        return {node.name: found[node.flow.template_name] for node in graph.nodes if node.flow.template_name in found}

    def forget(self, key: str) -> None:
        """The template `namespace/name` is gone."""
        with self._lock:
            self._known.pop(key, None)
