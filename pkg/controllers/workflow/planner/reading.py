"""Reads the state of one job from its status, by the status rules of its template, else by the row of its kind."""

from __future__ import annotations

from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot
from pkg.workloads import RULE_FAULT, JobState, Reading, read


def look(snapshot: Snapshot, observed: ObservedJob) -> Reading:
    """The state of a job, by the rules of its template, else of its kind."""
    rules = snapshot.rules_of(observed)
    if rules is None:
        row, has_status = snapshot.reading_of(observed)
        return read(row, observed.job, has_status=has_status)
    if rules.fault:
        is_going = observed.job.metadata.is_deleting
        return Reading(JobState.PENDING, RULE_FAULT, rules.fault[:512], deleting=is_going, faulty=True)
    return read(rules.row, observed.job, has_status=snapshot.reading_of(observed)[1])
