"""Which workflows stood in line for locks when another controller led."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pkg.apis.flow.v1alpha1.types import Workflow


def standing(workflows: Iterable[Workflow]) -> Iterator[str]:
    """The keys, `namespace/name`, of unfinished workflows whose status records that a task waits for locks."""
    for workflow in workflows:
        record, phase = workflow.status.record, workflow.status.phase
        if record is None or phase is None or phase.is_final or workflow.metadata.is_deleting:
            continue
        if any(kept.waits_since for flow in record.flows for kept in flow.kept):
            yield workflow.metadata.key
