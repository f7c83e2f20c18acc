"""Which attempt of which task a job belongs to, and whether an object only pretends to be such a job.

A job is ours by four things together: its namespace, its controller owner (name and UID), its labels, and a name that
this controller gives. Labels and owner references are free text: anybody who may create jobs can write them.
"""

from __future__ import annotations

from typing import NamedTuple

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import GROUP, Workflow
from pkg.apis.meta import Job
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.render.job_names import is_name_of

# Digits of an index or attempt in a label. The controller never writes a longer number.
MAX_DIGITS = 9


class WorkflowId(NamedTuple):
    """One Workflow object. The UID alone is not enough: an object in another namespace may claim it."""

    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> str:
        """`namespace/name`, as the workqueue has it."""
        return f"{self.namespace}/{self.name}"

    @classmethod
    def of(cls, workflow: Workflow) -> WorkflowId:
        meta = workflow.metadata
        return cls(meta.namespace, meta.name, meta.uid)


class JobIdentity(NamedTuple):
    """One attempt of one task of one workflow."""

    workflow: WorkflowId
    task: TaskKey
    attempt: int


def identify(job: Job) -> JobIdentity | None:
    """The attempt that a job belongs to; None for an object that is no job of a Workflow, whatever its labels claim."""
    found = claimed_identity(job)
    if found is None:
        return None
    is_ours = is_name_of(
        job.metadata.name,
        workflow=found.workflow.name,
        flow=found.task.flow,
        index=found.task.index if labels.INDEX in job.metadata.labels else None,
        attempt=found.attempt,
        uid=found.workflow.uid,
    )
    return found if is_ours else None


def claimed_identity(job: Job) -> JobIdentity | None:
    """The identity that owner reference and labels claim, under any name; None if they claim none."""
    meta = job.metadata
    owner = meta.controller
    if owner is None or not owner.uid or owner.kind != "Workflow" or not owner.api_version.startswith(f"{GROUP}/"):
        return None
    tags = meta.labels
    name = labels.workflow_value(owner.name)
    if (tags.get(labels.WORKFLOW_UID, owner.uid), tags.get(labels.WORKFLOW, name)) != (owner.uid, name):
        return None  # labels and owner contradict each other
    flow, index, attempt = tags.get(labels.FLOW), tags.get(labels.INDEX, "0"), tags.get(labels.ATTEMPT)
    if not flow or attempt is None or not (_is_number(index) and _is_number(attempt)):
        return None
    return JobIdentity(WorkflowId(meta.namespace, owner.name, owner.uid), TaskKey(flow, int(index)), int(attempt))


def is_job_of(job: Job, attempt: JobIdentity) -> bool:
    """Whether a job is that attempt's, under any name, and watches show it: they select by the label of the uid."""
    return claimed_identity(job) == attempt and _is_shown(job, attempt.workflow)


def is_stripped(job: Job, workflow: WorkflowId) -> bool:
    """Whether an object is no job of a task any more, and its owner, or without one a label, says that this workflow
    made it. One that claims another task, or has another controller, is a stranger.
    """
    meta = job.metadata
    is_claimed = claimed_identity(job) is not None and _is_shown(job, workflow)
    if is_claimed or (meta.controller is not None and meta.controller.uid != workflow.uid):
        return False
    return _is_shown(job, workflow) or any(owner.uid == workflow.uid for owner in meta.owner_references)


def _is_shown(job: Job, workflow: WorkflowId) -> bool:
    return job.metadata.labels.get(labels.WORKFLOW_UID) == workflow.uid


def what_changed(old: Job, new: Job) -> str:
    """Which of the labels and owner references that make `old` a job of a task `new` has no more, in words."""
    for label in (labels.WORKFLOW_UID, labels.WORKFLOW, labels.FLOW, labels.INDEX, labels.ATTEMPT):
        before, after = old.metadata.labels.get(label), new.metadata.labels.get(label)
        if before == after:
            continue
        if after is None:
            return f"its label {label} was removed"
        return f"its label {label} was {'added' if before is None else f'changed from {before!r}'} to {after[:63]!r}"
    was, now = old.metadata.controller, new.metadata.controller
    if was is not None and now is None:
        has_owner = any(owner.uid == was.uid for owner in new.metadata.owner_references)
        how = "has no controller: true any more" if has_owner else "was removed"
        return f"its owner reference to the Workflow {how}"
    return "its controller owner was changed" if was != now else "its metadata was changed"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and (text == "0" or text[0] != "0")
