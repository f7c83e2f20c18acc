"""Changes from outside: deleted jobs, missing templates and kinds, suspension, deletion, impossible specs."""

from __future__ import annotations

import json
import time

import pytest

from hack.cluster import Cluster
from tests.cluster.conftest import CRDS, StartController
from tests.cluster.support import manifests as m
from tests.cluster.support.audit import Audit
from tests.cluster.support.world import PATIENCE, World, no_attempt_twice

pytestmark = pytest.mark.cluster


def test_a_job_deleted_by_hand_fails_its_task(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("step", run_for="forever"))
    world.create(m.workflow("w", m.flow("a"), m.flow("b", "a")))
    world.wait_flow("w", "a", "Running")
    world.delete(world.job_path("w-a"))
    status = world.wait_phase("w")
    assert status["phase"] == "Failed"
    assert world.flow("w", "a")["reason"] == "JobDeleted"
    assert world.phases("w") == {"a": "Failed", "b": "Skipped"}
    assert len(no_attempt_twice(world)) == 1


def test_a_job_deleted_by_hand_is_retried(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("step", run_for="1s"))
    retry = {"maxRetries": 1, "interval": "500ms"}
    world.create(m.workflow("w", {**m.flow("a"), "retry": retry}, m.flow("b", "a")))
    world.wait_flow("w", "a", "Running")
    deleted = time.time()
    world.delete(world.job_path("w-a"))
    again = world.wait_job("w-a-r1")
    assert time.time() - deleted >= 0.5, "the interval is kept"
    assert again["metadata"]["labels"]["flow.workflow.sh/attempt"] == "1"
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert world.attempts("w") == {"a": 2, "b": 1}
    assert len(no_attempt_twice(world)) == 3


def test_a_job_deleted_while_no_controller_runs_is_noticed(world: World, start_controller: StartController) -> None:
    controller = start_controller("--leader-elect=false")
    world.create(m.template("step", run_for="forever"))
    retry = {"maxRetries": 1, "interval": "100ms"}
    world.create(m.workflow("w", {**m.flow("a"), "retry": retry}, m.flow("b", continueOnFail=True)))
    world.wait_flow("w", "a", "Running")
    world.wait_flow("w", "b", "Running")
    controller.kill()
    for job in ("w-a", "w-b"):
        world.delete(world.job_path(job))
    world.history.wait(lambda: not world.jobs("w"), PATIENCE, "both jobs gone")
    start_controller("--leader-elect=false")
    world.wait_job("w-a-r1")
    assert world.wait_flow("w", "b", "Failed")["reason"] == "JobDeleted"
    world.delete(world.job_path("w-a-r1"))
    assert world.wait_phase("w")["phase"] == "Failed"
    assert len(no_attempt_twice(world)) == 3


