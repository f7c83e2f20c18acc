"""The plan for one CronWorkflow: what is to be done now, and when to look again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from pkg.apis.flow.v1alpha1 import conditions
from pkg.apis.flow.v1alpha1.cron_runs import run_name
from pkg.apis.flow.v1alpha1.faults import Faults, summary
from pkg.apis.flow.v1alpha1.reasons import CronReasons
from pkg.apis.flow.v1alpha1.schedules import Timetable
from pkg.apis.flow.v1alpha1.types import ConcurrencyPolicy
from pkg.apis.meta import Condition, timestamp
from pkg.controllers.cronworkflow.planner import history, status
from pkg.controllers.cronworkflow.planner.actions import CreateRun, DeleteRun, Emit, Plan, TerminateRun
from pkg.controllers.cronworkflow.planner.concurrency import Verdict, verdict
from pkg.controllers.cronworkflow.planner.due import MAX_MISSED, Due, counted_before, due
from pkg.controllers.cronworkflow.planner.snapshot import Run, Snapshot

VALID: Final = "Valid"
_SHOWN: Final = 5
_NOTHING: Final = Verdict()


def plan(snapshot: Snapshot) -> Plan:
    """What is to be done now. Nothing for a CronWorkflow that is being deleted: its runs go with it."""
    cron, judged, notes = snapshot.cron, snapshot.judged, snapshot.notes
    if cron.metadata.is_deleting:
        return Plan(notes=notes)
    if isinstance(judged, Faults):
        return _invalid(snapshot, judged)
    last = _last(snapshot)
    if cron.spec.suspend:
        return _finished(snapshot, judged, last, None, Plan(notes=replace(notes, paused=True, waits=0)))
    since, deadline = last or _created(snapshot), cron.spec.starting_deadline_seconds
    counted = notes.counted
    if notes.paused:
        # What passed while no run could be made is not missed: nothing looks at it meanwhile, so it counts as counted.
        counted = snapshot.now
    elif not counted:
        recorded = status.read(cron.status.next_schedule_time)
        counted = counted_before(judged, since=since, recorded=recorded, now=snapshot.now, deadline=deadline)
    found = due(judged, since=since, now=snapshot.now, deadline=deadline, counted=counted)
    policy = cron.spec.concurrency_policy
    said = verdict(policy, snapshot.runs) if found.time is not None else _NOTHING
    may_make = found.time is not None and said.may_make
    events = [*_missed(snapshot, judged, found)]
    if found.time is not None and said.waits_for and notes.waits != found.time:
        events.append(_waits(judged, policy, said, found.time))
    made = _creation(snapshot, judged, found.time) if may_make and found.time is not None else None
    begun = Plan(
        creation=made,
        terminations=tuple(TerminateRun(run.name, run.uid) for run in said.terminates),
        events=tuple(events),
        missed=found.missed,
        wake_at=_earliest(found, is_waiting=bool(said.waits_for)),
        awaited=frozenset(run.uid for run in said.waits_for) if policy is ConcurrencyPolicy.REPLACE else frozenset(),
        notes=replace(notes, paused=False, counted=found.counted, waits=found.time or 0 if said.waits_for else 0),
    )
    return _finished(snapshot, judged, last, found.next, begun)


def _finished(snapshot: Snapshot, judged: Timetable | Faults, last: float, next_: float | None, begun: Plan) -> Plan:
    """The plan with the status, the Event about the condition, and the runs that are too many."""
    cron = snapshot.cron
    valid = _condition(snapshot, judged)
    new = status.new_status(cron.status, snapshot.runs, last=last, next_=next_, valid=valid)
    events, notes = begun.events, begun.notes
    if valid.status == conditions.FALSE and notes.shown != valid.message:
        events = (*events, Emit(valid.reason, f"No run is made: {valid.message}", is_warning=True))
    old = tuple(
        history.surplus(
            snapshot.runs,
            succeeded=cron.spec.successful_history_limit,
            failed=cron.spec.failed_history_limit,
            covered=status.read(cron.status.last_schedule_time),
        )
    )
    # One with jobs that are being deleted stays until they are gone, because another run may wait for them.
    held = frozenset(run.uid for run in old if run.has_jobs)
    return replace(
        begun,
        status=status.merge_patch(cron.status, new, cron.metadata.resource_version),
        deletions=tuple(DeleteRun(run.name, run.uid, run.version) for run in old if not run.has_jobs),
        awaited=begun.awaited | held,
        events=events,
        notes=replace(notes, shown=valid.message if valid.status == conditions.FALSE else ""),
    )


def _invalid(snapshot: Snapshot, faults: Faults) -> Plan:
    """Runs that exist go on and are removed in time; no run is made, and none is missed."""
    return _finished(snapshot, faults, _last(snapshot), None, Plan(notes=replace(snapshot.notes, paused=True, waits=0)))


def _last(snapshot: Snapshot) -> float:
    """The newest scheduled time that has its run: as status, the runs or this process show it; 0 if there is none."""
    shown = (run.time for run in snapshot.runs if run.time is not None)
    return max(status.read(snapshot.cron.status.last_schedule_time), snapshot.notes.made, *shown)


def _created(snapshot: Snapshot) -> float:
    created = snapshot.cron.metadata.creation_timestamp
    return created.timestamp() if created is not None else snapshot.now


def _creation(snapshot: Snapshot, timetable: Timetable, time: int) -> CreateRun:
    return CreateRun(run_name(snapshot.cron.metadata.name, time), time, timetable.written(time))


def _earliest(found: Due, *, is_waiting: bool) -> float | None:
    """When something changes by itself: the next time is due, or it is too late for the one that waits."""
    times = [float(found.next)] if found.next is not None else []
    if is_waiting and found.expires_at is not None:
        times.append(found.expires_at + 1)
    return min(times, default=None)


def _condition(snapshot: Snapshot, judged: Timetable | Faults) -> Condition:
    generation, now = snapshot.cron.metadata.generation, timestamp(snapshot.now)
    if not isinstance(judged, Faults):
        return Condition(VALID, conditions.TRUE, CronReasons.VALID, "", now, generation)
    first = judged[0].path
    reason = CronReasons.INVALID_TEMPLATE
    if first.startswith("spec.schedules"):
        reason = CronReasons.INVALID_SCHEDULE
    elif first == "spec.timeZone":
        reason = CronReasons.INVALID_TIME_ZONE
    return Condition(VALID, conditions.FALSE, reason, summary(judged), now, generation)


def _missed(snapshot: Snapshot, timetable: Timetable, found: Due) -> Iterator[Emit]:
    if not found.missed:
        return
    many = f"more than {MAX_MISSED}" if found.missed >= MAX_MISSED else str(found.missed)
    times = "scheduled time gets" if found.missed == 1 else "scheduled times get"
    if found.time is not None:
        why = f"of several that are due only the newest gets one, {timetable.written(found.time)}"
    else:
        seconds = snapshot.cron.spec.starting_deadline_seconds
        newest = timetable.written(found.counted)
        why = f"it could not be made within startingDeadlineSeconds ({seconds} s) after {newest}"
    yield Emit(CronReasons.MISSED_SCHEDULE, f"{many} {times} no run: {why}", is_warning=True)


def _waits(judged: Timetable, policy: ConcurrencyPolicy, said: Verdict, time: int) -> Emit:
    due_at = f"the run of {judged.written(time)} is due"
    running = [run for run in said.waits_for if not run.is_ended]
    if policy is not ConcurrencyPolicy.REPLACE:
        makes = f"concurrencyPolicy Forbid makes it once {_names(running)} has ended"
        return Emit(CronReasons.RUN_WAITS, f"{due_at}; {makes}")
    if running:
        return Emit(CronReasons.RUN_REPLACED, f"{due_at} and replaces {_names(running)}, which is terminated first")
    makes = f"concurrencyPolicy Replace makes it once no job of {_names(said.waits_for)} is being deleted any more"
    return Emit(CronReasons.RUN_WAITS, f"{due_at}; {makes}")


def _names(runs: Sequence[Run]) -> str:
    more = f" and {len(runs) - _SHOWN} more" if len(runs) > _SHOWN else ""
    return ", ".join(run.name for run in runs[:_SHOWN]) + more
