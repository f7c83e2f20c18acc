"""The status reconciler: what the jobs seen in the cluster make of each task.

The jobs are the truth while they exist; what was concluded from a job that is gone is kept in the task. A verdict on an
attempt is final: whatever its job says later is not judged again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import KEPT_UNTIL_CREATED, Reasons
from pkg.apis.flow.v1alpha1.types import Completion
from pkg.apis.meta import ObjectMeta
from pkg.controllers.workflow.planner.control import retry
from pkg.controllers.workflow.planner.control.retry import Verdicts
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.progress import Task, TaskKey
from pkg.controllers.workflow.planner.reading import look
from pkg.controllers.workflow.planner.snapshot import Seen, Snapshot
from pkg.workloads import JobState, Reading

_PHASES = {
    JobState.PENDING: Phase.PENDING,
    JobState.HELD: Phase.SUSPENDED,
    JobState.RUNNING: Phase.RUNNING,
    JobState.SUCCEEDED: Phase.SUCCEEDED,
    JobState.FAILED: Phase.FAILED,
}


def fold(
    snapshot: Snapshot, graph: Graph, draft: Draft, keys: Iterable[TaskKey], verdicts: dict[bool, Verdicts]
) -> None:
    """Brings the given tasks up to what their jobs say. verdicts: for flows without and with `finally`."""
    for key in keys:
        number = graph.by_name.get(key.flow)
        if number is None or key.index >= graph.nodes[number].size:
            continue  # a job that carries our labels for a task that the spec does not have
        node = graph.nodes[number]
        task = draft.task(number, key.index)
        first = draft.state(number).first_attempt
        # After a restart earlier jobs prove nothing, but for tasks that were not restarted.
        least = task.attempt if task.is_final else first
        jobs = [seen for seen in snapshot.jobs.get(key, ()) if seen.attempt >= least]
        gone = [seen for seen in snapshot.gone.get(key, ()) if seen.attempt >= least]
        after = fold_task(snapshot, node, task, first, jobs, gone, verdicts[node.is_finally])
        draft.put(number, key.index, after)
        if after.job and after.job_uid != task.job_uid and draft.state(number).why in KEPT_UNTIL_CREATED:
            draft.edit(number, why="", message="")
        if jobs and not draft.state(number).gvr:
            draft.edit(number, gvr=str(snapshot.gvr_of(jobs[-1])))


def remember_jobs(snapshot: Snapshot, graph: Graph, draft: Draft) -> None:
    """Ties the tasks of an ended workflow to their jobs, whatever these say: which of them are services that serve."""
    for key, jobs in snapshot.jobs.items():
        number = graph.by_name.get(key.flow)
        if number is None or key.index >= graph.nodes[number].size:
            continue
        task = draft.task(number, key.index)
        current = _of_attempt(jobs, task.attempt)
        draft.put(number, key.index, _tie(snapshot, graph.nodes[number], task, current))


def _tie(snapshot: Snapshot, node: Node, task: Task, current: Seen | None) -> Task:
    """A settled task with its job; a service that had become ready is known again after a restart of the controller."""
    if current is None or task.phase is not Phase.SUCCEEDED:
        return _remember_job(task, current, snapshot.now)
    if snapshot.completion(node.flow.template_name, current.gvr) is not Completion.READY:
        return _remember_job(task, current, snapshot.now)
    task = _remember_job(task, None if _is_dead(snapshot, current) else current, snapshot.now)
    if task.ready:
        return task
    # When it first ran is not recorded: probes that give up (failAfter) count from when it was ready, and where status
    # has one time for many replicas from when this controller began.
    ran_at = task.finished if task.finished is not None and not node.is_indexed else snapshot.since
    return msgspec.structs.replace(task, ready=True, ran_at=task.ran_at if task.ran_at is not None else ran_at)


def _is_dead(snapshot: Snapshot, service: Seen) -> bool:
    """Whether a service's job is over by its own report: whoever waits for its answer has nobody left to ask. A kind
    whose jobs serve for ever (a Deployment that cannot progress) may come back, and lives until it is gone."""
    serves_for_ever = snapshot.row_of(service).completion is Completion.READY
    return look(snapshot, service).is_final and not serves_for_ever


def fold_task(
    snapshot: Snapshot,
    node: Node,
    task: Task,
    first: int,
    jobs: Sequence[Seen],
    gone: Sequence[Seen],
    verdicts: Verdicts,
) -> Task:
    """One task, from its jobs (present, and gone since the last look)."""
    newest = max((seen.attempt for seen in (*jobs, *gone)), default=-1)
    if not task.is_final and newest >= max(task.attempt, first):
        is_news = newest > task.attempt or not (task.had_job or task.is_settled)
        if is_news:
            shown = next(seen for seen in (*jobs, *gone) if seen.attempt == newest)
            task = _begin(task, shown, snapshot.now)
    current = _of_attempt(jobs, task.attempt)
    if task.is_settled:
        return _tie(snapshot, node, task, current)
    if current is not None:
        task = _judge(snapshot, node, task, first, current, verdicts)
        return _tie(snapshot, node, task, current) if task.phase is Phase.SUCCEEDED else task
    if not task.is_unfinished and not task.job:
        return task  # never had a job in this attempt
    last = _of_attempt(gone, task.attempt)
    if last is not None:
        reading = look(snapshot, last)
        if reading.is_final:
            return _remember_job(_apply(snapshot, node, task, first, last, reading, verdicts), None, snapshot.now)
    if last is None and not _is_known_missing(snapshot, task, node):
        return task
    ended = retry.after_failure(
        task,
        node.retry,
        first_attempt=first,
        reason=Reasons.JOB_DELETED,
        message=_deleted(snapshot, task, last),
        now=snapshot.now,
        may_retry=verdicts.may_retry,
    )
    return _remember_job(ended, None, snapshot.now)


def _begin(task: Task, seen: Seen, now: float) -> Task:
    """The task as its newest attempt starts: the job proves that the dependencies were met and older attempts
    failed.
    """
    meta = seen.job.metadata
    created = _created(meta, now)
    return msgspec.structs.replace(
        task,
        phase=Phase.PENDING,
        attempt=seen.attempt,
        reason="",
        message="",
        job=meta.name,
        job_uid=meta.uid,
        had_job=True,
        ready=False,
        created=created,
        ran_at=None,
        began=False,
        was_held=False,
        started=task.started if task.started is not None else created,
        due=None,
        makeable=task.makeable if task.makeable is not None else created,
        held_at=None,
        held=0.0,
    )


def _of_attempt(jobs: Sequence[Seen], attempt: int) -> Seen | None:
    """The attempt's job; of several, the one that is not being deleted."""
    found = [seen for seen in jobs if seen.attempt == attempt]
    return min(found, key=lambda seen: seen.job.metadata.is_deleting, default=None)


