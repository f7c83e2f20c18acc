"""One pass over a workflow: a snapshot in, a plan out. The steps run in a fixed order.

1. status: fold the observed jobs into the states of their tasks.
2. timeouts: fail the attempts that took too long.
3. dependency and outcome, until nothing changes: release and skip tasks, decide the outcome. A skip may decide the
   outcome, and a decision may release the `finally` flows.
4. control: create and delete jobs.
5. status: write what is to be recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import msgspec

from pkg.apis.flow.v1alpha1 import validation
from pkg.apis.flow.v1alpha1.phases import WAITING, WorkflowPhase, advance_workflow
from pkg.apis.flow.v1alpha1.types import Shutdown, WorkflowStatus
from pkg.apis.structs import Value
from pkg.controllers.workflow.planner.actions import DeleteJob, Emit, Plan
from pkg.controllers.workflow.planner.begun import begun_now
from pkg.controllers.workflow.planner.budget import PASS_BUDGET, Budget
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.control import creations, end, locks, outcome, restart, timeouts
from pkg.controllers.workflow.planner.control.deletions import deletions, has_unfinished_job
from pkg.controllers.workflow.planner.control.outcome import Mode
from pkg.controllers.workflow.planner.control.retry import FailurePolicy
from pkg.controllers.workflow.planner.control.timeouts import workflow_overdue_at
from pkg.controllers.workflow.planner.dependency import fan_out, release, start_delay
from pkg.controllers.workflow.planner.dependency.probes import needed_probes
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.edits import is_held_in
from pkg.controllers.workflow.planner.ending import plan_ended, plan_invalid, plan_restart, plan_without_graph
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.outputs.messages import awaited
from pkg.controllers.workflow.planner.progress import NEVER, Decision, Progress, TaskKey
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.controllers.workflow.planner.status import failures, recovery, server_warnings, workflow_status
from pkg.controllers.workflow.planner.status.events import events_of
from pkg.controllers.workflow.planner.status.jobs import fold
from pkg.controllers.workflow.planner.status.status_write import status_write

# Events of one pass.
MAX_EVENTS = 20


def plan(snapshot: Snapshot, units: int = PASS_BUDGET) -> Plan:
    """Everything to do now for one workflow that is not under deletion. units: the budget of the pass."""
    graph = snapshot.graph
    if graph is None:
        return plan_without_graph(snapshot)
    is_ended = (snapshot.workflow.status.phase or WorkflowPhase.PENDING).is_final
    if is_ended and restart.is_due(snapshot):
        return plan_restart(snapshot)
    if not isinstance(graph, Graph):
        if not is_ended:
            return plan_invalid(snapshot, validation.summary(graph))
        return locks.after_end(plan_without_graph(snapshot), snapshot)
    progress = snapshot.progress
    if progress is None:
        progress = recovery.recover(snapshot, graph)
        snapshot = replace(snapshot, progress=progress)
    if is_ended:
        return locks.after_end(plan_ended(snapshot, graph, progress), snapshot)
    return _plan_running(Context(snapshot, Draft(graph, progress), Budget(units)))


class _Facts(Value, frozen=True, gc=False):
    """What this pass knows about the workflow as a whole."""

    #: When its timeout comes (seconds since the epoch, or NEVER).
    overdue_at: float
    is_overdue: bool


class _Evaluated(Value, frozen=True, gc=False):
    """The result of step 3."""

    decision: Decision | None
    how: Mode
    #: When the next probe gives up (seconds since the epoch, or NEVER).
    gives_up_at: float
    #: Flows whose dependencies exceed the budget of the pass.
    left: frozenset[int]
    #: Tasks whose jobs are under deletion, and which exceed the budget of the pass.
    unfolded: frozenset[TaskKey]
    #: Flows whose tasks would have ended, but which may have jobs that no cache shows yet.
    withheld: frozenset[int] = frozenset()


def _plan_running(ctx: Context) -> Plan:
    snapshot, draft = ctx.snapshot, ctx.draft
    base = draft.base
    overdue_at = workflow_overdue_at(snapshot)
    facts = _Facts(overdue_at, overdue_at <= ctx.now)

    warned = server_warnings.record(ctx)
    policy = _failure_policy(ctx, _mode(ctx, base.decision, facts))
    changed_tasks = _changed_tasks(ctx)
    if unfolded := fold(ctx, changed_tasks, policy):
        return _plan_folding_alone(ctx, unfolded, warned)
    if snapshot.is_held:
        evaluated = _end_if_shut_down(ctx, facts)
    else:
        if ctx.graph.timed:
            timeouts.expire(ctx, policy)
        evaluated = _evaluate(ctx, facts)
    decision, how = evaluated.decision, evaluated.how

    # Creations may fail tasks that can never have a job. The next pass evaluates what depends on them.
    # A new decision is recorded before anything follows from it.
    starts = creations.Starts()
    if snapshot.is_held:
        creations.hold(ctx)
    elif decision == base.decision:
        starts = creations.start(ctx, how)
    phase = _phase(ctx, decision, how)
    lookups = failures.needed_lookups(ctx)
    messages = tuple(awaited(ctx)) if ctx.graph.reading_messages else ()
    to_delete: list[DeleteJob] = []
    if not snapshot.is_held or how.ends_remaining or phase.is_final:
        looked_up = {job.task for job in lookups}
        to_delete = deletions(ctx, how, phase, _tasks_with_deletions(ctx, changed_tasks, phase, how), looked_up)

    is_next_due = bool(draft.moved)
    progress = _progress(ctx, evaluated)
    is_urgent = snapshot.is_urgent or starts.needs_status or bool(to_delete) or phase.is_final
    is_decision_new = decision is not None and not progress.is_decision_acked
    is_decision_new = is_decision_new or snapshot.is_held != is_held_in(snapshot.workflow.status)
    # The tasks of for.itemsFrom exist once their number is recorded. Many such flows of one workflow share writes.
    is_number_new = fan_out.waits_for_record(ctx.graph, progress)
    is_urgent = is_urgent or is_decision_new or (is_number_new and not ctx.graph.is_large)
    is_urgent = is_urgent or locks.has_end_to_record(ctx)
    is_begun = snapshot.workflow.status.phase is not None and not snapshot.is_unwritten
    is_urgent = is_urgent or (not is_begun and _is_recorded_alone(progress, starts))
    patch, progress, write_due, said = status_write(
        ctx, progress, phase, is_urgent=is_urgent, makes_jobs=bool(starts.creations)
    )
    events = (*events_of(ctx, decision, phase), *warned, *starts.events, *said)
    waits_for_status = starts.needs_status or decision != base.decision or (is_number_new and patch is not None)
    is_over_budget = bool(evaluated.unfolded) or _is_end_left(ctx, decision)
    if not snapshot.is_held:
        waits_for_status = waits_for_status or is_next_due
        is_over_budget = is_over_budget or bool(evaluated.left)
    return Plan(
        progress=progress,
        creations=tuple(starts.creations),
        patch=patch,
        deletions=tuple(to_delete),
        events=events[:MAX_EVENTS],
        probes=() if snapshot.is_held else tuple(needed_probes(ctx)),
        lookups=lookups,
        messages=messages,
        locks=locks.needs(ctx, progress, is_written=patch is not None),
        requeue_at=_soonest(
            NEVER if phase.is_final or facts.is_overdue else overdue_at,
            starts.requeue_at,
            write_due,
            *(() if snapshot.is_held else (progress.flows[number].timer_at for number in ctx.graph.timed)),
            *(() if snapshot.is_held else (evaluated.gives_up_at,)),
        ),
        # The pass after the end handles ttlSecondsAfterFinished, and a restart that waited for the end.
        requeue_now=waits_for_status or phase.is_final or starts.requeue_now or is_over_budget,
        over_limit=starts.over_limit,
        needs_status=starts.needs_status,
        begun=_begun(snapshot, phase) if starts.creations else None,
    )


def _plan_folding_alone(ctx: Context, unfolded: frozenset[TaskKey], events: list[Emit]) -> Plan:
    """The plan of a pass whose budget did not suffice to look at every changed job.

    Nothing is decided, created or deleted before all of them have been looked at.
    """
    draft = ctx.draft
    stale = draft.base.stale | draft.not_final
    progress = draft.freeze(_flow_timers(ctx), draft.base.decision, stale, unfolded)
    # The last of these passes has enough to do: it need not render what is known now.
    progress = msgspec.structs.replace(progress, rendered=workflow_status.render_flows(ctx.graph, progress))
    return Plan(progress=progress, events=tuple(events), probes=tuple(needed_probes(ctx)), requeue_now=True)


def _progress(ctx: Context, evaluated: _Evaluated) -> Progress:
    """The progress after this pass."""
    stale = ctx.draft.take_moved() | evaluated.left | evaluated.withheld
    progress = ctx.draft.freeze(_flow_timers(ctx), evaluated.decision, stale, evaluated.unfolded)
    if ctx.snapshot.is_held:
        return progress  # the answers that nobody has used yet are new once the workflow goes on
    return msgspec.structs.replace(
        progress,
        answers=ctx.snapshot.passed,
        probe_answers=ctx.snapshot.answers,
        addresses=ctx.snapshot.pod_ips,
        gives_up_at=evaluated.gives_up_at,
        approvals_seen=len(ctx.snapshot.workflow.spec.approvals),
    )


def _evaluate(ctx: Context, facts: _Facts) -> _Evaluated:
    """Evaluates dependencies and the outcome until nothing changes any more."""
    snapshot, graph, draft = ctx.snapshot, ctx.graph, ctx.draft
    spec, decision = snapshot.workflow.spec, failures.reworded(ctx)
    how = _mode(ctx, decision, facts)
    known = draft.base.gives_up_at
    gives_up_at = known if known > ctx.now else NEVER
    # A flow may have jobs that no cache shows yet: a creation may have survived the controller that sent it.
    hidden = _hidden(ctx)
    stale = set(draft.base.stale) | (set(draft.not_final) if snapshot.dirty is None else set())
    # Some changes of a probed task matter to probes alone, for example the end of a service's job.
    stale |= _dependents(ctx, {number for number, _ in draft.touched if graph.nodes[number].is_probed})
    if _has_new_answers(ctx):
        stale |= {number for number in graph.probing if number in draft.not_final}
    if graph.approvals and len(spec.approvals) != draft.base.approvals_seen:
        stale |= draft.not_final.intersection(graph.approvals)
    stale |= start_delay.over(ctx)
    unfolded: frozenset[TaskKey] = frozenset()
    withheld: frozenset[int] = frozenset()
    # Terminate ends `finally` flows as well. An approval of one that is given at the same moment is too late.
    finals = frozenset(graph.finals) if spec.shutdown is not Shutdown.TERMINATE else frozenset()
    while True:
        stale |= draft.take_moved()
        is_finally_due = draft.not_final <= finals
        if is_finally_due and graph.end_readers and not draft.is_end_known:
            settled_at = end.settle(ctx, decision or _decide(ctx, facts))
            is_finally_due, gives_up_at = draft.is_end_known, min(gives_up_at, settled_at)
        if is_finally_due:
            stale |= draft.not_final
        may_release = _releaser(how, is_finally_due)
        released = release.reconcile(ctx, stale, may_release=may_release, hidden=hidden)
        gives_up_at, stale = min(gives_up_at, released.gives_up_at), set(released.left)
        withheld |= released.withheld
        are_finals_due = not is_finally_due and draft.not_final <= finals
        if are_finals_due and draft.moved and not ctx.budget.is_spent:
            continue  # they may be skipped, too, and a success counts before a timeout of the same moment
        if decision is None:
            decision = _decide(ctx, facts)
            how = _mode(ctx, decision, facts)
            if decision is not None:
                # From now on a job under deletion counts as deleted.
                unfolded = fold(ctx, ctx.tasks_under_deletion(), _failure_policy(ctx, how))
        if how.ends_remaining:
            with_finally = spec.shutdown is Shutdown.TERMINATE
            outcome.end_remaining(ctx, how, with_finally=with_finally, is_service=ctx.is_service, hidden=hidden)
        # A release moves nothing that predicates or the outcome ask about.
        if not draft.moved or ctx.budget.is_spent:
            return _Evaluated(decision, how, gives_up_at, released.left, unfolded, withheld)


def _end_if_shut_down(ctx: Context, facts: _Facts) -> _Evaluated:
    """What step 3 is while the workflow is held: only shutdown decides it and ends tasks, of `finally` flows as well.

    What is to be evaluated stays so until the workflow goes on.
    """
    draft, decision = ctx.draft, ctx.draft.base.decision
    hidden = _hidden(ctx)
    unfolded: frozenset[TaskKey] = frozenset()
    if decision is None:
        decision = outcome.by_shutdown(ctx.snapshot.workflow.spec)
        if decision is not None:
            unfolded = fold(ctx, ctx.tasks_under_deletion(), _failure_policy(ctx, _mode(ctx, decision, facts)))
    how = _mode(ctx, decision, facts)
    if how.ends_remaining:
        # Failures may have been left unjudged before; now no attempt follows them.
        unfolded |= fold(ctx, ctx.unfinished_tasks(), _failure_policy(ctx, how))
        outcome.end_remaining(ctx, how, with_finally=True, is_service=ctx.is_service, hidden=hidden)
    # Jobs that were read for another reason than a change may show what predicates ask about, too.
    stale = draft.base.stale | (frozenset(draft.not_final) if ctx.snapshot.dirty is None else frozenset())
    stale |= _dependents(ctx, {number for number, _ in draft.touched if ctx.graph.nodes[number].is_probed})
    return _Evaluated(decision, how, draft.base.gives_up_at, stale, unfolded)


def _hidden(ctx: Context) -> frozenset[int]:
    """The flows that may have jobs which no cache shows yet."""
    if not ctx.snapshot.awaited:
        return frozenset()
    return frozenset(number for number in ctx.draft.not_final if ctx.may_hide_jobs(ctx.graph.nodes[number]))


def _has_new_answers(ctx: Context) -> bool:
    """Whether a probe passes or fails, a pod address changed, or a probe gives up, other than in the last pass."""
    base, snapshot = ctx.draft.base, ctx.snapshot
    if base.probe_answers != snapshot.answers:
        return True  # how a gate fails is part of what its flow shows
    return base.answers != snapshot.passed or base.addresses != snapshot.pod_ips or base.gives_up_at <= ctx.now


def _mode(ctx: Context, decision: Decision | None, facts: _Facts) -> Mode:
    spec = ctx.snapshot.workflow.spec
    if ctx.snapshot.is_held:
        return outcome.held_mode(spec, decision)
    return outcome.mode(spec, decision, is_overdue=facts.is_overdue)


def _failure_policy(ctx: Context, how: Mode) -> FailurePolicy:
    edit = ctx.snapshot.edit
    if edit is not None:
        return FailurePolicy(
            may_retry=not how.ends_remaining,
            may_retry_finally=not how.ends_remaining,
            judges_deletion_at_once=how is not Mode.RUN,
            is_deferred=not edit.is_start_known and not how.ends_remaining,
        )
    return FailurePolicy(
        may_retry=not how.ends_remaining,
        may_retry_finally=ctx.snapshot.workflow.spec.shutdown is not Shutdown.TERMINATE,
        judges_deletion_at_once=how is not Mode.RUN,
    )


def _changed_tasks(ctx: Context) -> tuple[TaskKey, ...]:
    """The tasks whose jobs changed since the last pass, or all of them."""
    if ctx.snapshot.dirty is not None:
        return (*ctx.snapshot.dirty, *(ctx.draft.base.unfolded - ctx.snapshot.dirty))
    return tuple(TaskKey(node.name, index) for node in ctx.graph.nodes for index in range(node.size))


def _tasks_with_deletions(
    ctx: Context, changed: Iterable[TaskKey], phase: WorkflowPhase, how: Mode
) -> Iterable[TaskKey]:
    """The tasks whose jobs may have to be deleted: those that this pass looked at, or all that have jobs.

    Those that the spec does not have any more since a restart are among the latter.
    """
    touched = {TaskKey(ctx.graph.nodes[number].name, index) for number, index in ctx.draft.touched}
    is_any_due = phase.is_final or how is Mode.CANCEL or ctx.snapshot.dirty is None
    is_any_due = is_any_due or ctx.snapshot.is_held  # what was left before because of the hold
    at_end = ctx.snapshot.jobs.keys() if is_any_due else ()
    return dict.fromkeys((*changed, *touched, *at_end))


def _dependents(ctx: Context, moved: Iterable[int]) -> set[int]:
    """The flows that depend on one of these."""
    return {other for number in moved for other in ctx.graph.nodes[number].dependents}


def _releaser(how: Mode, is_finally_due: bool) -> Callable[[Node], bool]:
    """Whether dependencies may release or skip the tasks of a flow now."""

    def may_release(node: Node) -> bool:
        return is_finally_due if node.is_finally else not how.ends_remaining

    return may_release


def _decide(ctx: Context, facts: _Facts) -> Decision | None:
    is_held_open = bool(ctx.draft.not_final & restart.named(ctx.snapshot, ctx.graph))
    spec = ctx.snapshot.workflow.spec
    return outcome.decide(spec, ctx.draft, is_overdue=facts.is_overdue, is_held_open=is_held_open)


def _is_end_left(ctx: Context, decision: Decision | None) -> bool:
    """Whether every task is final, but the budget does not suffice to look for a job that the end has to wait for."""
    is_due = decision is not None and not ctx.draft.not_final
    return is_due and not ctx.budget.suffices(len(ctx.snapshot.jobs))


def _is_recorded_alone(progress: Progress, starts: creations.Starts) -> bool:
    """Whether only status tells a later controller of what is made now: objects that are no jobs, and rules that jobs
    carry, which count only where they are recorded.
    """
    is_any_foreign = any(creation.foreign is not None for creation in starts.creations)
    return is_any_foreign or any(flow.rules for flow in progress.flows)


def _begun(snapshot: Snapshot, phase: WorkflowPhase) -> WorkflowStatus | None:
    """What counts as the status from now on, for a workflow that begins with this pass."""
    workflow = snapshot.workflow
    return begun_now(workflow, snapshot.spec_hash, phase, snapshot.now) if workflow.status.phase is None else None


def _phase(ctx: Context, decision: Decision | None, how: Mode) -> WorkflowPhase:
    """The phase of the workflow. One that was held after its decision may be Terminating, and then run on."""
    draft = ctx.draft
    now = ctx.snapshot.workflow.status.phase or WorkflowPhase.PENDING
    is_over = decision is not None and not draft.not_final and not _is_end_left(ctx, decision)
    if decision is not None and is_over and not has_unfinished_job(ctx):
        then = WorkflowPhase.SUCCEEDED if decision.is_success else WorkflowPhase.FAILED
    elif decision is not None and (how.ends_remaining or ctx.snapshot.is_held):
        then = WorkflowPhase.TERMINATING
    elif ctx.snapshot.is_held or (
        ctx.snapshot.workflow.spec.suspend and decision is None and now is not WorkflowPhase.TERMINATING
    ):
        then = WorkflowPhase.SUSPENDED
    elif draft.counts[WAITING] == ctx.graph.total and now in (WorkflowPhase.PENDING, WorkflowPhase.SUSPENDED):
        then = WorkflowPhase.PENDING if now is WorkflowPhase.PENDING else WorkflowPhase.RUNNING
    elif now is WorkflowPhase.TERMINATING and not is_held_in(ctx.snapshot.workflow.status):
        then = now
    else:
        then = WorkflowPhase.RUNNING
    return advance_workflow(now, then)


def _flow_timers(ctx: Context) -> dict[int, float]:
    """The next timer of each flow that changed or whose timer has come, and of all where every task was read: before
    all jobs were known the timeouts of flows were put off.

    A timer that came without an effect (a retry that waits for a slot) must not hide the next one.
    """
    base, nodes, is_full = ctx.draft.base.flows, ctx.graph.nodes, ctx.snapshot.dirty is None
    come = {number for number in ctx.graph.timed if is_full or base[number].timer_at <= ctx.now}
    return {
        number: timeouts.next_timer(ctx, nodes[number], ctx.draft.tasks(number)) for number in ctx.draft.changed | come
    }


def _soonest(*times: float) -> float | None:
    soonest = min(times, default=NEVER)
    return None if soonest == NEVER else soonest
