"""Whose jobs are read first as a process begins: those of the workflows that run.

Where most workflows have ended, the list of all jobs takes long, and none of the jobs in it has anything to do. The
others need their own jobs alone to go on. Until the list is there nobody sees what becomes of these jobs, so a workflow
that judges by time waits for the list. Versions of Workflows and jobs are compared: they are from one etcd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Workflow, WorkflowSpec
from pkg.apis.meta import GVR
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.owner_batches import batches
from pkg.controllers.engine.reflector_options import Owners

# Of one request, which has no pages.
MAX_TASKS: Final = 500
WAIT_SECONDS: Final = 0.5
WAITS: Final = 40
# Those that run have at most this share of all tasks: else reading their jobs twice takes longer than it saves.
MAX_SHARE: Final = 0.5


def first_jobs(workflows: InformerSet[Workflow], gvr: GVR, is_stopped: Callable[[], bool]) -> Sequence[Owners]:
    """Whose jobs of a kind are read first. Waits for the workflows: some seconds, for the page of the list that has
    come cannot be continued for ever.
    """
    for _ in range(WAITS):
        if is_stopped():
            return ()
        if workflows.wait_synced(WORKFLOWS, WAIT_SECONDS):
            break
    else:
        return ()
    store = workflows.ensure(WORKFLOWS)
    found = store.values()
    return in_parts(found, gvr, store.synced_rv)


def in_parts(workflows: Iterable[Workflow], gvr: GVR, version: int) -> tuple[Owners, ...]:
    """The running workflows in parts with about as many jobs; none if it saves nothing.

    version: of the cache that the workflows are from.
    """
    total, running, kind = 0, list[Workflow](), str(gvr)
    for workflow in workflows:
        status = workflow.status
        if kind not in records.kinds_of(status):
            continue
        total += status.tasks.total
        if status.phase is not None and not status.phase.is_final:
            running.append(workflow)
    if sum(workflow.status.tasks.total for workflow in running) > MAX_SHARE * total:
        return ()
    # The others wait for the list.
    counts = [(workflow, workflow.status.tasks.total) for workflow in running if not is_timed(workflow.spec)]
    small = [(workflow, count) for workflow, count in counts if count <= MAX_TASKS]
    return tuple(_part(batch, version) for batch in batches(small, MAX_TASKS))


def is_timed(spec: WorkflowSpec) -> bool:
    """Whether a task fails if its job, or a probe of it, takes too long."""
    return any(
        flow.timeout or flow.pending_timeout or (flow.depends_on is not None and flow.depends_on.probe is not None)
        for flow in spec.flows
    )


def _part(workflows: Sequence[Workflow], version: int) -> Owners:
    return Owners({workflow.metadata.uid: workflow.metadata.key for workflow in workflows}, version)
