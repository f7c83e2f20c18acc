"""The lookup of a failed job's pods: which lists it asks for, what it makes of them, and how often it asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.meta import GVR, Job, ObjectMeta
from pkg.controllers.workflow.failures import GONE, MAX_BYTES, PODS_LISTED, FailureFinder
from pkg.controllers.workflow.planner.actions import FailedJob
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import JobEnding, TaskKey
from pkg.kube.client import Page
from pkg.kube.discovery import Discovery
from pkg.kube.errors import Forbidden, KubeError, NotFound, NotServed, Transient
from pkg.workloads.pod_failure import EndedPod
from tests.builders import UID, WORKFLOW, task

BATCH, WIDGET, POD = "jobs.v1.batch", "widgets.v1.example.com", "pods.v1"
SELECTOR = f"{labels.WORKFLOW_UID}={UID}"
PATIENCE = 10.0


def a_pod(name: str = "w-a-x", *, owner: str = "j-1", code: int = 3, phase: str = "Failed") -> EndedPod:
    """A pod of the job with the uid j-1, unless it has another owner."""
    by = {"apiVersion": "batch/v1", "kind": "Job", "name": "w-a", "uid": owner, "controller": True}
    ended = {"terminated": {"exitCode": code}} if code else {}
    raw = {
        "metadata": {"name": name, "namespace": "team", "uid": name, "ownerReferences": [by]},
        "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": ended}]},
    }
    return msgspec.convert(raw, EndedPod)


class Api:
    """Lists pods; `answers` are taken in order, the last one for ever; an exception is raised."""

    def __init__(self, *answers: list[EndedPod] | KubeError, more: bool = False) -> None:
        self.answers = list(answers)
        self.more = more
        self.found: Job | KubeError | None = None
        self.asked: list[dict[str, Any]] = []

    def list_page(self, gvr: GVR, namespace: str, kind: type[EndedPod], **how: Any) -> Page[EndedPod]:
        self.asked.append({"gvr": str(gvr), "namespace": namespace, **how})
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, KubeError):
            raise answer
        return Page(answer, "1", "more" if self.more else "")

    def get(self, gvr: GVR, namespace: str, name: str, _kind: type[Job]) -> Job:
        self.asked.append({"gvr": str(gvr), "namespace": namespace, "name": name})
        if self.found is None:
            raise NotFound(f"{name} is not there", status=404)
        if isinstance(self.found, KubeError):
            raise self.found
        return self.found


def a_job(status: dict[str, Any] | None = None) -> Job:
    meta = ObjectMeta(name="w-a", namespace="team", uid="j-1", labels={labels.WORKFLOW_UID: UID})
    return Job(meta, kind="Job", status=status or {})


class World:
    """A finder, and what it called back."""

    def __init__(self, api: Api, job: Job | None = None, selector: str = SELECTOR) -> None:
        self.found: list[TaskKey] = []
        self.called = threading.Semaphore(0)
        self.job = job if job is not None else a_job()
        self.finder = FailureFinder(
            api,  # type: ignore[arg-type]
            lambda *_: self.job,
            lambda *_: selector,
            self._on_found,
        )

    def _on_found(self, _workflow: WorkflowId, key: TaskKey) -> None:
        self.found.append(key)
        self.called.release()


@pytest.mark.parametrize(
    ("gvr", "pods", "words"),
    [
        pytest.param(BATCH, [a_pod()], "pod w-a-x, container main: exit code 3", id="a failed pod"),
        pytest.param(BATCH, [], GONE, id="a job whose pods are gone"),
        pytest.param(WIDGET, [], "", id="a kind that may have no pods"),
        pytest.param(BATCH, [a_pod(owner="j-2")], GONE, id="pods of another job with the same labels"),
    ],
)
def test_what_is_made_of_the_pods(gvr: str, pods: list[EndedPod], words: str) -> None:
    assert World(Api(pods)).finder.look_up(WORKFLOW, FailedJob(task("a"), 0, gvr)) == words


def changed(**fields: Any) -> Job:
    """The job of `a_job` with other metadata."""
    job = a_job()
    return msgspec.structs.replace(job, metadata=msgspec.structs.replace(job.metadata, **fields))


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param(None, "job w-a was deleted before it ended", id="it was deleted"),
        pytest.param(changed(uid="j-2"), "job w-a was deleted before it ended", id="another object has its name"),
        pytest.param(
            changed(labels={}, deletion_timestamp=NOW), "job w-a was deleted before it ended", id="it is being deleted"
        ),
        pytest.param(
            changed(labels={}),
            f"job w-a was taken off the task before it ended: its label {labels.WORKFLOW_UID} was removed."
            " It was not deleted",
            id="it has lost the label by which jobs are watched",
        ),
    ],
)
def test_a_job_that_disappeared_is_read_once(found: Job | None, words: str) -> None:
    api = Api([])
    api.found = found
    assert World(api).finder.look_up(WORKFLOW, FailedJob(task("a"), 0, WIDGET, a_job())) == words
    assert api.asked == [{"gvr": WIDGET, "namespace": "team", "name": "w-a"}]


@pytest.mark.parametrize(
    ("is_gone", "words"),
    [
        pytest.param(True, "job w-a was deleted before it ended", id="the kind is gone, and its objects with it"),
        pytest.param(False, None, id="a proxy in front of the API server may answer that"),
    ],
)
def test_a_job_whose_kind_is_not_served_was_deleted_if_the_kind_is_gone(
    monkeypatch: pytest.MonkeyPatch, words: str | None, *, is_gone: bool
) -> None:
    monkeypatch.setattr(Discovery, "is_gone", lambda _self, gvr: is_gone and str(gvr) == WIDGET)
    api = Api([])
    api.found = NotServed("the server could not find the requested resource", status=404)
    finder, job = World(api).finder, FailedJob(task("a"), 0, WIDGET, a_job())
    if words is not None:
        assert finder.look_up(WORKFLOW, job) == words
    else:
        with pytest.raises(NotServed):
            finder.look_up(WORKFLOW, job)


def test_failed_pods_are_listed_by_label_in_one_bounded_list() -> None:
    api = Api([a_pod()])
    World(api).finder.look_up(WORKFLOW, FailedJob(task("a"), 0, BATCH))
    assert api.asked == [
        {
            "gvr": "pods.v1",
            "namespace": "team",
            "label_selector": SELECTOR,
            "field_selector": "status.phase=Failed",
            "limit": PODS_LISTED,
            "max_bytes": MAX_BYTES,
        }
    ]


def test_only_if_no_pod_failed_are_the_others_listed() -> None:
    api = Api([], [a_pod(phase="Running")])
    words = World(api).finder.look_up(WORKFLOW, FailedJob(task("a"), 0, BATCH))
    assert words == "pod w-a-x, container main: exit code 3"
    assert [asked["field_selector"] for asked in api.asked] == ["status.phase=Failed", ""]


def test_more_pods_than_one_list_has_are_counted_as_a_least_number() -> None:
    api = Api([a_pod("p1"), a_pod("p2")], more=True)
    assert World(api).finder.look_up(WORKFLOW, FailedJob(task("a"), 0, BATCH)).endswith("; and at least 1 more pod")


def test_a_job_that_is_a_pod_says_it_itself() -> None:
    api = Api([])
    status = {"phase": "Failed", "containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": 9}}}]}
    world = World(api, a_job(status))
    assert world.finder.look_up(WORKFLOW, FailedJob(task("a"), 0, POD)) == "pod w-a, container main: exit code 9"
    assert api.asked == []


def test_a_pod_with_a_status_of_another_shape_says_nothing() -> None:
    world = World(Api([]), a_job({"phase": 7}))
    assert world.finder.look_up(WORKFLOW, FailedJob(task("a"), 0, POD)) == ""


# The threads


@pytest.fixture
def run() -> Any:
    made: list[World] = []

    def start(world: World) -> World:
        made.append(world)
        world.finder.start()
        return world

    yield start
    for world in made:
        world.finder.stop()


Run = Callable[[World], World]


def test_the_answer_is_kept_and_requeues_the_workflow(run: Run) -> None:
    world = run(World(Api([a_pod()])))
    world.finder.want(WORKFLOW, [FailedJob(task("a"), 0, BATCH)])
    assert world.called.acquire(timeout=PATIENCE)
    assert world.finder.endings(WORKFLOW) == {task("a"): JobEnding(0, "pod w-a-x, container main: exit code 3")}
    assert world.found == [task("a")]


def test_each_attempt_is_asked_for_once_however_often_it_is_wanted(run: Run) -> None:
    api = Api([a_pod()])
    world = run(World(api))
    for _ in range(3):
        world.finder.want(WORKFLOW, [FailedJob(task("a"), 0, BATCH)])
    assert world.called.acquire(timeout=PATIENCE)
    world.finder.want(WORKFLOW, [FailedJob(task("a"), 0, BATCH), FailedJob(task("a"), 1, BATCH)])
    assert world.called.acquire(timeout=PATIENCE)
    assert len(api.asked) == 2
    assert world.finder.endings(WORKFLOW)[task("a")].attempt == 1


def test_of_very_many_failed_tasks_the_last_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.controllers.workflow.failures.MAX_TASKS", 2)
    world = World(Api([]))
    world.finder.want(WORKFLOW, [FailedJob(task(f"a/{index}"), 0, BATCH) for index in range(3)])
    assert [ending.words for ending in world.finder.endings(WORKFLOW).values()] == [None, None, ""]


@pytest.mark.parametrize(
    "error", [Forbidden('User "x" cannot list resource "pods"'), Transient("no")], ids=["forbidden", "no answer at all"]
)
def test_pods_that_cannot_be_listed_are_answered_with_nothing_to_say(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: KubeError
) -> None:
    monkeypatch.setattr("pkg.controllers.workflow.failures.RETRY_SECONDS", 0.001)
    world = run(World(Api(error)))
    world.finder.want(WORKFLOW, [FailedJob(task("a"), 0, BATCH)])
    assert world.called.acquire(timeout=PATIENCE)
    assert world.finder.endings(WORKFLOW) == {task("a"): JobEnding(0, "")}


def test_a_passing_fault_is_tried_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.controllers.workflow.failures.RETRY_SECONDS", 0.001)
    world = run(World(Api(Transient("no"), [a_pod()])))
    world.finder.want(WORKFLOW, [FailedJob(task("a"), 0, BATCH)])
    assert world.called.acquire(timeout=PATIENCE)
    assert world.finder.endings(WORKFLOW)[task("a")].words == "pod w-a-x, container main: exit code 3"


def test_while_words_are_sought_a_workflow_that_ended_is_kept_and_then_forgotten(run: Run) -> None:
    world = World(Api([a_pod()]))
    world.finder.want(WORKFLOW, [FailedJob(task("a"), 0, BATCH)])
    world.finder.forget_answered(WORKFLOW)
    assert world.finder.endings(WORKFLOW) == {task("a"): JobEnding(0)}
    run(world)
    assert world.called.acquire(timeout=PATIENCE)
    world.finder.forget_answered(WORKFLOW)
    assert world.finder.endings(WORKFLOW) == {}


def test_a_workflow_that_is_forgotten_is_not_looked_up(run: Run) -> None:
    api = Api([a_pod()])
    world, other = World(api), WorkflowId("team", "other", "u-2")
    world.finder.want(WORKFLOW, [FailedJob(task("a"), 0, BATCH)])
    world.finder.forget(WORKFLOW)
    world.finder.want(other, [FailedJob(task("b"), 0, BATCH)])
    run(world)
    assert world.called.acquire(timeout=PATIENCE)
    assert (world.found, len(api.asked)) == ([task("b")], 1)


def test_namespaces_take_turns() -> None:
    world = World(Api([]))
    busy, quiet = WorkflowId("busy", "w", "u-1"), WorkflowId("quiet", "w", "u-2")
    world.finder.want(busy, [FailedJob(task(f"a/{index}"), 0, BATCH) for index in range(5)])
    world.finder.want(quiet, [FailedJob(task("a"), 0, BATCH)])
    taken = [world.finder._take() for _ in range(3)]
    assert [asked.workflow.namespace for asked in taken if asked is not None] == ["busy", "quiet", "busy"]
