"""Compiles the status rules of a template together with those of its kind.

A fault in the rules fails no task. It is part of the result: until the rules are corrected, no job of the template is
created and the existing ones keep their state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.types import StatusRules, WorkTemplate, WorkTemplateSpec
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

WHERE: Final = "spec.statusRules"
# So many predicates are compiled one by one to find every fault.
_MAX_TRIED: Final = 100


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


def rule_faults(spec: WorkTemplateSpec) -> Faults:
    """Every fault of the status rules of a template, each with its path; none if they can be used."""
    if not spec.has_status_rules:
        return Faults()
    whole = _fault(spec.gvr.gvr, lambda: spec.status_rules)
    if whole is None:
        return Faults()
    try:
        rules = spec.status_rules or StatusRules()
    except (RawError, RecursionError):
        return Faults([whole])
    found = Faults(_each_fault(spec.gvr.gvr, rules))
    return found or Faults([whole])


def _each_fault(gvr: GVR, rules: StatusRules) -> Iterator[Fault]:
    """The faults of the predicates one by one. What only the rules together have is not among them."""
    tried = 0
    for key in rules.__struct_fields__:
        for at, predicate in enumerate(getattr(rules, key)):
            tried += 1
            if tried > _MAX_TRIED:
                return
            found = _fault(gvr, lambda key=key, predicate=predicate: {key: [predicate]})  # type: ignore[misc]
            if found is not None:
                place = found.path.replace(f"{WHERE}.{key}[0]", f"{WHERE}.{key}[{at}]", 1)
                yield Fault(place if place != WHERE else f"{WHERE}.{key}[{at}]", found.message)


def _fault(gvr: GVR, rules: Callable[[], object]) -> Fault | None:
    try:
        with_rules(rules_for(gvr), convert_rules(rules(), where=WHERE), where=WHERE)
    except RuleError as error:
        path, _, message = bounded(str(error), MAX_MESSAGE).partition(": ")
        return Fault(path, message)
    except (RawError, RecursionError) as error:
        return Fault(WHERE, str(error))
    return None
