"""The end of a workflow and what follows it, on the real API server and with the real kubectl."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from hack.cluster.binaries import ensure
from pkg.apis.flow.v1alpha1.labels import workflow_value
from tests.cluster.conftest import StartController
from tests.cluster.support import manifests as m
from tests.cluster.support.history import Object
from tests.cluster.support.world import PATIENCE, World, no_attempt_twice

pytestmark = pytest.mark.cluster


class Kubectl:
    """The kubectl that was built with the cluster, in the namespace of a test, with a cache of its own."""

    def __init__(self, kubeconfig: Path, namespace: str, cache: Path) -> None:
        own = ["--kubeconfig", str(kubeconfig), "--namespace", namespace, "--cache-dir", str(cache)]
        self._command = [str(ensure() / "kubectl"), *own]

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._command, *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def kubectl(kubeconfig: Path, namespace: str, tmp_path: Path) -> Kubectl:
    return Kubectl(kubeconfig, namespace, tmp_path / "kubectl")


def seen_going(world: World, workflow: str) -> Object | None:
    """A workflow as it was first seen under deletion, in the foreground; it may be gone by now."""
    for sighting in world.history.sightings("workflows"):
        meta = sighting.object["metadata"]
        is_foreground = "foregroundDeletion" in meta.get("finalizers", ())
        if meta["name"] == workflow and "deletionTimestamp" in meta and is_foreground:
            return sighting.object
    return None


def at(time_: str) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(time_).timestamp()


def test_ttl_deletes_a_drained_workflow_and_its_jobs(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("step", run_for="1s"))
    world.create(m.template("broken", run_for="0.1s", fail_until_attempt="9"))
    flows = [m.flow("a"), m.flow("b", "a"), m.flow("bad", of="broken")]
    world.create(m.workflow("w", *flows, ttlSecondsAfterFinished=2))
    assert world.wait_phase("w")["phase"] == "Failed"
    assert world.phases("w") == {"a": "Succeeded", "b": "Skipped", "bad": "Failed"}
    going = world.history.wait(lambda: seen_going(world, "w"), PATIENCE, "the workflow to be deleted")
    # The API server truncates deletionTimestamp to whole seconds.
    assert at(going["metadata"]["deletionTimestamp"]) > at(going["status"]["completionTime"]) + 1
    # Its own end waits for the cluster's garbage collector, which takes up to half a minute to notice a new kind.
    world.history.wait(lambda: not world.jobs(), PATIENCE, "its jobs to go")


def test_ttl_deletes_a_workflow_that_could_never_run(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.workflow("w", m.flow("a", "nobody"), ttlSecondsAfterFinished=1))
    assert world.wait_phase("w")["reason"] == "Invalid"
    world.history.wait(lambda: world.history.get("workflows", "w") is None, PATIENCE, "the workflow to go")


def test_a_restart_that_is_asked_for_while_it_runs_waits_for_the_end_and_acts_once(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(m.template("step", run_for="1s", fail_until_attempt="1"))
    world.create(m.workflow("w", *m.chain("a", "b")))
    world.wait_job("w-a")
    world.patch(world.workflow_path("w"), {"spec": {"restart": {"at": "once"}}})
    world.wait_job("w-a-r1")
    world.wait_flow("w", "b", "Failed")
    status = world.wait_phase("w")
    assert (status["phase"], status["record"]["restartedAt"]) == ("Failed", "once")
    time.sleep(1)
    assert world.status("w")["phase"] == "Failed", "the same token acts once"
    world.patch(world.workflow_path("w"), {"spec": {"restart": {"at": "again", "flows": ["b"]}}})
    world.wait_job("w-b-r1")
    assert world.wait_phase("w", ["Succeeded"])["record"]["restartedAt"] == "again"
    assert world.attempts("w") == {"a": 2, "b": 2}
    assert len(no_attempt_twice(world)) == 4


def test_kubectl_waits_for_success_and_for_failure(
    world: World, start_controller: StartController, kubectl: Kubectl
) -> None:
    start_controller()
    world.create(m.template("step", run_for="1s"))
    world.create(m.template("broken", run_for="1s", fail_until_attempt="9"))
    world.create(m.workflow("good", m.flow("a")))
    world.create(m.workflow("bad", m.flow("a", of="broken")))
    found: dict[str, subprocess.CompletedProcess[str]] = {}

    def wait(name: str, condition: str) -> None:
        found[name] = kubectl("wait", f"workflow/{name}", f"--for=condition={condition}", "--timeout=30s")

    waiters = [threading.Thread(target=wait, args=at) for at in (("good", "Succeeded"), ("bad", "Succeeded=False"))]
    for waiter in waiters:
        waiter.start()
    for waiter in waiters:
        waiter.join(60)
    for name, answer in found.items():
        assert answer.returncode == 0, answer.stderr
        assert f"workflow.flow.workflow.sh/{name} condition met" in answer.stdout
    # The watch of this test may show it later than that of kubectl.
    assert (world.wait_phase("good")["phase"], world.wait_phase("bad")["phase"]) == ("Succeeded", "Failed")


def test_kubectl_describe_shows_why_a_flow_waits_and_what_happened(
    world: World, start_controller: StartController, kubectl: Kubectl
) -> None:
    start_controller()
    world.create(m.template("step", run_for="forever"))
    flows = [m.flow("a"), m.flow("b", "a"), m.flow("late", of="missing")]
    world.create(m.workflow("w", *flows))
    world.wait_flow("w", "a", "Running")
    world.wait_flow("w", "late", "Waiting", reason="TemplateNotFound")

    def described() -> str:
        answer = kubectl("describe", "wkf", "w")
        assert answer.returncode == 0, answer.stderr
        return answer.stdout if "TemplateNotFound  " in answer.stdout.partition("\nEvents:")[2] else ""

    text = world.history.wait(described, PATIENCE, "the Event to be described")
    status, _, events = text.partition("\nEvents:")
    assert re.search(r"Reason: +WaitingForDependencies", status)
    assert "there is no WorkTemplate missing in namespace" in status
    assert "late: there is no WorkTemplate missing in namespace" in events


def test_stop_terminate_and_timeouts_end_what_runs_each_in_its_way(
    world: World, start_controller: StartController
) -> None:
    """They run at the same time, which saves time."""
    start_controller()
    world.create(m.template("step", run_for="3s"))
    world.create(m.template("endless", run_for="forever"))
    flows = [m.flow("a"), m.flow("b", "a"), {**m.flow("bye"), "finally": True}]
    for name in ("stop", "terminate"):
        world.create(m.workflow(name, *flows))
        world.wait_flow(name, "a", "Running")
    world.create(m.workflow("late", m.flow("a", of="endless"), *flows[1:], timeout="2s"))
    slow = m.flow("a", of="endless", timeout="1s", retry={"maxRetries": 1, "interval": "100ms"})
    world.create(m.workflow("attempt", slow, m.flow("b", "a")))
    world.patch(world.workflow_path("stop"), {"spec": {"shutdown": "Stop"}})
    world.patch(world.workflow_path("terminate"), {"spec": {"shutdown": "Terminate"}})

    assert world.wait_phase("terminate")["reason"] == "Terminated"
    assert world.phases("terminate") == {"a": "Cancelled", "b": "Skipped", "bye": "Skipped"}
    assert world.wait_phase("stop")["reason"] == "Stopped"
    assert world.phases("stop") == {"a": "Succeeded", "b": "Skipped", "bye": "Succeeded"}
    assert world.wait_phase("late")["reason"] == "DeadlineExceeded"
    assert world.phases("late") == {"a": "Cancelled", "b": "Skipped", "bye": "Succeeded"}
    assert world.wait_phase("attempt")["reason"] == "TaskFailed"
    failed = world.flow("attempt", "a")
    assert (failed["phase"], failed["reason"], failed["attempts"]) == ("Failed", "DeadlineExceeded", 2)
    gone = ("terminate-a", "late-a", "attempt-a", "attempt-a-r1")
    world.history.wait(lambda: not any(world.history.get("jobs", job) for job in gone), PATIENCE, "their jobs to go")
    no_attempt_twice(world)
    assert {job["metadata"]["name"] for job in world.latest_jobs()} == {"stop-a", "stop-bye", "late-bye"}


def test_jobs_stay_or_go_at_the_end_by_the_retain_policy(world: World, start_controller: StartController) -> None:
    """The TTL that the template gives its jobs is removed, and an Event says so."""
    start_controller()
    world.follow("api/v1/events")
    for template in (m.template("step", run_for="0.1s"), m.template("broken", run_for="0.1s", fail_until_attempt="9")):
        template["spec"]["jobSpec"]["ttlSecondsAfterFinished"] = 0
        world.create(template)
    cases = {"kept": "retain", "gone": "delete", "gone-if-good": "delete-on-success"}
    for name, policy in cases.items():
        world.create(m.workflow(name, m.flow("a"), jobRetainPolicy=policy))
        world.create(m.workflow(f"bad-{name}", m.flow("a", of="broken"), jobRetainPolicy=policy))
    for name in cases:
        assert world.wait_phase(name)["phase"] == "Succeeded"
        assert world.wait_phase(f"bad-{name}")["phase"] == "Failed"
    stay = {"kept-a", "bad-kept-a", "bad-gone-if-good-a"}
    world.history.wait(
        lambda: {job["metadata"]["name"] for job in world.jobs()} == stay, PATIENCE, lambda: f"only {stay} to be left"
    )
    time.sleep(1.5)
    assert {job["metadata"]["name"] for job in world.latest_jobs()} == stay

    def events() -> list[Object]:
        return [event for event in world.history.now("events") if event["reason"] == "TTLRemoved"]

    world.history.wait(lambda: len(events()) >= 2 * len(cases), PATIENCE, lambda: f"an Event about each: {events()}")
    assert sorted(event["involvedObject"]["name"] for event in events()) == sorted(
        [*cases, *(f"bad-{at}" for at in cases)]
    )
    assert "a: spec.ttlSecondsAfterFinished removed" in events()[0]["message"]


def test_the_longest_names_fit_everywhere(world: World, start_controller: StartController) -> None:
    """Names, labels and Events are cut; the suffix stays, and a hash is added."""
    start_controller()
    world.follow("api/v1/events")
    name, flow = "n" + 62 * "9." + 128 * "x", 63 * "f"
    world.create(m.template("step", run_for="0.1s", fail_until_attempt="1"))
    retry = {"maxRetries": 1, "interval": "100ms"}
    world.create(m.workflow(name, {**m.flow(flow), "for": {"replicas": 2}, "retry": retry}, m.flow("b", flow)))
    assert world.wait_phase(name)["phase"] == "Failed", "b has no retry"
    assert world.flow(name, flow)["succeeded"] == "0-1"
    no_attempt_twice(world)
    jobs = world.latest_jobs()
    assert {job["metadata"]["labels"]["flow.workflow.sh/workflow"] for job in jobs} == {workflow_value(name)}
    assert len(jobs) == 5
    assert sum("-1-r1-" in job["metadata"]["name"] for job in jobs) == 1
    assert all(len(job["metadata"]["name"]) <= 63 for job in jobs)
    world.history.wait(
        lambda: any(event["reason"] == "WorkflowFailed" for event in world.history.now("events")),
        PATIENCE,
        "its Events",
    )
