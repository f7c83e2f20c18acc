"""Which changes of an object a plan reads. Pure. Other changes requeue no workflow."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pkg.apis.flow.v1alpha1 import people, records
from pkg.apis.flow.v1alpha1.types import GROUP, Workflow, WorkTemplate
from pkg.apis.meta import ObjectMeta
from pkg.controllers.workflow import restored

T = TypeVar("T", bound=msgspec.Struct)


def is_workflow_relevant(old: Workflow | None, new: Workflow | None) -> bool:
    """Whether a Workflow came, went, or changed in its spec, its status or the metadata that a plan reads."""
    return old is None or new is None or _metadata_read(old) != _metadata_read(new) or old.status != new.status


def is_template_relevant(old: WorkTemplate | None, new: WorkTemplate | None) -> bool:
    """Whether a WorkTemplate came, went, or got another spec or other people behind it.

    Plans do not read its status (usedBy).
    """
    return old is None or new is None or _template_metadata(old) != _template_metadata(new)


def reads_templates(workflow: Workflow) -> bool:
    """Whether a plan of the workflow may need its templates: not once it is over, unless it is to be restarted."""
    phase, restart = workflow.status.phase, workflow.spec.restart
    is_over = phase is not None and phase.is_final
    return not is_over or (restart is not None and restart.at != records.record_of(workflow.status).restarted_at)


def is_same_state(old: T, new: T) -> bool:
    """Whether two copies of one object differ in nothing that the cache keeps of it, but their resource version.

    Both are structs with a field `metadata`, an ObjectMeta.
    """
    if type(old) is not type(new):
        return False
    for name in old.__struct_fields__:
        one, other = getattr(old, name), getattr(new, name)
        if name == "metadata":
            other = msgspec.structs.replace(other, resource_version=one.resource_version)
        if one != other:
            return False
    return True


def _spec_version(meta: ObjectMeta) -> tuple[str, int]:
    """The API server raises the generation at every change of a spec."""
    return meta.uid, meta.generation


def _template_metadata(template: WorkTemplate) -> tuple[object, ...]:
    notes = template.metadata.annotations
    meta = template.metadata
    return _spec_version(meta), meta.is_deleting, notes.get(people.EDITED_BY), notes.get(people.MADE_FOR)


def _metadata_read(workflow: Workflow) -> tuple[object, ...]:
    meta = workflow.metadata
    ours = {name: text for name, text in meta.annotations.items() if name.startswith(GROUP)}
    return _spec_version(meta), meta.deletion_timestamp, meta.finalizers, ours, restored.LABEL in meta.labels
