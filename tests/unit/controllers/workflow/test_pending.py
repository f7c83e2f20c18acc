"""Events of jobs that stay pending: asked for late, seldom, a few at a time, and told when they are new."""

# ruff: noqa: A002 - as the client calls its parameter

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest

from pkg.apis.meta import GVR
from pkg.controllers.workflow.pending import (
    MAX_PAUSE,
    PATIENCE,
    ROUND_JOBS,
    PendingJob,
    PendingJobWarnings,
    WarningEvent,
    in_turns,
    newest,
)
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import JobWarning
from pkg.kube.client import Client, Page
from pkg.kube.errors import Forbidden
from pkg.workloads.pod_failure import EndedPod

WORKFLOW = WorkflowId("ns", "flow", "wf")


def event(at: str, message: str, reason: str = "FailedCreate") -> WarningEvent:
    return msgspec.convert({"lastTimestamp": at, "reason": reason, "message": message}, WarningEvent)


class Server:
    """Answers what it is told to, and writes down what it was asked for."""

    def __init__(self) -> None:
        self.events: list[WarningEvent] | Exception = []
        self.of_pods: dict[str, list[WarningEvent]] = {}
        self.pods: dict[str, dict[str, Any]] = {}  # spec and status
        self.asked: list[str] = []

    def list_page(self, gvr: GVR, namespace: str, type: type[Any], **query: Any) -> Page[Any]:
        assert namespace == "ns"
        if gvr.resource == "pods":
            self.asked.append(f"pods {query['label_selector']} {query['field_selector']}")
            pods = [{"metadata": {"name": f"p-{uid}", "uid": uid}, **self.pods.get(uid, {})} for uid in self.of_pods]
            return Page(msgspec.convert(pods, list[EndedPod]), "1", "")
        self.asked.append(query["field_selector"])
        about = query["field_selector"].removeprefix("involvedObject.uid=").removesuffix(",type=Warning")
        if about in self.of_pods:
            return Page(self.of_pods[about], "1", "")
        if isinstance(self.events, Exception):
            raise self.events
        return Page(self.events, "1", "")


class Setup:
    def __init__(self, pods: str = "", status: dict[str, Any] | None = None) -> None:
        self.server = Server()
        self.now = 1000.0
        self.woken: list[tuple[WorkflowId, TaskKey]] = []
        self.warnings = PendingJobWarnings(
            cast(Client, self.server),
            lambda *about: self.woken.append(about),
            pods_of=lambda job: pods,
            status_of=lambda job: status,
            wall_clock=lambda: self.now,
        )

    def look(self, *jobs: PendingJob) -> int:
        """One round; how many jobs were asked about."""
        before = len(self.server.asked)
        self.warnings.look(jobs)
        self.warnings.ask()
        return len(self.server.asked) - before


def pending(number: int = 0, since: float = 1000.0) -> PendingJob:
    return PendingJob(WORKFLOW, TaskKey("a", number), f"job-{number}", since)


def test_a_job_is_given_time_before_anybody_asks() -> None:
    setup = Setup()
    assert setup.look(pending()) == 0
    setup.now += PATIENCE
    assert setup.look(pending()) == 1
    assert setup.server.asked == ["involvedObject.uid=job-0,type=Warning"]


def test_the_newest_event_is_reported_once() -> None:
    setup = Setup()
    setup.server.events = [event("2026-01-01T00:00:09Z", "new"), event("2026-01-01T00:00:01Z", "old")]
    setup.now += PATIENCE
    setup.look(pending())
    assert setup.warnings.of(WORKFLOW) == {"job-0": JobWarning("FailedCreate", "new")}
    setup.now += PATIENCE
    setup.look(pending())
    assert setup.woken == [(WORKFLOW, TaskKey("a", 0))]


def test_the_same_job_is_asked_about_ever_more_seldom() -> None:
    setup = Setup()
    setup.now += PATIENCE
    asked = []
    for _ in range(400):
        if setup.look(pending()):
            asked.append(setup.now)
        setup.now += 5
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert pauses[:3] == [PATIENCE, 2 * PATIENCE, 4 * PATIENCE]
    assert max(pauses) == MAX_PAUSE


def test_a_round_asks_for_a_few_and_comes_to_all() -> None:
    setup = Setup()
    setup.now += PATIENCE
    jobs = [pending(number) for number in range(25)]
    assert [setup.look(*jobs) for _ in range(3)] == [ROUND_JOBS, ROUND_JOBS, 5]
    assert len(set(setup.server.asked)) == 25


def test_a_job_without_events_shows_those_of_its_pending_pods() -> None:
    setup = Setup(pods="job-name=w-a")
    setup.server.of_pods = {
        "u1": [event("2026-01-01T00:00:01Z", "no image", "Failed")],
        "u2": [event("2026-01-01T00:00:05Z", "0/3 nodes are available", "FailedScheduling")],
        "u3": [],
    }
    setup.now += PATIENCE
    setup.look(pending())
    assert setup.server.asked[1] == "pods job-name=w-a status.phase=Pending"
    assert setup.warnings.of(WORKFLOW) == {"job-0": JobWarning("FailedScheduling", "pod p-u2: 0/3 nodes are available")}
    assert setup.woken == [(WORKFLOW, TaskKey("a", 0))]


