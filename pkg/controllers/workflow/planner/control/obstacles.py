"""What prevents the creation of a job now.

A creation waits for an acknowledged status where a crash would otherwise lose what it is based on: a verdict that no
job shows, a fallback name, probes that passed, a decided outcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pkg.apis.flow.v1alpha1.phases import BACKOFF, WAITING
from pkg.apis.flow.v1alpha1.reasons import NOT_SHOWN_BY_JOB, Reasons
from pkg.apis.flow.v1alpha1.types import Action
from pkg.apis.meta import GVR
from pkg.apis.structs import Value
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.probes import has_ended
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.outputs.acknowledged import are_verdicts_recorded
from pkg.controllers.workflow.planner.outputs.values import text_of
from pkg.controllers.workflow.planner.progress import NEVER, Task, TaskKey, counterpart
from pkg.controllers.workflow.planner.snapshot import LASTING_TRIES, MAX_CREATE_DELAY, CreateFault, Snapshot, Trouble
from pkg.workloads import RULE_FAULT, near_kind


class Candidate(Value, frozen=True, gc=False):
    """A task whose next job is to be created, and the number of that attempt."""

    node: Node
    index: int
    task: Task
    attempt: int

    @property
    def key(self) -> TaskKey:
        return TaskKey(self.node.name, self.index)


@dataclass(frozen=True, slots=True)
class Waits:
    """The job cannot be created now. until: when to try again (seconds since the epoch), NEVER: after an event."""

    reason: str
    message: str
    until: float = NEVER


@dataclass(frozen=True, slots=True)
class Unknown:
    """The job cannot be created now. The reason that the flow shows already stays."""


@dataclass(frozen=True, slots=True)
class NeedsStatus:
    """Status must be written first."""


@dataclass(frozen=True, slots=True)
class NeedsFallbackName:
    """Another object has the name. The suffix of the fallback name must be recorded in status first."""

    suffix: str


@dataclass(frozen=True, slots=True)
class NeedsKind:
    """The template got another kind since the flow's first job. That must be recorded in status first: a controller
    that is started later looks for the jobs of the recorded kinds only."""

    gvr: str


@dataclass(frozen=True, slots=True)
class Fails:
    """The job can never be created, and no retry would help."""

    reason: str
    message: str


Obstacle = Waits | Unknown | NeedsStatus | NeedsFallbackName | NeedsKind | Fails


def obstacle_to_start(ctx: Context, of: Candidate) -> Obstacle | None:
    """The first obstacle to the creation of a job; None if it can be rendered and created now."""
    return (
        _template_obstacle(ctx, of)
        or _fault_obstacle(ctx, of)
        or _new_kind(ctx, of)
        or (None if _is_recorded(ctx, of) else NeedsStatus())
        or _address_obstacle(ctx, of)
        or _output_obstacle(ctx, of)
    )


def asked_addresses(ctx: Context, node: Node, index: int) -> Iterator[tuple[Node, TaskKey]]:
    """The flows, and their tasks, whose pod addresses the job is rendered with."""
    for predicate in node.pod_ips:
        asked = ctx.graph.nodes[predicate.flow]
        yield asked, counterpart(asked, index)


def _template_obstacle(ctx: Context, of: Candidate) -> Obstacle | None:
    """The template is missing, or no job of its kind can be created."""
    snapshot, name = ctx.snapshot, of.node.flow.template_name
    template = snapshot.templates.get(name)
    if template is None:
        namespace = snapshot.workflow.metadata.namespace
        text = f"there is no WorkTemplate {name} in namespace {namespace}; create it, and the job is made at once"
        return Waits(Reasons.TEMPLATE_NOT_FOUND, text)
    gvr = template.spec.gvr.gvr
    if waits := _kind_obstacle(ctx, of, gvr):
        return waits
    rules = snapshot.rules.get(of.node.name)
    if rules is not None and rules.fault:
        return Waits(RULE_FAULT, rules.fault)
    kind = snapshot.kinds[gvr]
    if kind is not None and kind.refused:
        return Fails(Reasons.REFUSED, kind.refused)
    return _missing_right(snapshot, name)


def _missing_right(snapshot: Snapshot, template: str) -> Waits | Unknown | None:
    """Somebody behind the workflow or the template may not create the kind, or that is not known."""
    barred = snapshot.barred.get(template)
    if barred is None:
        return None
    return Waits(barred.reason, barred.message) if barred.reason else Unknown()


def _kind_obstacle(ctx: Context, of: Candidate, gvr: GVR) -> Waits | Unknown | None:
    """The kind is not served, or its cache is not complete. A new controller keeps the reason that status shows."""
    snapshot = ctx.snapshot
    shown = ctx.draft.state(of.node.number).wait_reason
    kind = snapshot.kinds.get(gvr)
    if kind is not None and gvr in snapshot.synced:
        return None
    if gvr in snapshot.being_read and gvr not in snapshot.unlisted:
        return Unknown()
    is_known = gvr in snapshot.kinds
    if not is_known and shown == Reasons.KIND_NOT_SERVED:
        return Unknown()
    template = snapshot.templates.get(of.node.flow.template_name)
    is_foreign = template is not None and template.spec.action is not Action.CREATE
    # A task that applies or deletes reads its one object by itself.
    is_read = is_foreign and gvr not in snapshot.unlisted
    if not is_known or (kind is not None and gvr not in snapshot.synced and not is_read):
        if trouble := snapshot.unlisted.get(gvr):
            text = f"the controller cannot list {gvr}, so it creates no job of it; allow it list and watch: {trouble}"
            return Waits(Reasons.KIND_UNREADABLE, text)
        if shown == Reasons.KIND_UNREADABLE:
            return Unknown()
        return Waits(Reasons.KIND_SYNCING, f"the controller is still reading the jobs of {gvr}; this takes seconds")
    if kind is None:
        flow = of.node.flow
        where = f"spec.gvr of WorkTemplate {flow.template_name}" if flow.template_spec is None else "templateSpec.gvr"
        text = f"the cluster does not serve {gvr}; install its CRD, and the job is made at once, or correct {where}"
        return Waits(Reasons.KIND_NOT_SERVED, f"{text}: did you mean {meant}?" if (meant := near_kind(gvr)) else text)
    return None


def _new_kind(ctx: Context, of: Candidate) -> NeedsKind | None:
    state = ctx.draft.state(of.node.number)
    if not state.gvr:
        return None
    gvr = str(ctx.snapshot.templates[of.node.flow.template_name].spec.gvr.gvr)
    return NeedsKind(gvr) if gvr not in state.gvrs else None


def _fault_obstacle(ctx: Context, of: Candidate) -> Obstacle | None:
    """The last creation of this attempt failed."""
    fault = ctx.snapshot.faults.get(of.key)
    if fault is None or fault.attempt != of.attempt:
        return None
    match fault.trouble:
        case Trouble.REFUSED:
            return Fails(fault.reason, fault.message)
        case Trouble.RETRY:
            # A time further away than the longest delay means that the clock was set back.
            is_early = 0 < fault.retry_at - ctx.now <= MAX_CREATE_DELAY
            return Waits(fault.reason, failed_creation(fault), fault.retry_at) if is_early else None
        case Trouble.NAME_TAKEN:
            return _name_obstacle(ctx, of, fault)


def failed_creation(fault: CreateFault) -> str:
    """What a user reads about a creation that failed. It changes once when the fault lasts, not with every try."""
    if fault.reason == Reasons.CREATE_FAILED and fault.is_lasting:
        return f"{fault.message}; it has failed at least {LASTING_TRIES} times"
    return fault.message


def _name_obstacle(ctx: Context, of: Candidate, fault: CreateFault) -> Obstacle | None:
    """The name is taken. Each flow has one fallback name per task; if that is taken too, the task fails."""
    suffix = fallback_suffix(ctx.snapshot)
    if not ctx.draft.state(of.node.number).renamed:
        return NeedsFallbackName(suffix)
    if suffix not in fault.name:
        return None  # the fault is about the regular name
    return Fails(Reasons.NAME_CONFLICT, fault.message)


def fallback_suffix(snapshot: Snapshot) -> str:
    """Eight hexadecimal digits of the workflow's uid."""
    return snapshot.workflow.metadata.uid.replace("-", "").lower()[:8]


