"""What is wrong with a CronWorkflow: its schedules, its zone, its name, and the Workflow that it would make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1 import schedules
from pkg.apis.flow.v1alpha1.approvals import creation_faults
from pkg.apis.flow.v1alpha1.faults import Fault, Faults, fault
from pkg.apis.flow.v1alpha1.raw import TOO_DEEP
from pkg.apis.flow.v1alpha1.schedules import ScheduleFault
from pkg.apis.flow.v1alpha1.types import GROUP, MAX_CRON_NAME, CronWorkflowSpec, RunMeta, WorkflowSpec

#: The path of the spec of the Workflow.
ROOT: Final = "spec.workflowTemplate.spec"
_SPEC: Final = re.compile(r"(?<![\w.])spec(?=[.\[])")
_LABEL: Final = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z")
_KEY: Final = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z"
)


def cron_faults(spec: CronWorkflowSpec, name: str) -> Faults:
    """Every fault of a CronWorkflow but for those of the Workflow that it makes. name: its own, or its generateName."""
    return Faults((*_name_faults(name), *time_faults(spec), *_meta_faults(spec.workflow_template.metadata)))


def time_faults(spec: CronWorkflowSpec) -> Iterator[Fault]:
    """The schedules and the zone that cannot be."""
    for at, text in enumerate(spec.schedules):
        try:
            schedules.parse(text)
        except ScheduleFault as error:
            yield fault(f"spec.schedules[{at}]", str(error), text)
    try:
        schedules.zone_of(spec.time_zone)
    except ScheduleFault as error:
        yield fault("spec.timeZone", str(error), spec.time_zone)


def template_spec(spec: CronWorkflowSpec) -> WorkflowSpec | Faults:
    """The spec of the Workflow, or why it cannot be read."""
    try:
        return spec.workflow_template.spec
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        return Faults([Fault(f"{ROOT}{place.rstrip('`')}", message)])
    except msgspec.DecodeError as error:
        return Faults([Fault(ROOT, str(error))])
    except RecursionError:
        return Faults([Fault(ROOT, TOO_DEEP)])


def steering_faults(spec: WorkflowSpec) -> Iterator[Fault]:
    """Fields that steer one run: each run would be stopped, restarted or decided before it has begun."""
    yield from in_template(Faults(creation_faults(spec)))
    for name, value in (("shutdown", spec.shutdown), ("restart", spec.restart)):
        if value is not None:
            message = "steers one Workflow; remove it here, and set it on the run that it is for"
            yield fault(f"{ROOT}.{name}", message, msgspec.to_builtins(value))


def in_template(found: Faults) -> Faults:
    """Faults of a Workflow, with the paths that they have in a CronWorkflow."""
    placed = Faults(
        msgspec.structs.replace(one, path=_placed(one.path) or ROOT, message=_placed(one.message)) for one in found
    )
    placed.others += found.others
    return placed


def _placed(text: str) -> str:
    return _SPEC.sub(ROOT, text)


def _name_faults(name: str) -> Iterator[Fault]:
    if len(name) > MAX_CRON_NAME:
        message = (
            f"has {len(name)} characters; at most {MAX_CRON_NAME} are allowed, because the names of its runs are longer"
        )
        yield fault("metadata.name", message, name)


def _meta_faults(meta: RunMeta) -> Iterator[Fault]:
    path = "spec.workflowTemplate.metadata"
    for field, entries in (("labels", meta.labels), ("annotations", meta.annotations)):
        for key in entries:
            if key.startswith(f"{GROUP}/"):
                yield fault(f"{path}.{field}", f'"{key}" is written by Work-Flow itself; remove it', key)
            elif not _KEY.match(key):
                message = (
                    f'"{key}" is no key: write letters, digits, "-", "_" and ".", with a DNS name and "/" in front'
                )
                yield fault(f"{path}.{field}", message, key)
    for key, value in meta.labels.items():
        if not _LABEL.match(value):
            message = f'"{value}" is no value of a label: at most 63 letters, digits, "-", "_" and "."'
            yield fault(f"{path}.labels[{key}]", message, value)
