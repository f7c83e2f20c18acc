"""One pass, composed of the reconcilers in a fixed order: a snapshot in, actions out.

status folds what the jobs say; timeouts expire attempts; dependency releases and skips; the outcome is decided; control
starts and deletes. The middle part repeats until nothing moves, because a skip may decide the outcome and a decision
may release the `finally` flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import msgspec

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1 import durations, validation
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase, advance_workflow
from pkg.apis.flow.v1alpha1.types import Completion, Shutdown, WorkflowStatus
from pkg.apis.meta import timestamp
from pkg.controllers.workflow import control, dependency, outcome, report, restart, status, timeouts
from pkg.controllers.workflow.actions import DeleteJob, DeleteWorkflow, Emit, PatchStatus, Plan
from pkg.controllers.workflow.graph import Graph, Node
from pkg.controllers.workflow.outcome import Mode
from pkg.controllers.workflow.progress import NEVER, Decision, Draft, FlowState, Progress, Reasons, TaskKey
from pkg.controllers.workflow.snapshot import Snapshot
from pkg.controllers.workflow.status import Verdicts

MIN_WINDOW = 0.3
MAX_WINDOW = 5.0
MAX_EVENTS = 20
_SPEC_CHANGED = (
    "the spec changed after the start; only suspend, shutdown, restart, parallelism, timeout and "
    "ttlSecondsAfterFinished may"
)


def plan(snapshot: Snapshot) -> Plan:
    """Everything to do now for one workflow that is not being deleted."""
    graph = snapshot.graph
    if not isinstance(graph, Graph):
        return _plan_invalid(snapshot, validation.summary(graph))
    progress = snapshot.progress or report.recover(snapshot, graph)
    if (snapshot.workflow.status.phase or WorkflowPhase.PENDING).is_final:
        if restart.is_due(snapshot):
            # From what status records: a reset whose write failed is no progress.
            return _plan_restart(snapshot, graph, report.recover(snapshot, graph))
        return _plan_ended(snapshot, graph, progress)
    return _plan_running(snapshot, graph, progress)


def _plan_running(snapshot: Snapshot, graph: Graph, base: Progress) -> Plan:
    spec = snapshot.workflow.spec
    draft = Draft(graph, base)
    overdue_at = _overdue_at(snapshot)
    is_overdue = overdue_at <= snapshot.now
    is_changed = snapshot.workflow.status.spec_hash not in ("", snapshot.spec_hash)
    decision = base.decision
    how = outcome.mode(spec, decision, is_overdue=is_overdue)
    verdicts = _verdicts(snapshot, how)

    keys = _keys(snapshot)
    status.fold(snapshot, graph, draft, keys, verdicts)
    timeouts.expire(snapshot, graph, draft, verdicts)

    # Of flows that may have jobs which no cache shows yet nothing is ended: a creation may have outlived its maker.
    hidden = _hidden(snapshot, graph, draft)
    stale = set(base.stale) | (set(draft.unsettled) if snapshot.dirty is None else set())
    stale |= {number for number in graph.probing if number in draft.unsettled}
    probe_wakes = NEVER
    leaving: list[TaskKey] = []
    while True:
        stale |= _dependents(graph, draft.moved)
        draft.moved.clear()
        before = draft.changes
        are_finals_due = draft.unsettled <= set(graph.finals)
        if are_finals_due:
            stale |= draft.unsettled
        may_release = _releaser(how, are_finals_due)
        wakes = dependency.reconcile(snapshot, graph, draft, stale, may_release=may_release, hidden=hidden)
        probe_wakes = min(probe_wakes, wakes)
        stale = set()
        if decision is None:
            decision = _decide(snapshot, graph, draft, is_overdue=is_overdue, is_changed=is_changed)
        how = outcome.mode(spec, decision, is_overdue=is_overdue)
        if decision is not None and base.decision is None and not leaving:
            # From now on a job under deletion is judged at once.
            leaving = [
                key for key, jobs in snapshot.jobs.items() if any(seen.job.metadata.is_deleting for seen in jobs)
            ]
            status.fold(snapshot, graph, draft, leaving, _verdicts(snapshot, how))
        if how.ends_rest:
            outcome.settle_rest(
                graph,
                draft,
                how,
                snapshot.now,
                with_finally=spec.shutdown is Shutdown.TERMINATE,
                is_service=lambda node: snapshot.is_service(node.flow.template_name, draft.state(node.number).gvr),
                hidden=hidden,
            )
        if draft.changes == before:
            break

    # What starting moves from here on (tasks that can never be made) is judged by the next pass.
    starts = control.Starts()
    if decision == base.decision:  # a new decision is recorded before anything is built on it
        starts = control.start(snapshot, graph, draft, how)
    phase = _phase(snapshot, graph, draft, decision, how)
    touched = {TaskKey(graph.nodes[number].name, index) for number, index in draft.touched}
    at_end = snapshot.jobs.keys() if phase.is_final or how is Mode.CANCEL else ()
    deletions = control.deletions(snapshot, graph, draft, how, phase, dict.fromkeys((*keys, *touched, *at_end)))

    progress = _freeze(snapshot, graph, draft, decision, stale=_dependents(graph, draft.moved))
    is_urgent = (
        snapshot.is_urgent
        or starts.needs_status
        or bool(deletions)
        or phase.is_final
        or (decision is not None and not progress.is_decision_acked)
    )
    patch, progress, written_next = _status(snapshot, graph, progress, phase, is_urgent=is_urgent)
    events = [*_events(snapshot, graph, draft, decision, phase), *starts.events]
    is_waiting_for_status = starts.needs_status or decision != base.decision or bool(draft.moved)
    # The pass after the end looks at the ttl, and at a restart that has waited for it.
    has_more = is_waiting_for_status or phase.is_final
    return Plan(
        progress=progress,
        creations=tuple(starts.creations),
        patch=patch,
        deletions=tuple(deletions),
        events=tuple(events[:MAX_EVENTS]),
        probes=tuple(dependency.probes_wanted(graph, draft)),
        wakes=_soonest(
            NEVER if phase.is_final or is_overdue else overdue_at,
            probe_wakes,
            starts.wakes,
            written_next,
            *(progress.flows[number].wakes for number in graph.timed),
        ),
        more=has_more,
        has_left=starts.more,
        needs_status=starts.needs_status,
    )


def _keys(snapshot: Snapshot) -> tuple[TaskKey, ...]:
    """The tasks to fold: those whose jobs changed, or all that have jobs or are recorded as having one."""
    if snapshot.dirty is not None:
        return tuple(snapshot.dirty)
    graph = snapshot.graph
    assert isinstance(graph, Graph)
    return tuple(TaskKey(node.name, index) for node in graph.nodes for index in range(node.size))


def _hidden(snapshot: Snapshot, graph: Graph, draft: Draft) -> frozenset[int]:
    if not snapshot.awaited:
        return frozenset()
    return frozenset(
        number
        for number in draft.unsettled
        if snapshot.may_hide_jobs(graph.nodes[number].flow.template_name, draft.state(number).gvr)
    )


def _verdicts(snapshot: Snapshot, how: Mode) -> dict[bool, Verdicts]:
    """What failing attempts come to, for flows without (False) and with (True) `finally`."""
    is_terminated = snapshot.workflow.spec.shutdown is Shutdown.TERMINATE
    return {
        False: Verdicts(may_retry=not how.ends_rest, at_once=how is not Mode.RUN),
        True: Verdicts(may_retry=not is_terminated, at_once=how is not Mode.RUN),
    }


def _dependents(graph: Graph, moved: Iterable[int]) -> set[int]:
    return {other for number in moved for other in graph.nodes[number].dependents}


def _releaser(how: Mode, are_finals_due: bool) -> Callable[[Node], bool]:
    """Whether a flow's tasks may be released or skipped by their dependencies now."""

    def may_release(node: Node) -> bool:
        return are_finals_due if node.is_finally else not how.ends_rest

    return may_release


