"""Whether the spec of a workflow was edited since it started, in a way that changes what it means."""

from __future__ import annotations

from typing import Final

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.spec_hash import is_comparable, is_hash_of
from pkg.apis.flow.v1alpha1.types import RetainPolicy, Workflow, WorkflowStatus

#: What a flow says that could go on but for the edit.
HELD: Final = "the spec was edited; the condition SpecChanged says what to do"


def policy_in_force(workflow: Workflow) -> RetainPolicy:
    """The jobRetainPolicy of the spec in force, for a workflow that has ended. A later edit does not count."""
    record = records.record_of(workflow.status)
    return record.job_retain_policy if is_comparable(record.spec_hash) else workflow.spec.job_retain_policy


def is_held_in(status: WorkflowStatus) -> bool:
    """Whether status says that the workflow is held for an edit."""
    return conds.is_true(status.conditions, conds.SPEC_CHANGED)


def is_edited(workflow: Workflow, spec_hash: str) -> bool:
    """Whether the spec means something else than the one that status records. spec_hash: of the spec as it is now.

    A hash of another algorithm is not judged where status has seen this generation and does not hold the workflow: the
    same spec hashes differently there.
    """
    recorded = records.record_of(workflow.status).spec_hash
    if recorded in ("", spec_hash):
        return False
    if is_comparable(recorded):
        return True
    is_seen = workflow.status.observed_generation == workflow.metadata.generation
    return (is_held_in(workflow.status) or not is_seen) and not is_hash_of(recorded, workflow.spec)
