"""The plan for a workflow that has ended, that is restarted, or whose spec can never run.

After the end only a restart changes anything, and it adopts an edited spec. The edit itself causes one Event.
jobRetainPolicy removes jobs, and ttlSecondsAfterFinished removes the Workflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace as _replace

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase, advance_workflow
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.meta import seconds, timestamp
from pkg.controllers.workflow.planner.actions import DeleteJob, DeleteWorkflow, Emit, Plan
from pkg.controllers.workflow.planner.begun import with_flows_of
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.control import deletions, outcome, restart
from pkg.controllers.workflow.planner.control.timeouts import workflow_overdue_at
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.edits import is_edited, policy_in_force
from pkg.controllers.workflow.planner.graph.fan_out import with_counts
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import NO_PROGRESS, Decision, Progress, TaskKey
from pkg.controllers.workflow.planner.snapshot import Snapshot
from pkg.controllers.workflow.planner.status import failures, recovery, workflow_status
from pkg.controllers.workflow.planner.status.events import restart_refused
from pkg.controllers.workflow.planner.status.jobs import attach_jobs
from pkg.controllers.workflow.planner.status.status_patch import patch_status

EDITED_AFTER_END = (
    "the spec was edited after the end: the edit takes effect at the next restart (set spec.restart.at to a new value)"
)
_NOTHING: Mapping[str, Any] = {}


def plan_invalid(snapshot: Snapshot, message: str) -> Plan:
    """The plan for a spec that can never run: the workflow fails, with every fault in its message.

    A workflow that runs comes here only by the edit of a template. An edit of its spec holds it.
    """
    recorded = snapshot.workflow.status
    if not recorded.flows and snapshot.jobs:  # of which nothing else would tell after the end
        recorded = with_flows_of(recorded, [(key, job) for key, jobs in snapshot.jobs.items() for job in jobs])
    decided = conds.find(recorded.conditions, conds.DECIDED)
    decision = Decision(Reasons.INVALID, message[: conds.MAX_MESSAGE])
    if decided is not None:
        decision = Decision(decided.reason, decided.message)
    phase = WorkflowPhase.SUCCEEDED if decision.is_success else WorkflowPhase.FAILED
    now = timestamp(snapshot.now)
    new = _replace(
        records.moved(recorded, suspended_at="", **_adopted(snapshot)),
        phase=advance_workflow(recorded.phase or WorkflowPhase.PENDING, phase),
        reason=decision.reason,
        message=decision.message,
        start_time=recorded.start_time or now,
        completion_time=now,
        observed_generation=snapshot.workflow.metadata.generation,
        progress=recorded.progress or "0/0",
        conditions=workflow_status.conditions(snapshot, recorded.conditions, phase, decision),
    )
    events: tuple[Emit, ...] = ()
    if decided is None:
        events = (Emit(decision.reason, decision.message, is_warning=True),)
    return Plan(
        progress=NO_PROGRESS,
        patch=patch_status(snapshot, new),
        deletions=_all_jobs(snapshot, "invalid"),
        events=events,
        requeue_now=True,
    )


def _adopted(snapshot: Snapshot) -> dict[str, Any]:
    """What the record says of the spec in force."""
    return {"spec_hash": snapshot.spec_hash, "job_retain_policy": snapshot.workflow.spec.job_retain_policy}


def plan_without_graph(snapshot: Snapshot, *events: Emit) -> Plan:
    """The plan for a workflow that has ended, and whose jobs have ended or may go on."""
    phase = snapshot.workflow.status.phase or WorkflowPhase.PENDING
    ended = Plan(
        progress=NO_PROGRESS,
        deletions=_not_retained(snapshot, phase),
        lookups=failures.lookups_after_end(snapshot.workflow.status, snapshot.since, snapshot.endings),
    )
    return _after_end(snapshot, ended, *events)


def _all_jobs(snapshot: Snapshot, why: str) -> tuple[DeleteJob, ...]:
    return tuple(
        deletions.delete_job(key, observed, why)
        for key, jobs in snapshot.jobs.items()
        for observed in jobs
        if not observed.job.metadata.is_deleting and not observed.is_foreign
    )


def _not_retained(snapshot: Snapshot, phase: WorkflowPhase) -> tuple[DeleteJob, ...]:
    """All jobs of a workflow that has ended, if jobRetainPolicy removes them."""
    policy = policy_in_force(snapshot.workflow)
    if not deletions.is_removed_at_end(policy, phase):
        return ()
    looked_up = _looked_up(snapshot)
    found = _all_jobs(snapshot, f"jobRetainPolicy {policy}")
    return tuple(deletion for deletion in found if deletion.task not in looked_up)


def _looked_up(snapshot: Snapshot) -> frozenset[TaskKey]:
    """The failed tasks whose pods are being looked up: their jobs, and with them their pods, stay until then."""
    return frozenset(key for key, ending in snapshot.endings.items() if ending.words is None)


def plan_restart(snapshot: Snapshot) -> Plan:
    """The plan for a restart, which adopts an edited spec. The reset is recorded before any job is created."""
    new = restart.adopting(snapshot)
    refused = restart.refusal(new)
    if refused or not isinstance(new.graph, Graph):
        return _plan_unchanged(snapshot, restart_refused(refused))
    # From status alone: a reset whose write failed must not count.
    graph, base = new.graph, recovery.recover(new, new.graph)
    if not restart.are_jobs_known(new, graph, base):
        return _replace(_plan_unchanged(snapshot), workflow_deletion=None)
    asked = new.workflow.spec.restart
    token = asked.at if asked is not None else ""
    progress = restart.reset(new, graph, base)
    if progress is base:
        nothing = "nothing to run again: no task failed, no flow is named, and the spec has no new flow or index"
        adopted = {"restarted_at": token, **_adopted(new)}
        # The next plan deletes by the jobRetainPolicy that is adopted.
        return _replace(_plan_unchanged(snapshot, Emit("RestartIdle", nothing), adopted=adopted), deletions=())
    graph = with_counts(graph, restart.numbers_kept(graph, progress))
    again = sum(not task.is_final for state in progress.flows for task in state.tasks)
    made = workflow_status.restarted_status(new, graph, progress, token, restart.numbers_of(new, graph, base))
    by = ", by the edited spec" if snapshot.edit is not None else ""
    return Plan(
        progress=_replace(progress, rendered=made.flows),
        patch=patch_status(new, made.status),
        events=(Emit("Restarted", f"{again} {'task runs' if again == 1 else 'tasks run'} again{by}"),),
        requeue_now=True,
        is_new_run=True,
    )


def _plan_unchanged(snapshot: Snapshot, *events: Emit, adopted: Mapping[str, Any] = _NOTHING) -> Plan:
    """The plan for a workflow that stays as it has ended, by the spec in force then. adopted: as in `_after_end`."""
    if not isinstance(snapshot.graph, Graph):
        return plan_without_graph(snapshot, *events)
    return plan_ended(snapshot, snapshot.graph, recovery.recover(snapshot, snapshot.graph), *events, adopted=adopted)


def plan_ended(
    snapshot: Snapshot, graph: Graph, base: Progress, *events: Emit, adopted: Mapping[str, Any] = _NOTHING
) -> Plan:
    """The plan for a workflow that has ended. adopted: as in `_after_end`."""
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
    return _after_end(snapshot, Plan(progress=base, deletions=to_delete), *events, adopted=adopted)


def _after_end(snapshot: Snapshot, ended: Plan, *events: Emit, adopted: Mapping[str, Any] = _NOTHING) -> Plan:
    """Sends these Events once after an edit of the spec, and deletes the Workflow when its ttl is over.

    adopted: the fields of the record that a restart changes which had nothing to do.
    """
    recorded, meta = snapshot.workflow.status, snapshot.workflow.metadata
    is_new = recorded.observed_generation != meta.generation
    told = failures.status_with_words(recorded, snapshot.endings)
    if told is not recorded:
        ended = _replace(ended, patch=patch_status(snapshot, records.moved(told)))
    if is_new or adopted:
        is_other = is_edited(snapshot.workflow, snapshot.spec_hash) if snapshot.graph is None else bool(snapshot.edit)
        if is_new and is_other and not events:
            events = (Emit(Reasons.SPEC_CHANGED, EDITED_AFTER_END),)
        kept = {} if is_other else _adopted(snapshot)
        new = _replace(records.moved(told, **{**kept, **adopted}), observed_generation=meta.generation)
        # What the adopted spec says of the jobs is judged by the next plan.
        ended = _replace(ended, patch=patch_status(snapshot, new), events=events, requeue_now=bool(adopted))
    ttl = snapshot.workflow.spec.ttl_seconds_after_finished
    if ttl is None or not recorded.completion_time:
        return ended
    due = seconds(recorded.completion_time) + ttl
    if due > snapshot.now:
        return _replace(ended, requeue_at=due)
    return _replace(ended, workflow_deletion=DeleteWorkflow(meta.namespace, meta.name, meta.uid))
