"""Judges manifests: every fault that the schema of the CRD cannot refuse, with its path and what would be right.

The controller and `workflow-controller lint` call the same functions, so a manifest gets the same faults from both. No
fault hides another; the first MAX_FAULTS are reported, and the others counted. The time is linear in the size of the
manifest.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from pkg.apis.flow.v1alpha1 import cost, variables
from pkg.apis.flow.v1alpha1.edges import read_edges
from pkg.apis.flow.v1alpha1.faults import MAX_FAULTS, Fault, Faults, fault, summary
from pkg.apis.flow.v1alpha1.lock_faults import nested_faults
from pkg.apis.flow.v1alpha1.object_names import name_faults
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.schema import Schema
from pkg.apis.flow.v1alpha1.spec_faults import template_faults, workflow_faults
from pkg.apis.flow.v1alpha1.template_use import cycle_faults, unused_parameters, use_faults, value_faults
from pkg.apis.flow.v1alpha1.trial import render_faults
from pkg.apis.flow.v1alpha1.types import WorkflowSpec, WorkTemplateSpec
from pkg.apis.meta import ObjectMeta

__all__ = [
    "MAX_FAULTS",
    "Fault",
    "Faults",
    "foreign_variables",
    "read",
    "summary",
    "unused",
    "validate_cost",
    "validate_cycles",
    "validate_nesting",
    "validate_template",
    "validate_values",
    "validate_with_templates",
    "validate_workflow",
]


def read(spec: WorkflowSpec, templates: Mapping[str, WorkTemplateSpec] | None = None) -> Reading:
    """A Workflow and its templates, which are given by name and may be missing, as several judgements share them."""
    return Reading(spec, {name: read_edges(template) for name, template in (templates or {}).items()})


def validate_workflow(spec: WorkflowSpec | Reading, *, with_restart: bool = True, with_patches: bool = True) -> Faults:
    """The faults that the spec shows by itself, without its templates.

    Those of spec.restart, and those of patches and of values of parameters, which else fail the tasks that render them,
    can be left out.
    """
    reading = spec if isinstance(spec, Reading) else Reading(spec)
    return Faults(workflow_faults(reading, with_restart=with_restart, with_patches=with_patches))


def validate_template(spec: WorkTemplateSpec) -> Faults:
    """The faults of a template by itself. Whether its parameters and flows exist depends on the workflow."""
    return Faults(template_faults(spec))


def validate_with_templates(
    reading: Reading,
    metadata: ObjectMeta | None = None,
    schemas: Mapping[str, Schema] | None = None,
    faulty: Set[str] = frozenset(),
) -> Faults:
    """The faults that only show with the templates, in addition to those of `validate_workflow`.

    These are parameters that are given nowhere, addresses of flows that do not exist, cycles through these, and jobs
    that cannot be rendered. metadata: of the workflow, as far as it is known; schemas: of kinds, by template;
    faulty: templates whose own faults are reported elsewhere.
    """
    found = Faults(use_faults(reading))
    if found:
        return found
    return Faults(render_faults(reading, metadata, schemas, faulty)) + Faults(name_faults(reading, metadata, faulty))


def validate_nesting(spec: WorkflowSpec, metadata: ObjectMeta | None) -> Faults:
    """The locks that a Workflow names although it is a job of one that holds some. metadata: as far as it is known."""
    return Faults(nested_faults(spec, metadata.annotations)) if metadata is not None else Faults()


def validate_values(reading: Reading) -> Faults:
    """Parameters that patches and values of the Workflow use, and that have no value. Raises RawError."""
    return Faults(value_faults(reading))


def unused(reading: Reading) -> Faults:
    """Parameters that are given and that nothing uses: worth a warning. Raises RawError."""
    return Faults(unused_parameters(reading))


def validate_cycles(reading: Reading) -> Faults:
    """Flows that would wait for ever, those through pod addresses in templates included. Raises RawError."""
    return Faults(cycle_faults(reading))


def validate_cost(reading: Reading, metadata: ObjectMeta | None = None) -> Faults:
    """The bounds that a workflow without other faults is above, which keep it from starting.

    `metadata` as far as it is known. Raises RawError.
    """
    return cost.faults(cost.estimate_reading(reading, metadata))


def foreign_variables(tree: Any, path: str = "") -> Faults:
    """`{{x}}` that are no variables of ours and stay as they are: worth a warning."""
    return Faults(
        fault(found.path, variables.foreign_message(found.token.name), found.token.name)
        for found in variables.scan(tree, path)
        if isinstance(found.token, variables.Foreign)
    )