def test_a_missing_template_is_said_and_its_jobs_are_made_once_it_is_there(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(m.template("step", run_for="0.1s"))
    world.create(m.workflow("w", m.flow("a"), m.flow("late", "a", of="missing"), m.flow("other", "a")))
    waiting = world.wait_flow("w", "late", "Waiting", reason="TemplateNotFound")
    assert "missing" in waiting["message"]
    world.wait_flow("w", "other", "Succeeded")
    world.create(m.template("missing", run_for="0.1s"))
    world.wait_job("w-late")
    assert world.wait_phase("w")["phase"] == "Succeeded"


def test_a_kind_that_is_not_served_blocks_nobody_and_starts_once_it_is(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller("--workers=1")
    group = "later.test"
    world.create(m.template("step", run_for="0.1s"))
    world.create(m.custom("thing", group, "things"))
    world.create(m.workflow("w", m.flow("a", of="thing"), m.flow("b", "a")))
    world.create(m.workflow("other", *m.chain("a", "b")))
    waiting = world.wait_flow("w", "a", "Waiting", reason="KindNotServed")
    assert "things" in waiting["message"]
    assert world.wait_phase("other")["phase"] == "Succeeded"
    world.api.request("POST", CRDS, m.crd(group, "Thing"))
    try:
        path = f"/apis/{group}/v1/namespaces/{world.namespace}/things/w-a"
        world.wait_flow("w", "a", "Pending", "Running")
        assert world.status("w")["record"]["kinds"] == [{"gvr": f"things.v1.{group}", "flows": "0"}]
        world.patch(f"{path}/status", {"status": {"phase": "Succeeded"}})
        assert world.wait_phase("w")["phase"] == "Succeeded"
    finally:
        world.api.request("DELETE", f"{CRDS}/things.{group}")


def test_suspend_holds_what_has_not_begun_and_resume_goes_on(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("step", run_for="1s"))
    world.create(m.workflow("w", *m.chain("a", "b")))
    world.wait_flow("w", "a", "Running")
    world.patch(world.workflow_path("w"), {"spec": {"suspend": True}})
    world.wait_phase("w", ["Suspended"])
    world.wait_flow("w", "a", "Succeeded")
    time.sleep(1.5)
    assert [job["metadata"]["name"] for job in world.latest_jobs("w")] == ["w-a"], "nothing new starts"
    world.patch(world.workflow_path("w"), {"spec": {"suspend": False}})
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert world.status("w")["record"]["suspendedSeconds"] >= 2


def test_a_workflow_that_starts_suspended_makes_nothing(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("step", run_for="0.1s"))
    world.create(m.workflow("w", m.flow("a"), suspend=True))
    world.wait_phase("w", ["Suspended"])
    assert world.latest_jobs("w") == []
    world.patch(world.workflow_path("w"), {"spec": {"suspend": False}})
    assert world.wait_phase("w")["phase"] == "Succeeded"


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_a_deleted_workflow_takes_its_jobs_with_it(
    world: World, audit: Audit, start_controller: StartController, propagation: str
) -> None:
    start_controller()
    world.create(m.template("step", run_for="forever"))
    world.create(m.workflow("w", {**m.flow("a"), "for": {"replicas": 3}}, m.flow("b", "a")))
    world.wait_flow("w", "a", "Running")
    world.history.wait(lambda: len(world.jobs("w")) == 3, PATIENCE, "three jobs")
    world.delete(world.workflow_path("w"), propagation)
    world.history.wait(lambda: world.history.get("workflows", "w") is None, PATIENCE, "the workflow to go")
    world.history.wait(lambda: not world.jobs(), PATIENCE, lambda: f"its jobs to go: {world.jobs()}")
    assert len(no_attempt_twice(world)) == 3, "and nothing was made for it meanwhile"


def test_a_workflow_of_the_same_name_has_jobs_of_its_own(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("step", run_for="1s"))
    world.create(m.workflow("w", m.flow("a")))
    world.wait_flow("w", "a", "Running")
    world.delete(world.workflow_path("w"))
    world.history.wait(lambda: world.history.get("workflows", "w") is None, PATIENCE, "the first workflow to go")
    second = world.create(m.workflow("w", m.flow("a")))
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert {attempt.uid for attempt in no_attempt_twice(world)} >= {second["metadata"]["uid"]}
    world.history.wait(lambda: len(world.jobs()) == 1, PATIENCE, "the job of the first to go")
    (job,) = world.latest_jobs()
    assert job["metadata"]["ownerReferences"][0]["uid"] == second["metadata"]["uid"]


@pytest.mark.parametrize(
    ("flows", "says"),
    [
        pytest.param([m.flow("a", "b"), m.flow("b", "a")], "a -> b -> a", id="a cycle"),
        pytest.param([m.flow("a", "nobody")], "nobody", id="a target that does not exist"),
        pytest.param([m.flow("a"), m.flow("a")], "spec.flows[1].name", id="a name used twice"),
    ],
)
def test_a_spec_that_can_never_run_fails_and_says_why(
    world: World, start_controller: StartController, flows: list[dict[str, object]], says: str
) -> None:
    start_controller()
    world.create(m.template("step"))
    world.create(m.workflow("w", *flows))
    status = world.wait_phase("w")
    assert (status["phase"], status["reason"]) == ("Failed", "Invalid")
    assert says in status["message"]
    assert world.latest_jobs() == []


def test_a_stranger_with_the_jobs_name_is_left_alone(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("step", run_for="0.1s"))
    spec = m.template("x")["spec"]["jobSpec"] | {"suspend": True}
    stranger = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "w-a", "labels": {}}, "spec": spec}
    before = world.create(stranger)
    made = world.create(m.workflow("w", m.flow("a")))
    assert world.wait_phase("w")["phase"] == "Succeeded"
    suffix = made["metadata"]["uid"][:8]
    assert world.status("w")["record"]["flows"] == [{"flows": "0", "renamed": suffix}]
    world.wait_job(f"w-a-{suffix}")
    after = json.loads(world.api.request("GET", world.job_path("w-a")))
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert len(no_attempt_twice(world)) == 1
