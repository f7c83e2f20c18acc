"""Folds the observed jobs into the states of their tasks.

Jobs are the source of truth while they exist. The task keeps what is known of a job that is gone. The verdict on an
attempt is final: later changes of its job are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.cost import MAX_OUTPUT_BYTES
from pkg.apis.flow.v1alpha1.phases import BACKOFF, FAILED, PENDING, RUNNING, SUCCEEDED, SUSPENDED, WAITING
from pkg.apis.flow.v1alpha1.reasons import KEPT_UNTIL_CREATED, Reasons
from pkg.apis.flow.v1alpha1.types import Action, Completion
from pkg.apis.meta import Job
from pkg.apis.structs import Value
from pkg.controllers.workflow.planner.attempts import is_possible, of_attempt
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.control import retry
from pkg.controllers.workflow.planner.control.retry import FailurePolicy
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.outputs.reading import Outputs, Unreadable, read_outputs
from pkg.controllers.workflow.planner.progress import Attempt, FlowState, Task, TaskKey
from pkg.controllers.workflow.planner.reading import look
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot
from pkg.controllers.workflow.planner.status.deletion import counts_as_deleted
from pkg.controllers.workflow.planner.status.failures import explained, failure_message
from pkg.controllers.workflow.planner.status.job_record import kind_of, record_kind, record_rules
from pkg.controllers.workflow.planner.status.job_words import deleted, explanation, is_lost
from pkg.controllers.workflow.planner.status.objects import deletes, held_by_finalizers, is_unread
from pkg.workloads import KUEUE_QUEUE_LABEL, PLAINLY_PENDING, JobState, Reading

_PHASES = {
    JobState.PENDING: PENDING,
    JobState.HELD: SUSPENDED,
    JobState.RUNNING: RUNNING,
    JobState.SUCCEEDED: SUCCEEDED,
    JobState.FAILED: FAILED,
}


# What it costs to read one job and to update its task, of the budget of a pass.
JOB_UNITS = 3


class _TaskJobs(Value, frozen=True, gc=False):
    """What is needed to update one task."""

    ctx: Context
    snapshot: Snapshot
    node: Node
    key: TaskKey
    state: FlowState
    #: Its jobs in the cluster.
    jobs: Sequence[ObservedJob]
    #: Its jobs that disappeared since the last pass, as they last were.
    gone: Sequence[ObservedJob]
    policy: FailurePolicy

    def failed(self, task: Task, reason: str, message: str) -> Task:
        """The task after its newest attempt failed."""
        if self.policy.is_deferred:
            if reason == Reasons.JOB_DELETED and task.reason in (Reasons.FAILED, Reasons.JOB_DELETED):
                return task  # its job had failed before it was deleted, or a later look says less about its deletion
            said = f"{message}; what follows is decided when the edit of the spec is taken back"
            return msgspec.structs.replace(task, reason=reason, message=said[:512])
        return retry.after_failure(
            task,
            self.node.retry,
            first_attempt=self.state.first_attempt,
            reason=reason,
            message=message,
            now=self.snapshot.now,
            may_retry=self.policy.may_retry_flow(self.node),
        )


def fold(ctx: Context, keys: Iterable[TaskKey], policy: FailurePolicy) -> frozenset[TaskKey]:
    """Updates the given tasks from their jobs. Returns the tasks that exceed the budget of the pass.

    Tasks of which a job disappeared come first, because the next snapshot no longer shows that job.
    """
    snapshot, draft = ctx.snapshot, ctx.draft
    left: set[TaskKey] = set()
    for key in sorted(keys, key=lambda key: key not in snapshot.gone) if snapshot.gone else keys:
        if ctx.budget.is_spent and key not in snapshot.gone:
            if key in snapshot.jobs or _expects_job(ctx, key):
                left.add(key)
            continue
        node = ctx.node_of(key)
        if node is None:
            continue  # the spec does not have the task that the job's labels name
        number = node.number
        task, state = draft.task(number, key.index), draft.state(number)
        seen, missed = snapshot.jobs.get(key, ()), snapshot.gone.get(key, ())
        if not seen and not missed and (not _expects(task) or is_unread(ctx, key, task)):
            continue  # it has no job, and needs none
        least = _first_attempt_of(task, state)
        jobs = _possible(ctx, node, task, seen, least)
        gone = _possible(ctx, node, task, missed, least) if missed else ()
        after = fold_task(_TaskJobs(ctx, snapshot, node, key, state, jobs, gone, policy), task)
        draft.put(number, key.index, after)
        is_new_job = after.current.job and after.current.job_uid != task.current.job_uid
        if is_new_job and draft.state(number).wait_reason in KEPT_UNTIL_CREATED:
            draft.explain(number, "", "")
        if after.current.gvr != task.current.gvr and after.current.action is Action.CREATE:
            record_kind(draft, number, after.current.gvr)
        for observed in jobs:
            if labels.RULES in observed.job.metadata.annotations:
                record_rules(ctx, node, jobs)
                break
        ctx.budget.spend(JOB_UNITS * (len(jobs) + len(gone)) + task.is_unfinished)
    return frozenset(left)


def _possible(ctx: Context, node: Node, task: Task, jobs: Sequence[ObservedJob], least: int) -> Sequence[ObservedJob]:
    """Those of the jobs that can be attempts of the task, from attempt `least` on."""
    if len(jobs) == 1:
        return jobs if jobs[0].attempt >= least and is_possible(ctx, node, task, jobs[0]) else ()
    return [one for one in jobs if one.attempt >= least and is_possible(ctx, node, task, one)]


def _expects_job(ctx: Context, key: TaskKey) -> bool:
    """Whether the task should have a job, so that its absence means something."""
    task = ctx.task_of(key)
    return task is not None and _expects(task)


def _expects(task: Task) -> bool:
    """Whether the task has, should have, or has lost a job."""
    return task.is_unfinished or bool(task.current.job) or task.current.lost is not None


def _first_attempt_of(task: Task, state: FlowState) -> int:
    """The lowest attempt of which a job says something about the task.

    After a restart jobs of earlier attempts prove nothing, except for tasks that were not restarted: these had a job.
    """
    return task.attempt if task.is_final and task.had_job else state.first_attempt


def attach_jobs(ctx: Context, keys: Iterable[TaskKey]) -> None:
    """Records for these tasks of an ended workflow which job they have, and which of them are services that serve."""
    for key in keys:
        node = ctx.node_of(key)
        if node is not None:
            task = ctx.draft.task(node.number, key.index)
            least = _first_attempt_of(task, ctx.draft.state(node.number))
            jobs = [one for one in ctx.snapshot.jobs.get(key, ()) if one.attempt >= least]
            ctx.draft.put(node.number, key.index, _attach(ctx.snapshot, node, task, _job_of(jobs, task)))


def fold_task(of: _TaskJobs, task: Task) -> Task:
    """One task, updated from its jobs."""
    snapshot = of.snapshot
    if len(of.jobs) == 1 and not of.gone:
        newest = of.jobs[0].attempt
    else:
        newest = max((observed.attempt for observed in (*of.jobs, *of.gone)), default=-1)
    if not task.is_final and newest >= max(task.attempt, of.state.first_attempt):
        is_new = newest > task.attempt or not (task.had_job or task.has_verdict)
        if is_new:
            shown = of_attempt(of.jobs, newest) or of_attempt(of.gone, newest)
            assert shown is not None
            task = _begin(snapshot, task, shown)
    current = _job_of(of.jobs, task)
    if task.current.action is Action.DELETE and not task.has_verdict:
        is_gone = current is None and (_job_of(of.gone, task) is not None or _is_known_missing(of, task))
        return deletes(task, current.job if current is not None else None, snapshot.now, is_gone=is_gone)
    if task.has_verdict:
        return _attach(snapshot, of.node, explained(task, snapshot.endings.get(of.key)), current)
    if current is not None:
        task = _judge(of, task, current)
        # That it has its job is known; only a service that has ended lost it.
        return _attach(snapshot, of.node, task, current) if task.current.ready else task
    if not task.is_unfinished and not task.current.job:
        return task  # this attempt never had a job
    last = _job_of(of.gone, task)
    if last is not None:
        reading = look(snapshot, last)
        if reading.is_final and not counts_as_deleted(task, last.job, is_final=True):
            task = _apply(of, task, last, reading, is_gone=True)
            return task if task.is_unfinished else _with_job(snapshot, task, None)
    if last is None and not _is_known_missing(of, task):
        return task
    failed = of.failed(task, Reasons.JOB_DELETED, deleted(snapshot, task, last))
    if of.policy.is_deferred:
        return failed
    lost = Job(last.job.metadata) if last is not None and is_lost(snapshot, last) else None
    return _with_job(snapshot, failed, None).with_current(lost=lost)


def _begin(snapshot: Snapshot, task: Task, observed: ObservedJob) -> Task:
    """The task at the start of its newest attempt. The job proves that the dependencies were met and that all older
    attempts failed."""
    meta = observed.job.metadata
    created, makeable = _created(observed, snapshot.now), task.current.makeable
    return msgspec.structs.replace(
        task,
        phase=PENDING,
        attempt=observed.attempt,
        reason="",
        message="",
        had_job=True,
        started=task.started if task.started is not None else created,
        due=None,
        current=Attempt(
            job=meta.name,
            job_uid=meta.uid,
            gvr=kind_of(snapshot, observed),
            action=observed.action,
            created=created,
            makeable=makeable if makeable is not None else created,
            may_be_held=_may_be_held(snapshot, observed),
            after=(task.reason, task.message) if task.phase is BACKOFF else ("", ""),
        ),
    )


def _job_of(jobs: Sequence[ObservedJob], task: Task) -> ObservedJob | None:
    """The job of the task's newest attempt."""
    return of_attempt(jobs, task.attempt, task.current.job_uid)


