"""The control reconciler: which jobs are made now (which are deleted: removal).

A creation waits for status where a crash would otherwise lose what it rests on: a verdict that no job shows, a
fallback name, probes that passed, a decided outcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from pkg.apis.flow.v1alpha1.phases import UNFINISHED, Phase
from pkg.apis.flow.v1alpha1.reasons import KEPT_UNTIL_CREATED, NOT_SHOWN_BY_JOB, Reasons
from pkg.apis.flow.v1alpha1.types import Shutdown
from pkg.apis.meta import GVR
from pkg.controllers.workflow.planner.actions import CreateJob, Emit
from pkg.controllers.workflow.planner.control.outcome import Mode
from pkg.controllers.workflow.planner.control.retry import is_due
from pkg.controllers.workflow.planner.dependency.predicates import has_ended
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.model import Graph, Node, PodIPPredicate
from pkg.controllers.workflow.planner.progress import NEVER, FlowState, Task, TaskKey, counterpart
from pkg.controllers.workflow.planner.reading import look
from pkg.controllers.workflow.planner.render.render import RenderError, render
from pkg.controllers.workflow.planner.snapshot import MAX_CREATE_DELAY, CreateFault, Kind, Snapshot, Trouble
from pkg.workloads import RULE_FAULT

# Creations of one pass; the key then goes to the back of its shard, so that a wide workflow holds up no other.
MAX_CREATIONS = 64
# Seconds after its deletionTimestamp that the job of an attempt which timed out holds up the next one.
LEAVING_PATIENCE = 120.0


@dataclass(slots=True)
class Starts:
    """What `start` found: jobs to make, whether status must be written before more can be made, whether more wait for
    the next pass (is_left: of tasks that only the look after the creations found ready), and when a failed creation may
    be tried again (seconds since the epoch)."""

    creations: list[CreateJob] = field(default_factory=list)
    events: list[Emit] = field(default_factory=list)
    needs_status: bool = False
    more: bool = False
    is_left: bool = False
    wakes: float = NEVER


def start(snapshot: Snapshot, graph: Graph, draft: Draft, how: Mode) -> Starts:
    """The jobs to make now. Tasks that cannot be made say why; those that never can be fail."""
    found = Starts()
    spec = snapshot.workflow.spec
    unfinished = sum(draft.counts[phase] for phase in UNFINISHED)
    slots = NEVER if spec.parallelism is None else spec.parallelism - unfinished
    for number in sorted(draft.startable):
        node = graph.nodes[number]
        if not draft.count(number, Phase.WAITING, Phase.BACKOFF):
            draft.startable.discard(number)
            continue
        if how.ends_rest and not (node.is_finally and spec.shutdown is not Shutdown.TERMINATE):
            continue
        if spec.suspend and not (node.is_finally and spec.shutdown is Shutdown.STOP):
            if any(_may_start(task) for task in draft.tasks(number)):
                _explain(draft, number, Reasons.WORKFLOW_SUSPENDED, "the workflow is suspended")
                _hold_up(draft, node)
            else:
                draft.startable.discard(number)  # it waits for more than that
            continue
        slots -= _start_flow(snapshot, draft, node, found, slots)
        if found.more:
            break
        if not any(_may_start(task) for task in draft.tasks(number)):
            draft.startable.discard(number)  # a release, or a failure that is tried again, puts it back
    return found


def _may_start(task: Task) -> bool:
    """Whether nothing but time, a slot or a cause that passes keeps the task from having a job."""
    return task.phase is Phase.BACKOFF or (task.phase is Phase.WAITING and task.released is not None)


def _start_flow(snapshot: Snapshot, draft: Draft, node: Node, found: Starts, slots: float) -> int:
    """Starts tasks of one flow, in the order of their indexes; returns how many."""
    own = node.parallelism
    free = NEVER if own is None else own - draft.count(node.number, *UNFINISHED)
    made = 0
    is_hidden = snapshot.may_hide_jobs(node.flow.template_name, draft.state(node.number).gvr)
    for index, task in enumerate(tuple(draft.tasks(node.number))):
        is_ready = task.phase is Phase.WAITING and task.released is not None
        if not is_ready and not is_due(task, snapshot.now):
            continue
        if task.reason in NOT_SHOWN_BY_JOB:
            # A task has one job at a time; the last event of the one that is going wakes us.
            until = _leaves_at(snapshot, TaskKey(node.name, index), task)
            if until > snapshot.now:
                found.wakes = min(found.wakes, until)
                continue
        if made >= min(slots, free):
            limit = "workflow" if slots <= free else "flow"
            _explain(
                draft,
                node.number,
                Reasons.PARALLELISM_REACHED,
                f"as many jobs as the parallelism of the {limit} allows are unfinished",
            )
            _hold_up(draft, node, index)
            break
        if len(found.creations) >= MAX_CREATIONS:
            found.more = True
            break
        if task.makeable is None and not is_hidden:
            task = msgspec.structs.replace(task, makeable=snapshot.now)
            draft.put(node.number, index, task)
        if not snapshot.may_create:
            if not _explain_fault(snapshot, draft, node, index, task):
                found.is_left = True
            continue
        creation = _start_task(snapshot, draft, node, index, task, found)
        if creation is not None:
            if draft.state(node.number).why not in KEPT_UNTIL_CREATED:
                _explain(draft, node.number, "", "")
            found.creations.append(creation)
            made += 1
    return made


def _hold_up(draft: Draft, node: Node, first: int = 0) -> None:
    """From this index on the flow's tasks have no slot, or no leave, to start: their pendingTimeout begins anew when
    they do."""
    if node.pending_timeout is None:
        return
    for index, task in enumerate(tuple(draft.tasks(node.number))[first:], first):
        if task.makeable is not None and _may_start(task):
            draft.put(node.number, index, msgspec.structs.replace(task, makeable=None))


def _start_task(
    snapshot: Snapshot, draft: Draft, node: Node, index: int, task: Task, found: Starts
) -> CreateJob | None:
    key = TaskKey(node.name, index)
    attempt = _next_attempt(draft, node, task)
    template = snapshot.templates.get(node.flow.template_name)
    if template is None:
        text = f"there is no WorkTemplate {node.flow.template_name} in namespace {snapshot.workflow.metadata.namespace}"
        _explain(draft, node.number, Reasons.TEMPLATE_NOT_FOUND, text)
        return None
    gvr = template.spec.gvr.gvr
    kind = snapshot.kinds.get(gvr)
    if gvr not in snapshot.kinds and draft.state(node.number).why == Reasons.KIND_NOT_SERVED:
        return None  # a controller that has just started has not asked yet: nothing new to tell
    if gvr not in snapshot.kinds or (kind is not None and gvr not in snapshot.synced):
        if trouble := snapshot.unlisted.get(gvr):
            text = f"no job is made of a kind that the controller cannot list; it is tried again: {trouble}"
            _explain(draft, node.number, Reasons.KIND_UNREADABLE, text)
        elif draft.state(node.number).why != Reasons.KIND_UNREADABLE:  # nor does a new controller know better yet
            _explain(draft, node.number, Reasons.KIND_SYNCING, f"the cache of {gvr} is not complete yet")
        return None
    if kind is None:
        text = f"the cluster does not serve {gvr}; the job is made at once when it does"
        _explain(draft, node.number, Reasons.KIND_NOT_SERVED, text)
        return None
    rules = snapshot.rules.get(node.name)
    if rules is not None and rules.fault:
        _explain(draft, node.number, RULE_FAULT, rules.fault)
        return None
    if kind.refused:
        _fail(draft, node, index, task, Reasons.REFUSED, kind.refused, snapshot.now)
        return None
    fault = snapshot.faults.get(key)
    if fault is not None and fault.attempt == attempt:
        if fault.trouble is Trouble.REFUSED:
            _fail(draft, node, index, task, Reasons.REFUSED, fault.message, snapshot.now)
            return None
        # Further away than any delay is: the clock was set back.
        if fault.trouble is Trouble.RETRY and 0 < fault.retry_at - snapshot.now <= MAX_CREATE_DELAY:
            found.wakes = min(found.wakes, fault.retry_at)
            _explain(draft, node.number, fault.reason, fault.message)
            return None
        if fault.trouble is Trouble.NAME_TAKEN and _rename(snapshot, draft, node, index, task, fault):
            return None
    if not _is_recorded(snapshot, draft, node.number, index, task):
        found.needs_status = True
        return None
    if not _has_addresses(snapshot, draft, node, index, task):
        return None
    return _render(snapshot, draft, node, index, task, attempt, kind, gvr, found)


def _leaves_at(snapshot: Snapshot, key: TaskKey, task: Task) -> float:
    """Until when the job of an attempt that was given up is waited for; 0 if it is gone.

    NEVER while it is not even deleted yet, or was deleted by somebody else. One that timed out may be held by a
    finalizer whose operator is away: then the task goes on without it. One of an earlier attempt that has ended holds
    up nobody, however long it takes to go.
    """
    until = 0.0
    for seen in snapshot.jobs.get(key, ()):
        leaving = seen.job.metadata.deletion_timestamp
        if seen.attempt == task.attempt and leaving is not None:
            is_held_up = task.reason == Reasons.JOB_DELETED
            until = max(until, NEVER if is_held_up else leaving.timestamp() + LEAVING_PATIENCE)
        elif seen.attempt <= task.attempt and not look(snapshot, seen).is_final:
            until = NEVER
    return until


def _next_attempt(draft: Draft, node: Node, task: Task) -> int:
    if task.phase is Phase.BACKOFF:
        return task.attempt + 1
    return max(task.attempt, draft.state(node.number).first_attempt)


def _explain_fault(snapshot: Snapshot, draft: Draft, node: Node, index: int, task: Task) -> bool:
    """Tells why the creation that was just tried did not work; False if none was tried."""
    fault = snapshot.faults.get(TaskKey(node.name, index))
    if fault is None or fault.trouble is not Trouble.RETRY or fault.attempt != _next_attempt(draft, node, task):
        return False
    _explain(draft, node.number, fault.reason, fault.message)
    return True


def _has_addresses(snapshot: Snapshot, draft: Draft, node: Node, index: int, task: Task) -> bool:
    """Whether every pod address that the job is made with is known; a retry, too, needs those of now."""
    for asked, key in _asked_addresses(draft, node, index):
        if snapshot.pod_ips.get(key):
            continue
        text = f"the pod address of {asked.name} is needed"
        if has_ended(snapshot, draft, asked, draft.task(asked.number, key.index)):
            _fail(draft, node, index, task, Reasons.RENDER_ERROR, f"{text}, and {asked.name} has ended", snapshot.now)
        else:
            _explain(draft, node.number, Reasons.WAITING_FOR_DEPENDENCIES, f"{text}, and its pod has none now")
        return False
    return True


def _rename(snapshot: Snapshot, draft: Draft, node: Node, index: int, task: Task, fault: CreateFault) -> bool:
    """Takes the fallback name, to be recorded before it is used; False if it may be used already."""
    suffix = snapshot.workflow.metadata.uid.replace("-", "").lower()[:8]
    if not draft.state(node.number).renamed:
        draft.edit(node.number, renamed=suffix)
        return False
    if suffix not in fault.name:
        return False  # the fault is of the first name
    _fail(draft, node, index, task, Reasons.NAME_CONFLICT, fault.message, snapshot.now)
    return True


def _is_recorded(snapshot: Snapshot, draft: Draft, number: int, index: int, task: Task) -> bool:
    """Whether the acknowledged status holds everything that this creation rests on and that no job shows."""
    base = draft.base
    acked: FlowState = base.acked[number]
    if base.decision is not None and not base.is_decision_acked:
        return False
    state = draft.state(number)
    if state.renamed != acked.renamed or state.first_attempt != acked.first_attempt:
        return False
    if task.phase is Phase.WAITING:
        return state.passed <= acked.passed
    if task.reason in NOT_SHOWN_BY_JOB:
        was = acked.tasks[index]
        return was.phase is Phase.BACKOFF and was.attempt == task.attempt
    return True


def _render(
    snapshot: Snapshot,
    draft: Draft,
    node: Node,
    index: int,
    task: Task,
    attempt: int,
    kind: Kind,
    gvr: GVR,
    found: Starts,
) -> CreateJob | None:
    workflow = snapshot.workflow
    try:
        rendered = render(
            workflow,
            node.flow,
            snapshot.templates[node.flow.template_name],
            index=index,
            attempt=attempt,
            renamed="",
            pod_ips={key.flow: snapshot.pod_ips[key] for _, key in _asked_addresses(draft, node, index)},
            kind=kind.kind,
            row=kind.row,
            probed=node.is_probed,
        )
    except RenderError as error:
        _fail(draft, node, index, task, Reasons.RENDER_ERROR, str(error), snapshot.now)
        return None
    name = rendered.name
    if draft.state(node.number).renamed:
        name = rendered.body["metadata"]["name"] = rendered.fallback
    if rendered.removed_ttl_fields and not draft.state(node.number).gvr and index == 0:
        fields = ", ".join(rendered.removed_ttl_fields)
        found.events.append(Emit("TTLRemoved", f"{node.name}: {fields} removed; jobRetainPolicy cleans up instead"))
    return CreateJob(
        task=TaskKey(node.name, index),
        attempt=attempt,
        gvr=gvr,
        namespace=workflow.metadata.namespace,
        name=name,
        body=rendered.body,
    )


def _asked_addresses(draft: Draft, node: Node, index: int) -> Iterator[tuple[Node, TaskKey]]:
    """Each flow, and its replica, whose pod address the job is made with."""
    for predicate in node.predicates():
        if isinstance(predicate, PodIPPredicate):
            asked = draft.graph.nodes[predicate.flow]
            yield asked, counterpart(asked, index)


def _explain(draft: Draft, number: int, why: str, message: str) -> None:
    if why == Reasons.PARALLELISM_REACHED and draft.state(number).why in KEPT_UNTIL_CREATED:
        return  # the task before it holds the slot, and why that has no job says more
    draft.edit(number, why=why, message=message[:512])


def _fail(draft: Draft, node: Node, index: int, task: Task, reason: str, message: str, now: float) -> None:
    """Fails a task whose job can never be made; no retry would help."""
    ended = msgspec.structs.replace(
        task, phase=Phase.FAILED, reason=reason, message=message[:1024], due=None, finished=now
    )
    draft.put(node.number, index, ended)
