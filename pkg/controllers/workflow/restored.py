"""Holds a Workflow that was restored from a backup without its status: nothing says which of its tasks have run.

Velero restores the status of custom resources only where it is asked to. Such a Workflow would run from the start, and
every finished task of it again. Velero puts its own label on what it restores. Pure.
"""

from __future__ import annotations

from typing import Final

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.apis.meta import Condition, timestamp
from pkg.controllers.workflow.planner.actions import PatchStatus

LABEL: Final = "velero.io/restore-name"
#: Velero writes the status a moment after it has created the object. A status that is written meanwhile prevents this.
GRACE_SECONDS: Final = 10.0


def is_held(workflow: Workflow) -> bool:
    """Whether nothing may be made for the workflow."""
    return workflow.status.phase is None and LABEL in workflow.metadata.labels


def seconds_left(workflow: Workflow, now: float) -> float:
    """How long to wait for the status, from `now` (seconds since the epoch); GRACE_SECONDS at most, whatever the clocks
    say.
    """
    created = workflow.metadata.creation_timestamp
    since = now - created.timestamp() if created is not None else GRACE_SECONDS
    return min(GRACE_SECONDS, max(0.0, GRACE_SECONDS - since))


def notice(workflow: Workflow, now: float) -> PatchStatus | None:
    """The write that says so in the status, which has no phase meanwhile; None if it says so already."""
    meta = workflow.metadata
    if workflow.status.reason == Reasons.RESTORED:
        return None
    message = message_of(workflow)
    blocked = Condition(conds.BLOCKED, conds.TRUE, Reasons.RESTORED, message, timestamp(now), meta.generation)
    said = {
        "reason": Reasons.RESTORED,
        "message": message,
        "observedGeneration": meta.generation,
        "conditions": (blocked,),
    }
    guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": meta.resource_version}
    return PatchStatus(meta.namespace, meta.name, (guard, {"op": "add", "path": "/status", "value": said}))


def message_of(workflow: Workflow) -> str:
    """What happened, and what to do."""
    meta = workflow.metadata
    again = "velero restore create --status-include-resources=workflows.flow.workflow.sh"
    run = f"kubectl -n {meta.namespace} label wkf {meta.name} {LABEL}-"
    return (
        "the Workflow was restored from a backup without its status, so nothing says which of its tasks have run; "
        f"delete it and restore it with its status ({again}), or let it run from the start ({run})"
    )
