"""The Workflows that a CronWorkflow makes: their names and their manifests. Pure.

The name of a run is that of the CronWorkflow and the minute of its scheduled time. So a second attempt to make the same
run meets the first one, whoever made that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pkg.apis.flow.v1alpha1.labels import CRON, SCHEDULED
from pkg.apis.flow.v1alpha1.schedules import MINUTE
from pkg.apis.flow.v1alpha1.types import API_VERSION, GROUP, CronWorkflow
from pkg.apis.meta import ObjectMeta, OwnerReference

KIND: Final = "CronWorkflow"
_MINUTE_OF: Final = re.compile(r"(.+)-(0|[1-9][0-9]{0,9})\Z")


def run_name(cron: str, time: int) -> str:
    """The name of the run of a scheduled time (seconds since the epoch)."""
    return f"{cron}-{time // MINUTE}"


def time_of(cron: str, name: str) -> int | None:
    """The scheduled time in the name of a run; None for a run that was not made by a schedule."""
    found = _MINUTE_OF.match(name)
    return int(found[2]) * MINUTE if found is not None and found[1] == cron else None


def triggered_prefix(cron: str) -> str:
    """The generateName of a run that a person starts."""
    return f"{cron}-now-"


def cron_of(meta: ObjectMeta) -> OwnerReference | None:
    """The CronWorkflow that controls a Workflow; None if none does."""
    owner = meta.controller
    is_cron = owner is not None and owner.kind == KIND and owner.api_version.partition("/")[0] == GROUP
    return owner if is_cron else None


def run_manifest(
    cron: CronWorkflow, *, scheduled: str, name: str = "", annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A run, as it is created. Its spec is the JSON text of the template, so it is not decoded.

    scheduled: for `{{workflow.scheduledTime}}`; name: without one the API server adds five characters; annotations:
    those that say who is behind it.
    """
    meta, template = cron.metadata, cron.spec.workflow_template
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "Workflow",
        "metadata": {
            **({"name": name} if name else {"generateName": triggered_prefix(meta.name)}),
            "namespace": meta.namespace,
            "labels": {**template.metadata.labels, CRON: meta.name},
            "annotations": {**template.metadata.annotations, **(annotations or {}), SCHEDULED: scheduled},
            "ownerReferences": [owner],
        },
        "spec": template.raw_spec,
    }
