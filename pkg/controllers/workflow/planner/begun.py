"""What counts as the status of a workflow that has begun and of which no status is written yet.

Under load the first write waits for the window, and a controller may die before it. So each job that is made before the
first write carries an annotation that says of which spec: the next controller knows from the jobs when the workflow
began, and whether its spec was edited since. Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

import msgspec

from pkg.apis.flow.v1alpha1 import labels, records
from pkg.apis.flow.v1alpha1.indexes import pack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import (
    MAX_TASKS,
    FlowStatus,
    KindRecord,
    Record,
    RetainPolicy,
    Workflow,
    WorkflowStatus,
)
from pkg.apis.meta import timestamp
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot

# Characters of a hash; what is longer was written by somebody else.
_MAX_HASH: Final = 64

JobsOfTasks = Collection[tuple[TaskKey, ObservedJob]]


class Begin(NamedTuple):
    """The generation of the Workflow of whose spec a job was made, and the hash of that spec."""

    generation: int
    spec_hash: str

    @property
    def text(self) -> str:
        """The value of the annotation."""
        return f"{self.spec_hash}/{self.generation}"


def read_begin(text: str) -> Begin | None:
    """What the annotation says; None if it is none of ours."""
    hashed, slash, number = text.rpartition("/")
    if not slash or not 0 < len(hashed) <= _MAX_HASH or not (number.isascii() and number.isdigit()) or len(number) > 18:
        return None
    return Begin(int(number), hashed)


def begin_of(workflow: Workflow, jobs: JobsOfTasks) -> Begin | None:
    """The begin that the jobs of a workflow carry; None if none carries any. The first one counts.

    Who may edit jobs may write the annotation. One of a generation that there was not yet is none of ours.
    """
    first: Begin | None = None
    for _, observed in jobs:
        text = observed.job.metadata.annotations.get(labels.BEGUN)
        if text is None or observed.is_foreign or (found := read_begin(text)) is None:
            continue
        if 1 <= found.generation <= workflow.metadata.generation:
            first = found if first is None else min(first, found)
    return first


def note_of(snapshot: Snapshot) -> str:
    """The annotation for a job that is made now; empty once status is written."""
    workflow = snapshot.workflow
    if snapshot.is_unwritten:
        status = workflow.status
        return Begin(status.observed_generation, records.record_of(status).spec_hash).text
    return "" if workflow.status.phase is not None else Begin(workflow.metadata.generation, snapshot.spec_hash).text


def begun_now(workflow: Workflow, spec_hash: str, phase: WorkflowPhase, now: float) -> WorkflowStatus:
    """What counts as the status of a workflow that begins now. now: seconds since the epoch."""
    return _begun(workflow, Begin(workflow.metadata.generation, spec_hash), workflow.spec.job_retain_policy, phase, now)


def begun_before(workflow: Workflow, begin: Begin, jobs: JobsOfTasks, now: float) -> WorkflowStatus:
    """The same for a workflow that another controller has begun, by its jobs.

    If the spec was edited since, it lists the flows that have jobs: nothing else tells of the spec that it began with.
    Nor does anything tell of its jobRetainPolicy, and the jobs are to stay.
    """
    made_at = (one.job.metadata.creation_timestamp for _, one in jobs if not one.is_foreign)
    times = [at.timestamp() for at in made_at if at is not None]
    # The time of a creation lacks its fraction of a second. A timeout may come late, never early.
    since = min(now, min(times) + 1) if times else now
    is_same = begin.generation == workflow.metadata.generation
    policy = workflow.spec.job_retain_policy if is_same else RetainPolicy.RETAIN
    begun = _begun(workflow, begin, policy, WorkflowPhase.RUNNING, since)
    return begun if is_same else with_flows_of(begun, jobs)


def with_flows_of(status: WorkflowStatus, jobs: JobsOfTasks) -> WorkflowStatus:
    """The status with the flows that have these jobs, and with their kinds, in place of those that it lists.

    Anybody who may create jobs can name flows and indexes. Jobs above the limit of tasks of a workflow are left out.
    """
    by_flow: dict[str, list[tuple[TaskKey, ObservedJob]]] = {}
    by_kind: dict[str, set[str]] = {}
    sizes: dict[str, int] = {}
    total = 0
    for key, observed in jobs:
        known = sizes.get(key.flow, 0)
        size = max(known, 1 + key.index)
        if observed.is_foreign or total + size - known > MAX_TASKS:
            continue
        sizes[key.flow], total = size, total + size - known
        by_flow.setdefault(key.flow, []).append((key, observed))
        by_kind.setdefault(str(observed.gvr), set()).add(key.flow)
    names = sorted(by_flow)
    kinds = (KindRecord(gvr=gvr, flows=records.positions_of(by_kind[gvr], names)) for gvr in sorted(by_kind))
    flows = tuple(_flow(name, by_flow[name]) for name in names)
    return records.moved(msgspec.structs.replace(status, flows=flows), kinds=tuple(kinds))


def _flow(name: str, jobs: JobsOfTasks) -> FlowStatus:
    """A flow that has these jobs. How they go is read from them."""
    is_indexed = any(labels.INDEX in observed.job.metadata.labels for _, observed in jobs)
    return FlowStatus(
        name=name,
        phase=Phase.PENDING,
        attempts=len(jobs) if is_indexed else 1 + max(observed.attempt for _, observed in jobs),
        pending=pack_indexes(sorted({key.index for key, _ in jobs})) if is_indexed else "",
    )


def _begun(
    workflow: Workflow, begin: Begin, policy: RetainPolicy, phase: WorkflowPhase, since: float
) -> WorkflowStatus:
    """What the planner asks a recorded status for while the workflow runs. The rest stays, as after a restore."""
    return msgspec.structs.replace(
        workflow.status,
        phase=phase,
        start_time=timestamp(since),
        observed_generation=begin.generation,
        record=Record(spec_hash=begin.spec_hash, job_retain_policy=policy),
    )
