"""Mutexes and semaphores on a real control plane, sentence by sentence of docs/locks.md."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster import Cluster
from hack.cluster.api import ApiStatusError
from pkg.apis.flow.v1alpha1.locks import LOCK_LABEL, LockKind, LockName, lease_name
from tests.cluster.conftest import StartController
from tests.cluster.support.audit import Audit
from tests.cluster.support.history import Object
from tests.cluster.support.locks import (
    LEASES,
    holders,
    leases,
    leases_path,
    lives,
    most_at_once,
    wait_holders,
)
from tests.cluster.support.manifests import chain, flow, template, workflow
from tests.cluster.support.world import PATIENCE, World, no_attempt_twice

pytestmark = pytest.mark.cluster
POLICY = Path(__file__).resolve().parents[2] / "installer" / "rbac" / "lock-leases-policy.yaml"
# A controller that follows one which was killed need not wait for its Lease.
ALONE = ("--leader-elect=false", "--exclusive=false")
ELECTED = (
    *("--leader-elect-lease-duration=4s", "--leader-elect-renew-deadline=3s", "--leader-elect-retry-period=500ms"),
    "--leader-elect-resource-name=locks",
)


def semaphore(key: str = "gpu", name: str = "limits") -> Object:
    return {"configMapKeyRef": {"name": name, "key": key}}


def limits(world: World, **data: str) -> None:
    """Creates or changes the ConfigMap."""
    path = f"/api/v1/namespaces/{world.namespace}/configmaps"
    try:
        world.patch(f"{path}/limits", {"data": data})
    except ApiStatusError:
        world.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "limits"}, "data": data})


def wait_held_up(world: World, name: str, flow_name: str, reason: str = "LockHeld") -> str:
    """The message of a flow once it waits for its locks."""
    return str(world.wait_flow(name, flow_name, "Waiting", reason=reason)["message"])


def test_one_task_at_a_time_across_workflows(world: World, start_controller: StartController, audit: Audit) -> None:
    start_controller()
    world.create(template("step", run_for="1s"))
    for number in range(4):
        world.create(workflow(f"w{number}", flow("a", mutexes=["db"]), flow("b", mutexes=["db"])))
    for number in range(4):
        assert world.wait_phase(f"w{number}")["phase"] == "Succeeded"
    wait_holders(world)
    assert most_at_once(lives(world)) == 1
    no_attempt_twice(world)
    writes = [call for call in audit.calls(world.namespace) if call.name.startswith("workflow-lock-") and call.is_write]
    assert len(writes) == 16, [(call.verb, call.name, call.code) for call in writes]


def test_who_waits_reads_who_holds_the_lock_and_is_left_alone_until_its_turn(
    world: World, start_controller: StartController, audit: Audit
) -> None:
    start_controller()
    world.create(template("step", run_for="4s"))
    world.create(workflow("first", {**flow("train", mutexes=["db"]), "for": {"replicas": 1}}))
    world.wait_job("first-train-0")
    for name in ("second", "third", "fourth"):
        world.create(workflow(name, flow("a", mutexes=["db"])))
        message = wait_held_up(world, name, "a")
        assert message.startswith("waits for mutex db, held by first/train[0] since 20"), message
        assert world.status(name)["reason"] == "LockHeld"
    before = world.status("fourth")
    world.wait_phase("first")
    world.wait_job("second-a")
    assert world.status("fourth") == before
    for name in ("second", "third", "fourth"):
        assert world.wait_phase(name)["phase"] == "Succeeded"
    # In the order in which they came.
    assert [name for _, _, name in lives(world)] == ["first-train-0", "second-a", "third-a", "fourth-a"]
    reads = [
        call for call in audit.calls(world.namespace) if call.name.startswith("workflow-lock-") and call.verb == "get"
    ]
    assert reads == []


def test_the_lease_names_lock_and_holder(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(template("step", run_for="3s"))
    made = world.create(workflow("w", {**flow("a", mutexes=["db"]), "for": {"replicas": 1}}))
    wait_holders(world, "w/a[0]")
    (lease,) = leases(world)
    meta = lease["metadata"]
    assert meta["name"] == lease_name(LockName(LockKind.MUTEX, "db"), 0)
    assert meta["labels"] == {"flow.workflow.sh/lock": "mutex"}
    notes = meta["annotations"]
    assert notes["flow.workflow.sh/lock-name"] == "db"
    assert notes["flow.workflow.sh/holder-uid"] == made["metadata"]["uid"]
    assert (notes["flow.workflow.sh/holder-flow"], notes["flow.workflow.sh/holder-index"]) == ("a", "0")
    assert "ownerReferences" not in meta
    world.wait_phase("w")
    wait_holders(world)


def version(document: Object) -> int:
    """Its resourceVersion, which orders the changes of all objects."""
    return int(document["metadata"]["resourceVersion"])


def test_a_lock_is_taken_before_the_job_is_made_and_given_back_after_status_has_its_end(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.follow(LEASES)
    names = [f"w{number}" for number in range(3)]
    world.create_all([template("step", run_for="0.5s"), *(workflow(name, flow("a", mutexes=["db"])) for name in names)])
    for name in names:
        assert world.wait_phase(name)["phase"] == "Succeeded"
    wait_holders(world)
    for resource in ("leases", "jobs", "workflows"):
        world.history.catch_up(resource)
    for name in names:
        own = [one for one in world.history.sightings("leases") if holder_of(one.object) == f"{name}/a"]
        taken = min(version(one.object) for one in own)
        (given_back,) = {version(one.object) for one in own if one.event == "DELETED"}
        made = min(
            version(one.object)
            for one in world.history.sightings("jobs")
            if one.object["metadata"]["name"] == f"{name}-a"
        )
        recorded = min(
            version(one.object)
            for one in world.history.sightings("workflows")
            if one.object["metadata"]["name"] == name and phase_of(one.object, "a") == "Succeeded"
        )
        assert taken < made < recorded < given_back, name


def holder_of(lease: Object) -> str:
    return str(lease.get("spec", {}).get("holderIdentity", ""))


def phase_of(found: Object, flow_name: str) -> str:
    """The phase of a flow of a Workflow; empty if there is none."""
    flows = found.get("status", {}).get("flows", ())
    return next((str(one["phase"]) for one in flows if one["name"] == flow_name), "")


def test_a_lock_is_one_in_each_namespace(new_world: Callable[[], World], start_controller: StartController) -> None:
    worlds = new_world(), new_world()
    start_controller("--leader-elect-resource-name=locks-of-all", namespace="")
    for world in worlds:
        world.create_all([template("long", run_for="forever"), workflow("w", flow("a", of="long", mutexes=["db"]))])
    for world in worlds:
        world.wait_flow("w", "a", "Running")
        wait_holders(world, "w/a")


def test_a_semaphore_has_as_many_places_as_the_key_says(world: World, start_controller: StartController) -> None:
    start_controller()
    limits(world, gpu="3")
    world.create(template("step", run_for="1s"))
    for number in range(4):
        world.create(workflow(f"w{number}", {**flow("a", semaphores=[semaphore()]), "for": {"replicas": 3}}))
    for number in range(4):
        assert world.wait_phase(f"w{number}")["phase"] == "Succeeded"
    assert most_at_once(lives(world)) == 3
    wait_holders(world)


def test_what_is_wrong_with_a_semaphore_blocks_without_quoting_its_value(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(template("step"))
    world.create(workflow("w", flow("a", semaphores=[semaphore()])))
    assert "there is no ConfigMap limits" in wait_held_up(world, "w", "a", "LockInvalid")
    limits(world, other="1")
    world.wait_message("w", "a", "ConfigMap limits has no key gpu")
    limits(world, gpu="hunter2")
    world.wait_message("w", "a", "is no whole number from 0; correct it")
    blocked = {one["type"]: one for one in world.status("w")["conditions"]}["Blocked"]
    assert (blocked["status"], blocked["reason"]) == ("True", "LockInvalid")
    assert "hunter2" not in str(world.status("w"))
    limits(world, gpu="1")
    assert world.wait_phase("w")["phase"] == "Succeeded"


def test_a_limit_that_is_lowered_or_deleted_takes_nothing_away_and_one_that_is_raised_lets_more_in(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    limits(world, gpu="2")
    world.create(template("step", run_for="1h"))
    world.create(workflow("w", {**flow("a", semaphores=[semaphore()]), "for": {"replicas": 4}}))
    wait_holders(world, "w/a[0]", "w/a[1]")
    limits(world, gpu="1")
    world.create(workflow("late", flow("a", semaphores=[semaphore()])))
    wait_held_up(world, "late", "a")
    world.api.request("DELETE", f"/api/v1/namespaces/{world.namespace}/configmaps/limits")
    wait_held_up(world, "late", "a", "LockInvalid")
    assert holders(world) == ["w/a[0]", "w/a[1]"]
    limits(world, gpu="3")
    wait_holders(world, "w/a[0]", "w/a[1]", "w/a[2]")


def test_several_locks_are_taken_together_or_not_at_all(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(template("step", run_for="4s"))
    world.create(template("short", run_for="0.1s"))
    world.create(workflow("b", flow("a", mutexes=["y"])))
    wait_holders(world, "b/a")
    world.create(workflow("both", flow("a", mutexes=["y", "x"])))
    assert "mutex y, held by b/a" in wait_held_up(world, "both", "a")
    # x is free, and nobody passes the one that waits longer for it.
    world.create(workflow("later", flow("a", mutexes=["x"], of="short")))
    assert wait_held_up(world, "later", "a").startswith("waits for mutex x behind both/a, which waits longer")
    assert holders(world) == ["b/a"]
    for name in ("both", "later"):
        assert world.wait_phase(name)["phase"] == "Succeeded"
    assert [name for _, _, name in lives(world)] == ["b-a", "both-a", "later-a"]


def test_nothing_is_held_in_backoff(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(template("broken", exit_code="1", run_for="0.1s"))
    world.create(template("step", run_for="0.1s"))
    retry = {"maxRetries": 1, "interval": "1h"}
    world.create(workflow("w", flow("a", mutexes=["db"], of="broken", retry=retry)))
    world.wait_flow("w", "a", "Backoff")
    wait_holders(world)
    world.create(workflow("other", flow("a", mutexes=["db"])))
    assert world.wait_phase("other")["phase"] == "Succeeded"


def test_nothing_is_held_after_a_refused_creation(world: World, start_controller: StartController) -> None:
    start_controller()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}
    world.create({**quota, "spec": {"hard": {"count/jobs.batch": "0"}}})
    path = f"/api/v1/namespaces/{world.namespace}/resourcequotas/none"
    world.history.wait(lambda: world.api.get(path).get("status", {}).get("hard"), PATIENCE, "the quota to count")
    world.create(template("step", run_for="0.1s"))
    world.create(workflow("w", flow("a", mutexes=["db"])))
    world.wait_flow("w", "a", "Waiting", reason="QuotaExceeded")
    wait_holders(world)
    world.api.request("DELETE", path)
    assert world.wait_phase("w")["phase"] == "Succeeded"
    wait_holders(world)


def next_waits_for_a_job_that_stays(world: World) -> None:
    """Workflow w runs a job that a finalizer keeps once it is deleted; workflow next waits for the mutex of w."""
    world.create(template("held", run_for="1h"))
    world.create(template("step", run_for="0.1s"))
    world.create(workflow("w", flow("a", mutexes=["db"], of="held")))
    world.wait_flow("w", "a", "Running")
    world.patch(world.job_path("w-a"), {"metadata": {"finalizers": ["example.com/hold"]}})
    world.create(workflow("next", flow("a", mutexes=["db"])))
    wait_held_up(world, "next", "a")


def test_a_lock_is_held_while_the_job_is_being_deleted(world: World, start_controller: StartController) -> None:
    start_controller()
    next_waits_for_a_job_that_stays(world)
    world.patch(world.workflow_path("w"), {"spec": {"shutdown": "Terminate"}})
    assert world.wait_phase("w")["phase"] == "Failed"
    assert holders(world) == ["w/a"]
    world.patch(world.job_path("w-a"), {"metadata": {"finalizers": None}})
    assert world.wait_phase("next")["phase"] == "Succeeded"
    assert most_at_once(lives(world)) == 1


def test_a_workflow_holds_its_locks_from_its_first_job_to_its_end_suspended_or_not(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(template("step", run_for="1s"))
    world.create(workflow("first", *chain("a", "b", "c"), mutexes=["db"]))
    wait_holders(world, "first")
    world.create(workflow("second", *chain("a", "b"), mutexes=["db"]))
    assert "mutex db, held by first since" in wait_held_up(world, "second", "a")
    world.patch(world.workflow_path("first"), {"spec": {"suspend": True}})
    world.history.wait(lambda: world.status("first").get("phase") == "Suspended", PATIENCE, "it to be suspended")
    world.wait_flow("first", "a", "Succeeded")
    assert holders(world) == ["first"]
    world.patch(world.workflow_path("first"), {"spec": {"suspend": False}})
    assert world.wait_phase("first")["phase"] == "Succeeded"
    assert world.wait_phase("second")["phase"] == "Succeeded"
    wait_holders(world)
    found = [name.partition("-")[0] for _, _, name in lives(world)]
    assert found == ["first"] * 3 + ["second"] * 2


def test_a_suspended_workflow_takes_no_lock(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(template("step", run_for="0.1s"))
    world.create(workflow("waits", flow("a", mutexes=["db"]), suspend=True))
    world.wait_flow("waits", "a", "Waiting", reason="WorkflowSuspended")
    world.create(workflow("other", flow("a", mutexes=["db"])))
    assert world.wait_phase("other")["phase"] == "Succeeded"
    world.patch(world.workflow_path("waits"), {"spec": {"suspend": False}})
    assert world.wait_phase("waits")["phase"] == "Succeeded"


def test_the_lock_of_a_deleted_workflow_is_given_back_once_its_jobs_are_gone(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    next_waits_for_a_job_that_stays(world)
    world.delete(world.workflow_path("w"))
    world.history.wait(lambda: not world.status("w"), PATIENCE, "the workflow to be gone")
    world.history.wait(
        lambda: any(job["metadata"].get("deletionTimestamp") for job in world.jobs("w")), PATIENCE, "its job to go"
    )
    assert holders(world) == ["w/a"]
    world.patch(world.job_path("w-a"), {"metadata": {"finalizers": None}})
    assert world.wait_phase("next")["phase"] == "Succeeded"
    wait_holders(world)


def test_a_later_controller_gives_back_what_a_workflow_held_that_was_deleted_meanwhile(
    world: World, start_controller: StartController
) -> None:
    first = start_controller(*ALONE)
    world.create(template("held", run_for="1h"))
    world.create(template("step", run_for="0.1s"))
    world.create(workflow("w", flow("a", mutexes=["db"], of="held")))
    world.create(workflow("whole", flow("a", of="held"), mutexes=["other"]))
    wait_holders(world, "w/a", "whole")
    world.wait_job("whole-a")
    first.kill()
    for name in ("w", "whole"):
        world.delete(world.workflow_path(name))
    world.history.wait(lambda: not world.jobs(), PATIENCE, "the jobs to be gone")
    assert holders(world) == ["w/a", "whole"]
    start_controller(*ALONE)
    wait_holders(world)


def test_a_controller_that_is_killed_loses_no_place_and_takes_no_lock_twice(
    world: World, start_controller: StartController
) -> None:
    controller = start_controller(*ALONE)
    world.create(template("step", run_for="1s"))
    for number in range(5):
        world.create(workflow(f"w{number}", *(flow(name, mutexes=["db"]) for name in "ab")))
        # Status records since when both wait, or that one runs: a place in line outlives the controller from then on.
        wait_held_up(world, f"w{number}", "b")
    for _ in range(4):
        controller.kill()
        controller = start_controller(*ALONE)
    for number in range(5):
        assert world.wait_phase(f"w{number}")["phase"] == "Succeeded"
    lived = lives(world)
    assert most_at_once(lived) == 1
    assert [name.partition("-")[0] for _, _, name in lived] == [f"w{number}" for number in range(5) for _ in range(2)]
    no_attempt_twice(world)
    wait_holders(world)


def test_a_lease_of_somebody_else_is_left_alone(world: World, start_controller: StartController) -> None:
    start_controller()
    name = lease_name(LockName(LockKind.MUTEX, "db"), 0)
    strange = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}}
    made = world.create({**strange, "spec": {"holderIdentity": "somebody"}})
    world.create(template("step", run_for="0.1s"))
    world.create(workflow("w", flow("a", mutexes=["db"])))
    assert f"the Lease {name} has the name of a place of mutex db" in wait_held_up(world, "w", "a", "LockInvalid")
    found = world.api.get(leases_path(world, name))
    assert found["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    world.api.request("DELETE", leases_path(world, name))
    assert world.wait_phase("w")["phase"] == "Succeeded"


def test_a_lease_that_somebody_deletes_is_put_back_while_its_holder_runs(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.follow(LEASES)
    world.create(template("step", run_for="3s"))
    world.create(workflow("w", flow("a", mutexes=["db"])))
    world.create(workflow("next", flow("a", mutexes=["db"])))
    world.wait_flow("w", "a", "Running")
    (lease,) = leases(world)
    world.api.request("DELETE", leases_path(world, lease["metadata"]["name"]))
    wait_holders(world, "w/a")
    for name in ("w", "next"):
        assert world.wait_phase(name)["phase"] == "Succeeded"
    assert most_at_once(lives(world)) == 1


INVALID: dict[str, tuple[Object, str]] = {
    "one lock on two levels": (
        workflow("w", flow("a", mutexes=["db"]), mutexes=["db"]),
        "spec.flows[0].mutexes: the workflow has locks of its own",
    ),
    "a lock given twice": (
        workflow("w", flow("a", mutexes=["db", "db"])),
        'spec.flows[0].mutexes[1]: mutex "db" is given twice',
    ),
}


@pytest.mark.parametrize(("document", "message"), INVALID.values(), ids=INVALID)
def test_what_is_invalid(world: World, start_controller: StartController, document: Object, message: str) -> None:
    start_controller()
    world.create(template("step"))
    world.create(document)
    status = world.wait_phase("w")
    assert (status["phase"], status["reason"]) == ("Failed", "Invalid")
    assert message in status["message"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"mutexes": ["Data Base"]}, id="no name of a mutex"),
        pytest.param({"semaphores": [semaphore("a b")]}, id="no key"),
        pytest.param({"mutexes": [f"m{number}" for number in range(17)]}, id="too many"),
    ],
)
def test_what_the_api_server_refuses(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(ApiStatusError, match=r"spec\.flows\[0\]\.(mutexes|semaphores)"):
        world.create(workflow("w", flow("a", **changes)))


def test_a_workflow_under_locks_may_name_none(world: World, start_controller: StartController) -> None:
    start_controller()
    inner = {"flows": [{"name": "x", "template": "step", "mutexes": ["inner"]}]}
    gvr = {"group": "flow.workflow.sh", "version": "v1alpha1", "resource": "workflows"}
    spec = {"gvr": gvr, "jobSpec": inner}
    world.create(template("step", run_for="0.1s"))
    nested = {"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "WorkTemplate", "metadata": {"name": "nested"}}
    world.create({**nested, "spec": spec})
    world.create(workflow("under", flow("a", of="nested", mutexes=["outer"])))
    world.create(workflow("free", flow("a", of="nested")))
    assert world.wait_phase("free")["phase"] == "Succeeded"
    assert world.wait_phase("under")["phase"] == "Failed"
    assert "a job of flow a of Workflow under, which holds locks" in world.status("under-a")["message"]


def test_the_rights_of_the_installer_suffice(
    world: World, start_controller: StartController, installed_kubeconfig: Path
) -> None:
    start_controller(kubeconfig=installed_kubeconfig)
    limits(world, gpu="1")
    world.create(template("step", run_for="0.1s"))
    for number in range(2):
        world.create(workflow(f"w{number}", flow("a", mutexes=["db"], semaphores=[semaphore()])))
    for number in range(2):
        assert world.wait_phase(f"w{number}")["phase"] == "Succeeded"
    wait_holders(world)


@pytest.fixture
def _policy(cluster: Cluster) -> Iterator[None]:
    """The optional admission policy. It takes the API server a moment to go by it."""
    cluster.kubectl("apply", "-f", str(POLICY))
    try:
        yield
    finally:
        cluster.kubectl("delete", "-f", str(POLICY))


@pytest.mark.usefixtures("_policy")
def test_the_admission_policy_lets_the_controller_write_leases_of_locks_alone(
    cluster: Cluster, world: World, start_controller: StartController, installed_kubeconfig: Path
) -> None:
    name = lease_name(LockName(LockKind.MUTEX, "db"), 0)
    label: dict[str, str | None] = {LOCK_LABEL: "mutex"}
    kubectl = [str(Path(cluster.state.binaries) / "kubectl"), f"--kubeconfig={installed_kubeconfig}"]

    def said(verb: str, own: str, labels: dict[str, str | None], namespace: str = world.namespace) -> str:
        """What the API server says to the controller's account; empty if it takes it."""
        meta = {"name": own, "labels": labels}
        body = json.dumps({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta})
        what = {
            "create": ("create", "--filename=-"),
            "patch": ("patch", "lease", own, "--type=merge", f"--patch={json.dumps({'metadata': {'labels': labels}})}"),
            "delete": ("delete", "lease", own),
        }[verb]
        call = (*kubectl, f"--namespace={namespace}", *what)
        return subprocess.run(call, input=body, capture_output=True, text=True, check=False).stderr

    refused = "the controller may write no Lease here but those of locks"
    until = time.monotonic() + PATIENCE
    while refused not in (text := said("create", "other", label)):
        assert time.monotonic() < until, text
        cluster.kubectl("delete", "lease", "other", f"--namespace={world.namespace}", "--ignore-not-found")
    assert "a Lease without the label" in said("create", name, {})
    assert said("create", name, label) == ""
    assert said("patch", name, {"team": "a"}) == ""
    assert "a Lease without the label" in said("patch", name, {LOCK_LABEL: None}), "it cannot take the label off"
    assert said("delete", name, label) == ""
    # One that somebody else made under such a name is not the controller's.
    cluster.kubectl("create", "-f", "-", input=json.dumps(lease_of_a_person(world.namespace, name)))
    assert "a Lease without the label" in said("patch", name, label)
    assert "a Lease without the label" in said("delete", name, label)
    cluster.kubectl("delete", "lease", name, f"--namespace={world.namespace}")
    # Its election, in its own namespace, and what a person writes are none of the policy's.
    assert said("create", "any-name", {}, "workflow-system") == ""
    assert said("delete", "any-name", {}, "workflow-system") == ""
    start_controller(*ALONE, kubeconfig=installed_kubeconfig)
    world.create(template("step", run_for="0.1s"))
    for number in range(2):
        world.create(workflow(f"w{number}", flow("a", mutexes=["db"])))
    for number in range(2):
        assert world.wait_phase(f"w{number}")["phase"] == "Succeeded"
    wait_holders(world)