def _decide(snapshot: Snapshot, graph: Graph, draft: Draft, *, is_overdue: bool, is_changed: bool) -> Decision | None:
    if is_changed:
        return Decision(Reasons.SPEC_CHANGED, _SPEC_CHANGED)
    is_held_open = bool(draft.unsettled & restart.named(snapshot, graph))
    return outcome.decide(snapshot.workflow.spec, graph, draft, is_overdue=is_overdue, is_held_open=is_held_open)


def _overdue_at(snapshot: Snapshot) -> float:
    """When the workflow's timeout comes, with the clock standing still while it is suspended."""
    spec, recorded = snapshot.workflow.spec, snapshot.workflow.status
    if spec.timeout is None or spec.suspend or not recorded.start_time:
        return NEVER
    return report.seconds(recorded.start_time) + report.suspended_seconds(snapshot) + durations.parse(spec.timeout)


def _phase(snapshot: Snapshot, graph: Graph, draft: Draft, decision: Decision | None, how: Mode) -> WorkflowPhase:
    now = snapshot.workflow.status.phase or WorkflowPhase.PENDING
    if decision is not None and not draft.unsettled and control.is_at_rest(snapshot, graph, draft):
        then = WorkflowPhase.SUCCEEDED if decision.is_success else WorkflowPhase.FAILED
    elif decision is not None and how.ends_rest:
        then = WorkflowPhase.TERMINATING
    elif snapshot.workflow.spec.suspend and decision is None and now is not WorkflowPhase.TERMINATING:
        then = WorkflowPhase.SUSPENDED
    elif draft.counts[Phase.WAITING] == graph.total and now in (WorkflowPhase.PENDING, WorkflowPhase.SUSPENDED):
        then = WorkflowPhase.PENDING if now is WorkflowPhase.PENDING else WorkflowPhase.RUNNING
    elif now is WorkflowPhase.TERMINATING:
        then = now
    else:
        then = WorkflowPhase.RUNNING
    return advance_workflow(now, then)


