"""What a user reads when something waits or has failed: each on the real API server, in seconds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hack.cluster import Cluster
from pkg.apis.meta import GVR
from tests.cluster.conftest import StartController, wait_established
from tests.cluster.support import kinds
from tests.cluster.support import manifests as m
from tests.cluster.support.history import Object
from tests.cluster.support.world import PATIENCE, World

pytestmark = pytest.mark.cluster
OVENS = GVR("messages.example.com", "v1", "ovens")


def condition(world: World, workflow: str, kind: str) -> Object:
    """A condition of a workflow; empty if it is not there."""
    found = world.status(workflow).get("conditions", ())
    return next((one for one in found if one["type"] == kind), {})


def wait_condition(world: World, workflow: str, kind: str, status: str) -> Object:
    world.history.wait(
        lambda: condition(world, workflow, kind).get("status") == status,
        PATIENCE,
        lambda: f"{kind} {status}; the status of {workflow}: {world.status(workflow)}",
    )
    return condition(world, workflow, kind)


def events(world: World, workflow: str, reason: str) -> list[Object]:
    path = f"/api/v1/namespaces/{world.namespace}/events?fieldSelector=involvedObject.name={workflow},reason={reason}"
    found: list[Object] = world.api.get(path)["items"]
    return found


@pytest.mark.parametrize("policy", ["retain", "delete"])
def test_a_failed_flow_names_job_pod_container_and_exit_code(
    world: World, start_controller: StartController, policy: str
) -> None:
    """The lookup comes after the verdict, and reaches every message although the policy deletes the job."""
    start_controller()
    world.follow("api/v1/pods")
    world.create(m.template("bad", run_for="0.1s", exit_code="137"))
    world.create(m.workflow("w", m.flow("a", of="bad"), m.flow("b", "a"), jobRetainPolicy=policy))
    assert world.wait_phase("w")["phase"] == "Failed"
    message = world.wait_message("w", "a", "exit code")
    world.history.catch_up("pods")
    (pod,) = {seen.object["metadata"]["name"] for seen in world.history.sightings("pods")}
    assert message.startswith(f"job w-a, pod {pod}, container main: exit code 137 (SIGKILL)")
    status = world.status("w")
    assert status["message"] == f"flow a failed: Failed, {message}"
    for kind in ("Decided", "Finished", "Succeeded"):
        assert condition(world, "w", kind)["message"] == status["message"]
    if policy == "delete":
        world.history.wait(lambda: not world.jobs(), PATIENCE, "the job to go")


def test_each_replica_and_each_attempt_says_how_it_ended(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("bad", run_for="0.1s", exit_code="3"))
    retry = {"maxRetries": 1, "interval": "1s"}
    flow = {**m.flow("a", of="bad", retry=retry), "for": {"replicas": 3}}
    world.create(m.workflow("w", flow))
    assert world.wait_phase("w")["phase"] == "Failed"
    world.wait_message("w", "a", r"^index 0: job w-a-0-r1, pod \S+, container main: exit code 3")

    def told() -> bool:
        items = world.flow("w", "a").get("replicas", ())
        found = [re.match(rf"job w-a-{item['index']}-r1, pod w-a-\d", item.get("message", "")) for item in items]
        return len(found) == 3 and all(found)

    world.history.wait(told, PATIENCE, lambda: str(world.flow("w", "a")))


def test_after_a_kill_only_what_is_missing_is_looked_up(world: World, start_controller: StartController) -> None:
    controller = start_controller("--leader-elect=false")
    world.create(m.template("bad", run_for="0.1s", exit_code="3"))
    world.create(m.template("step", run_for="forever"))
    policy = {"type": "All", "remaining": "Continue"}
    world.create(m.workflow("w", m.flow("a", of="bad"), m.flow("b"), successPolicy=policy))
    message = world.wait_message("w", "a", "exit code 3")
    controller.kill()
    before = world.history.get("workflows", "w")
    assert before is not None
    start_controller("--leader-elect=false")
    world.patch(world.workflow_path("w"), {"spec": {"parallelism": 9}})
    world.history.wait(lambda: world.status("w").get("observedGeneration") == 2, PATIENCE, "the new generation")
    assert world.flow("w", "a")["message"] == message


def oven(cluster: Cluster, world: World) -> None:
    """Serves the kind Oven, which the rules table does not know, with a template of that name."""
    wait_established(cluster.api(), kinds.install(cluster.api(), m.crd(OVENS.group, "Oven")))
    world.follow(f"apis/{OVENS.group}/v1/{OVENS.resource}")
    world.create(m.custom("oven", OVENS.group, OVENS.resource))


def say(world: World, name: str, status: dict[str, Any]) -> None:
    """Writes the status of an Oven once it exists."""
    world.history.wait(lambda: world.history.get(OVENS.resource, name), PATIENCE, name)
    world.patch(f"{OVENS.path(world.namespace, name)}/status", {"status": status})


def test_a_status_that_no_rule_knows_blocks_with_its_words(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller()
    oven(cluster, world)
    world.create(m.workflow("w", m.flow("a", of="oven")))
    say(world, "w-a", {"phase": "Baking"})
    found = world.wait_flow("w", "a", "Pending", reason="UnknownStatus")
    assert found["message"].startswith('job w-a: its phase is "Baking", which no rule knows')
    blocked = wait_condition(world, "w", "Blocked", "True")
    assert (blocked["reason"], blocked["message"]) == ("UnknownStatus", f"flow a: {found['message']}")
    assert (world.status("w")["reason"], world.status("w")["message"]) == ("UnknownStatus", blocked["message"])
    assert condition(world, "w", "Finished")["status"] == "False"
    columns = cluster.kubectl("get", "wkf", "w", "-n", world.namespace, "-o", "wide").splitlines()
    assert columns[0].split() == ["NAME", "PHASE", "PROGRESS", "REASON", "AGE", "MESSAGE"]
    assert columns[1].split()[:4] == ["w", "Running", "0/1", "UnknownStatus"]
    assert 'its phase is "Baking"' in columns[1]
    say(world, "w-a", {"phase": "Done"})
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert condition(world, "w", "Blocked")["status"] == "False"
    world.history.wait(lambda: events(world, "w", "Blocked"), PATIENCE, "an Event")
    assert [event["count"] for event in events(world, "w", "Blocked")] == [1]


def test_a_gate_that_does_not_open_says_what_the_pod_answers(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("server", run_for="forever", serve="http:8080/ready=503"))
    world.create(m.template("step", run_for="0.1s"))
    probe = {"periodSeconds": 1, "httpGetList": [{"taskName": "server", "path": "/ready", "port": 8080}]}
    gate = {**m.flow("gate"), "dependsOn": {"probe": probe}}
    world.create(m.workflow("w", m.flow("server", of="server"), gate))
    waits = world.wait_flow("w", "gate", "Waiting", reason="WaitingForProbe")
    assert waits["message"].startswith("waits for server to answer HTTP /ready on port 8080")
    found = world.wait_flow("w", "gate", "Waiting", reason="ProbeUnanswered")
    pattern = (
        r"waits for server to answer HTTP /ready on port 8080; HTTP 503 from pod w-server-\S+ \(127\.\S+\), "
        r"at least \d+ times since \S+Z; correct the probe or the pod, or set failAfter to give up"
    )
    assert re.fullmatch(pattern, world.wait_message("w", "gate", "HTTP 503"))
    assert wait_condition(world, "w", "Blocked", "True")["reason"] == "ProbeUnanswered"
    assert found["phase"] == "Waiting"
    seen = [seen.object["metadata"]["resourceVersion"] for seen in world.history.sightings("workflows")]
    assert len(set(seen)) < 12, "not a write per try"
    world.patch(world.workflow_path("w"), {"spec": {"shutdown": "Terminate"}})
    world.wait_phase("w")
    assert len(events(world, "w", "ProbeUnanswered")) == 1


def test_a_missing_template_a_slot_and_a_target_are_named_with_their_states(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(m.template("step", run_for="forever"))
    flows = [m.flow("a"), m.flow("b"), m.flow("c", "a"), m.flow("late", of="later")]
    world.create(m.workflow("w", *flows, parallelism=1))
    world.wait_flow("w", "a", "Running")
    assert world.wait_message("w", "b", "slot") == "waits for a free slot: 1 of 1 are in use (spec.parallelism)"
    assert world.wait_message("w", "c", "now Running") == "waits for a to succeed (now Running)"
    world.patch(world.workflow_path("w"), {"spec": {"parallelism": 3}})
    blocked = wait_condition(world, "w", "Blocked", "True")
    text = f"there is no WorkTemplate later in namespace {world.namespace}; create it, and the job is made at once"
    assert (blocked["reason"], blocked["message"]) == ("TemplateNotFound", f"flow late: {text}")
    world.create(m.template("later", run_for="forever"))
    world.wait_flow("w", "late", "Running")
    assert wait_condition(world, "w", "Blocked", "False")["reason"] == "NothingBlocks"
