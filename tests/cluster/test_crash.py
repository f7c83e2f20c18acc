"""kill -9 of the controller and of the API server at bad moments: nothing is lost, no attempt has two jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from hack.cluster import Cluster
from pkg.apis.meta import seconds
from tests.cluster.conftest import StartController
from tests.cluster.support import manifests as m
from tests.cluster.support.audit import Audit
from tests.cluster.support.controller import Controller
from tests.cluster.support.examples import EXAMPLES, JOBS, apply, verify
from tests.cluster.support.world import PATIENCE, World, no_attempt_twice
from tests.unit.examples.loading import load

pytestmark = pytest.mark.cluster

# A controller that finds its own identity in the Lease leads at once.
SAME = "--leader-elect-identity=the-one"

Moment = Callable[[World, str, str], bool]


def jobs_made(world: World) -> int:
    return sum(len(uids) for uids in world.made().values())


def wait_jobs(world: World, count: int) -> None:
    world.history.wait(lambda: jobs_made(world) >= count, PATIENCE, f"{count} jobs")


def first_job(world: World, _name: str, _workflow: str) -> bool:
    return jobs_made(world) >= 1


def middle_job(world: World, name: str, _workflow: str) -> bool:
    return jobs_made(world) >= (JOBS[name] + 1) // 2


def half_way(world: World, _name: str, workflow: str) -> bool:
    tasks = world.status(workflow).get("tasks", {})
    final = sum(tasks.get(state, 0) for state in ("succeeded", "failed", "skipped"))
    return bool(tasks) and final >= tasks["total"] / 2


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(first_job, id="as its first job appears"),
        pytest.param(middle_job, id="as its middle job appears"),
        pytest.param(half_way, id="as its status says that half of it is done"),
    ],
)
def test_each_example_survives_its_controller(
    moment: Moment, new_world: Callable[[], World], audit: Audit, start_controller: StartController
) -> None:
    """A namespace and a controller for each example, so that each is killed at its own moment."""
    worlds = {name: new_world() for name in EXAMPLES}
    examples = {name: load(name) for name in EXAMPLES}
    starting = threading.Lock()

    def start(world: World) -> Controller:
        with starting:
            return start_controller(SAME, namespace=world.namespace, acting=False)

    def live(name: str) -> None:
        world = worlds[name]
        controller = start(world)
        example = examples[name]
        world.create_all(example.documents)
        world.history.wait(
            lambda: moment(world, name, example.workflow.metadata.name), PATIENCE, f"the moment to kill {name}"
        )
        controller.kill()
        start(world)
        verify(world, name, example)
        # Creations whose caller was killed may be logged without an answer; `verify` counts all by the watch.
        calls = audit.creations(world.namespace) + audit.creations(world.namespace, "deployments")
        made = [call.name for call in calls]
        assert len(made) == len(set(made)), made
        assert len(made) <= JOBS[name], made

    with ThreadPoolExecutor(len(EXAMPLES)) as pool:
        for done in [pool.submit(live, name) for name in EXAMPLES]:
            done.result()


def test_a_controller_that_is_killed_at_every_job_finishes_all_the_same(
    world: World, start_controller: StartController
) -> None:
    world.create(m.template("step", run_for="0.3s", fail_until_attempt="1"))
    retry = {"maxRetries": 1, "interval": "100ms"}
    flows = [{**flow, "retry": retry} for flow in m.chain("a", "b", "c")]
    world.create(m.workflow("w", *flows))
    for number in range(1, 7):
        controller = start_controller(SAME, acting=False)
        wait_jobs(world, number)
        controller.kill()
    start_controller(SAME, acting=False)
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert world.attempts("w") == {"a": 2, "b": 2, "c": 2}
    assert len(no_attempt_twice(world)) == 6


def test_what_happens_while_no_controller_runs_is_caught_up_with(
    world: World, start_controller: StartController
) -> None:
    world.create(m.template("step", run_for="1s"))
    world.create(m.template("flaky", run_for="1s", fail_until_attempt="1"))
    retry = {"maxRetries": 1, "interval": "100ms"}
    world.create(m.workflow("w", m.flow("a"), m.flow("b", of="flaky", retry=retry), m.flow("c", "a b")))
    controller = start_controller(SAME)
    for job in ("w-a", "w-b"):
        world.wait_job(job)
    controller.kill()
    world.history.wait(
        lambda: all((job.get("status") or {}).get("conditions") for job in world.jobs("w")),
        PATIENCE,
        "both jobs to end",
    )
    start_controller(SAME)
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert world.attempts("w") == {"a": 1, "b": 2, "c": 1}
    assert len(no_attempt_twice(world)) == 4


def test_a_gate_gives_up_also_when_the_controller_was_killed_meanwhile(
    world: World, start_controller: StartController
) -> None:
    """Status does not record when the service first ran; the gate has to give up all the same."""
    controller = start_controller(SAME)
    example = load("04-probe-branch")
    world.create_all(document for document in example.documents if document["kind"] == "WorkTemplate")
    probe = {"tcpSocketList": [{"taskName": "server", "port": 18099}], "periodSeconds": 1, "failAfter": "5s"}
    gate = {**m.flow("gate", of="probe-branch-step"), "dependsOn": {"probe": probe}}
    world.create(m.workflow("w", m.flow("server", of="probe-branch-server"), gate))
    ready = seconds(world.wait_flow("w", "server", "Succeeded")["completionTime"])
    controller.kill()
    assert world.flow("w", "gate")["phase"] == "Waiting"
    start_controller(SAME)
    assert world.wait_phase("w")["phase"] == "Failed"
    gave_up = world.flow("w", "gate")
    assert gave_up["reason"] == "ProbeTimeout"
    assert seconds(gave_up["completionTime"]) - ready >= 4, "a timeout may come late, never early"


def test_the_api_server_is_killed_in_the_middle(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    controller = start_controller("--workers=8")
    applied = {name: apply(world, name) for name in EXAMPLES}
    third = sum(JOBS.values()) // 3
    wait_jobs(world, third)
    cluster.stop_component("kube-apiserver")
    cluster.start_component("kube-apiserver")
    for name, example in applied.items():
        verify(world, name, example)
    assert controller.is_alive
    assert not [line for line in controller.log() if "Traceback" in line["event"] or line.get("exception")]