def _is_recorded(ctx: Context, of: Candidate) -> bool:
    """Whether the acknowledged status records everything that this creation is based on and that no job shows."""
    base, number, task = ctx.draft.base, of.node.number, of.task
    if base.decision is not None and not base.is_decision_acked:
        return False
    if not are_verdicts_recorded(ctx, of.node, of.index):
        return False
    if of.node.is_finally and ctx.graph.end_readers and not base.is_end_acked:
        return False
    acked, state = base.acked[number], ctx.draft.state(number)
    if state.renamed != acked.renamed or state.first_attempt != acked.first_attempt:
        return False
    if state.later_gvrs != acked.later_gvrs:
        return False
    if task.phase is WAITING:
        return all(indexes <= acked.passed.get(path, frozenset()) for path, indexes in state.passed.items())
    if task.reason in NOT_SHOWN_BY_JOB or (task.phase is BACKOFF and task.current.action is not Action.CREATE):
        recorded = acked.tasks[of.index]
        return recorded.phase is BACKOFF and recorded.attempt == task.attempt
    return True


def _address_obstacle(ctx: Context, of: Candidate) -> Waits | Fails | None:
    """A pod address that the job is rendered with is not known. A retry needs the current addresses."""
    for asked, key in asked_addresses(ctx, of.node, of.index):
        if ctx.snapshot.pod_ips.get(key):
            continue
        text = f"waits for the pod address of {asked.name}"
        if has_ended(ctx, asked, key.index, ctx.draft.task(asked.number, key.index)):
            return Fails(Reasons.RENDER_ERROR, f"the pod address of {asked.name} is needed, and {asked.name} has ended")
        return Waits(Reasons.WAITING_FOR_DEPENDENCIES, f"{text}, which has none now")
    return None


def _output_obstacle(ctx: Context, of: Candidate) -> Waits | Fails | None:
    """An output that the job is rendered with is not recorded: the template names it since a moment ago."""
    for asked in of.node.reads:
        if text_of(ctx, asked, of.index) is not None:
            continue
        node = ctx.graph.nodes[asked.flow]
        if ctx.draft.is_final(node.number):
            text = f"output {asked.output} of {node.name} is needed, and {node.name} has ended without it"
            return Fails(Reasons.RENDER_ERROR, text)
        return Waits(Reasons.WAITING_FOR_DEPENDENCIES, f"waits for output {asked.output} of {node.name}")
    return None
