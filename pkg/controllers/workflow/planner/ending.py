"""The plan for a workflow that has ended, that is restarted, or whose spec can never run.

After the end only a restart changes anything. An edit of the spec causes one Event. jobRetainPolicy removes jobs, and
ttlSecondsAfterFinished removes the Workflow.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase, advance_workflow
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Completion
from pkg.apis.meta import seconds, timestamp
from pkg.controllers.workflow.planner.actions import DeleteJob, DeleteWorkflow, Emit, Plan
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.control import deletions, outcome, restart
from pkg.controllers.workflow.planner.control.timeouts import workflow_overdue_at
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.edits import is_edited
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import NO_PROGRESS, Decision, Progress, TaskKey
from pkg.controllers.workflow.planner.reading import look
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.controllers.workflow.planner.status import failures, workflow_status
from pkg.controllers.workflow.planner.status.events import restart_refused
from pkg.controllers.workflow.planner.status.jobs import attach_jobs
from pkg.controllers.workflow.planner.status.status_patch import patch_status

SPEC_CHANGED = (
    "the spec changed after the start; only suspend, shutdown, restart, parallelism, timeout and "
    "ttlSecondsAfterFinished may"
)


def plan_invalid(snapshot: Snapshot, message: str) -> Plan:
    """The plan for a spec that can never run: the workflow fails, with every fault in its message.

    If the spec was changed into such a spec while the workflow ran, the workflow ends as under Stop: its jobs may end
    first.
    """
    recorded = snapshot.workflow.status
    if recorded.phase is not None and recorded.phase.is_final:
        return plan_without_graph(snapshot)
    decided = conds.find(recorded.conditions, conds.DECIDED)
    is_changed = is_edited(snapshot.workflow, snapshot.spec_hash)
    decision = Decision(Reasons.INVALID, message[:1024])
    if decided is not None:
        decision = Decision(decided.reason, decided.message)
    elif is_changed:
        decision = Decision(Reasons.SPEC_CHANGED, f"{SPEC_CHANGED}; and it can never run: {message}"[:1024])
    is_waiting = is_changed and _has_unfinished_job(snapshot)
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
        conditions=workflow_status.conditions(snapshot, recorded.conditions, phase, decision),
        suspended_at="",
        spec_hash=recorded.spec_hash if is_changed else snapshot.spec_hash,
    )
    events: tuple[Emit, ...] = ()
    if decided is None:
        events = (Emit(decision.reason, decision.message, is_warning=True),)
    return Plan(
        progress=NO_PROGRESS,
        patch=patch_status(snapshot, new),
        deletions=() if is_changed else _all_jobs(snapshot, "invalid"),
        events=events,
        requeue_now=not is_waiting,
    )


def plan_without_graph(snapshot: Snapshot) -> Plan:
    """The plan for a workflow that has ended, and whose jobs have ended or may go on."""
    phase = snapshot.workflow.status.phase or WorkflowPhase.PENDING
    return _after_end(snapshot, Plan(progress=NO_PROGRESS, deletions=_not_retained(snapshot, phase)))


def _has_unfinished_job(snapshot: Snapshot) -> bool:
    """Whether any job of any flow is unfinished. Services do not count."""
    return any(
        not observed.job.metadata.is_deleting
        and not look(snapshot, observed).is_final
        and snapshot.completion("", observed.gvr) is not Completion.READY
        for jobs in snapshot.jobs.values()
        for observed in jobs
    )


def _all_jobs(snapshot: Snapshot, why: str) -> tuple[DeleteJob, ...]:
    return tuple(
        deletions.delete_job(key, observed, why)
        for key, jobs in snapshot.jobs.items()
        for observed in jobs
        if not observed.job.metadata.is_deleting
    )


def _not_retained(snapshot: Snapshot, phase: WorkflowPhase) -> tuple[DeleteJob, ...]:
    """All jobs of a workflow that has ended, if jobRetainPolicy removes them."""
    policy = snapshot.workflow.spec.job_retain_policy
    if not deletions.is_removed_at_end(policy, phase):
        return ()
    looked_up = _looked_up(snapshot)
    found = _all_jobs(snapshot, f"jobRetainPolicy {policy}")
    return tuple(deletion for deletion in found if deletion.task not in looked_up)


def _looked_up(snapshot: Snapshot) -> frozenset[TaskKey]:
    """The failed tasks whose pods are being looked up: their jobs, and with them their pods, stay until then."""
    return frozenset(key for key, ending in snapshot.endings.items() if ending.words is None)


def plan_restart(snapshot: Snapshot, graph: Graph, base: Progress) -> Plan:
    """The plan for a restart. The reset of its tasks is recorded before any job is created."""
    refused = restart.refusal(snapshot, graph)
    if refused:
        return plan_ended(snapshot, graph, base, restart_refused(refused))
    if not restart.are_services_known(snapshot, graph, base):
        return replace(plan_ended(snapshot, graph, base), workflow_deletion=None)
    progress = restart.reset(snapshot, graph, base)
    asked = snapshot.workflow.spec.restart
    token = asked.at if asked is not None else ""
    if progress is base:
        idle = Emit("RestartIdle", "nothing to run again: no task failed, and no flow is named")
        return plan_ended(snapshot, graph, base, idle, restarted_at=token)
    again = sum(not task.is_final for state in progress.flows for task in state.tasks)
    made = workflow_status.restarted_status(snapshot, graph, progress, token)
    return Plan(
        progress=replace(progress, rendered=made.flows),
        patch=patch_status(snapshot, made.status),
        events=(Emit("Restarted", f"{again} {'task' if again == 1 else 'tasks'} run again"),),
        requeue_now=True,
        is_new_run=True,
    )


def plan_ended(
    snapshot: Snapshot, graph: Graph, base: Progress, *events: Emit, restarted_at: str | None = None
) -> Plan:
    """The plan for a workflow that has ended. restarted_at: the token of a restart that had nothing to do."""
    ctx = Context(snapshot, Draft(graph, base))
    recorded = snapshot.workflow.status
    phase = recorded.phase or WorkflowPhase.PENDING
    ended_at = seconds(recorded.completion_time) if recorded.completion_time else snapshot.now
    finished = conds.find(recorded.conditions, conds.FINISHED)
    is_same_spec = finished is None or finished.observed_generation == snapshot.workflow.metadata.generation
    # A timeout that was set after the end does not count.
    is_overdue = is_same_spec and workflow_overdue_at(snapshot) <= ended_at
    how = outcome.mode(snapshot.workflow.spec, base.decision, is_overdue=is_overdue)
    is_new = snapshot.dirty is None or recorded.observed_generation != snapshot.workflow.metadata.generation
    # A job may have stayed until its pods were looked up.
    is_new = is_new or deletions.is_removed_at_end(snapshot.workflow.spec.job_retain_policy, phase)
    keys = snapshot.jobs.keys() if is_new else snapshot.dirty or frozenset()
    attach_jobs(ctx, keys)
    to_delete = tuple(deletions.deletions(ctx, how, phase, keys, _looked_up(snapshot)))
    return _after_end(snapshot, Plan(progress=base, deletions=to_delete), *events, restarted_at=restarted_at)


def _after_end(snapshot: Snapshot, ended: Plan, *events: Emit, restarted_at: str | None = None) -> Plan:
    """Sends these Events once after an edit of the spec, and deletes the Workflow when its ttl is over.

    restarted_at: the token of a restart that had nothing to do.
    """
    recorded, meta = snapshot.workflow.status, snapshot.workflow.metadata
    is_new = recorded.observed_generation != meta.generation
    told = failures.status_with_words(recorded, snapshot.endings)
    if told is not recorded:
        ended = replace(ended, patch=patch_status(snapshot, told))
    if is_new or restarted_at is not None:
        if is_new and is_edited(snapshot.workflow, snapshot.spec_hash):
            ignored = "the workflow has ended; the change of its spec has no effect"
            events = (*events, Emit("SpecChangeIgnored", ignored))
        new = msgspec.structs.replace(
            told,
            observed_generation=meta.generation,
            restarted_at=recorded.restarted_at if restarted_at is None else restarted_at,
        )
        ended = replace(ended, patch=patch_status(snapshot, new), events=events)
    ttl = snapshot.workflow.spec.ttl_seconds_after_finished
    if ttl is None or not recorded.completion_time:
        return ended
    due = seconds(recorded.completion_time) + ttl
    if due > snapshot.now:
        return replace(ended, requeue_at=due)
    return replace(ended, workflow_deletion=DeleteWorkflow(meta.namespace, meta.name, meta.uid))
