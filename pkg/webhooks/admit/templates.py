"""Judges a WorkTemplate: what is refused, and what is allowed but probably not meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.schema import Schema
from pkg.apis.flow.v1alpha1.types import Action, Parameters, WorkTemplate, WorkTemplateSpec
from pkg.apis.flow.v1alpha1.validation import foreign_variables, validate_template
from pkg.apis.meta import GVR
from pkg.webhooks.admit.unknown_fields import of_template
from pkg.workloads import near_kind, rules_for
from pkg.workloads.template_rules import rule_faults

_MAX_NAMES: Final = 5


def template_faults(spec: WorkTemplateSpec) -> Faults:
    """Every fault for which the template is refused."""
    return validate_template(spec) + kind_faults(spec)


def kind_faults(spec: WorkTemplateSpec, root: str = "spec") -> Faults:
    """What is wrong with the kind, and with the rules by which its status is read. root: the path of the spec."""
    rules = [msgspec.structs.replace(one, path=root + one.path.removeprefix("spec")) for one in rule_faults(spec)]
    return Faults((*_refused(spec.gvr.gvr, root), *rules))


def template_warnings(spec: WorkTemplateSpec, schema: Schema | None = None, root: str = "spec") -> Faults:
    """What is allowed but probably not meant, of a template without faults. schema: that of its kind, if known;
    root: the path of the spec.
    """
    found = (
        foreign_variables(spec.job_spec, f"{root}.jobSpec")
        + foreign_variables(msgspec.to_builtins(spec.metadata), f"{root}.metadata")
        + foreign_variables(_values(spec.parameters), f"{root}.parameters")
        + Faults(_near(spec.gvr.gvr, root))
        + Faults(_without_effect(spec, root))
    )
    return found + Faults(of_template(spec, schema, root)) if schema is not None else found


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


def _refused(gvr: GVR, root: str) -> Iterator[Fault]:
    """A kind that cannot be a job."""
    if why := rules_for(gvr).refused:
        yield Fault(f"{root}.gvr", " ".join(why.split()))


def _without_effect(spec: WorkTemplateSpec, root: str) -> Iterator[Fault]:
    """Fields that the action of the template does not read."""
    if spec.action is Action.CREATE and spec.metadata.name:
        message = "a job of action Create gets the name of its task, so this has no effect; with action: Apply it has"
        yield Fault(f"{root}.metadata.name", message)
    if spec.action is Action.DELETE and spec.job_spec:
        yield Fault(f"{root}.jobSpec", "action Delete needs the name of the object alone, so this has no effect")


def _near(gvr: GVR, root: str) -> Iterator[Fault]:
    if meant := near_kind(gvr):
        yield Fault(f"{root}.gvr", f"{gvr} is not known here; did you mean {meant}?")


def _values(parameters: Parameters) -> list[dict[str, str]]:
    return [{"value": parameter.value or ""} for parameter in parameters]
