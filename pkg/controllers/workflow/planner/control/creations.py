"""Which jobs are created now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.phases import BACKOFF, FAILED, UNFINISHED, WAITING
from pkg.apis.flow.v1alpha1.reasons import KEPT_UNTIL_CREATED, NOT_SHOWN_BY_JOB, Reasons
from pkg.apis.flow.v1alpha1.substitution import SchemaNeeded
from pkg.apis.flow.v1alpha1.types import Shutdown
from pkg.controllers.workflow.planner.actions import CreateJob, Emit
from pkg.controllers.workflow.planner.begun import note_of
from pkg.controllers.workflow.planner.carried import carried_hash, carried_text, with_hash
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.control.locks import Gate, gate, holder_of, leave_line
from pkg.controllers.workflow.planner.control.objects import foreign_action
from pkg.controllers.workflow.planner.control.obstacles import (
    Candidate,
    Fails,
    NeedsFallbackName,
    NeedsKind,
    NeedsStatus,
    Obstacle,
    Unknown,
    Waits,
    asked_addresses,
    failed_creation,
    obstacle_to_start,
)
from pkg.controllers.workflow.planner.control.outcome import Mode
from pkg.controllers.workflow.planner.control.retry import is_due
from pkg.controllers.workflow.planner.edits import HELD
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.outputs.items import ItemsError, item_of
from pkg.controllers.workflow.planner.outputs.values import variables_for
from pkg.controllers.workflow.planner.progress import NEVER, Task, TaskKey
from pkg.controllers.workflow.planner.reading import look
from pkg.controllers.workflow.planner.render.hidden import outputs_in
from pkg.controllers.workflow.planner.render.render import RenderError, render
from pkg.controllers.workflow.planner.snapshot import Trouble

# Creations of one pass. The key then goes to the back of its shard, so that a wide workflow delays no other.
MAX_CREATIONS = 64
# What the rendering of one job costs of the budget of a pass.
RENDER_UNITS = 20
# A large body costs more, and how far a patch got that does not apply is not known.
BYTES_PER_UNIT = 400
FAILED_RENDER_UNITS = 500
# Seconds after its deletionTimestamp for which the job of an attempt that timed out delays the next attempt.
DELETION_PATIENCE = 120.0
_SUSPENDED = "the workflow is suspended; set spec.suspend to false to go on"


_SAME_OBJECT: Final = (
    "template.metadata.name: this task means the same object as index {}; make the items differ, or add {{{{index}}}}"
    " to the name"
)


@dataclass(slots=True)
class Starts:
    """What `start` found."""

    creations: list[CreateJob] = field(default_factory=list)
    events: list[Emit] = field(default_factory=list)
    #: How many jobs were rendered, whether they can be created or not.
    rendered: int = 0
    #: Status must be written before more jobs can be created.
    needs_status: bool = False
    #: More jobs are to be created than the limit of one pass, or than there is room for.
    over_limit: bool = False
    #: Tasks became ready in the second pass of a reconcile, which creates nothing.
    requeue_now: bool = False
    #: When a failed creation may be tried again (seconds since the epoch, or NEVER).
    requeue_at: float = NEVER
    #: By the number of a flow: the names of the objects that its tasks apply or delete, with their indexes.
    objects: dict[int, dict[str, int]] = field(default_factory=dict)


def start(ctx: Context, how: Mode) -> Starts:
    """The jobs to create now. A task that cannot have a job shows why; one that never can fails."""
    draft, spec = ctx.draft, ctx.snapshot.workflow.spec
    found = Starts()
    slots = NEVER if spec.parallelism is None else spec.parallelism - sum(draft.counts[phase] for phase in UNFINISHED)
    for number in sorted(draft.startable):
        node = ctx.graph.nodes[number]
        if node.is_approval or not draft.count(number, WAITING, BACKOFF):
            draft.startable.discard(number)
            continue
        if how.ends_remaining and not (node.is_finally and spec.shutdown is not Shutdown.TERMINATE):
            continue
        if spec.suspend and not (node.is_finally and spec.shutdown is Shutdown.STOP):
            _suspend(ctx, node, Reasons.WORKFLOW_SUSPENDED, _SUSPENDED)
            continue
        slots -= _start_flow(ctx, node, found, slots)
        if found.over_limit:
            break
        tasks = draft.tasks(number)
        if not (_may_start(tasks[0]) if len(tasks) == 1 else any(map(_may_start, tasks))):
            draft.startable.discard(number)  # a release, or a failure that is retried, adds it again
    return found


def _may_start(task: Task) -> bool:
    """Whether the task waits only for time, a slot or the end of a temporary obstacle."""
    return task.phase is BACKOFF or (task.phase is WAITING and task.released is not None)


def hold(ctx: Context) -> None:
    """Shows on the flows that could start that the workflow is held for an edit of its spec."""
    for number in sorted(ctx.draft.startable.difference(ctx.graph.approvals)):
        _suspend(ctx, ctx.graph.nodes[number], Reasons.SPEC_CHANGED, HELD)


def _suspend(ctx: Context, node: Node, reason: str, message: str) -> None:
    """Shows on a flow that could start why it does not."""
    if any(_may_start(task) for task in ctx.draft.tasks(node.number)):
        _show(ctx, node, reason, message)
        _reset_pending_clock(ctx, node)
        leave_line(ctx, node)
    else:
        ctx.draft.startable.discard(node.number)  # its tasks wait for dependencies as well


def _start_flow(ctx: Context, node: Node, found: Starts, slots: float) -> int:
    """Creates jobs of one flow, in the order of their indexes; returns how many."""
    draft = ctx.draft
    free = NEVER if node.parallelism is None else node.parallelism - draft.count(node.number, *UNFINISHED)
    created = 0
    room = ctx.snapshot.room
    limit = MAX_CREATIONS if room is None else min(room, MAX_CREATIONS)
    is_hidden = ctx.may_hide_jobs(node)
    ready: Task | None = None
    makeable: Task | None = None
    tasks = tuple(draft.tasks(node.number))
    locks = gate(ctx, node, min(slots, free), lambda of, obstacle: _apply(ctx, of, obstacle, found))
    for index, task in enumerate(tasks) if locks is None else locks.order(tasks):
        is_ready = task.phase is WAITING and task.released is not None
        if not is_ready and not is_due(task, ctx.now):
            continue
        if task.reason and (until := _previous_job_until(ctx, node, index, task)) > ctx.now:
            found.requeue_at = min(found.requeue_at, until)
            continue
        if locks is not None and not locks.admits(Candidate(node, index, task, _next_attempt(ctx, node, task))):
            continue
        if created >= min(slots, free):
            text = _full(ctx, node, slots <= free)
            _show(ctx, node, Reasons.PARALLELISM_REACHED, text)
            _reset_pending_clock(ctx, node, index)
            if locks is None:
                break
            locks.give_back(index, draft.task(node.number, index))
            continue
        if len(found.creations) >= limit or (found.rendered and ctx.budget.is_spent):
            found.over_limit = True
            break
        if task.current.makeable is None and not is_hidden:
            if makeable is None or task is not ready:  # thousands of tasks that are one value in memory stay so
                ready, makeable = task, task.with_current(makeable=ctx.now)
            task = makeable
            draft.put(node.number, index, task)
        candidate = Candidate(node, index, task, _next_attempt(ctx, node, task))
        if not ctx.snapshot.may_create:
            if not _show_failed_creation(ctx, candidate):
                found.requeue_now = True
            elif locks is not None:
                locks.after_refusal(candidate)
            continue
        creation = _create(ctx, candidate, found, locks)
        if creation is not None:
            if draft.state(node.number).wait_reason not in KEPT_UNTIL_CREATED:
                _show(ctx, node, "", "")
            found.creations.append(creation)
            created += 1
    if locks is not None:
        locks.show(_full(ctx, node, slots <= free))
    return created


def _full(ctx: Context, node: Node, is_workflow: bool) -> str:
    """What a task reads that waits for a slot: how many are in use, and which field says so."""
    spec = ctx.snapshot.workflow.spec
    if is_workflow:
        limit, field = spec.parallelism or 0, "spec.parallelism"
        used = sum(ctx.draft.counts[phase] for phase in UNFINISHED)
    else:
        limit, field = node.parallelism or 0, "for.parallelism of the flow"
        used = ctx.draft.count(node.number, *UNFINISHED)
    # Those that are created in this pass are not counted yet.
    return f"waits for a free slot: {max(used, limit)} of {limit} are in use ({field})"


def _next_attempt(ctx: Context, node: Node, task: Task) -> int:
    if task.phase is BACKOFF:
        return task.attempt + 1
    return max(task.attempt, ctx.draft.state(node.number).first_attempt)


def _previous_job_until(ctx: Context, node: Node, index: int, task: Task) -> float:
    """How long the job of an attempt that was given up delays the next one (seconds since the epoch; 0 if it does not).

    A task has one job at a time. NEVER while the old job is not under deletion yet, or was deleted by hand: its last
    event requeues the workflow. A job that timed out may have a finalizer whose operator is not running. The task
    does not wait for such a job for ever. A job of an earlier attempt that has ended delays nothing.
    """
    if task.reason not in NOT_SHOWN_BY_JOB:
        return 0.0
    until = 0.0
    for observed in ctx.snapshot.jobs.get(TaskKey(node.name, index), ()):
        if observed.is_foreign:
            continue  # it stays, and the next attempt applies it again
        deleted_at = observed.job.metadata.deletion_timestamp
        if observed.attempt == task.attempt and deleted_at is not None:
            is_foreign = task.reason == Reasons.JOB_DELETED
            until = max(until, NEVER if is_foreign else deleted_at.timestamp() + DELETION_PATIENCE)
        elif observed.attempt <= task.attempt and not look(ctx.snapshot, observed).is_final:
            until = NEVER
    return until


def _create(ctx: Context, candidate: Candidate, found: Starts, locks: Gate | None) -> CreateJob | None:
    """The creation of one job; None if there is an obstacle, which is then shown in the draft."""
    obstacle = obstacle_to_start(ctx, candidate)
    if obstacle is None:
        created = _rendered(ctx, candidate, found)
        if isinstance(created, CreateJob):
            return created
        obstacle = created
    _apply(ctx, candidate, obstacle, found)
    if locks is not None:
        locks.after_obstacle(candidate, obstacle)
    return None


def _apply(ctx: Context, candidate: Candidate, obstacle: Obstacle, found: Starts) -> None:
    """Records what an obstacle means for the task, its flow and the pass."""
    node = candidate.node
    match obstacle:
        case Waits(reason, message, until):
            _show(ctx, node, reason, message)
            found.requeue_at = min(found.requeue_at, until)
        case Unknown():
            pass
        case NeedsStatus():
            found.needs_status = True
        case NeedsFallbackName(suffix):
            ctx.draft.edit(node.number, renamed=suffix)
            found.needs_status = True
        case NeedsKind(gvr):
            state = ctx.draft.state(node.number)
            ctx.draft.edit(node.number, later_gvrs=(*state.later_gvrs, gvr))
            found.needs_status = True
        case Fails(reason, message):
            failed = msgspec.structs.replace(
                candidate.task,
                phase=FAILED,
                reason=reason,
                message=message[:1024],
                due=None,
                finished=ctx.now,
            )
            ctx.draft.put(node.number, candidate.index, failed)


def _rendered(ctx: Context, of: Candidate, found: Starts) -> CreateJob | Fails | Waits:
    """The job as it is to be created, or why it cannot be rendered."""
    snapshot, node = ctx.snapshot, of.node
    workflow, template = snapshot.workflow, snapshot.templates[node.flow.template_name]
    gvr = template.spec.gvr.gvr
    kind = snapshot.kinds[gvr]
    assert kind is not None, "a kind that is not served is an obstacle"
    state = ctx.draft.state(node.number)
    found.rendered += 1
    rules = snapshot.rules.get(node.name)
    foreign = foreign_action(snapshot, node, template)
    needs_whole = rules is not None and rules.needs_whole
    carries = carried_text(template.spec, needs_whole=needs_whole) if foreign is None else ""
    try:
        item, outputs = item_of(ctx, node, of.index), variables_for(ctx, node, of.index)
        rendered = render(
            workflow,
            node.flow,
            template,
            index=of.index,
            attempt=of.attempt,
            is_renamed=bool(state.renamed),
            replicas=node.replicas,
            item=item,
            outputs=outputs,
            pod_ips={key.flow: snapshot.pod_ips[key] for _, key in asked_addresses(ctx, node, of.index)},
            kind=kind.kind,
            row=kind.row,
            schema=kind.schema,
            probed=node.is_probed,
            carries=carries,
            begun=note_of(snapshot),
            has_spec=kind.has_spec,
        )
    except SchemaNeeded:
        ctx.budget.spend(FAILED_RENDER_UNITS)
        return Waits(Reasons.KIND_SYNCING, f"the types of the fields of {gvr} are being read")
    except (RenderError, ItemsError) as error:
        ctx.budget.spend(FAILED_RENDER_UNITS)
        return Fails(error.reason, str(error))
    if foreign is not None and (other := _same_object(ctx, of, rendered.name, found)) is not None:
        return Fails(Reasons.RENDER_ERROR, _SAME_OBJECT.format(other))
    ctx.budget.spend(RENDER_UNITS + len(rendered.body) // BYTES_PER_UNIT)
    if carries:
        ctx.draft.edit(node.number, rules=with_hash(state.rules, carried_hash(carries)))
    if rendered.removed_ttl_fields and not state.gvr and of.index == 0:
        fields = ", ".join(rendered.removed_ttl_fields)
        found.events.append(Emit("TTLRemoved", f"{node.name}: {fields} removed; jobRetainPolicy cleans up instead"))
    return CreateJob(
        task=of.key,
        attempt=of.attempt,
        gvr=gvr,
        namespace=workflow.metadata.namespace,
        name=rendered.name,
        kind=kind.kind,
        body=rendered.body,
        field_validation=template.spec.field_validation.value,
        foreign=foreign,
        holder=holder_of(ctx, of),
        hidden=outputs_in(outputs, item, is_found=node.items_from is not None),
    )


def _same_object(ctx: Context, of: Candidate, name: str, found: Starts) -> int | None:
    """The index of another task of the flow that applies or deletes the object of this name; None if none does."""
    if not of.node.is_indexed:
        return None
    known = found.objects.get(of.node.number)
    if known is None:
        tasks = ctx.draft.tasks(of.node.number)
        ctx.budget.spend(1 + len(tasks) // 8)
        known = {task.current.job: index for index, task in enumerate(tasks) if task.current.job}
        found.objects[of.node.number] = known
    other = known.setdefault(name, of.index)
    return other if other != of.index else None


def _show_failed_creation(ctx: Context, of: Candidate) -> bool:
    """Shows why the creation that was just tried failed; False if none was tried."""
    fault = ctx.snapshot.faults.get(of.key)
    if fault is None or fault.trouble is not Trouble.RETRY or fault.attempt != of.attempt:
        return False
    _show(ctx, of.node, fault.reason, failed_creation(fault))
    return True


def _show(ctx: Context, node: Node, reason: str, message: str) -> None:
    """Shows on the flow why its tasks have no job."""
    if reason == Reasons.PARALLELISM_REACHED and ctx.draft.state(node.number).wait_reason in KEPT_UNTIL_CREATED:
        return  # the task before it has the slot, and why that task has no job says more
    ctx.draft.explain(node.number, reason, message[:512])


def _reset_pending_clock(ctx: Context, node: Node, first: int = 0) -> None:
    """Stops the clock of pendingTimeout for tasks from this index on that have no slot or are suspended."""
    if node.pending_timeout is None:
        return
    for index, task in enumerate(tuple(ctx.draft.tasks(node.number))[first:], first):
        if task.current.makeable is not None and _may_start(task):
            ctx.draft.put(node.number, index, task.with_current(makeable=None))