def _with_job(snapshot: Snapshot, task: Task, current: ObservedJob | None) -> Task:
    """The task with its job, or without it once the job is gone; with the times of a newly observed job."""
    if current is None:
        return task.with_current(job="", job_uid="") if task.current.job else task
    meta, known = current.job.metadata, task.current
    if known.job_uid == meta.uid:
        return task
    created = _created(current, snapshot.now)
    task = task.with_current(
        job=meta.name,
        job_uid=meta.uid,
        action=current.action,
        gvr=kind_of(snapshot, current),
        created=known.created if known.created is not None else created,
        makeable=known.makeable if known.makeable is not None or task.has_verdict else created,
        may_be_held=_may_be_held(snapshot, current),
    )
    return task if task.started is not None else msgspec.structs.replace(task, started=created)


def _may_be_held(snapshot: Snapshot, observed: ObservedJob) -> bool:
    """Whether the job is labelled for a queue, by the workflow, its template or a patch."""
    return bool(snapshot.workflow.spec.queue_name or observed.job.metadata.labels.get(KUEUE_QUEUE_LABEL))


def _attach(snapshot: Snapshot, node: Node, task: Task, current: ObservedJob | None) -> Task:
    """A judged task with its job. After a restart of the controller, recognises services that had become ready."""
    if current is None or task.phase is not SUCCEEDED:
        return _with_job(snapshot, task, current)
    if snapshot.completion(node.flow.template_name, current.gvr, (current,)) is Completion.TERMINAL:
        return _with_job(snapshot, task, current)
    if _is_dead(snapshot, current):  # status keeps what a task applied, dead or not
        return _with_job(snapshot, task, current if current.is_foreign else None).with_current(ready=False)
    task = _with_job(snapshot, task, current)
    if task.current.ready:
        return task
    # Status does not record when the job first ran. Probes with failAfter count from when the service became ready,
    # and, where status has one time for many replicas, from the start of this controller.
    ran_at = task.finished if task.finished is not None and not node.is_indexed else snapshot.since
    known = task.current.ran_at
    return task.with_current(ready=True, ran_at=known if known is not None else ran_at)


