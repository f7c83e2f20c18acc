"""The labels and annotations of jobs and pods, and the label value for a workflow's name."""

from __future__ import annotations

import hashlib
from typing import Final

WORKFLOW: Final = "flow.workflow.sh/workflow"
WORKFLOW_UID: Final = "flow.workflow.sh/workflow-uid"
FLOW: Final = "flow.workflow.sh/flow"
INDEX: Final = "flow.workflow.sh/index"
ATTEMPT: Final = "flow.workflow.sh/attempt"
#: Those that say which task a job belongs to.
OF_TASKS: Final = frozenset({WORKFLOW, WORKFLOW_UID, FLOW, INDEX, ATTEMPT})
# On pods of flows that are probed or whose podIP is used. The controller watches only these pods.
PROBED: Final = "flow.workflow.sh/probed"
# Annotation of a Workflow that is a job of another Workflow: how many Workflows are above it.
DEPTH: Final = "flow.workflow.sh/depth"

#: Label of a Workflow that a CronWorkflow made: the name of the CronWorkflow.
CRON: Final = "flow.workflow.sh/cron-workflow"
#: Annotation of a Workflow: its scheduled time (RFC 3339, in the zone of the schedule). It cannot be changed.
SCHEDULED: Final = "flow.workflow.sh/scheduled-time"

# Annotation of a job that was made before status was written: of which spec the workflow has begun.
BEGUN: Final = "flow.workflow.sh/begun"
# Annotation of a job: the status rules and the completion of its template, so that they outlive it.
RULES: Final = "flow.workflow.sh/rules"

MAX_VALUE: Final = 63
#: So many different ones of these are recorded with one flow: its jobs may be of several versions of the template.
MAX_RULES_OF_FLOW: Final = 4
#: Bytes of the annotation RULES. A template with more is not carried by its jobs.
MAX_RULES: Final = 16 * 1024


def workflow_value(name: str) -> str:
    """A workflow's name as a label value: the name, or above 63 characters a prefix and a short hash."""
    if len(name) <= MAX_VALUE:
        return name
    return f"{name[: MAX_VALUE - 9].rstrip('-.')}-{short_hash(name)}"


def short_hash(text: str) -> str:
    """The first 8 hex digits of the SHA-256 of the text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def for_task(*, workflow: str, uid: str, flow: str, index: int | None, attempt: int) -> dict[str, str]:
    """The labels of one attempt's job and its pods; `index` is None for a flow without `for`."""
    labels = {
        WORKFLOW: workflow_value(workflow),
        WORKFLOW_UID: uid,
        FLOW: flow,
        ATTEMPT: str(attempt),
    }
    if index is not None:
        labels[INDEX] = str(index)
    return labels