def _freeze(
    snapshot: Snapshot, graph: Graph, draft: Draft, decision: Decision | None, stale: Iterable[int]
) -> Progress:
    base, changed = draft.base, draft.changed
    flows = base.flows
    # A timer that has come and changed nothing (a retry that has to wait for a slot) must not hide the next one.
    rung = {number for number in graph.timed if flows[number].wakes <= snapshot.now}
    if changed or rung:
        made: list[FlowState] = list(flows)
        for number in changed | rung:
            node = graph.nodes[number]
            made[number] = draft.freeze(number, timeouts.next_wake(snapshot, node, draft.tasks(number)))
        flows = tuple(made)
    return replace(
        base,
        flows=flows,
        counts=draft.counts,
        unsettled=frozenset(draft.unsettled),
        failed=frozenset(draft.failed),
        startable=frozenset(draft.startable),
        stale=frozenset(stale),
        decision=decision,
        is_decision_acked=base.is_decision_acked and decision == base.decision,
        is_dirty=base.is_dirty or bool(changed) or decision != base.decision,
    )


def _status(
    snapshot: Snapshot, graph: Graph, progress: Progress, phase: WorkflowPhase, *, is_urgent: bool
) -> tuple[PatchStatus | None, Progress, float]:
    """The status write, if one is due; the progress with what was made for it; and when the next one is due."""
    recorded = snapshot.workflow.status
    is_dirty = (
        progress.is_dirty
        or phase is not recorded.phase
        or recorded.observed_generation != snapshot.workflow.metadata.generation
    )
    if not is_dirty:
        return None, progress, NEVER
    window = min(MAX_WINDOW, MIN_WINDOW + graph.total / 2000 + snapshot.load)
    due = progress.written_at + window
    if due > snapshot.now and not is_urgent:
        return None, replace(progress, is_dirty=True), due
    new, rendered = report.workflow_status(snapshot, graph, progress, phase)
    progress = replace(progress, rendered=rendered)
    patch = _patch(snapshot, new)
    if patch is None:  # status says so already
        progress = progress.acknowledged(progress.written_at)
    return patch, progress, NEVER


def _patch(snapshot: Snapshot, new: WorkflowStatus) -> PatchStatus | None:
    operations = report.diff(snapshot.workflow.status, new)
    if not operations:
        return None
    meta = snapshot.workflow.metadata
    guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": meta.resource_version}
    return PatchStatus(meta.namespace, meta.name, (guard, *operations))


def _soonest(*times: float) -> float | None:
    soonest = min(times, default=NEVER)
    return None if soonest == NEVER else soonest


