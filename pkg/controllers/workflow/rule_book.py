"""A cache of compiled status rules, with one entry per template."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from pkg.apis.flow.v1alpha1.types import WorkTemplate
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.workloads.template_rules import TemplateRules, compile_rules


class RuleBook:
    """The compiled rules of templates, compiled once per generation of each. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[str, int], TemplateRules]] = {}

    def of(self, template: WorkTemplate) -> TemplateRules | None:
        """The compiled rules of the template; None if it has no statusRules."""
        if not template.spec.has_status_rules:
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
        """The rules of each flow whose template has statusRules. `templates` is keyed by name."""
        found = {name: rules for name, template in templates.items() if (rules := self.of(template)) is not None}
        if not found:
            return {}
        return {node.name: found[node.flow.template_name] for node in graph.nodes if node.flow.template_name in found}

    def forget(self, key: str) -> None:
        """Drop the rules of the template `namespace/name`, which was deleted."""
        with self._lock:
            self._known.pop(key, None)
