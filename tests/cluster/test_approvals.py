"""Approvals on a real cluster: with and without the webhook, by people who may and people who may not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hack.cluster import Cluster
from hack.cluster.api import ApiStatusError
from hack.cluster.errors import ClusterError
from pkg.apis.flow.v1alpha1.types import MAX_APPROVALS
from pkg.cli.app import command
from tests.cluster.conftest import StartController, account
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import template, workflow
from tests.cluster.support.town import Town, serve
from tests.cluster.support.world import World, no_attempt_twice
from tests.documents import MANIFESTS, ROOT

pytestmark = pytest.mark.cluster

APPEND_ONLY = "entries of approvals cannot be changed or removed"


def ask(name: str = "ask", after: str = "", *approvers: dict[str, str], **fields: Any) -> Object:
    """A flow with approval."""
    found: Object = {"name": name, "approval": {"message": "Deploy?", "approvers": list(approvers)}, **fields}
    return {**found, "dependsOn": {"targets": after.split()}} if after else found


def step(name: str, after: str = "") -> Object:
    found: Object = {"name": name, "template": "step"}
    return {**found, "dependsOn": {"targets": after.split()}} if after else found


def entry(flow: str = "ask", decision: str = "Approve", **fields: Any) -> Object:
    return {"flow": flow, "decision": decision, **fields}


def given(world: World, name: str) -> list[Object]:
    """spec.approvals as it is stored."""
    found: list[Object] = world.api.get(world.workflow_path(name))["spec"].get("approvals", [])
    return found


def test_without_the_webhook_the_crd_keeps_earlier_entries(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create_all([template("step", run_for="0.1s"), workflow("w", ask(), ask("late", "ask"), step("b", "late"))])
    message = world.wait_flow("w", "ask", "Waiting", reason="ApprovalNeeded")["message"]
    assert message.startswith("Deploy? (whoever may edit the Workflow may decide: kubectl workflow approve -n ")
    path = world.workflow_path("w")
    first = entry(comment="yes | 1\n2", index=0)
    world.patch(path, {"spec": {"approvals": [first]}})
    assert world.wait_flow("w", "ask", "Succeeded")["reason"] == "Approved"
    for wrong in ([], None, [entry(comment="no")], [entry("late"), first], [{**first, "comment": "yes | 1\n23"}]):
        with pytest.raises(ApiStatusError, match=APPEND_ONLY):
            world.patch(path, {"spec": {"approvals": wrong}})
    world.patch(path, {"spec": {"approvals": [first, entry("late", "Reject")]}})
    assert world.wait_flow("w", "late", "Failed")["reason"] == "Rejected"
    assert world.wait_phase("w")["reason"] == "TaskFailed"
    assert given(world, "w") == [first, entry("late", "Reject")]


def conditions(world: World, name: str) -> dict[str, str]:
    return {one["type"]: one["status"] for one in world.status(name)["conditions"]}


def test_an_entry_with_an_index_decides_for_one_task_and_one_without_for_the_others(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    goes_on = {"type": "All", "remaining": "Continue"}  # after the first rejection
    asking = workflow("w", {**ask(), "for": {"replicas": 4}}, step("b"), successPolicy=goes_on)
    world.create_all([template("step", run_for="0.1s"), asking])
    world.wait_flow("w", "ask", "Waiting", reason="ApprovalNeeded")
    world.wait_flow("w", "b", "Succeeded")
    assert conditions(world, "w")["Blocked"] == "True"
    assert world.status("w")["reason"] == "ApprovalNeeded"
    path, entries = world.workflow_path("w"), [entry(index=2)]
    world.patch(path, {"spec": {"approvals": entries}})
    world.wait_flow("w", "ask", "Running", succeeded="2")
    entries.append(entry(index=0, decision="Reject", comment="not this one"))
    world.patch(path, {"spec": {"approvals": entries}})
    world.wait_flow("w", "ask", "Running", succeeded="2", failed="0")
    # It counts for the two that nobody has decided about, and not for the one that was rejected.
    entries.append(entry())
    world.patch(path, {"spec": {"approvals": entries}})
    found = world.wait_flow("w", "ask", "Failed", succeeded="1-3", failed="0")
    assert [one["message"] for one in found["replicas"]] == ["rejected: not this one"]
    assert world.wait_phase("w")["reason"] == "TaskFailed"
    assert conditions(world, "w")["Blocked"] == "False"


def test_an_entry_may_come_before_the_flow_asks(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create_all([template("step", run_for="2s"), workflow("w", step("a"), ask(after="a"), step("b", "ask"))])
    world.wait_flow("w", "a", "Pending", "Running")
    world.patch(world.workflow_path("w"), {"spec": {"approvals": [entry()]}})
    assert world.wait_phase("w")["phase"] == "Succeeded"
    asked = [
        one.get("reason")
        for seen in world.history.sightings("workflows")
        for one in seen.object.get("status", {}).get("flows", ())
        if one["name"] == "ask"
    ]
    assert "ApprovalNeeded" not in asked


def test_the_timeout_of_an_approval_counts_while_no_controller_runs(
    world: World, start_controller: StartController
) -> None:
    alone = ("--leader-elect=false", "--exclusive=false")
    controller = start_controller(*alone)
    world.create(workflow("w", ask(timeout="4s")))
    world.wait_flow("w", "ask", "Waiting", reason="ApprovalNeeded")
    controller.kill()
    start_controller(*alone)
    found = world.wait_flow("w", "ask", "Failed")
    assert found["reason"] == "DeadlineExceeded"
    status = world.wait_phase("w")
    took = datetime.fromisoformat(status["completionTime"]) - datetime.fromisoformat(status["startTime"])
    assert took.total_seconds() >= 4
    # An entry that comes too late changes nothing.
    world.patch(world.workflow_path("w"), {"spec": {"approvals": [entry()]}})
    assert world.status("w")["phase"] == "Failed"


def test_a_restart_asks_again_and_only_later_entries_count(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create_all(
        [template("bad", run_for="0.1s", exit_code="1"), workflow("w", ask(), {**step("b", "ask"), "template": "bad"})]
    )
    path = world.workflow_path("w")
    world.wait_flow("w", "ask", "Waiting", reason="ApprovalNeeded")
    world.patch(path, {"spec": {"approvals": [entry(comment="first")]}})
    assert world.wait_phase("w")["phase"] == "Failed"
    # What was approved and does not run again stays approved.
    world.patch(path, {"spec": {"restart": {"at": "1"}}})
    world.wait_flow("w", "b", "Failed", attempts=2)
    assert world.flow("w", "ask")["message"] == "approved: first"
    world.wait_phase("w")
    # An entry of the same edit is older than the restart.
    second = [entry(comment="first"), entry(comment="second")]
    world.patch(path, {"spec": {"restart": {"at": "2", "flows": ["ask"]}, "approvals": second}})
    world.wait_flow("w", "ask", "Waiting", reason="ApprovalNeeded")
    assert world.status("w")["phase"] == "Running"
    world.patch(path, {"spec": {"approvals": [*second, entry(decision="Reject", comment="third")]}})
    assert world.wait_flow("w", "ask", "Failed")["message"] == "rejected: third"


def test_a_new_workflow_with_entries_is_invalid_without_the_webhook(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create_all([template("step", run_for="0.1s"), workflow("w", ask(), step("b"), approvals=[entry()])])
    status = world.wait_phase("w")
    assert (status["phase"], status["reason"]) == ("Failed", "Invalid")
    assert "spec.approvals: a new Workflow has no approvals" in status["message"]
    assert not world.latest_jobs("w")


def test_an_approval_is_taken_once_although_the_controller_is_killed_at_it(
    world: World, start_controller: StartController
) -> None:
    alone = ("--leader-elect=false", "--exclusive=false")
    controller = start_controller(*alone)
    world.create_all([template("step", run_for="0.1s"), workflow("w", ask(), step("b", "ask"), ask("two", "b"))])
    path = world.workflow_path("w")
    world.wait_flow("w", "ask", "Waiting", reason="ApprovalNeeded")
    world.patch(path, {"spec": {"approvals": [entry(comment="one")]}})
    controller.kill()
    controller = start_controller(*alone)
    world.wait_flow("w", "two", "Waiting", reason="ApprovalNeeded")
    controller.kill()
    world.patch(path, {"spec": {"approvals": [entry(comment="one"), entry("two", "Reject", comment="no")]}})
    start_controller(*alone)
    assert world.wait_phase("w")["phase"] == "Failed"
    assert [world.flow("w", name)["message"] for name in ("ask", "two")] == ["approved: one", "rejected: no"]
    no_attempt_twice(world)


def test_the_crd_takes_as_many_entries_as_it_says(world: World) -> None:
    """The cost of its rule is within the budget of the API server, also for the longest entries."""
    world.create(workflow("w", ask()))
    path = world.workflow_path("w")
    entries = [entry(comment=f"{'x' * 400}{at}", by="y" * 100) for at in range(MAX_APPROVALS)]
    world.patch(path, {"spec": {"approvals": entries[:-1]}})
    world.patch(path, {"spec": {"approvals": entries}})
    with pytest.raises(ApiStatusError, match="must have at most 1000 items"):
        world.patch(path, {"spec": {"approvals": [*entries, entry()]}})


@pytest.mark.parametrize("decision", ["Approve", "Reject"])
def test_the_example_and_the_manifest_of_the_document_wait_and_go_on(
    cluster: Cluster, world: World, start_controller: StartController, decision: str
) -> None:
    start_controller()
    example = (ROOT / "examples" / "approval.yaml").read_text("utf-8").replace("namespace: default", "")
    (block,) = [block for block in MANIFESTS if block.where.startswith("docs/approval.md:")]
    for text in (example, block.text):
        cluster.kubectl("apply", "-n", world.namespace, "-f", "-", input=text)
    for name in ("approval", "ship"):
        world.wait_flow(name, "release", "Waiting", reason="ApprovalNeeded")
        world.patch(world.workflow_path(name), {"spec": {"approvals": [entry("release", decision)]}})
    follows = {"deploy": "Succeeded", "tell": "Skipped"} if decision == "Approve" else {"deploy": "Skipped"}
    ends = "Succeeded" if decision == "Approve" else "Failed"
    for name in ("approval", "ship"):
        assert world.wait_phase(name)["phase"] == ends
        assert {flow: phase for flow, phase in world.phases(name).items() if flow in follows}.items() <= follows.items()
    if decision == "Reject":
        assert world.phases("approval")["tell"] == "Succeeded"


@pytest.fixture
def town(cluster: Cluster, world: World, start_controller: StartController, tmp_path: Path) -> Iterator[Town]:
    """alice and bob may edit Workflows; the webhook knows who they are."""
    start_controller()
    for _ in serve(cluster, tmp_path / "webhook.log"):
        yield Town(cluster, world)


def test_the_webhook_writes_who_decided_and_refuses_who_may_not(town: Town) -> None:
    world = town.world
    world.create(template("step", run_for="0.1s"))
    manifest = workflow(
        "w", ask("ask", "", {"user": "alice"}), ask("each", "ask", {"group": "staff"}), step("b", "each")
    )
    town.apply("bob", manifest)
    world.wait_flow("w", "ask", "Waiting", reason="ApprovalNeeded")
    with pytest.raises(ClusterError, match="bob is not among the approvers of flow ask: alice may approve"):
        town.patch("bob", "wkf/w", {"spec": {"approvals": [entry(by="alice")]}})
    town.patch(
        "alice", "wkf/w", {"spec": {"approvals": [entry(by="the boss", at="2020-01-01T00:00:00Z", comment="ok")]}}
    )
    (made,) = given(world, "w")
    assert (made["by"], made["comment"]) == ("alice", "ok")
    assert made["at"] > "2020-01-02"
    assert world.wait_flow("w", "ask", "Succeeded")["message"] == "approved by alice: ok"
    assert town.notes("wkf/w") == {
        "flow.workflow.sh/created-by": "bob",
        "flow.workflow.sh/edited-by": "bob",
    }
    # A manifest that leaves by and at out means the entries that are there.
    town.patch("bob", "wkf/w", {"spec": {"approvals": [entry(comment="ok", by="bob"), entry("each")]}})
    assert [one["by"] for one in given(world, "w")] == ["alice", "bob"]
    assert world.wait_phase("w")["phase"] == "Succeeded"
    with pytest.raises(ClusterError, match="cannot be changed or removed"):
        town.patch("alice", "wkf/w", {"spec": {"approvals": [entry("each")]}})
    with pytest.raises(ClusterError, match="a new Workflow has no approvals"):
        town.apply("alice", workflow("v", ask(), approvals=[entry()]))


@pytest.mark.parametrize("flags", [(), ("--server-side",)], ids=["client-side", "server-side"])
def test_an_apply_of_the_manifest_keeps_what_others_approved(town: Town, flags: tuple[str, ...]) -> None:
    world = town.world
    world.create(template("step", run_for="forever"))
    manifest = workflow("w", ask(), step("b", "ask"))
    town.apply("bob", manifest, *flags)
    world.wait_flow("w", "ask", "Waiting", reason="ApprovalNeeded")
    town.patch("alice", "wkf/w", {"spec": {"approvals": [entry()]}})
    world.wait_flow("w", "ask", "Succeeded")
    before = given(world, "w")
    town.apply("bob", {**manifest, "spec": {**manifest["spec"], "suspend": True}}, *flags)
    assert given(world, "w") == before
    assert "cannot be changed or removed" in replaced(town, manifest)


def replaced(town: Town, manifest: Object) -> str:
    """Why the object cannot be replaced. kubectl takes the version that is there, which the controller may change."""
    said = ""
    for _ in range(20):
        with pytest.raises(ClusterError) as caught:
            town.run("replace", "-f", "-", user="bob", sent=manifest)
        said = str(caught.value)
        if "has been modified" not in said:
            break
    return said


def test_a_dry_run_stores_nothing(town: Town) -> None:
    world = town.world
    world.create(workflow("w", ask("ask", "", {"user": "alice"})))
    world.wait_flow("w", "ask", "Waiting", reason="ApprovalNeeded")
    with pytest.raises(ClusterError, match="bob is not among the approvers"):
        town.patch("bob", "wkf/w", {"spec": {"approvals": [entry()]}}, "--dry-run=server")
    town.patch("alice", "wkf/w", {"spec": {"approvals": [entry()]}}, "--dry-run=server")
    assert given(world, "w") == []


def test_the_command_approves_and_rejects_for_who_may(town: Town, user_kubeconfig: Callable[[str], Path]) -> None:
    world = town.world
    carol, dave = user_kubeconfig("carol"), user_kubeconfig("dave")
    who = {"user": account(world, "carol")}
    asking = workflow("w", ask("ask", "", who), ask("no", "ask"), step("b", "no"))
    world.create_all([template("step", run_for="0.1s"), asking])
    world.wait_flow("w", "ask", "Waiting", reason="ApprovalNeeded")

    def run(config: Path, *arguments: str) -> tuple[int, str, str]:
        flags = (f"--kubeconfig={config}", f"--namespace={world.namespace}")
        result = CliRunner().invoke(command, [*arguments, *flags])
        return result.exit_code, result.stdout, result.stderr

    code, _, said = run(dave, "approve", "w", "ask")
    assert (code, said.count("\n")) == (1, 1)
    assert f"is not among the approvers of flow ask: {who['user']} may approve or reject it" in said
    code, out, _ = run(carol, "approve", "w", "ask", "--dry-run")
    assert (code, out) == (0, "workflow/w: flow ask is approved (dry run: nothing was changed)\n")
    assert given(world, "w") == []
    code, out, _ = run(carol, "why", "w")
    assert f"kubectl workflow approve -n {world.namespace} w ask" in out
    assert run(carol, "approve", "w", "ask", "-m", "fine")[:2] == (0, "workflow/w: flow ask is approved\n")
    assert world.wait_flow("w", "ask", "Succeeded")["message"] == f"approved by {who['user']}: fine"
    code, _, said = run(carol, "reject", "w", "ask")
    assert (code, said) == (1, f"error: flow ask is Succeeded already: approved by {who['user']}: fine\n")
    world.wait_flow("w", "no", "Waiting", reason="ApprovalNeeded")
    assert run(dave, "reject", "w", "no", "-m", "not today")[:2] == (0, "workflow/w: flow no is rejected\n")
    assert world.wait_phase("w")["phase"] == "Failed"
    code, _, said = run(dave, "approve", "w", "no")
    assert "w has ended (Failed); kubectl workflow retry" in said
    assert [one["by"] for one in given(world, "w")] == [account(world, "carol"), account(world, "dave")]
