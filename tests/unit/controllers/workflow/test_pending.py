"""Events of jobs that stay pending: asked for late, seldom, a few at a time, and told when they are new."""

# ruff: noqa: A002 - as the client calls its parameter

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, cast

import msgspec

from pkg.apis.meta import GVR, PartialObject
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

WORKFLOW = WorkflowId("ns", "flow", "wf")


def event(at: str, message: str, reason: str = "FailedCreate") -> WarningEvent:
    return msgspec.convert({"lastTimestamp": at, "reason": reason, "message": message}, WarningEvent)


class Server:
    """Answers what it is told to, and writes down what it was asked for."""

    def __init__(self) -> None:
        self.events: list[WarningEvent] | Exception = []
        self.of_pods: dict[str, list[WarningEvent]] = {}
        self.asked: list[str] = []

    def list_page(self, gvr: GVR, namespace: str, type: type[Any], **query: Any) -> Page[Any]:
        assert namespace == "ns"
        if gvr.resource == "pods":
            assert query["metadata_only"] is True
            self.asked.append(f"pods {query['label_selector']} {query['field_selector']}")
            metas = [{"metadata": {"name": f"p-{uid}", "uid": uid}} for uid in self.of_pods]
            return Page(msgspec.convert(metas, list[PartialObject]), "1", "")
        self.asked.append(query["field_selector"])
        about = query["field_selector"].removeprefix("involvedObject.uid=").removesuffix(",type=Warning")
        if about in self.of_pods:
            return Page(self.of_pods[about], "1", "")
        if isinstance(self.events, Exception):
            raise self.events
        return Page(self.events, "1", "")


class Setup:
    def __init__(self, pods: str = "") -> None:
        self.server = Server()
        self.now = 1000.0
        self.woken: list[tuple[WorkflowId, TaskKey]] = []
        self.warnings = PendingJobWarnings(
            cast(Client, self.server),
            lambda *about: self.woken.append(about),
            pods_of=lambda job: pods,
            wall_clock=lambda: self.now,
        )

    def look(self, *jobs: PendingJob) -> int:
        """One round; how many jobs were asked about."""
        before = len(self.server.asked)
        self.warnings.round(jobs)
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
