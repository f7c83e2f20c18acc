"""What a user reads about a job that does not run, or is gone."""

from __future__ import annotations

from pkg.apis.flow.v1alpha1.phases import PENDING, SUSPENDED, Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.progress import Task
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot
from pkg.controllers.workflow.planner.status.failures import is_gone, taken_off, was_deleted
from pkg.workloads import KUEUE_QUEUE_LABEL, Reading, is_suspend_set


def explanation(
    snapshot: Snapshot, task: Task, observed: ObservedJob, phase: Phase, reading: Reading
) -> tuple[str, str]:
    """Why a job does not run: what it says itself, which queue holds it, else the last Warning event about it."""
    is_unread = reading.faulty or reading.reason == Reasons.UNKNOWN_STATUS
    if not is_unread and phase is not SUSPENDED and phase is not PENDING:
        return "", ""
    job = f"job {task.current.job}"
    if is_unread:
        return reading.reason, f"{job}: {reading.message}"
    if phase is SUSPENDED:
        return reading.reason or Reasons.SUSPENDED, _held(snapshot, observed, job, reading.message)
    warning = snapshot.warnings.get(task.current.job_uid)
    if warning is not None and warning.reason == Reasons.NO_STATUS and observed.job.status:
        warning = None  # it has one since
    reason, said = (reading.reason, reading.message) if warning is None else (warning.reason, warning.message)
    return reason, f"{job}: {said}" if said else ""


def _held(snapshot: Snapshot, observed: ObservedJob, job: str, said: str) -> str:
    """Which queue holds a job, what its controller says of it, and who lets it go on."""
    queue = observed.job.metadata.labels.get(KUEUE_QUEUE_LABEL) or snapshot.workflow.spec.queue_name
    if not queue and is_suspend_set(observed.job):
        return f"{f'{job}: {said}' if said else f'{job} is suspended'}; it goes on once its suspend field is taken back"
    if not queue:
        held = f"{job}: {said}" if said else f"{job} is held, as its status says"
        return f"{held}; it goes on once whoever holds it lets it go"
    return said if queue in said else f"queue {queue} holds {job}" + (f": {said}" if said else "")


def is_lost(snapshot: Snapshot, last: ObservedJob) -> bool:
    """Whether a job that is gone may be in the cluster still: no deletion was seen, and its kind is served."""
    is_explained = last.is_foreign or last.taken_off or last.job.metadata.is_deleting
    return not is_explained and snapshot.kinds.get(last.gvr) is not None


def deleted(snapshot: Snapshot, task: Task, last: ObservedJob | None) -> str:
    """How a job was lost whose attempt had not ended. last: the job as it last was, None where nobody saw it go."""
    job = f"job {task.current.job}" if task.current.job else "its job"
    if last is not None and last.taken_off:
        return taken_off(last.job.metadata.name, last.taken_off)
    if last is not None and snapshot.kinds.get(last.gvr, False) is None:
        return f"{job} was removed with its kind: {last.gvr} is no longer served"
    if last is None:
        return f"{job} is gone: it was deleted before it ended, or taken off the task, while no controller looked"
    name = task.current.job or last.job.metadata.name
    return is_gone(name) if is_lost(snapshot, last) else was_deleted(name)
