"""Judges a WorkTemplate: what is refused, and what is allowed but probably not meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.schema import Schema
from pkg.apis.flow.v1alpha1.types import Parameters, WorkTemplate, WorkTemplateSpec
from pkg.apis.flow.v1alpha1.validation import foreign_variables, validate_template
from pkg.apis.meta import GVR
from pkg.webhooks.admit.unknown_fields import of_template
from pkg.workloads import near_kind, rules_for
from pkg.workloads.template_rules import rule_faults

_MAX_NAMES: Final = 5


def template_faults(spec: WorkTemplateSpec) -> Faults:
    """Every fault for which the template is refused."""
    return validate_template(spec) + Faults(_refused(spec.gvr.gvr)) + rule_faults(spec)


def template_warnings(spec: WorkTemplateSpec, schema: Schema | None = None) -> Faults:
    """What is allowed but probably not meant, of a template without faults. schema: that of its kind, if known."""
    found = (
        foreign_variables(spec.job_spec, "spec.jobSpec")
        + foreign_variables(msgspec.to_builtins(spec.metadata), "spec.metadata")
        + foreign_variables(_values(spec.parameters), "spec.parameters")
        + Faults(_near(spec.gvr.gvr))
    )
    return found + Faults(of_template(spec, schema)) if schema is not None else found


def deletion_warnings(template: WorkTemplate) -> Faults:
    """That a template which is being deleted is in use, as its status says."""
    used = template.status.used_by
    if not used.count:
        return Faults()
    names = ", ".join(f'"{name}"' for name in used.names[:_MAX_NAMES])
    more = f" and {used.count - _MAX_NAMES:,} more" if used.count > _MAX_NAMES else ""
    who = "1 workflow uses" if used.count == 1 else f"{used.count:,} workflows use"
    message = (
        f'{who} WorkTemplate "{template.metadata.name}": {names}{more}; jobs that exist go on, and flows that have not'
        " started wait until it exists again"
    )
    return Faults([Fault("", message)])


def _refused(gvr: GVR) -> Iterator[Fault]:
    """A kind that cannot be a job."""
    if why := rules_for(gvr).refused:
        yield Fault("spec.gvr", " ".join(why.split()))


def _near(gvr: GVR) -> Iterator[Fault]:
    if meant := near_kind(gvr):
        yield Fault("spec.gvr", f"{gvr} is not known here; did you mean {meant}?")


def _values(parameters: Parameters) -> list[dict[str, str]]:
    return [{"value": parameter.value or ""} for parameter in parameters]
