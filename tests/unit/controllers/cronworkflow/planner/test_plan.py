"""The plan of one CronWorkflow: what is made, written, said and removed, and when it is looked at again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.cron_runs import run_name
from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.types import CronWorkflow
from pkg.controllers.cronworkflow.planner.actions import CreateRun, DeleteRun, Plan, TerminateRun
from pkg.controllers.cronworkflow.planner.plan import plan
from tests.unit.controllers.cronworkflow.setups import at, cron, run, snapshot

VALID = {"type": "Valid", "status": "True", "reason": "Valid", "observedGeneration": 1}


def settled(next_: str, last: str = "", **more: Any) -> dict[str, Any]:
    """A status that is up to date."""
    times = {"nextScheduleTime": f"2027-03-01T{next_}Z"}
    if last:
        times["lastScheduleTime"] = f"2027-03-01T{last}Z"
    return {"observedGeneration": 1, "conditions": [VALID], **times, **more}


def written(of: CronWorkflow, made: Plan) -> CronWorkflow:
    """The CronWorkflow after the status was written."""
    if made.status is None:
        return of
    old = msgspec.to_builtins(of.status)
    merged = {**old, **made.status["status"]}
    status = {key: value for key, value in merged.items() if value is not None}
    return msgspec.structs.replace(of, status=msgspec.convert(status, type(of.status)))


def test_a_new_one_says_when_it_is_due_next() -> None:
    made = plan(snapshot(cron(), "00:30:00"))
    assert made.creation is None
    assert made.status is not None
    assert made.status["status"]["nextScheduleTime"] == "2027-03-01T01:00:00Z"
    assert made.status["status"]["activeCount"] == 0
    assert made.wake_at == at("01:00:00")


def test_nothing_is_written_while_nothing_changes() -> None:
    assert plan(snapshot(cron(status=settled("01:00:00")), "00:45:00")).status is None


def test_a_run_is_made_when_it_is_due_under_a_name_that_follows_from_its_time() -> None:
    of = cron("30 2 * * *", timeZone="Europe/Berlin")
    time = at("2027-03-01T01:30:00Z")
    assert plan(snapshot(of, "01:30:00")).creation == CreateRun(
        run_name("nightly", time), time, "2027-03-01T02:30:00+01:00"
    )


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param({"status": settled("02:00:00", "01:00:00")}, id="status shows that it was made"),
        pytest.param({"runs": [run("01:00:00")]}, id="the run itself shows it"),
        pytest.param({"made": at("01:00:00")}, id="this process has made it, and no cache shows it yet"),
    ],
)
def test_a_run_is_made_once(shown: dict[str, Any]) -> None:
    runs = shown.pop("runs", [])
    made = plan(snapshot(cron(status=shown.pop("status", {})), "01:00:10", *runs, **shown))
    assert made.creation is None
    assert made.wake_at == at("02:00:00")


def test_two_writes_are_all_that_a_run_costs() -> None:
    of, writes = cron(status=settled("01:00:00")), 0
    for now, runs in (
        ("01:00:00", [run("01:00:00")]),
        ("01:01:00", [run("01:00:00")]),
        ("01:10:00", [run("01:00:00", ended="01:10:00")]),
        ("01:20:00", [run("01:00:00", ended="01:10:00")]),
    ):
        made = plan(snapshot(of, now, *runs))
        writes += made.status is not None
        of = written(of, made)
    assert writes == 2
    assert msgspec.to_builtins(of.status) == {
        **settled("02:00:00", "01:00:00"),
        "lastSuccessfulTime": "2027-03-01T01:10:00Z",
        "conditions": ({**VALID, "message": "", "lastTransitionTime": ""},),
    }


def test_a_suspended_one_makes_nothing_and_misses_nothing() -> None:
    made = plan(snapshot(cron(suspend=True, status=settled("01:00:00")), "03:10:00"))
    assert (made.creation, made.missed, made.wake_at) == (None, 0, None)
    assert made.status is not None
    assert made.status["status"]["nextScheduleTime"] is None


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        pytest.param({"suspend": True}, None, id="while it was suspended"),
        pytest.param({}, Faults([Fault("spec.timeZone", "is none")]), id="while it was not valid"),
    ],
)
def test_what_passes_while_no_run_can_be_made_is_not_missed(spec: dict[str, Any], faults: Faults | None) -> None:
    """Nothing looks at it meanwhile: no alarm is set."""
    paused = plan(snapshot(cron(**spec), "00:30:00", faults=faults))
    assert paused.wake_at is None
    # The newest time is made up for, as CronJob does; the others are not counted.
    resumed = plan(replace(snapshot(cron(), "09:20:00"), notes=paused.notes))
    assert resumed.creation is not None
    assert (resumed.creation.time, resumed.missed, resumed.events) == (at("09:00:00"), 0, ())
    # What passes afterwards is missed again.
    later = plan(replace(snapshot(cron(), "12:10:00"), notes=replace(resumed.notes, made=at("09:00:00"))))
    assert later.missed == 2


def test_missed_times_are_counted_and_said_once() -> None:
    made = plan(snapshot(cron(), "03:10:00"))
    assert made.missed == 2
    assert [event.reason for event in made.events] == ["MissedSchedule"]
    assert "2 scheduled times get no run: of several that are due only the newest" in made.events[0].message
    again = plan(snapshot(cron(), "03:10:05", counted=made.notes.counted))
    assert (again.missed, again.events) == (0, ())


def test_a_controller_that_follows_another_does_not_count_missed_times_again() -> None:
    before = plan(snapshot(cron(concurrencyPolicy="Forbid"), "03:10:00", run("00:30:00")))
    assert before.missed == 2
    shown = {"nextScheduleTime": "2027-03-01T04:00:00Z"}
    after = plan(snapshot(cron(concurrencyPolicy="Forbid", status=shown), "03:20:00", run("00:30:00")))
    assert (after.missed, [event.reason for event in after.events]) == (0, ["RunWaits"])


def test_after_the_deadline_no_run_is_made_and_the_event_says_why() -> None:
    made = plan(snapshot(cron(startingDeadlineSeconds=60), "01:01:01"))
    assert (made.creation, made.missed) == (None, 1)
    assert "within startingDeadlineSeconds (60 s) after 2027-03-01T01:00:00Z" in made.events[0].message


def test_forbid_waits_and_makes_the_run_once_the_earlier_one_has_ended() -> None:
    of = cron(concurrencyPolicy="Forbid", status=settled("03:00:00", "01:00:00"))
    waiting = plan(snapshot(of, "02:00:00", run("01:00:00")))
    assert (waiting.creation, waiting.terminations) == (None, ())
    assert [event.reason for event in waiting.events] == ["RunWaits"]
    assert plan(snapshot(of, "02:05:00", run("01:00:00"), waits=at("02:00:00"))).events == ()
    made = plan(snapshot(of, "02:10:00", run("01:00:00", ended="02:10:00"), waits=at("02:00:00")))
    assert made.creation is not None
    assert made.creation.time == at("02:00:00")


def test_forbid_wakes_when_the_time_that_waits_is_too_late() -> None:
    of = cron(concurrencyPolicy="Forbid", startingDeadlineSeconds=600)
    assert plan(snapshot(of, "02:00:00", run("01:00:00"))).wake_at == at("02:10:01")


def test_replace_terminates_first_and_makes_the_run_later() -> None:
    of, old = cron(concurrencyPolicy="Replace"), run("01:00:00")
    first = plan(snapshot(of, "02:00:00", old))
    assert (first.creation, first.terminations) == (None, (TerminateRun(old.name, old.uid),))
    assert first.awaited == {old.uid}
    assert [event.reason for event in first.events] == ["RunReplaced"]
    gone = plan(snapshot(of, "02:00:09", run("01:00:00", ended="02:00:05", failed=True)))
    assert gone.creation is not None
    assert (gone.creation.time, gone.awaited) == (at("02:00:00"), frozenset())


def test_replace_waits_for_the_jobs_of_a_run_that_has_ended_and_does_not_say_that_it_is_terminated() -> None:
    of, old = cron(concurrencyPolicy="Replace"), run("01:00:00", ended="01:10:00", has_jobs=True)
    made = plan(snapshot(of, "02:00:00", old))
    assert (made.creation, made.terminations, made.awaited) == (None, (), frozenset({old.uid}))
    (event,) = made.events
    assert event.reason == "RunWaits"
    assert event.message.endswith(
        f"concurrencyPolicy Replace makes it once no job of {old.name} is being deleted any more"
    )


def test_no_run_is_deleted_before_status_covers_it() -> None:
    old = run("01:00:00", ended="01:10:00")
    fresh = plan(snapshot(cron(successfulHistoryLimit=0), "01:20:00", old))
    assert fresh.deletions == ()
    covered = written(cron(successfulHistoryLimit=0), fresh)
    assert plan(snapshot(covered, "01:20:01", old)).deletions == (DeleteRun(old.name, old.uid, old.version),)


@pytest.mark.parametrize("suspend", [False, True])
def test_a_run_that_is_too_many_stays_until_its_jobs_are_gone_and_is_deleted_then(suspend: bool) -> None:
    """Nothing is due meanwhile, so only the end of the jobs can bring the next plan."""
    of = cron(concurrencyPolicy="Replace", successfulHistoryLimit=0, suspend=suspend)
    old = run("01:00:00", ended="01:10:00", has_jobs=True)
    of = written(of, plan(snapshot(of, "01:20:00", old)))
    held = plan(snapshot(of, "01:20:01", old))
    assert (held.deletions, held.awaited) == ((), frozenset({old.uid}))
    gone = plan(snapshot(of, "01:20:02", run("01:00:00", ended="01:10:00")))
    assert (gone.deletions, gone.awaited) == ((DeleteRun(old.name, old.uid, old.version),), frozenset())


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("spec.schedules[0]", "InvalidSchedule"),
        ("spec.timeZone", "InvalidTimeZone"),
        ("spec.workflowTemplate.spec.flows[0].name", "InvalidTemplate"),
    ],
)
def test_one_that_cannot_be_makes_nothing_and_says_what_to_correct(path: str, reason: str) -> None:
    faults = Faults([Fault(path, "is none")])
    made = plan(snapshot(cron(), "05:00:00", faults=faults))
    assert (made.creation, made.missed, made.wake_at) == (None, 0, None)
    assert made.status is not None
    condition = made.status["status"]["conditions"][0]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Valid", "False", reason)
    assert condition["message"] == f"{path}: is none"
    assert [event.reason for event in made.events] == [reason]
    again = plan(snapshot(written(cron(), made), "05:01:00", faults=faults, shown=made.notes.shown))
    assert (again.events, again.status) == ((), None)


def test_nothing_is_done_for_one_that_is_being_deleted() -> None:
    made = plan(snapshot(cron(deleted="2027-03-01T00:30:00Z"), "05:00:00", run("01:00:00")))
    assert (made.creation, made.status, made.deletions, made.wake_at) == (None, None, (), None)


def test_status_names_the_newest_runs_that_have_not_ended() -> None:
    runs = [run("01:00:00"), run("03:00:00"), run("02:00:00", ended="02:10:00")]
    made = plan(snapshot(cron(), "03:10:00", *runs))
    assert made.status is not None
    assert [one["name"] for one in made.status["status"]["active"]] == [runs[1].name, runs[0].name]
    assert made.status["status"]["activeCount"] == 2
    assert made.status["metadata"] == {"resourceVersion": "7"}