def lease_of_a_person(namespace: str, name: str) -> Object:
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": namespace}}


@pytest.mark.parametrize("_round", range(3))
def test_two_controllers_give_no_lock_to_two(
    _round: int, world: World, start_controller: StartController, user_kubeconfig: Callable[[str], Path]
) -> None:
    """Both believe that they lead; the Leases decide."""
    for name in ("one", "two"):
        start_controller(*ALONE, kubeconfig=user_kubeconfig(name))
    take_turns(world)
    wait_holders(world)


def test_a_leader_that_was_stopped_and_continues_gives_no_lock_to_two(
    world: World, start_controller: StartController
) -> None:
    """The spare takes over while the first is stopped; then the first goes on with what it knew."""
    first = start_controller(*ELECTED)
    second = start_controller(*ELECTED, acting=False)
    create_turns(world)
    world.history.wait(lambda: leases(world), PATIENCE, "somebody to hold a lock")
    first.send(signal.SIGSTOP)
    second.wait_acting()
    first.send(signal.SIGCONT)
    check_turns(world)
    wait_holders(world)


def take_turns(world: World) -> None:
    create_turns(world)
    check_turns(world)


def create_turns(world: World) -> None:
    """Six workflows share a mutex and a semaphore of two."""
    limits(world, gpu="2")
    world.create(template("step", run_for="0.5s"))
    for number in range(6):
        shared = {**flow("b", semaphores=[semaphore()]), "for": {"replicas": 2}}
        world.create(workflow(f"w{number}", flow("a", mutexes=["db"]), shared))


def check_turns(world: World) -> None:
    for number in range(6):
        assert world.wait_phase(f"w{number}")["phase"] == "Succeeded"
    assert most_at_once(lives(world, lambda job: "-a" in job["metadata"]["name"])) == 1
    assert most_at_once(lives(world, lambda job: "-b-" in job["metadata"]["name"])) <= 2
