"""One pass, composed of the reconcilers in a fixed order: a snapshot in, actions out.

status folds what the jobs say; timeouts expire attempts; dependency releases and skips; the outcome is decided; control
starts and deletes. The middle part repeats until nothing moves, because a skip may decide the outcome and a decision
may release the `finally` flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from pkg.apis.flow.v1alpha1 import validation
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase, advance_workflow
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Shutdown
from pkg.controllers.workflow.planner.actions import PatchStatus, Plan
from pkg.controllers.workflow.planner.control import creations, deletions, outcome, restart, timeouts
from pkg.controllers.workflow.planner.control.outcome import Mode
from pkg.controllers.workflow.planner.control.retry import Verdicts
from pkg.controllers.workflow.planner.control.timeouts import workflow_overdue_at
from pkg.controllers.workflow.planner.dependency import release
from pkg.controllers.workflow.planner.dependency.probes import probes_wanted
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.ending import SPEC_CHANGED, plan_ended, plan_invalid, plan_restart
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.progress import NEVER, Decision, FlowState, Progress, TaskKey
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.controllers.workflow.planner.status import recovery, workflow_status
from pkg.controllers.workflow.planner.status.events import events_of
from pkg.controllers.workflow.planner.status.jobs import fold
from pkg.controllers.workflow.planner.status.status_patch import patch_status

MIN_WINDOW = 0.3
MAX_WINDOW = 5.0
MAX_EVENTS = 20


def plan(snapshot: Snapshot) -> Plan:
    """Everything to do now for one workflow that is not being deleted."""
    graph = snapshot.graph
    if not isinstance(graph, Graph):
        return plan_invalid(snapshot, validation.summary(graph))
    progress = snapshot.progress
    if progress is None:
        progress = recovery.recover(snapshot, graph)
        snapshot = replace(snapshot, progress=progress)
    if (snapshot.workflow.status.phase or WorkflowPhase.PENDING).is_final:
        if restart.is_due(snapshot):
            # From what status records: a reset whose write failed is no progress.
            return plan_restart(snapshot, graph, recovery.recover(snapshot, graph))
        return plan_ended(snapshot, graph, progress)
    return _plan_running(snapshot, graph, progress)


def _plan_running(snapshot: Snapshot, graph: Graph, base: Progress) -> Plan:
    spec = snapshot.workflow.spec
    draft = Draft(graph, base)
    overdue_at = workflow_overdue_at(snapshot)
    is_overdue = overdue_at <= snapshot.now
    is_changed = snapshot.workflow.status.spec_hash not in ("", snapshot.spec_hash)
    decision = base.decision
    how = outcome.mode(spec, decision, is_overdue=is_overdue)
    verdicts = _verdicts(snapshot, how)

    keys = _keys(snapshot)
    fold(snapshot, graph, draft, keys, verdicts)
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
        wakes = release.reconcile(snapshot, graph, draft, stale, may_release=may_release, hidden=hidden)
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
            fold(snapshot, graph, draft, leaving, _verdicts(snapshot, how))
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
    starts = creations.Starts()
    if decision == base.decision:  # a new decision is recorded before anything is built on it
        starts = creations.start(snapshot, graph, draft, how)
    phase = _phase(snapshot, graph, draft, decision, how)
    touched = {TaskKey(graph.nodes[number].name, index) for number, index in draft.touched}
    at_end = snapshot.jobs.keys() if phase.is_final or how is Mode.CANCEL else ()
    to_delete = deletions.deletions(snapshot, graph, draft, how, phase, dict.fromkeys((*keys, *touched, *at_end)))

    progress = _freeze(snapshot, graph, draft, decision, stale=_dependents(graph, draft.moved))
    is_urgent = (
        snapshot.is_urgent
        or starts.needs_status
        or bool(to_delete)
        or phase.is_final
        or (decision is not None and not progress.is_decision_acked)
    )
    patch, progress, written_next = _status(snapshot, graph, progress, phase, is_urgent=is_urgent)
    events = [*events_of(snapshot, graph, draft, decision, phase), *starts.events]
    is_waiting_for_status = starts.needs_status or decision != base.decision or bool(draft.moved)
    # The pass after the end looks at the ttl, and at a restart that has waited for it.
    has_more = is_waiting_for_status or phase.is_final or starts.is_left
    return Plan(
        progress=progress,
        creations=tuple(starts.creations),
        patch=patch,
        deletions=tuple(to_delete),
        events=tuple(events[:MAX_EVENTS]),
        probes=tuple(probes_wanted(graph, draft)),
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
        return Decision(Reasons.SPEC_CHANGED, SPEC_CHANGED)
    is_held_open = bool(draft.unsettled & restart.named(snapshot, graph))
    return outcome.decide(snapshot.workflow.spec, graph, draft, is_overdue=is_overdue, is_held_open=is_held_open)


def _phase(snapshot: Snapshot, graph: Graph, draft: Draft, decision: Decision | None, how: Mode) -> WorkflowPhase:
    now = snapshot.workflow.status.phase or WorkflowPhase.PENDING
    if decision is not None and not draft.unsettled and deletions.is_at_rest(snapshot, graph, draft):
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
    # A clock that was set back must not put the write off for as long.
    if progress.written_at <= snapshot.now < due and not is_urgent:
        return None, replace(progress, is_dirty=True), due
    new, rendered = workflow_status.workflow_status(snapshot, graph, progress, phase)
    progress = replace(progress, rendered=rendered)
    patch = patch_status(snapshot, new)
    if patch is None:  # status says so already
        progress = progress.acknowledged(progress.written_at)
    return patch, progress, NEVER


def _soonest(*times: float) -> float | None:
    soonest = min(times, default=NEVER)
    return None if soonest == NEVER else soonest
