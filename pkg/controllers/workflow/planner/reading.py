"""Reads the state of one job from its status, by the status rules of its template, else by the row of its kind."""

from __future__ import annotations

from pkg.apis.meta import Job
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot
from pkg.workloads import RULE_FAULT, JobState, KindRow, Reading, read

# The last job that was read, and what it said: who asks whether a job goes on asks again in the plan that follows.
_last: tuple[Job, KindRow, bool, Reading] | None = None


def look(snapshot: Snapshot, observed: ObservedJob) -> Reading:
    """The state of a job, by the rules of its template, else of its kind."""
    rules = snapshot.rules_of(observed)
    if rules is None:
        row, has_status = snapshot.reading_of(observed)
        return _read(row, observed.job, has_status)
    if rules.fault:
        is_going = observed.job.metadata.is_deleting
        return Reading(JobState.PENDING, RULE_FAULT, rules.fault[:512], deleting=is_going, faulty=True)
    return _read(rules.row, observed.job, snapshot.reading_of(observed)[1])


def _read(row: KindRow, job: Job, has_status: bool) -> Reading:
    global _last
    last = _last
    if last is not None and last[0] is job and last[1] is row and last[2] == has_status:
        return last[3]
    found = read(row, job, has_status=has_status)
    _last = job, row, has_status, found
    return found
