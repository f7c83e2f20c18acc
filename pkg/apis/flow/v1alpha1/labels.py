"""Labels that tie jobs and pods to their task, and how a workflow's name becomes a label value."""

from __future__ import annotations

import hashlib
from typing import Final

WORKFLOW: Final = "flow.workflow.sh/workflow"
WORKFLOW_UID: Final = "flow.workflow.sh/workflow-uid"
FLOW: Final = "flow.workflow.sh/flow"
INDEX: Final = "flow.workflow.sh/index"
ATTEMPT: Final = "flow.workflow.sh/attempt"
# On pods of flows whose address somebody waits for: the only pods that the controller watches.
PROBED: Final = "flow.workflow.sh/probed"
# An annotation, of Workflows that are jobs of another: how many they are inside of.
DEPTH: Final = "flow.workflow.sh/depth"

MAX_VALUE: Final = 63


def workflow_value(name: str) -> str:
    """A workflow's name as a label value: itself, or cut with 8 hex of its SHA-256 when longer than 63."""
    if len(name) <= MAX_VALUE:
        return name
    return f"{name[: MAX_VALUE - 9].rstrip('-.')}-{short_hash(name)}"


def short_hash(text: str) -> str:
    """8 hex digits of SHA-256."""
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