def _remember_job(task: Task, current: Seen | None, now: float) -> Task:
    """The task with the name of its job, empty once it is gone; the times of a job first seen by this process with
    it.
    """
    if current is None:
        return msgspec.structs.replace(task, job="", job_uid="") if task.job else task
    meta = current.job.metadata
    if task.job_uid == meta.uid:
        return task
    created = _created(meta, now)
    return msgspec.structs.replace(
        task,
        job=meta.name,
        job_uid=meta.uid,
        created=task.created if task.created is not None else created,
        started=task.started if task.started is not None else created,
        makeable=task.makeable if task.makeable is not None or task.is_settled else created,
    )


def _created(meta: ObjectMeta, now: float) -> float | None:
    """When a job was created, for its clocks: the API server cuts the time to whole seconds, and a timeout may come
    late, never early."""
    return None if meta.creation_timestamp is None else min(meta.creation_timestamp.timestamp() + 1.0, now)


def _judge(snapshot: Snapshot, node: Node, task: Task, first: int, current: Seen, verdicts: Verdicts) -> Task:
    task = _remember_job(task, current, snapshot.now)
    reading = look(snapshot, current)
    if reading.is_final or not current.job.metadata.is_deleting:
        return _apply(snapshot, node, task, first, current, reading, verdicts)
    if not verdicts.at_once:
        return msgspec.structs.replace(task, phase=Phase.PENDING) if task.phase is Phase.WAITING else task
    return retry.after_failure(
        task,
        node.retry,
        first_attempt=first,
        reason=Reasons.JOB_DELETED,
        message=f"job {task.job} is being deleted",
        now=snapshot.now,
        may_retry=verdicts.may_retry,
    )