def _events(
    snapshot: Snapshot, graph: Graph, draft: Draft, decision: Decision | None, phase: WorkflowPhase
) -> list[Emit]:
    """What a user needs to know of this pass: failures, retries, what keeps tasks from being made, the end."""
    found: list[Emit] = []
    for number, index in sorted(draft.touched):
        node = graph.nodes[number]
        was, task = draft.base.flows[number].tasks[index], draft.task(number, index)
        if was.phase is task.phase and was.attempt == task.attempt:
            continue
        name = f"{node.name}[{index}]" if node.is_indexed else node.name
        if task.phase is Phase.FAILED:
            found.append(Emit("TaskFailed", f"{name} failed: {task.reason}: {task.message}", is_warning=True))
        elif task.phase is Phase.BACKOFF and task.due is not None:
            retry = task.attempt - draft.state(number).first_attempt + 1
            wait = f"retry {retry} of {node.retry.max_retries} in {task.due - snapshot.now:.1f}s"
            found.append(Emit("TaskRetry", f"{name}: {task.reason}: {task.message}; {wait}", is_warning=True))
    for number in sorted(draft.changed):
        state, before = draft.state(number), draft.base.flows[number]
        if state.why in _OBSTACLES and state.why != before.why:
            found.append(Emit(state.why, f"{graph.nodes[number].name}: {state.message}", is_warning=True))
    if decision is not None and draft.base.decision is None:
        found.append(Emit("Decided", f"{decision.reason}: {decision.message}", is_warning=not decision.is_success))
    if phase.is_final and decision is not None:
        found.append(Emit(f"Workflow{phase}", decision.message, is_warning=phase is WorkflowPhase.FAILED))
        if restart.is_due(snapshot) and (refused := restart.refusal(snapshot, graph)):
            found.append(_refused(refused))
    return found


def _refused(why: str) -> Emit:
    return Emit("RestartRefused", why, is_warning=True)


_OBSTACLES = frozenset({Reasons.TEMPLATE_NOT_FOUND, Reasons.KIND_NOT_SERVED, Reasons.CREATE_FAILED})


def _plan_invalid(snapshot: Snapshot, message: str) -> Plan:
    """A spec that can never run: the workflow ends Failed, and says everything that is wrong.

    One that was changed into such a spec while it ran ends as under Stop: its jobs are let end first.
    """
    recorded = snapshot.workflow.status
    empty = Progress(
        flows=(),
        acked=(),
        counts={},
        unsettled=frozenset(),
        failed=frozenset(),
        stale=frozenset(),
        startable=frozenset(),
    )
    if recorded.phase is not None and recorded.phase.is_final:
        return _after_end(snapshot, Plan(progress=empty, deletions=_retained_no_longer(snapshot, recorded.phase)))
    decided = conds.find(recorded.conditions, conds.DECIDED)
    is_changed = recorded.spec_hash not in ("", snapshot.spec_hash)
    decision = Decision(Reasons.INVALID, message[:1024])
    if decided is not None:
        decision = Decision(decided.reason, decided.message)
    elif is_changed:
        decision = Decision(Reasons.SPEC_CHANGED, f"{_SPEC_CHANGED}; and it can never run: {message}"[:1024])
    is_waiting = is_changed and not _are_all_at_rest(snapshot)
    phase = WorkflowPhase.TERMINATING if is_waiting else WorkflowPhase.FAILED
    if not is_waiting and decision.is_success:
        phase = WorkflowPhase.SUCCEEDED
    now = timestamp(snapshot.now)
    new = msgspec.structs.replace(
        recorded,
        phase=advance_workflow(recorded.phase or WorkflowPhase.PENDING, phase),
        reason=decision.reason,
        message=decision.message,
        start_time=recorded.start_time or now,
        completion_time="" if is_waiting else now,
        observed_generation=snapshot.workflow.metadata.generation,
        progress=recorded.progress or "0/0",
        conditions=report.conditions(snapshot, recorded.conditions, phase, decision),
        suspended_at="",
        spec_hash=recorded.spec_hash or snapshot.spec_hash,
    )
    events: tuple[Emit, ...] = ()
    if decided is None:
        events = (Emit(decision.reason, decision.message, is_warning=True),)
    return Plan(
        progress=empty,
        patch=_patch(snapshot, new),
        deletions=() if is_changed else _all_jobs(snapshot, "invalid"),
        events=events,
        more=not is_waiting,
    )


def _are_all_at_rest(snapshot: Snapshot) -> bool:
    """Whether no job is unfinished, of whatever flow; services are not waited for."""
    return all(
        seen.job.metadata.is_deleting
        or status.look(snapshot, seen).is_final
        or snapshot.completion("", seen.gvr) is Completion.READY
        for jobs in snapshot.jobs.values()
        for seen in jobs
    )


