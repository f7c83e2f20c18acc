"""The status rules of templates, compiled once per version of each and kept while the template is.

Rules that cannot be used are no reason to fail anything: jobs of the template are not made, those that exist are not
judged, and the text says what is wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from pkg.apis.flow.v1alpha1.types import WorkTemplate
from pkg.apis.meta import GVR
from pkg.controllers.workflow.graph import Graph
from pkg.workloads import KindRow, RuleError, convert_rules, needs_whole, rules_for, with_rules

WHERE = "spec.statusRules"


@dataclass(frozen=True, slots=True)
class TemplateRules:
    """How jobs of one template are read. `fault` says why its rules cannot be used; empty when they can."""

    gvr: GVR
    row: KindRow
    needs_whole: bool = False
    fault: str = ""


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


def compile_rules(template: WorkTemplate) -> TemplateRules:
    """The rules of a template over those of its kind; a fault in them is part of the result."""
    gvr = template.spec.gvr.gvr
    row = rules_for(gvr)
    try:
        rules = convert_rules(template.spec.status_rules, where=WHERE)
        return TemplateRules(gvr, with_rules(row, rules, where=WHERE), needs_whole(rules))
    except RuleError as error:
        return TemplateRules(gvr, row, fault=f"WorkTemplate {template.metadata.name}: {error}")
    except RecursionError:
        return TemplateRules(gvr, row, fault=f"WorkTemplate {template.metadata.name}: {WHERE}: nested too deeply")
