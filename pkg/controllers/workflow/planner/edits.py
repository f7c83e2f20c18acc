"""Whether the spec of a workflow was edited since it started, in a way that changes what it means."""

from __future__ import annotations

from pkg.apis.flow.v1alpha1.spec_hash import is_comparable, is_hash_of
from pkg.apis.flow.v1alpha1.types import Workflow


def is_edited(workflow: Workflow, spec_hash: str, *, is_held: bool = False) -> bool:
    """Whether the spec means something else than the one that status records.

    spec_hash: of the spec as it is now; is_held: the workflow is already held for an edit. A hash of another algorithm
    is not judged where status has seen this generation: the same spec hashes differently there.
    """
    recorded = workflow.status.spec_hash
    if recorded in ("", spec_hash):
        return False
    if is_comparable(recorded):
        return True
    is_seen = workflow.status.observed_generation == workflow.metadata.generation
    return (is_held or not is_seen) and not is_hash_of(recorded, workflow.spec)