def _is_dead(snapshot: Snapshot, service: ObservedJob) -> bool:
    """Whether the job of a service reports its own end, so that none of its pods answers probes any more.

    A kind whose jobs serve for ever (a Deployment that makes no progress) may recover, so it lives until it is gone.
    """
    serves_for_ever = snapshot.row_of(service).completion is not Completion.TERMINAL
    return look(snapshot, service).is_final and not serves_for_ever


def _created(observed: ObservedJob, now: float) -> float | None:
    """When a job was created, for its timeouts. The API server truncates the time to whole seconds, and a timeout may
    come late, never early. An object may be older than the attempt that applies or deletes it."""
    meta = observed.job.metadata
    if observed.is_foreign:
        return now
    return None if meta.creation_timestamp is None else min(meta.creation_timestamp.timestamp() + 1.0, now)


def _judge(of: _TaskJobs, task: Task, current: ObservedJob) -> Task:
    """The task as its job in the cluster shows it."""
    task = _with_job(of.snapshot, task, current)
    reading = look(of.snapshot, current)
    if not counts_as_deleted(task, current.job, is_final=reading.is_final):
        return _apply(of, task, current, reading)
    task = task.with_current(doomed=True)
    if not of.policy.judges_deletion_at_once:
        if said := held_by_finalizers(current.job):
            task = msgspec.structs.replace(task, reason=Reasons.DELETING, message=f"job {said}"[:512])
        return msgspec.structs.replace(task, phase=PENDING) if task.phase is WAITING else task
    return of.failed(task, Reasons.JOB_DELETED, f"job {task.current.job} is being deleted")