@pytest.mark.parametrize(
    ("pod", "warning"),
    [
        pytest.param(
            {
                "status": {
                    "containerStatuses": [
                        {"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no nope:1"}}}
                    ]
                }
            },
            JobWarning("ImagePullBackOff", "pod p-u1: container main does not start: ImagePullBackOff: no nope:1"),
            id="an image",
        ),
        pytest.param(
            {
                "status": {
                    "conditions": [
                        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
                    ]
                }
            },
            JobWarning("Unschedulable", "pod p-u1: it has no node: Unschedulable: 0/3 nodes"),
            id="no node",
        ),
        pytest.param(
            {"spec": {"schedulerName": "volcano"}},
            JobWarning(
                "NotScheduled",
                "pod p-u1: no scheduler has looked at it; does the scheduler volcano run in the cluster?",
            ),
            id="no scheduler",
        ),
        pytest.param(
            {"status": {"conditions": [{"type": "PodScheduled", "status": "True"}]}}, None, id="it has just begun"
        ),
    ],
)
def test_a_pod_without_events_says_itself_why_it_is_pending(pod: dict[str, Any], warning: JobWarning | None) -> None:
    setup = Setup(pods="job-name=w-a", status={"active": 1})
    setup.server.of_pods, setup.server.pods = {"u1": []}, {"u1": pod}
    setup.now += PATIENCE
    setup.look(pending())
    assert setup.warnings.of(WORKFLOW).get("job-0") == warning


@pytest.mark.parametrize(
    ("gvr", "status", "reason"),
    [
        pytest.param("rayjobs.v1.ray.io", {}, "NoStatus", id="a job without a status"),
        pytest.param("rayjobs.v1.ray.io", {"jobStatus": "WAITING"}, "", id="one that says something"),
        pytest.param("rayjobs.v1.ray.io", None, "", id="one that is gone"),
        pytest.param("pods.v1", {"phase": "Pending"}, "NotScheduled", id="a pod that no scheduler has looked at"),
        pytest.param("pods.v1", {"phase": "Pending", "conditions": [{}]}, "", id="a pod that has been looked at"),
        pytest.param("pods.v1", {"containerStatuses": [{}]}, "", id="a pod that a kubelet has taken"),
    ],
)
def test_a_job_of_which_nobody_says_anything(gvr: str, status: dict[str, Any] | None, reason: str) -> None:
    setup = Setup(status=status)
    setup.now += PATIENCE
    setup.look(replace(pending(), gvr=gvr))
    found = setup.warnings.of(WORKFLOW).get("job-0")
    assert (found.reason if found is not None else "") == reason
    assert found is None or gvr in found.message or reason == "NotScheduled"


def test_what_is_no_longer_true_is_dropped() -> None:
    status: dict[str, Any] = {}
    setup = Setup(status=status)
    setup.now += PATIENCE
    setup.look(pending())
    assert setup.warnings.of(WORKFLOW)["job-0"].reason == "NoStatus"
    status["phase"] = "Queued"
    setup.now += PATIENCE
    setup.look(pending())
    assert setup.warnings.of(WORKFLOW) == {}
    assert len(setup.woken) == 2


def test_an_event_that_only_names_a_state_comes_after_one_that_says_what_is_wrong() -> None:
    said = event("2026-01-01T00:00:01Z", 'Failed to pull image "nope:1": not found', "Failed")
    assert newest([said, event("2026-01-01T00:00:09Z", "Error: ImagePullBackOff", "Failed")]) == JobWarning(
        "Failed", 'Failed to pull image "nope:1": not found'
    )


def test_a_job_with_events_of_its_own_has_no_pods_asked_for() -> None:
    setup = Setup(pods="job-name=w-a")
    setup.server.events = [event("2026-01-01T00:00:01Z", "no quota")]
    setup.server.of_pods = {"u1": [event("2026-01-01T00:00:05Z", "later")]}
    setup.now += PATIENCE
    assert setup.look(pending()) == 1
    assert setup.warnings.of(WORKFLOW) == {"job-0": JobWarning("FailedCreate", "no quota")}


def test_a_job_that_runs_is_forgotten() -> None:
    setup = Setup()
    setup.server.events = [event("2026-01-01T00:00:01Z", "no quota")]
    setup.now += PATIENCE
    setup.look(pending())
    setup.look()
    assert setup.warnings.of(WORKFLOW) == {}


def test_without_permission_nothing_is_reported() -> None:
    setup = Setup()
    setup.server.events = Forbidden("events is forbidden", status=403)
    setup.now += PATIENCE
    assert setup.look(pending()) == 1
    assert setup.warnings.of(WORKFLOW) == {}


def test_newest_goes_by_the_latest_time_of_each_event() -> None:
    series = msgspec.convert(
        {"eventTime": "2026-01-01T00:00:01Z", "series": {"lastObservedTime": "2026-01-01T00:00:30Z"}, "reason": "A"},
        WarningEvent,
    )
    assert newest([event("2026-01-01T00:00:09Z", "b"), series]) == JobWarning("A", "")
    assert newest([]) is None


def test_a_namespace_with_many_pending_jobs_delays_no_other() -> None:
    many = [pending(number) for number in range(5)]
    other = replace(pending(9), workflow=WorkflowId("other", "flow", "wf"))
    assert in_turns([*many, other]) == [many[0], other, *many[1:]]


def test_between_two_looks_those_that_were_found_are_asked_in_turn() -> None:
    setup = Setup()
    setup.now += PATIENCE
    setup.warnings.look([pending(number) for number in range(ROUND_JOBS + 3)])
    for expected in (ROUND_JOBS, ROUND_JOBS + 3, ROUND_JOBS + 3):
        setup.warnings.ask()
        assert len(setup.server.asked) == expected
    assert len(set(setup.server.asked)) == ROUND_JOBS + 3
