"""Templates that are deleted while their jobs run: each job ends as the rules said that it was made with."""

from __future__ import annotations

from typing import Any

import pytest

from hack.cluster import Cluster
from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.meta import GVR
from tests.cluster.conftest import StartController, wait_established
from tests.cluster.support import kinds
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import crd, custom, flow, workflow
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
GROUP = "gone.example.com"
TICKETS = GVR(GROUP, "v1", "tickets")
SERVERS = GVR(GROUP, "v1", "servers")
RULES = {
    "ok": [{"path": "status.step", "eq": "Filed"}],
    "fail": [{"path": "status.step", "eq": "Torn"}],
    "running": [{"path": "status.step", "exists": True}],
}
CONTINUE = {"type": "All", "remaining": "Continue"}


@pytest.fixture
def tickets(cluster: Cluster, world: World) -> World:
    """A world with the kinds Ticket and Server, which nothing else plays, followed."""
    for definition in (crd(GROUP, "Ticket"), crd(GROUP, "Server")):
        wait_established(cluster.api(), kinds.install(cluster.api(), definition))
    for gvr in (TICKETS, SERVERS):
        world.follow(f"apis/{gvr.api_version}/{gvr.resource}")
    return world


def template(name: str, gvr: GVR, spec: Object, **more: Any) -> Object:
    document = custom(name, gvr.group, gvr.resource)
    document["spec"] |= {"jobSpec": spec, **more}
    return document


def wait_made(world: World, *names: str) -> None:
    def there() -> bool:
        found = [*world.history.now("tickets"), *world.history.now("servers")]
        return set(names) <= {job["metadata"]["name"] for job in found}

    world.history.wait(there, 60, f"jobs {names}")


def say(world: World, name: str, status: Object, gvr: GVR = TICKETS) -> None:
    world.patch(f"{gvr.path(world.namespace, name)}/status", {"status": status})


def remove_template(world: World, name: str) -> None:
    world.delete(f"/apis/flow.workflow.sh/v1alpha1/namespaces/{world.namespace}/worktemplates/{name}")


@pytest.mark.parametrize("restart", ["the same controller", "another controller"])
def test_jobs_whose_templates_are_deleted_end_as_the_rules_said(
    tickets: World, start_controller: StartController, restart: str
) -> None:
    world, controller = tickets, start_controller()
    world.create_all(
        [
            template("c14-ticket", TICKETS, {"title": "x"}, statusRules=RULES),
            template("c14-cel", TICKETS, {"title": "x"}, statusRules={"ok": [{"cel": "object.spec.title == 'y'"}]}),
            template("c14-server", SERVERS, {"title": "x"}, completion="Ready"),
        ]
    )
    flows = [
        flow("rules", of="c14-ticket"),
        flow("torn", of="c14-ticket", continueOnFail=True),
        flow("cel", of="c14-cel"),
        flow("ready", of="c14-server"),
    ]
    world.create(workflow("c14", *flows, successPolicy=CONTINUE))
    wait_made(world, "c14-rules", "c14-torn", "c14-cel", "c14-ready")
    for name in ("rules", "torn", "cel", "ready"):
        world.wait_flow("c14", name, "Pending")
    assert len(world.status("c14")["record"]["rules"]) == 3
    for name in ("c14-ticket", "c14-cel", "c14-server"):
        remove_template(world, name)
    if restart == "another controller":
        controller.kill()
        start_controller()
    say(world, "c14-rules", {"step": "Open"})
    world.wait_flow("c14", "rules", "Running")
    say(world, "c14-rules", {"step": "Filed"})
    say(world, "c14-torn", {"step": "Torn"})
    world.patch(TICKETS.path(world.namespace, "c14-cel"), {"spec": {"title": "y"}})
    ready = {"type": "Ready", "status": "True", "reason": "r", "message": "m"}
    now = {"lastTransitionTime": "2026-01-01T00:00:00Z", "lastUpdateTime": "2026-01-01T00:00:00Z"}
    say(world, "c14-ready", {"conditions": [{**ready, **now}]}, SERVERS)
    assert world.wait_phase("c14")["phase"] == "Succeeded"
    ended = {"rules": "Succeeded", "torn": "Failed", "cel": "Succeeded", "ready": "Succeeded"}
    assert world.phases("c14") == ended


def test_the_annotation_of_a_job_that_a_tenant_edits_changes_nothing(
    tickets: World, start_controller: StartController
) -> None:
    world = tickets
    start_controller()
    world.create(template("ticket", TICKETS, {"title": "x"}, statusRules=RULES))
    world.create(workflow("forged", flow("a", of="ticket"), flow("b", of="ticket"), successPolicy=CONTINUE))
    wait_made(world, "forged-a", "forged-b")
    world.wait_flow("forged", "b", "Pending")
    remove_template(world, "ticket")
    wrong = '{"statusRules":{"ok":[{"path":"status.step","eq":"Torn"}]}}'
    world.patch(TICKETS.path(world.namespace, "forged-a"), {"metadata": {"annotations": {labels.RULES: wrong}}})
    say(world, "forged-a", {"step": "Torn"})
    say(world, "forged-b", {"step": "Torn"})
    world.wait_flow("forged", "b", "Failed")
    assert world.flow("forged", "a")["phase"] == "Pending"
    say(world, "forged-a", {"phase": "Succeeded"})
    world.wait_flow("forged", "a", "Succeeded")


def test_a_template_that_comes_back_or_names_another_kind(tickets: World, start_controller: StartController) -> None:
    world = tickets
    start_controller()
    ticket = template("ticket", TICKETS, {"title": "x"}, statusRules=RULES)
    world.create(ticket)
    world.create(workflow("w", *(flow(name, of="ticket") for name in "abc"), successPolicy=CONTINUE))
    wait_made(world, "w-a", "w-b", "w-c")
    world.wait_flow("w", "c", "Pending")
    # Another kind: it says nothing about the jobs that exist.
    path = f"/apis/flow.workflow.sh/v1alpha1/namespaces/{world.namespace}/worktemplates/ticket"
    gvr = {"group": "batch", "version": "v1", "resource": "jobs"}
    world.patch(path, {"spec": {"gvr": gvr, "statusRules": None}})
    say(world, "w-a", {"step": "Filed"})
    world.wait_flow("w", "a", "Succeeded")
    # Back, with other rules: it counts.
    remove_template(world, "ticket")
    say(world, "w-b", {"step": "Open"})
    world.wait_flow("w", "b", "Running")
    other = {"ok": [{"path": "status.step", "eq": "Shut"}], "running": RULES["running"]}
    world.create(template("ticket", TICKETS, {"title": "x"}, statusRules=other))
    say(world, "w-b", {"step": "Shut"})
    world.wait_flow("w", "b", "Succeeded")
    say(world, "w-c", {"step": "Filed"})
    world.wait_flow("w", "c", "Running")
    remove_template(world, "ticket")
    world.wait_flow("w", "c", "Succeeded")