def _apply(of: _TaskJobs, task: Task, observed: ObservedJob, reading: Reading, *, is_gone: bool = False) -> Task:
    """The task with the verdict, or the progress, that the reading of its job gives."""
    snapshot, now, current = of.snapshot, of.snapshot.now, task.current
    completion = snapshot.completion(of.node.flow.template_name, observed.gvr, (observed,))
    state = reading.under(completion)
    if state is JobState.FAILED:
        said = ": ".join(part for part in (reading.reason, reading.message) if part)
        return of.failed(task, Reasons.FAILED, failure_message(current.job, said))
    is_plain = state is JobState.PENDING and reading is PLAINLY_PENDING
    if is_plain and _is_new(task) and current.job_uid not in snapshot.warnings:
        return task
    if reading.faulty and task.ran and state is JobState.PENDING:
        state = JobState.RUNNING  # a job that cannot be judged keeps its state
    outputs = _outputs(of, task, observed, is_gone=is_gone) if state is JobState.SUCCEEDED else ()
    if isinstance(outputs, Unreadable):
        return of.failed(msgspec.structs.replace(task, ran=True), outputs.reason, outputs.message)
    phase = _PHASES[state] if outputs is not None else RUNNING
    if outputs is None:
        reason, message = _waits_for_outputs(of, current.job)
    else:
        reason, message = explanation(snapshot, task, observed, phase, reading)
    is_held = phase is SUSPENDED
    has_run = state in (JobState.RUNNING, JobState.SUCCEEDED)
    held = current.held + (now - current.held_at if current.held_at is not None and not is_held else 0.0)
    held_since = current.held_at if current.held_at is not None else now
    return msgspec.structs.replace(
        task,
        phase=phase,
        ran=task.ran or has_run,
        finished=now if phase is SUCCEEDED else None,
        outputs=outputs or (),
        reason=reason[:128],
        message=message[:512],
        current=msgspec.structs.replace(
            current,
            began=current.began or has_run,
            was_held=current.was_held or is_held,
            ran_at=current.ran_at if current.ran_at is not None or not has_run else now,
            ready=phase is SUCCEEDED and completion is not Completion.TERMINAL,
            held=held,
            held_at=held_since if is_held else None,
            is_ended=outputs is None,
        ),
    )


def _is_new(task: Task) -> bool:
    """Whether nothing is known of the newest attempt but that it has a job."""
    current = task.current
    is_plain = task.phase is PENDING and not task.reason and not task.message and task.finished is None
    return is_plain and current.held_at is None and not (current.ready or current.is_ended or task.outputs)


def _outputs(of: _TaskJobs, task: Task, observed: ObservedJob, *, is_gone: bool) -> Outputs | Unreadable | None:
    """The outputs of a job that has succeeded; None while they cannot be read."""
    if of.state.hands_out and of.policy.is_deferred:
        return None  # which they are is not known before the edit of the spec is taken back
    answer, room = of.snapshot.messages.get(of.key), MAX_OUTPUT_BYTES - of.ctx.draft.output_bytes
    return read_outputs(of.node.outputs, observed, answer, task.attempt, room=room, is_gone=is_gone)


def _waits_for_outputs(of: _TaskJobs, job: str) -> tuple[str, str]:
    """Why a task is not Succeeded whose job is."""
    if of.policy.is_deferred:
        return Reasons.WAITING_FOR_OUTPUT, f"job {job} succeeded; its outputs are read once the edit is taken back"
    names = ", ".join(rule.name for rule in of.node.outputs if rule.message is not None)
    what = f"the termination message with output {names}" if names else "its whole object, for its outputs"
    return Reasons.WAITING_FOR_OUTPUT, f"job {job} succeeded; waits for {what}"


def _is_known_missing(of: _TaskJobs, task: Task) -> bool:
    """Whether a job that is absent from the cache is absent from the cluster: the cache of its kind is complete.

    The flow may have jobs of several kinds. If the kind of this one is not known, every cache has to be complete. An
    object that the task applied or deletes has been read by itself.
    """
    if task.current.action is not Action.CREATE:
        return of.key not in of.snapshot.unseen
    snapshot = of.snapshot
    recorded = task.current.gvr
    gvrs = [gvr for gvr in snapshot.kinds if not recorded or str(gvr) == recorded]
    return bool(gvrs) and all(gvr in snapshot.synced for gvr in gvrs)
