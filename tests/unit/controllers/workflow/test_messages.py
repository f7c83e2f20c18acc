"""The lookup of termination messages: what is read of which pod, when it gives up, and what it asks the API server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.meta import GVR, Job, ObjectMeta
from pkg.controllers.workflow.messages import PATIENCE, MessageFinder, messages_of
from pkg.controllers.workflow.planner.actions import AwaitedMessages
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import PodMessages
from pkg.kube.client import Page
from pkg.kube.errors import Forbidden, KubeError, Transient
from pkg.workloads.pod_failure import EndedPod
from tests.builders import UID, WORKFLOW, task

MAIN = ("", "main")
SELECTOR = f"{labels.WORKFLOW_UID}={UID}"


def awaited(*wanted: tuple[str, str], gvr: str = "jobs.v1.batch", attempt: int = 0) -> AwaitedMessages:
    return AwaitedMessages(task("a"), attempt, gvr, wanted or (MAIN,))


def a_pod(
    name: str = "w-a-x", text: str | None = "0.93\n", *, phase: str = "Succeeded", owner: str = "j-1", **tags: str
) -> EndedPod:
    """A pod of the job with the uid j-1; with text None its container still runs."""
    by = {"apiVersion": "batch/v1", "kind": "Job", "name": "w-a", "uid": owner, "controller": True}
    state = {"terminated": {"exitCode": 0, "message": text}} if text is not None else {}
    raw = {
        "metadata": {"name": name, "namespace": "team", "uid": name, "ownerReferences": [by], "labels": tags},
        "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]},
    }
    return msgspec.convert(raw, EndedPod)


RUNS = a_pod(text=None, phase="Running")


@pytest.mark.parametrize(
    ("pods", "asked", "found"),
    [
        pytest.param([a_pod()], awaited(), PodMessages(0, {MAIN: "0.93"}), id="the line end of echo is left out"),
        pytest.param([a_pod()], awaited(("", "")), PodMessages(0, {("", ""): "0.93"}), id="the first container"),
        pytest.param(
            [a_pod("w-a-1", "bad", phase="Failed"), a_pod("w-a-2", "good")],
            awaited(),
            PodMessages(0, {MAIN: "good"}),
            id="the pod that succeeded, of a job that retries by itself",
        ),
        pytest.param(
            [
                a_pod("w-0", "worker", **{"training.kubeflow.org/replica-type": "worker"}),
                a_pod("m-0", "master", **{"training.kubeflow.org/replica-type": "master"}),
            ],
            awaited(MAIN, ("worker", "main"), gvr="pytorchjobs.v1.kubeflow.org"),
            PodMessages(0, {MAIN: "master", ("worker", "main"): "worker"}),
            id="the lead pod, and that of a role",
        ),
        pytest.param([RUNS], awaited(), None, id="its end is not shown yet"),
        pytest.param([], awaited(), None, id="there is no pod yet"),
        pytest.param(
            [a_pod(text="")],
            awaited(),
            PodMessages(0, {}, {MAIN: "container main of pod w-a-x has no termination message"}),
            id="it ended and said nothing",
        ),
        pytest.param(
            [a_pod()],
            awaited(("", "other")),
            PodMessages(0, {}, {("", "other"): "pod w-a-x has no container other; it has main"}),
            id="another container",
        ),
    ],
)
def test_what_pods_say(pods: list[EndedPod], asked: AwaitedMessages, found: PodMessages | None) -> None:
    assert messages_of(pods, asked, is_late=False) == found


@pytest.mark.parametrize(
    ("pods", "why"),
    [
        pytest.param([RUNS], "container main of pod w-a-x did not show its end within 30s", id="it still runs"),
        pytest.param([], "none of its pods was found", id="there is no pod"),
    ],
)
def test_after_the_patience_it_gives_up(pods: list[EndedPod], why: str) -> None:
    assert messages_of(pods, awaited(), is_late=True) == PodMessages(0, {}, {MAIN: why})


class Api:
    """Lists pods; `answers` are taken in order, the last one for ever; an exception is raised."""

    def __init__(self, *answers: list[EndedPod] | KubeError) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def list_page(self, gvr: GVR, namespace: str, kind: type[EndedPod], **how: Any) -> Page[EndedPod]:
        self.asked.append({"gvr": str(gvr), "namespace": namespace, **how})
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, KubeError):
            raise answer
        return Page(answer, "1", "")


class World:
    """A finder, and what it called back. now: its clock, seconds, which a look moves on by `step`."""

    def __init__(self, api: Api, step: float = 0.0) -> None:
        self.called = threading.Semaphore(0)
        self.now = 0.0
        self.step = step
        meta = ObjectMeta(name="w-a", namespace="team", uid="j-1", labels={labels.WORKFLOW_UID: UID})
        self.job: Job | None = Job(meta, kind="Job")
        self.finder = MessageFinder(
            api,  # type: ignore[arg-type]
            lambda *_: self.job,
            self._selector,
            self._on_found,
            lambda: self.now,
            pause=0.0,
        )

    def _selector(self, *_: object) -> str:
        self.now += self.step
        return SELECTOR

    def _on_found(self, _workflow: WorkflowId, _key: TaskKey) -> None:
        self.called.release()

    def run(self, then: Callable[[], object] = lambda: None) -> None:
        self.finder.start()
        try:
            assert self.called.acquire(timeout=10.0)
            then()
        finally:
            self.finder.stop()
            for thread in self.finder.threads:
                thread.join(10.0)


def test_it_lists_the_pods_of_the_job_and_calls_back() -> None:
    api = Api([a_pod(), a_pod("foreign", "no", owner="j-2")])
    world = World(api)
    world.finder.want(WORKFLOW, [awaited()])
    world.run()
    assert world.finder.answers(WORKFLOW) == {task("a"): PodMessages(0, {MAIN: "0.93"})}
    assert [(one["gvr"], one["namespace"], one["label_selector"]) for one in api.asked] == [
        ("pods.v1", "team", SELECTOR)
    ]


def test_it_looks_again_until_the_end_is_shown() -> None:
    api = Api([RUNS], [RUNS], [a_pod()])
    world = World(api, step=1.0)
    world.finder.want(WORKFLOW, [awaited()])
    world.run()
    assert len(api.asked) == 3
    assert world.finder.answers(WORKFLOW)[task("a")].texts == {MAIN: "0.93"}


def test_it_gives_up_after_its_patience() -> None:
    world = World(Api([RUNS]), step=PATIENCE / 3)
    world.finder.want(WORKFLOW, [awaited()])
    world.run()
    assert "within 30s" in world.finder.answers(WORKFLOW)[task("a")].missing[MAIN]


def test_an_api_server_that_cannot_be_reached_costs_no_output() -> None:
    world = World(Api(Transient("no"), Transient("no"), [a_pod()]), step=2 * PATIENCE)
    world.finder.want(WORKFLOW, [awaited()])
    world.run()
    assert world.finder.answers(WORKFLOW)[task("a")].texts == {MAIN: "0.93"}


def test_a_missing_right_is_said() -> None:
    world = World(Api(Forbidden("pods is forbidden", status=403)))
    world.finder.want(WORKFLOW, [awaited()])
    world.run()
    assert "may not list the pods" in world.finder.answers(WORKFLOW)[task("a")].missing[MAIN]


def test_a_job_that_is_gone_is_said() -> None:
    world = World(Api([a_pod()]))
    world.job = None
    world.finder.want(WORKFLOW, [awaited()])
    world.run()
    assert world.finder.answers(WORKFLOW)[task("a")].missing == {MAIN: "the job is gone"}


def test_each_wish_is_looked_up_once() -> None:
    api = Api([a_pod()])
    world = World(api)
    world.finder.want(WORKFLOW, [awaited()])
    world.run(lambda: world.finder.want(WORKFLOW, [awaited()]))
    world.finder.want(WORKFLOW, [awaited()])
    assert len(api.asked) == 1


def test_what_nobody_waits_for_any_more_is_forgotten() -> None:
    world = World(Api([a_pod()]))
    world.finder.want(WORKFLOW, [awaited()])
    world.run()
    world.finder.want(WORKFLOW, ())
    assert world.finder.answers(WORKFLOW) == {}
