"""Judges a Workflow: what is refused, and what is allowed but probably not meant. The webhook and `lint` call it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final

from pkg.apis.flow.v1alpha1 import cost, records, scheduled_time, spec_faults, variables
from pkg.apis.flow.v1alpha1.edges import TemplateEdges
from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.filling import IDENTITY
from pkg.apis.flow.v1alpha1.labels import SCHEDULED
from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.schema import Schema
from pkg.apis.flow.v1alpha1.types import Parameters, Workflow, WorkflowSpec
from pkg.apis.flow.v1alpha1.updates import is_free_edit, validate_update
from pkg.apis.flow.v1alpha1.validation import (
    foreign_variables,
    unused,
    validate_cost,
    validate_nesting,
    validate_with_templates,
    validate_workflow,
)
from pkg.apis.meta import ObjectMeta
from pkg.webhooks.admit.failure_branches import failure_branches
from pkg.webhooks.admit.items import without_items
from pkg.webhooks.admit.outputs import variables_in_defaults
from pkg.webhooks.admit.own_retry import own_retry
from pkg.webhooks.admit.templates import kind_faults, template_warnings
from pkg.webhooks.admit.unknown_fields import of_patches
from pkg.workloads.never import never_faults
from pkg.workloads.output_rules import expression_faults

_FLOW: Final = re.compile(r"spec\.flows\[(\d+)\]")
_FIGURE: Final = re.compile(r"\d[\d,]*")


@dataclass(frozen=True, slots=True)
class Before:
    """The workflow that an update changes.

    started: its flows run, or have run; ended: it is final; recorded: the hash of the spec that is in force.
    """

    spec: WorkflowSpec
    started: bool = True
    ended: bool = False
    recorded: str = ""

    @property
    def is_running(self) -> bool:
        return self.started and not self.ended


def before(old: Workflow) -> Before:
    """What an update of a stored workflow starts from."""
    status = old.status
    ended = status.phase is not None and status.phase.is_final
    return Before(old.spec, cost.has_started(status), ended, records.record_of(status).spec_hash)


@dataclass(frozen=True, slots=True)
class Around:
    """What a workflow is judged with.

    templates: by name, as far as they are known; missing: names of templates that certainly do not exist, with a
    message; schemas: of the kinds of templates, by the name of the template; faulty: names of templates whose own
    faults are reported elsewhere.
    """

    templates: Mapping[str, TemplateEdges] = field(default_factory=dict)
    missing: Set[str] = frozenset()
    missing_message: str = 'WorkTemplate "{}" does not exist in this namespace; the flow waits until it does'
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    faulty: Set[str] = frozenset()


class Judgement:
    """The verdict on one workflow. For one thread."""

    def __init__(self, spec: WorkflowSpec, metadata: ObjectMeta, around: Around, old: Before | None = None) -> None:
        self._spec = spec
        self._metadata = metadata
        self._around = around
        self._old = old
        self._reading = Reading(spec, around.templates)

    def faults(self) -> Faults:
        """Every fault for which the workflow is refused.

        Of a workflow that runs, what changed is judged alone. Of one that has ended, a fault that it had before counts
        no more: a rule that is newer than the workflow must not refuse its restart. Nor does it where nothing is
        started: a workflow that waits can be stopped, whatever its templates have become.
        """
        old = self._old
        if old is None:
            return self._by_itself(self._reading)
        changed = validate_update(old.spec, self._spec, started=old.started, ended=old.ended, recorded=old.recorded)
        if old.is_running:
            return changed + Faults(_free_faults(old.spec, self._spec))
        found = changed + self._by_itself(self._reading)
        if found and (old.started or _starts_nothing(old.spec, self._spec)):
            earlier = self._by_itself(Reading(old.spec, self._around.templates))
            return _without_older(found, self._spec, earlier, old.spec)
        return found

    def _by_itself(self, reading: Reading) -> Faults:
        found = validate_workflow(reading) + validate_nesting(reading.spec, self._metadata)
        for at, flow in enumerate(reading.spec.flows):
            found += Faults(expression_faults(flow, f"spec.flows[{at}]"))
            if flow.template_spec is not None:
                found += kind_faults(flow.template_spec, f"spec.flows[{at}].templateSpec")
        found += Faults(never_faults(reading))
        around = self._around
        if SCHEDULED not in self._metadata.annotations:
            found += Faults(scheduled_time.use_faults(reading))
        found += validate_with_templates(reading, self._metadata, around.schemas, around.faulty)
        return found or validate_cost(reading, self._metadata)

    def warnings(self) -> Faults:
        """What is allowed but probably not meant, of a workflow without faults."""
        if self._old is not None and self._old.is_running:
            return Faults()  # nothing of it can have changed
        spec, reading = self._spec, self._reading
        found = Faults(_missing(spec, self._around))
        found += unused(reading)
        found += foreign_variables(_values(spec.parameters), "spec.parameters") if spec.parameters else ()
        found += Faults(_of_flows(spec))
        found += Faults(without_items(reading))
        found += Faults(variables_in_defaults(spec))
        found += Faults(of_patches(reading, dict(self._around.schemas)))
        found += Faults(failure_branches(spec))
        for at, flow in enumerate(spec.flows):
            if flow.template_spec is not None:
                schema = self._around.schemas.get(flow.template_name)
                found += template_warnings(flow.template_spec, schema, f"spec.flows[{at}].templateSpec")
        return found + Faults(own_retry(reading))

    def missing(self) -> Faults:
        """The templates that do not exist, for a workflow with faults: it was judged without them."""
        return Faults(_missing(self._spec, self._around))


def _starts_nothing(old: WorkflowSpec, new: WorkflowSpec) -> bool:
    """Whether only fields change that may always change, and none of them lets flows begin."""
    if new.restart != old.restart or (old.suspend and not new.suspend):
        return False
    return is_free_edit(old, new)


def _free_faults(old: WorkflowSpec, new: WorkflowSpec) -> Iterator[Fault]:
    """The faults of those fields that changed and may change while the workflow runs."""
    if new.timeout != old.timeout:
        yield from spec_faults.timeout_faults(new)
    if new.restart != old.restart:
        yield from spec_faults.restart_faults(new)


def _without_older(found: Faults, spec: WorkflowSpec, earlier: Faults, old: WorkflowSpec) -> Faults:
    """The faults that the older spec did not have. A bound that both exceed counts only if the figure has grown."""
    known: dict[tuple[str, str], int] = {}
    for one in earlier:
        key, figure = _identity(one, old)
        known[key] = max(known.get(key, 0), figure)
    kept = Faults(one for one in found for key, figure in [_identity(one, spec)] if figure > known.get(key, -1))
    kept.others = found.others if kept else 0
    return kept


def _identity(one: Fault, spec: WorkflowSpec) -> tuple[tuple[str, str], int]:
    """What identifies a fault before and after an edit, with flows by name, and a figure that is too large, if any."""

    def named(match: re.Match[str]) -> str:
        at = int(match[1])
        return f"spec.flows[{spec.flows[at].name}]" if at < len(spec.flows) else match[0]

    path, message = _FLOW.sub(named, one.path), _FLOW.sub(named, one.message)
    if not one.value.isdecimal():
        return (path, message), 0
    return (path, _FIGURE.sub("#", message)), int(one.value)


def _missing(spec: WorkflowSpec, around: Around) -> Iterator[Fault]:
    told: set[str] = set()
    for at, flow in enumerate(spec.flows):
        name = flow.template_name
        if name in around.missing and name not in told:
            told.add(name)
            yield Fault(f"spec.flows[{at}].template", around.missing_message.format(name))


def _of_flows(spec: WorkflowSpec) -> Iterator[Fault]:
    """Braces that stay as they are, and patches without effect."""
    for at, flow in enumerate(spec.flows):
        path = f"spec.flows[{at}]"
        if variables.may_hold(flow.raw_parameters):
            yield from foreign_variables(_values(flow.parameters), f"{path}.parameters")
        if variables.may_hold(flow.raw_patch) or variables.may_hold(flow.raw_patch, b"metadata"):
            try:
                patch = flow.patch
            except RawError:
                continue  # a fault of the flow
            yield from foreign_variables(patch, f"{path}.patch")
            yield from _without_effect(patch, f"{path}.patch")


def _without_effect(patch: Any, path: str) -> Iterator[Fault]:
    """Where a patch changes what only the controller sets."""
    message = "the controller sets this itself, so it has no effect"
    if isinstance(patch, dict) and isinstance(patch.get("metadata"), dict):
        yield from (Fault(f"{path}.metadata.{key}", message) for key in IDENTITY if key in patch["metadata"])
    ours = [["metadata", key] for key in IDENTITY]
    for at, step in enumerate(patch if isinstance(patch, list) else []):
        if isinstance(step, dict) and str(step.get("path", "")).split("/")[1:3] in ours:
            yield Fault(f"{path}[{at}].path", message)


def _values(parameters: Parameters) -> list[dict[str, str]]:
    return [{"value": parameter.value or ""} for parameter in parameters]
