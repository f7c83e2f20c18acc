"""The Workflow that a CronWorkflow in a manifest would make: a run, before anybody knows when it is. Pure."""

from __future__ import annotations

from typing import Final

from pkg.apis.flow.v1alpha1.labels import CRON, SCHEDULED
from pkg.apis.flow.v1alpha1.types import CronWorkflow, Workflow
from pkg.apis.meta import ObjectMeta

#: Stands for `{{workflow.scheduledTime}}`.
TIME: Final = "<scheduled time>"


def run_of(cron: CronWorkflow) -> Workflow:
    """A run, with a generateName because its name ends with the time. Raises what the decoding of the spec does."""
    meta, template = cron.metadata, cron.spec.workflow_template
    metadata = ObjectMeta(
        name="",
        generate_name=f"{meta.name or meta.generate_name}-",
        namespace=meta.namespace,
        labels={**template.metadata.labels, CRON: meta.name},
        annotations={**template.metadata.annotations, SCHEDULED: TIME},
    )
    return Workflow(metadata, template.spec)


def is_run(workflow: Workflow) -> bool:
    """Whether a Workflow is such a run."""
    return workflow.metadata.annotations.get(SCHEDULED) == TIME
