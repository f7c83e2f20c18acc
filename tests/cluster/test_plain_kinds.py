"""Custom resources that the rules table does not know, as people write them: without a status subresource, or held."""

from __future__ import annotations

from typing import Any

import pytest

from hack.cluster import Cluster
from pkg.apis.meta import GVR
from tests.cluster.conftest import StartController, wait_established
from tests.cluster.support import kinds
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import crd, custom, flow, workflow
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
GROUP = "plain.example.com"
OLDIES = GVR(GROUP, "v1", "oldies")
TICKETS = GVR(GROUP, "v1", "tickets")


@pytest.fixture
def tickets(cluster: Cluster, world: World) -> World:
    """A world with the kind Ticket, followed."""
    return served(cluster, world, crd(GROUP, "Ticket"))


def served(cluster: Cluster, world: World, definition: Object) -> World:
    wait_established(cluster.api(), kinds.install(cluster.api(), definition))
    world.follow(f"apis/{GROUP}/v1/{definition['spec']['names']['plural']}")
    return world


def made(world: World, gvr: GVR, name: str) -> Object:
    """An object once it exists."""
    world.history.wait(lambda: world.history.get(gvr.resource, name), 30, f"{gvr.resource} {name}")
    found = world.history.get(gvr.resource, name)
    assert found is not None
    return found


def template(name: str, gvr: GVR, spec: Object, **more: Any) -> Object:
    document = custom(name, gvr.group, gvr.resource)
    document["spec"] |= {"jobSpec": spec, **more}
    return document


def test_a_kind_without_the_status_subresource_has_no_observed_generation_gate(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    definition = crd(GROUP, "Oldie")
    del definition["spec"]["versions"][0]["subresources"]
    served(cluster, world, definition)
    start_controller()
    rules = {"ok": [{"path": "status.step", "eq": "Baked"}]}
    world.create_all((template("oldie", OLDIES, {"x": 1}), template("ruled", OLDIES, {"x": 1}, statusRules=rules)))
    flows = [flow(name, of="oldie") for name in ("plain", "observed")]
    world.create(workflow("old", *flows, flow("ruled", of="ruled")))
    words = {"plain": {"phase": "Succeeded"}, "observed": {"phase": "Succeeded"}, "ruled": {"step": "Baked"}}
    for name, status in words.items():
        seen = made(world, OLDIES, f"old-{name}")["metadata"]["generation"]
        if name != "plain":
            status = {**status, "observedGeneration": seen}
        changed = world.patch(OLDIES.path(world.namespace, f"old-{name}"), {"status": status})
        assert changed["metadata"]["generation"] > seen, "the write of the status raised the generation"
    assert world.wait_phase("old")["phase"] == "Succeeded"


def test_a_kind_that_gets_the_status_subresource_later_is_read_with_the_gate(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    definition = crd(GROUP, "Turner")
    gvr = GVR(GROUP, "v1", "turners")
    served(cluster, world, definition)
    start_controller()
    world.create(template("turner", gvr, {"x": 1}))
    world.create(workflow("turn", flow("behind", of="turner")))
    path = gvr.path(world.namespace, "turn-behind")
    made(world, gvr, "turn-behind")
    world.patch(path, {"spec": {"x": 2}})
    world.patch(f"{path}/status", {"status": {"phase": "Succeeded", "observedGeneration": 1}})
    world.wait_flow("turn", "behind", "Pending", reason="StatusOutdated")
    versions = definition["spec"]["versions"]
    del versions[0]["subresources"]
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    world.patch(f"{crds}/{definition['metadata']['name']}", {"spec": {"versions": versions}})
    assert world.wait_phase("turn")["phase"] == "Succeeded", "without the subresource there is no gate"


def test_a_job_that_a_queue_holds_is_suspended_and_does_not_time_out(
    tickets: World, start_controller: StartController
) -> None:
    start_controller()
    world = tickets
    world.create(template("held", TICKETS, {"suspend": True, "components": []}))
    world.create(template("free", TICKETS, {"components": []}))
    flows = [flow(name, of="held", pendingTimeout="6s") for name in ("wrapped", "silent")]
    late = flow("late", of="free", pendingTimeout="8s")
    policy = {"type": "All", "remaining": "Continue"}
    world.create(workflow("queue", *flows, late, queueName="team-a", successPolicy=policy))
    path = TICKETS.path(world.namespace, "queue-wrapped")
    made(world, TICKETS, "queue-wrapped")
    world.patch(f"{path}/status", {"status": {"phase": "Suspended"}})
    found = world.wait_flow("queue", "silent", "Suspended", reason="Suspended")
    assert found["message"] == "queue team-a holds the job"
    world.wait_flow("queue", "wrapped", "Suspended")
    world.wait_flow("queue", "late", "Failed", reason="PendingTimeout")
    assert {world.flow("queue", name)["phase"] for name in ("wrapped", "silent")} == {"Suspended"}, "after 8 s"
    for name in ("wrapped", "silent"):
        path = TICKETS.path(world.namespace, f"queue-{name}")
        world.patch(path, {"spec": {"suspend": False}})
        world.patch(f"{path}/status", {"status": {"phase": "Running"}})
        world.wait_flow("queue", name, "Running")
        world.patch(f"{path}/status", {"status": {"phase": "Succeeded"}})
        world.wait_flow("queue", name, "Succeeded")
