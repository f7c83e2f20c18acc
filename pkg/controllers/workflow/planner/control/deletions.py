"""Which jobs are deleted now, and whether the end of the workflow has to wait for a job."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from pkg.apis.flow.v1alpha1.phases import CANCELLED, RUNNING, SUCCEEDED, WorkflowPhase
from pkg.apis.flow.v1alpha1.reasons import GIVEN_UP
from pkg.apis.flow.v1alpha1.types import Action, RetainPolicy
from pkg.controllers.workflow.planner.actions import DeleteJob, ForeignAction
from pkg.controllers.workflow.planner.attempts import is_of_another_spec, is_possible
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.control.objects import foreign_action
from pkg.controllers.workflow.planner.control.outcome import Mode
from pkg.controllers.workflow.planner.progress import Task, TaskKey
from pkg.controllers.workflow.planner.reading import look
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot

_CANCELLED = "the workflow was cancelled"


def deletions(
    ctx: Context, how: Mode, phase: WorkflowPhase, keys: Iterable[TaskKey], looked_up: Collection[TaskKey] = ()
) -> list[DeleteJob]:
    """The jobs of the given tasks that are to be deleted.

    looked_up: tasks whose newest job failed and whose pods are being looked up. jobRetainPolicy waits for that.
    """
    found = []
    for key in keys:
        jobs = ctx.snapshot.jobs.get(key)
        if not jobs:
            continue
        node = ctx.node_of(key)
        task = None if node is None else ctx.draft.task(node.number, key.index)
        is_empty = node is not None and node.is_empty
        for observed in jobs:
            if observed.job.metadata.is_deleting:
                continue
            if observed.is_foreign:
                if task is not None and _is_to_go(task, observed):
                    found.append(replace(delete_job(key, observed, "action Delete"), foreign=_behind(ctx, key)))
                continue
            if key in looked_up and task is not None and observed.attempt == task.attempt:
                continue
            # A flow without replicas has one task, Skipped, and no attempt that this could be the job of.
            is_of_none = is_empty or (node is not None and is_of_another_spec(node, observed, jobs))
            why = _reason_to_delete(ctx.snapshot, None if is_of_none else task, observed, how, phase)
            if why:
                found.append(delete_job(key, observed, why))
    return found


def delete_job(key: TaskKey, observed: ObservedJob, why: str) -> DeleteJob:
    """The deletion of one job; why: for the log."""
    meta = observed.job.metadata
    return DeleteJob(key, observed.gvr, meta.namespace, meta.name, meta.uid, why)


def _is_to_go(task: Task, observed: ObservedJob) -> bool:
    """Whether a task of action Delete found this very object, and has not ended. No other foreign object is deleted."""
    is_found = (task.attempt, task.current.job_uid) == (observed.attempt, observed.job.metadata.uid)
    return observed.action is Action.DELETE and task.phase is RUNNING and is_found


def _behind(ctx: Context, key: TaskKey) -> ForeignAction:
    """Whose rights the deletion of a task's object needs; of nobody once its template is gone or says otherwise.

    They were asked for when the object was looked for. But status says that this was done, and people may write status.
    """
    node = ctx.node_of(key)
    template = ctx.snapshot.templates.get(node.flow.template_name) if node is not None else None
    found = foreign_action(ctx.snapshot, node, template) if node is not None and template is not None else None
    return found if found is not None and found.action is Action.DELETE else ForeignAction(Action.DELETE)


def _reason_to_delete(
    snapshot: Snapshot, task: Task | None, observed: ObservedJob, how: Mode, phase: WorkflowPhase
) -> str:
    """Why a job is to be deleted, empty if it stays. task: None if the spec no longer has it."""
    policy = snapshot.workflow.spec.job_retain_policy
    if is_removed_at_end(policy, phase):
        return f"jobRetainPolicy {policy}"
    if task is None:
        return "" if look(snapshot, observed).is_final else "the spec does not have its task any more"
    if observed.attempt < task.attempt:
        reading = look(snapshot, observed)
        return "" if reading.is_final or reading.faulty else "an older attempt"
    is_ready = task.current.ready
    if how is Mode.CANCEL and task.is_final and not is_ready and task.phase is not CANCELLED:
        # Its creation reached the API server although the task had been given up already.
        reading = look(snapshot, observed)
        if not reading.is_final and not reading.faulty:
            return _CANCELLED
    if observed.attempt != task.attempt or not task.has_verdict:
        return ""
    if is_ready:
        return _CANCELLED if how is Mode.CANCEL else ""
    if task.phase is CANCELLED:
        return "the outcome was decided"
    if task.reason in GIVEN_UP and not look(snapshot, observed).is_final:
        return task.reason
    return ""


def is_removed_at_end(policy: RetainPolicy, phase: WorkflowPhase) -> bool:
    """Whether jobRetainPolicy removes the jobs of a workflow in that phase."""
    if policy is RetainPolicy.DELETE_ON_SUCCESS:
        return phase is WorkflowPhase.SUCCEEDED
    return policy is RetainPolicy.DELETE and phase.is_final


def has_unfinished_job(ctx: Context) -> bool:
    """Whether the end has to wait for a job. A job under deletion and a service that became ready do not count."""
    return any(_is_waited_for(ctx, key, observed) for key, jobs in ctx.snapshot.jobs.items() for observed in jobs)


def _is_double(task: Task, observed: ObservedJob) -> bool:
    """Whether another job is known as that of the attempt."""
    known = task.current.job_uid
    return observed.attempt == task.attempt and known not in ("", observed.job.metadata.uid)


def _is_waited_for(ctx: Context, key: TaskKey, observed: ObservedJob) -> bool:
    if observed.is_foreign:
        return False  # its task has ended, and the object stays
    node, task = ctx.node_of(key), ctx.task_of(key)
    jobs = ctx.snapshot.jobs.get(key, ())
    if node is None or task is None or node.is_empty or is_of_another_spec(node, observed, jobs):
        is_service = False  # the spec does not have its task any more: the job is deleted, whatever it is
    elif not is_possible(ctx, node, task, observed) or _is_double(task, observed):
        return False  # it only pretends to be an attempt
    else:
        is_service = task.current.ready and observed.attempt == task.attempt
    if observed.job.metadata.is_deleting or is_service:
        return False
    if task is not None and task.phase is SUCCEEDED and task.current.job_uid == observed.job.metadata.uid:
        return False  # the verdict came of this very job, and stays
    reading = look(ctx.snapshot, observed)
    # Rules that can no longer judge a job do not take back a verdict.
    has_verdict = reading.faulty and task is not None and task.has_verdict
    return not reading.is_final and not has_verdict
