"""How jobs of one template are read: its status rules over those of its kind.

A fault in the rules fails nothing. It is part of the result: jobs of the template are not made, and those that exist
are not judged, until the rules are corrected.
"""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.flow.v1alpha1.types import WorkTemplate
from pkg.apis.meta import GVR
from pkg.workloads import KindRow, RuleError, convert_rules, needs_whole, rules_for, with_rules

WHERE = "spec.statusRules"


@dataclass(frozen=True, slots=True)
class TemplateRules:
    """How jobs of one template are read. `fault` says why its rules cannot be used; empty when they can."""

    gvr: GVR
    row: KindRow
    needs_whole: bool = False
    fault: str = ""


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
