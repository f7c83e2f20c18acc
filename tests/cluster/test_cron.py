"""CronWorkflows on a real control plane: every sentence of the contract about schedules, with a clock that the test
moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster import Cluster
from hack.moved_clock import ROOT
from tests.cluster.support.crons import CronWorld, cron, cron_world, run_name
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow, template
from tests.cluster.support.world import World
from tests.documents import MANIFESTS

pytestmark = pytest.mark.cluster
FINISHED = "flow.workflow.sh/v1alpha1"


@pytest.fixture
def crons(cluster: Cluster, world: World, tmp_path: Path) -> Iterator[CronWorld]:
    world.create(template("step", run_for="0s"))
    world.create(template("long", run_for="3600s"))
    with cron_world(cluster, world, tmp_path) as made:
        yield made


def step() -> list[Object]:
    return [flow("a")]


def long() -> list[Object]:
    return [flow("a", of="long")]


#: Zone, schedule, a moment of the day before the change, and the runs of the day of the change and of the next one.
CHANGES = {
    "Berlin, the missing hour": (
        "Europe/Berlin",
        "30 2 * * *",
        "2027-03-27T12:00:00Z",
        ["2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"],
    ),
    "Berlin, the doubled hour": (
        "Europe/Berlin",
        "30 2 * * *",
        "2027-10-30T12:00:00Z",
        ["2027-10-31T02:30:00+02:00", "2027-11-01T02:30:00+01:00"],
    ),
    "New York, the missing hour": (
        "America/New_York",
        "30 2 * * *",
        "2027-03-13T12:00:00Z",
        ["2027-03-14T03:00:00-04:00", "2027-03-15T02:30:00-04:00"],
    ),
    "New York, the doubled hour": (
        "America/New_York",
        "30 1 * * *",
        "2027-11-06T12:00:00Z",
        ["2027-11-07T01:30:00-04:00", "2027-11-08T01:30:00-05:00"],
    ),
    "Lord Howe, the missing half hour": (
        "Australia/Lord_Howe",
        "15 2 * * *",
        "2027-10-02T06:00:00Z",
        ["2027-10-03T02:30:00+11:00", "2027-10-04T02:15:00+11:00"],
    ),
    "Lord Howe, the doubled half hour": (
        "Australia/Lord_Howe",
        "45 1 * * *",
        "2027-04-03T06:00:00Z",
        ["2027-04-04T01:45:00+11:00", "2027-04-05T01:45:00+10:30"],
    ),
}


@pytest.mark.parametrize(("zone", "schedule", "since", "wanted"), CHANGES.values(), ids=CHANGES)
def test_each_change_of_the_clocks_gives_one_run_for_a_fixed_time(
    crons: CronWorld, zone: str, schedule: str, since: str, wanted: list[str]
) -> None:
    crons.set_clock(since)
    crons.create(cron("c", schedule, flows=step(), timeZone=zone, successfulHistoryLimit=10), since)
    crons.start()
    for time in wanted:
        crons.set_clock(time)
        run = crons.wait_run(run_name("c", time))
        assert run["metadata"]["annotations"]["flow.workflow.sh/scheduled-time"] == time
    # By the second run the second of two doubled hours has passed.
    assert set(crons.made()) == {run_name("c", time) for time in wanted}


def test_a_run_is_owned_named_by_its_minute_and_knows_its_time(crons: CronWorld) -> None:
    crons.world.create(
        template("stamp", parameters={"when": ""}, run_for="0s")
        | {
            "spec": {
                "gvr": {"group": "batch", "version": "v1", "resource": "jobs"},
                "metadata": {"annotations": {"when": "{{workflow.scheduledTime}}"}},
                "jobSpec": {
                    "template": {
                        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}
                    }
                },
            }
        }
    )
    crons.set_clock("2027-01-01T05:59:58Z")
    meta = {"metadata": {"labels": {"team": "data"}, "annotations": {"example.org/a": "b"}}}
    crons.create(
        cron("nightly", "0 7 * * *", flows=[flow("a", of="stamp")], timeZone="Europe/Berlin", template=meta),
        "2027-01-01T00:00:00Z",
    )
    crons.start()
    name = run_name("nightly", "2027-01-01T06:00:00Z")
    run = crons.wait_run(name)
    owner = run["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("CronWorkflow", "nightly", True)
    assert run["metadata"]["labels"] == {"team": "data", "flow.workflow.sh/cron-workflow": "nightly"}
    assert run["metadata"]["annotations"]["example.org/a"] == "b"
    job = crons.world.wait_job(f"{name}-a")
    assert job["metadata"]["annotations"]["when"] == "2027-01-01T07:00:00+01:00"
    crons.world.wait_phase(name, ["Succeeded"])
    crons.wait_status("nightly", activeCount=0, active=None)
    status = crons.status("nightly")
    assert status["lastScheduleTime"] == "2027-01-01T06:00:00Z"
    assert status["nextScheduleTime"] == "2027-01-02T06:00:00Z"
    assert status["lastSuccessfulTime"]
    assert [(one["type"], one["status"]) for one in status["conditions"]] == [("Valid", "True")]


def test_each_run_is_made_once_although_controllers_are_killed_when_they_are_due(crons: CronWorld) -> None:
    """Each kill comes with the first run of an hour: others are under way, or not made, or not in status."""
    alone = ("--leader-elect=false", "--exclusive=false")
    names = [f"c{number}" for number in range(12)]
    crons.set_clock("2027-01-01T00:59:50Z")
    for name in names:
        crons.create(cron(name, "0 * * * *", flows=step(), successfulHistoryLimit=20), "2027-01-01T00:00:00Z")
    controller = crons.start(*alone)
    hours = [f"2027-01-01T0{hour}:00:00Z" for hour in (1, 2, 3)]
    for hour in hours:
        crons.set_clock(hour)
        wanted = {run_name(name, hour) for name in names}
        crons.wait(lambda wanted=wanted: wanted & crons.made().keys(), "the first run of an hour")  # type: ignore[misc]
        controller.kill()
        controller = crons.start(*alone)
        crons.wait(lambda wanted=wanted: wanted <= crons.made().keys(), "every run of an hour")  # type: ignore[misc]
    for name in names:
        crons.wait_status(name, lastScheduleTime=hours[-1], activeCount=0)
    made = crons.made()
    assert set(made) == {run_name(name, hour) for name in names for hour in hours}
    assert all(len(uids) == 1 for uids in made.values()), made


def test_a_time_that_several_schedules_name_makes_one_run(crons: CronWorld) -> None:
    crons.set_clock("2027-01-01T05:59:58Z")
    schedules = ("0 6 * * *", "*/30 6 * * *", "0 6-7 * * FRI")
    crons.create(cron("c", *schedules, flows=step(), successfulHistoryLimit=20), "2027-01-01T00:00:00Z")
    crons.start()
    times = ["2027-01-01T06:00:00Z", "2027-01-01T06:30:00Z", "2027-01-01T07:00:00Z"]
    for time, following in zip(times, [*times[1:], "2027-01-02T06:00:00Z"], strict=True):
        crons.set_clock(time)
        crons.wait_run(run_name("c", time))
        crons.wait_status("c", lastScheduleTime=time, nextScheduleTime=following)
    assert {name: len(uids) for name, uids in crons.made().items()} == {run_name("c", time): 1 for time in times}


def test_the_example_and_the_manifest_of_the_document_make_their_runs(crons: CronWorld) -> None:
    """As a reader applies them; then a quarter of an hour, and a night, pass."""
    example = ROOT / "examples" / "cron.yaml"
    (document,) = [block for block in MANIFESTS if block.where.startswith("docs/cron.md") and len(block.objects) == 2]
    crons.set_clock("2027-03-28T00:14:00Z")
    crons.cluster.kubectl("apply", f"--namespace={crons.world.namespace}", f"--filename={example}")
    crons.cluster.kubectl("apply", f"--namespace={crons.world.namespace}", "--filename=-", input=document.text)
    for name in ("cron", "nightly"):
        crons.world.patch(f"{crons.path(name)}/status", {"status": {"lastScheduleTime": "2027-03-28T00:14:00Z"}})
    crons.start()
    crons.set_clock("2027-03-28T00:15:00Z")
    quarter = run_name("cron", "2027-03-28T00:15:00Z")
    assert crons.world.wait_phase(quarter)["phase"] == "Succeeded"
    job = crons.world.wait_job(f"{quarter}-collect")
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[-1] == "echo the data until 2027-03-28T01:15:00+01:00"
    # Half past two is in the hour that is left out in this night.
    crons.set_clock("2027-03-28T01:00:00Z")
    for name, flow_name in (("cron", "report"), ("nightly", "report")):
        run = run_name(name, "2027-03-28T01:00:00Z")
        assert crons.world.wait_phase(run)["phase"] == "Succeeded"
        crons.world.wait_job(f"{run}-{flow_name}")
    assert crons.runs()[quarter]["metadata"]["labels"]["team"] == "data"


def test_allow_makes_the_next_run_beside_the_one_that_runs(crons: CronWorld) -> None:
    crons.set_clock("2027-01-01T00:59:59Z")
    crons.create(cron("c", "0 * * * *", flows=long()), "2027-01-01T00:00:00Z")
    crons.start()
    crons.wait_run(run_name("c", "2027-01-01T01:00:00Z"))
    crons.set_clock("2027-01-01T02:00:00Z")
    crons.wait_run(run_name("c", "2027-01-01T02:00:00Z"))
    status = crons.wait_status("c", activeCount=2)
    assert [one["name"] for one in status["active"]] == [
        run_name("c", "2027-01-01T02:00:00Z"),
        run_name("c", "2027-01-01T01:00:00Z"),
    ]


def test_forbid_makes_the_newest_run_that_is_due_once_the_earlier_one_has_ended(crons: CronWorld) -> None:
    crons.set_clock("2027-01-01T00:59:59Z")
    crons.create(cron("c", "0 * * * *", flows=long(), concurrencyPolicy="Forbid"), "2027-01-01T00:00:00Z")
    crons.start()
    first = run_name("c", "2027-01-01T01:00:00Z")
    crons.wait_run(first)
    crons.wait_status("c", activeCount=1)
    crons.set_clock("2027-01-01T02:00:00Z")
    assert first in crons.wait_event("c", "RunWaits")
    crons.set_clock("2027-01-01T03:00:10Z")
    assert "1 scheduled time gets no run" in crons.wait_event("c", "MissedSchedule")
    assert set(crons.made()) == {first}
    crons.world.patch(crons.world.workflow_path(first), {"spec": {"shutdown": "Terminate"}})
    crons.wait_run(run_name("c", "2027-01-01T03:00:00Z"))
    assert set(crons.made()) == {first, run_name("c", "2027-01-01T03:00:00Z")}


def test_replace_terminates_and_makes_the_next_run_once_the_jobs_are_gone(crons: CronWorld) -> None:
    held = {"finalizers": ["example.org/hold"]}
    crons.set_clock("2027-01-01T00:59:59Z")
    crons.create(cron("c", "0 * * * *", flows=long(), concurrencyPolicy="Replace"), "2027-01-01T00:00:00Z")
    crons.start()
    first, second = (run_name("c", f"2027-01-01T0{hour}:00:00Z") for hour in (1, 2))
    crons.wait_run(first)
    crons.world.wait_job(f"{first}-a")
    crons.world.patch(crons.world.job_path(f"{first}-a"), {"metadata": held})
    crons.set_clock("2027-01-01T02:00:00Z")
    assert first in crons.wait_event("c", "RunReplaced")
    assert crons.world.wait_phase(first, ["Failed"])["reason"] == "Terminated"
    # The run has ended, and its job is still there.
    crons.wait_status("c", activeCount=0)
    assert second not in crons.runs()
    crons.world.patch(crons.world.job_path(f"{first}-a"), {"metadata": {"finalizers": None}})
    crons.wait_run(second)
    crons.wait_status("c", activeCount=1, lastScheduleTime="2027-01-01T02:00:00Z")


def test_history_limits_keep_the_newest_runs_of_each_kind(crons: CronWorld) -> None:
    crons.world.create(template("broken", run_for="0s", fail="true"))
    crons.set_clock("2027-01-01T00:59:59Z")
    limits = {"successfulHistoryLimit": 2, "failedHistoryLimit": 0}
    crons.create(cron("c", "0 * * * *", flows=step(), **limits), "2027-01-01T00:00:00Z")
    crons.start()
    names = [run_name("c", f"2027-01-01T0{hour}:00:00Z") for hour in range(1, 5)]
    for hour, name in enumerate(names, start=1):
        crons.set_clock(f"2027-01-01T0{hour}:00:00Z")
        crons.wait_run(name)
        crons.world.wait_phase(name, ["Succeeded"])
    crons.wait(lambda: set(crons.runs()) == set(names[2:]), "the two newest runs alone")
    assert all(len(uids) == 1 for uids in crons.made().values())
    crons.wait(lambda: all(not crons.world.jobs(name) for name in names[:2]), "the jobs of deleted runs gone")


def test_a_run_with_ttl_0_is_made_once(crons: CronWorld) -> None:
    crons.set_clock("2027-01-01T00:59:58Z")
    crons.create(cron("c", "0 * * * *", flows=step(), workflow={"ttlSecondsAfterFinished": 0}), "2027-01-01T00:00:00Z")
    crons.start()
    name = run_name("c", "2027-01-01T01:00:00Z")
    crons.wait(lambda: name in crons.made() and name not in crons.runs(), "the run made and gone")
    crons.wait_status("c", lastScheduleTime="2027-01-01T01:00:00Z")
    crons.set_clock("2027-01-01T01:30:00Z")
    crons.world.patch(crons.path("c"), {"metadata": {"labels": {"touched": "yes"}}})
    crons.set_clock("2027-01-01T02:00:00Z")
    crons.wait(lambda: run_name("c", "2027-01-01T02:00:00Z") in crons.made(), "the next run")
    assert len(crons.made()[name]) == 1


def test_after_the_deadline_a_time_is_missed(crons: CronWorld) -> None:
    crons.set_clock("2027-01-01T01:10:00Z")
    crons.create(cron("c", "0 * * * *", flows=step(), startingDeadlineSeconds=300), "2027-01-01T00:00:00Z")
    crons.start()
    assert "startingDeadlineSeconds (300 s)" in crons.wait_event("c", "MissedSchedule")
    crons.set_clock("2027-01-01T02:04:00Z")
    crons.wait_run(run_name("c", "2027-01-01T02:00:00Z"))
    assert run_name("c", "2027-01-01T01:00:00Z") not in crons.made()


def test_suspend_makes_nothing_and_the_newest_time_is_made_up_for_afterwards(crons: CronWorld) -> None:
    crons.set_clock("2027-01-01T00:30:00Z")
    crons.create(cron("c", "0 * * * *", flows=step(), suspend=True), "2027-01-01T00:00:00Z")
    crons.start()
    crons.wait_status("c", observedGeneration=1, nextScheduleTime=None)
    crons.set_clock("2027-01-01T03:30:00Z")
    crons.world.patch(crons.path("c"), {"spec": {"suspend": False}})
    crons.wait_run(run_name("c", "2027-01-01T03:00:00Z"))
    crons.wait_status("c", nextScheduleTime="2027-01-01T04:00:00Z")
    assert set(crons.made()) == {run_name("c", "2027-01-01T03:00:00Z")}


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        pytest.param(
            {"schedules": ["0 0 31 2 *"]}, "InvalidSchedule", "spec.schedules[0]: never fires", id="never fires"
        ),
        pytest.param({"timeZone": "Mars/Olympus"}, "InvalidTimeZone", "spec.timeZone: no time zone", id="no zone"),
        pytest.param(
            {"workflow": {"flows": [{"name": "a", "dependsOn": {"targets": ["b"]}}]}},
            "InvalidTemplate",
            'spec.workflowTemplate.spec.flows[0].dependsOn.targets[0]: no flow is named "b"',
            id="a template that is none",
        ),
    ],
)
def test_what_cannot_be_is_not_valid_and_is_valid_once_it_is_corrected(
    crons: CronWorld, spec: dict[str, object], reason: str, message: str
) -> None:
    crons.set_clock("2027-01-01T00:30:00Z")
    manifest = cron("c", "0 * * * *", flows=step(), **spec)
    manifest["spec"].update({key: value for key, value in spec.items() if key == "schedules"})
    crons.create(manifest, "2027-01-01T00:00:00Z")
    crons.start()
    crons.wait(
        lambda: [
            one
            for one in crons.status("c").get("conditions", ())
            if (one["status"], one["reason"]) == ("False", reason)
        ],
        f"the condition Valid False, {reason}",
    )
    assert message in crons.status("c")["conditions"][0]["message"]
    shown = crons.cluster.kubectl("get", "cwkf", f"--namespace={crons.world.namespace}").splitlines()
    assert shown[1][shown[0].index("VALID") :].split()[0] == "False"
    assert message in crons.wait_event("c", reason)
    crons.set_clock("2027-01-01T02:30:00Z")
    fixed = cron("c", "0 * * * *", flows=step(), timeZone=None)["spec"]
    crons.world.patch(crons.path("c"), {"spec": fixed})
    crons.wait_run(run_name("c", "2027-01-01T02:00:00Z"))


def test_a_name_that_a_stranger_has_is_left_alone_and_the_run_is_made_once_it_is_free(crons: CronWorld) -> None:
    name = run_name("c", "2027-01-01T01:00:00Z")
    stranger = {"apiVersion": FINISHED, "kind": "Workflow", "metadata": {"name": name}, "spec": {"flows": step()}}
    uid = crons.world.create(stranger)["metadata"]["uid"]
    crons.set_clock("2027-01-01T00:59:59Z")
    crons.create(cron("c", "0 * * * *", flows=step()), "2027-01-01T00:00:00Z")
    crons.start()
    assert f'another Workflow has the name "{name}"' in crons.wait_event("c", "RunNotCreated")
    assert crons.runs()[name]["metadata"]["uid"] == uid
    assert crons.status("c").get("lastScheduleTime") == "2027-01-01T00:00:00Z"
    crons.world.delete(crons.world.workflow_path(name))
    crons.wait(lambda: len(crons.made()[name]) == 2, "the run under the name that is free now")


def test_a_run_that_a_quota_refuses_is_said_and_made_once_it_may_be(crons: CronWorld) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}
    crons.world.create({**quota, "spec": {"hard": {"count/workflows.flow.workflow.sh": "0"}}})
    path = f"/api/v1/namespaces/{crons.world.namespace}/resourcequotas/none"
    crons.wait(lambda: crons.world.api.get(path).get("status", {}).get("hard"), "the quota to count")
    crons.set_clock("2027-01-01T00:59:59Z")
    crons.create(cron("c", "0 * * * *", flows=step()), "2027-01-01T00:00:00Z")
    crons.start()
    said = crons.wait_event("c", "RunNotCreated")
    assert said.startswith("the run of 2027-01-01T01:00:00Z is not made yet, it is tried again: "), said
    assert "exceeded quota: none" in said
    crons.world.delete(path)
    crons.wait_run(run_name("c", "2027-01-01T01:00:00Z"))
    crons.wait_status("c", lastScheduleTime="2027-01-01T01:00:00Z")


def test_a_deleted_cronworkflow_takes_its_runs_with_it(crons: CronWorld) -> None:
    crons.set_clock("2027-01-01T00:59:59Z")
    crons.create(cron("c", "0 * * * *", flows=long()), "2027-01-01T00:00:00Z")
    crons.start()
    name = run_name("c", "2027-01-01T01:00:00Z")
    crons.wait_run(name)
    crons.world.delete(crons.path("c"))
    crons.wait(lambda: not crons.runs() and not crons.world.jobs(), "no run and no job left")


def test_nothing_is_written_while_nothing_changes(crons: CronWorld) -> None:
    crons.set_clock("2027-01-01T00:59:59Z")
    crons.create(cron("c", "0 * * * *", flows=step()), "2027-01-01T00:00:00Z")
    crons.start()
    name = run_name("c", "2027-01-01T01:00:00Z")
    crons.world.wait_phase(name, ["Succeeded"])
    crons.wait_status("c", activeCount=0, lastScheduleTime="2027-01-01T01:00:00Z")
    crons.wait(lambda: crons.status("c").get("lastSuccessfulTime"), "the success in the status")
    # The status at first, then with the run, then with its end; one more if the run was seen unfinished.
    crons.world.history.catch_up("cronworkflows")
    versions = {seen.object["metadata"]["resourceVersion"] for seen in crons.world.history.sightings("cronworkflows")}
    assert len(versions) <= 5  # its creation and the status of the test included
    # A change that means nothing makes no write.
    crons.world.patch(crons.path("c"), {"metadata": {"labels": {"touched": "yes"}}})
    crons.set_clock("2027-01-01T01:59:50Z")
    crons.set_clock("2027-01-01T02:00:00Z")
    crons.wait_run(run_name("c", "2027-01-01T02:00:00Z"))
