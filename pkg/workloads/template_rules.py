"""Compiles the status rules of a template together with those of its kind.

A fault in the rules fails no task. It is part of the result: until the rules are corrected, no job of the template is
created and the existing ones keep their state.
"""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.types import WorkTemplate
from pkg.apis.meta import GVR
from pkg.workloads import (
    MAX_MESSAGE,
    KindRow,
    RuleError,
    bounded,
    convert_rules,
    needs_whole,
    rules_for,
    with_rules,
)

WHERE = "spec.statusRules"


@dataclass(frozen=True, slots=True)
class TemplateRules:
    """The rules for jobs of one template. `fault` says why they cannot be used; empty if they can."""

    gvr: GVR
    row: KindRow
    needs_whole: bool = False
    fault: str = ""


def compile_rules(template: WorkTemplate) -> TemplateRules:
    """Compile the rules of a template; each key that it does not have is taken from its kind. Never raises."""
    gvr = template.spec.gvr.gvr
    row = rules_for(gvr)
    try:
        rules = convert_rules(template.spec.status_rules, where=WHERE)
        return TemplateRules(gvr, with_rules(row, rules, where=WHERE), needs_whole(rules))
    except RuleError as error:
        text = str(error)
    except (RawError, RecursionError) as error:
        text = f"{WHERE}: {error}"
    return TemplateRules(gvr, row, fault=bounded(f"WorkTemplate {template.metadata.name}: {text}", MAX_MESSAGE))