def _apply(
    snapshot: Snapshot, node: Node, task: Task, first: int, seen: Seen, reading: Reading, verdicts: Verdicts
) -> Task:
    """The task as its current job's reading has it."""
    completion = snapshot.completion(node.flow.template_name, seen.gvr)
    state = reading.under(completion)
    now = snapshot.now
    if state is JobState.FAILED:
        told = (
            f"{reading.reason}: {reading.message}"
            if reading.reason and reading.message
            else reading.reason or reading.message
        )
        return retry.after_failure(
            task,
            node.retry,
            first_attempt=first,
            reason=Reasons.FAILED,
            message=told[:512] or f"job {task.job} failed",
            now=now,
            may_retry=verdicts.may_retry,
        )
    if reading.faulty and task.ran and state is JobState.PENDING:
        state = JobState.RUNNING  # what cannot be judged stays what it was
    phase = _PHASES[state]
    reason, message = _explanation(snapshot, task, phase, reading)
    is_held = phase is Phase.SUSPENDED
    held = task.held + (now - task.held_at if task.held_at is not None and not is_held else 0.0)
    held_at = (task.held_at if task.held_at is not None else now) if is_held else None
    has_run = state in (JobState.RUNNING, JobState.SUCCEEDED)
    return msgspec.structs.replace(
        task,
        phase=phase,
        ran=task.ran or has_run,
        began=task.began or has_run,
        was_held=task.was_held or is_held,
        ran_at=task.ran_at if task.ran_at is not None or not has_run else now,
        finished=now if phase is Phase.SUCCEEDED else None,
        ready=phase is Phase.SUCCEEDED and completion is Completion.READY,
        held=held,
        held_at=held_at,
        reason=reason[:128],
        message=message[:512],
    )


def _explanation(snapshot: Snapshot, task: Task, phase: Phase, reading: Reading) -> tuple[str, str]:
    """Why an unfinished job is where it is: what its kind says, else the last Warning event about it."""
    if reading.faulty:
        return reading.reason, reading.message
    if phase not in (Phase.PENDING, Phase.SUSPENDED):
        return "", ""
    told = snapshot.warnings.get(task.job_uid) if phase is Phase.PENDING else None
    return (told.reason, told.message) if told is not None else (reading.reason, reading.message)


def _is_known_missing(snapshot: Snapshot, task: Task, node: Node) -> bool:
    """Whether absence from the cache means absence from the cluster: the kind's cache is complete since start.

    A flow whose kind is not known any more (its status names none) is complete when every cache is.
    """
    recorded = snapshot.progress.flows[node.number].gvr if snapshot.progress is not None else ""
    gvrs = [gvr for gvr in snapshot.kinds if not recorded or str(gvr) == recorded]
    return bool(gvrs) and all(gvr in snapshot.synced for gvr in gvrs)


def _deleted(snapshot: Snapshot, task: Task, last: Seen | None) -> str:
    job = f"job {task.job}" if task.job else "its job"
    if last is not None and snapshot.kinds.get(last.gvr, False) is None:
        return f"{job} went with its kind: {last.gvr} is no longer served"
    return f"{job} was deleted before it ended"