def _all_jobs(snapshot: Snapshot, why: str) -> tuple[DeleteJob, ...]:
    return tuple(
        DeleteJob(key, seen.gvr, seen.job.metadata.namespace, seen.job.metadata.name, seen.job.metadata.uid, why)
        for key, jobs in snapshot.jobs.items()
        for seen in jobs
        if not seen.job.metadata.is_deleting
    )


def _retained_no_longer(snapshot: Snapshot, phase: WorkflowPhase) -> tuple[DeleteJob, ...]:
    """All jobs of a workflow that has ended, if its policy is not to keep them."""
    policy = snapshot.workflow.spec.job_retain_policy
    return _all_jobs(snapshot, f"jobRetainPolicy {policy}") if control.is_removed_at_end(policy, phase) else ()


def _plan_restart(snapshot: Snapshot, graph: Graph, base: Progress) -> Plan:
    """Tasks run again: the reset is recorded before anything is made."""
    refused = restart.refusal(snapshot, graph)
    if refused:
        return _plan_ended(snapshot, graph, base, _refused(refused))
    if not restart.are_services_known(snapshot, graph, base):
        return replace(_plan_ended(snapshot, graph, base), workflow_deletion=None)
    progress = restart.reset(snapshot, graph, base)
    asked = snapshot.workflow.spec.restart
    token = asked.at if asked is not None else ""
    if progress is base:
        idle = Emit("RestartIdle", "nothing to run again: no task failed, and no flow is named")
        return _plan_ended(snapshot, graph, base, idle, restarted_at=token)
    again = sum(not task.is_final for state in progress.flows for task in state.tasks)
    new, rendered = report.restarted_status(snapshot, graph, progress, token)
    return Plan(
        progress=replace(progress, rendered=rendered),
        patch=_patch(snapshot, new),
        events=(Emit("Restarted", f"{again} tasks run again"),),
        more=True,
        is_new_run=True,
    )


def _plan_ended(
    snapshot: Snapshot, graph: Graph, base: Progress, *events: Emit, restarted_at: str | None = None
) -> Plan:
    """After the end: nothing changes any more; jobs go by the retain policy, and the Workflow by its ttl."""
    draft = Draft(graph, base)
    recorded = snapshot.workflow.status
    phase = recorded.phase or WorkflowPhase.PENDING
    ended_at = report.seconds(recorded.completion_time) if recorded.completion_time else snapshot.now
    finished = conds.find(recorded.conditions, conds.FINISHED)
    is_same_spec = finished is None or finished.observed_generation == snapshot.workflow.metadata.generation
    is_overdue = is_same_spec and _overdue_at(snapshot) <= ended_at  # a timeout set after the end is none
    how = outcome.mode(snapshot.workflow.spec, base.decision, is_overdue=is_overdue)
    status.remember_jobs(snapshot, graph, draft)
    deletions = tuple(control.deletions(snapshot, graph, draft, how, phase, snapshot.jobs))
    return _after_end(snapshot, Plan(progress=base, deletions=deletions), *events, restarted_at=restarted_at)


def _after_end(snapshot: Snapshot, ended: Plan, *events: Emit, restarted_at: str | None = None) -> Plan:
    """What is done about a workflow that is over: a change of its spec is answered once, with these Events; and its
    ttl passes. restarted_at: the token of a restart that found nothing to do.
    """
    recorded, meta = snapshot.workflow.status, snapshot.workflow.metadata
    is_news = recorded.observed_generation != meta.generation
    if is_news or restarted_at is not None:
        if recorded.spec_hash not in ("", snapshot.spec_hash) and is_news:
            ignored = "the workflow has ended; the change of its spec has no effect"
            events = (*events, Emit("SpecChangeIgnored", ignored))
        new = msgspec.structs.replace(
            recorded,
            observed_generation=meta.generation,
            restarted_at=recorded.restarted_at if restarted_at is None else restarted_at,
        )
        ended = replace(ended, patch=_patch(snapshot, new), events=events)
    ttl = snapshot.workflow.spec.ttl_seconds_after_finished
    if ttl is None or not recorded.completion_time:
        return ended
    due = report.seconds(recorded.completion_time) + ttl
    if due > snapshot.now:
        return replace(ended, wakes=due)
    return replace(ended, workflow_deletion=DeleteWorkflow(meta.namespace, meta.name, meta.uid))
