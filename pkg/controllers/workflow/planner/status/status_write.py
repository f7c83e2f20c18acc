"""Whether status is written now, and what. Writes are coalesced in a window; a large status is rendered in parts.

Under load the first write of a workflow waits for the window, too: a short workflow then ends with one write. Until it
comes, the memory of this process keeps when the workflow began and of which spec, and the planner reads that as if
status recorded it. The jobs say it to a controller that takes over meanwhile: see `begun.py`.
"""

from __future__ import annotations

from msgspec import structs

from pkg.apis.flow.v1alpha1.labels import DEPTH
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.controllers.workflow.planner.actions import Emit, PatchStatus
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.waiting import reworded
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import NEVER, Progress
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.controllers.workflow.planner.status import workflow_status
from pkg.controllers.workflow.planner.status.concern import blocked_event
from pkg.controllers.workflow.planner.status.events import shortened
from pkg.controllers.workflow.planner.status.status_patch import patch_status

# Seconds between two writes of status. The window grows with the size of the workflow and the load.
MIN_WINDOW = 0.8
MAX_WINDOW = 5.0
# The first status of a workflow of more tasks never waits.
MAX_UNWRITTEN = 100
# Flows of which one pass renders the status, unless it is urgent.
MAX_RENDERED = 2_000


def write_due(progress: Progress, snapshot: Snapshot) -> float:
    """When status may be written again that has no haste (seconds since the epoch)."""
    total = snapshot.graph.total if isinstance(snapshot.graph, Graph) else 0
    return progress.written_at + min(MAX_WINDOW, MIN_WINDOW + total / 2000 + snapshot.load)


def status_write(
    ctx: Context, progress: Progress, phase: WorkflowPhase, *, is_urgent: bool, makes_jobs: bool
) -> tuple[PatchStatus | None, Progress, float, tuple[Emit, ...]]:
    """The status write if one is due, the progress with the statuses made for it, when the next write is due, and the
    Events of what it says. makes_jobs: this pass creates some.
    """
    snapshot = ctx.snapshot
    recorded = snapshot.workflow.status
    is_dirty = (
        progress.is_dirty
        or snapshot.is_unwritten
        or phase is not recorded.phase
        or recorded.observed_generation != snapshot.workflow.metadata.generation
    )
    if not is_dirty:
        return None, progress, NEVER, ()
    if recorded.phase is not None and recorded.observed_generation != snapshot.workflow.metadata.generation:
        is_urgent = True  # a person edited the spec, and looks at what comes of it
    if snapshot.is_unwritten and snapshot.faults:
        is_urgent = True  # a job cannot be made, and nothing says so yet
    if snapshot.is_dry_run and not is_urgent and recorded.phase is not None:
        return None, structs.replace(progress, is_dirty=True), NEVER, ()
    if makes_jobs and not is_urgent and _may_begin_unwritten(snapshot, phase):
        progress = structs.replace(progress, is_dirty=True, written_at=snapshot.now)
        return None, progress, write_due(progress, snapshot), ()
    if _may_have_begun_otherwise(snapshot) and not phase.is_final:
        return None, structs.replace(progress, is_dirty=True), NEVER, ()
    due = write_due(progress, snapshot)
    # A clock that was set back must not delay the write.
    if progress.written_at <= snapshot.now < due and not is_urgent:
        return None, structs.replace(progress, is_dirty=True), due, ()
    progress = reworded(ctx, progress)
    if not is_urgent and len(ctx.graph.nodes) > MAX_RENDERED:
        progress = structs.replace(progress, rendered=workflow_status.render_flows(ctx.graph, progress, MAX_RENDERED))
        if not workflow_status.is_rendered(progress):
            return None, structs.replace(progress, is_dirty=True), snapshot.now, ()
    made = workflow_status.workflow_status(snapshot, ctx.graph, progress, phase)
    progress = structs.replace(
        progress,
        rendered=made.flows,
        left_out=made.left_out,
        blocked=made.blocked.cause if made.blocked is not None else None,
    )
    patch = patch_status(snapshot, made.status)
    if patch is None:  # status already says so
        progress = progress.acknowledged(progress.written_at)
    said = (*shortened(ctx.draft.base.left_out, made.left_out), *blocked_event(ctx.draft.base.blocked, made.blocked))
    return patch, progress, NEVER, said


def _may_begin_unwritten(snapshot: Snapshot, phase: WorkflowPhase) -> bool:
    """Whether the first write of a workflow that begins now waits: the load is such that it doubles the window.

    Others may have to know of a workflow with locks: who waits longer comes first, also under the next controller. That
    a nested workflow runs matters to the one above it. What a restored workflow says is not true any more. And beside
    the jobs of a large workflow the write costs little.
    """
    meta, recorded, graph = snapshot.workflow.metadata, snapshot.workflow.status, snapshot.graph
    if recorded.phase is not None or recorded.conditions or snapshot.load <= MIN_WINDOW:
        return False
    if not isinstance(graph, Graph) or graph.lock_names or graph.total > MAX_UNWRITTEN or DEPTH in meta.annotations:
        return False
    return phase in (WorkflowPhase.PENDING, WorkflowPhase.RUNNING)


def _may_have_begun_otherwise(snapshot: Snapshot) -> bool:
    """Whether a job that no cache shows yet may say that the workflow has begun with the spec before an edit."""
    workflow = snapshot.workflow
    if workflow.status.phase is not None or workflow.metadata.generation == 1:
        return False
    return any(gvr not in snapshot.unlisted for gvr in snapshot.awaited)
