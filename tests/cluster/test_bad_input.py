"""What a person reads of manifests that are wrong where no webhook runs, and of ConfigMaps that are no limit.

With the webhook: tests/cluster/test_admission_bad_input.py.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from hack.cluster.api import ApiStatusError
from tests.cluster.conftest import StartController
from tests.cluster.support.bad_input import BAD, BAD_ENTRIES, CRD, INVALID, NOBODY, NOT_VALID, Bad, asking
from tests.cluster.support.history import Object
from tests.cluster.support.locks import holders, wait_holders
from tests.cluster.support.manifests import API, flow, template, workflow
from tests.cluster.support.world import PATIENCE, World

pytestmark = pytest.mark.cluster
CRONS = f"/apis/{API}/namespaces/%s/cronworkflows/%s"


def named(bad: Bad, number: int) -> Object:
    """The manifest under a name of its own, but for a name that is the fault."""
    meta = bad.manifest["metadata"]
    return bad.manifest if len(meta["name"]) > 1 else {**bad.manifest, "metadata": {**meta, "name": f"x{number}"}}


def status_of(world: World, manifest: Object) -> Object:
    name = manifest["metadata"]["name"]
    if manifest["kind"] == "Workflow":
        return world.status(name)
    found: Object = world.api.get(CRONS % (world.namespace, name)).get("status") or {}
    return found


def said_without_webhook(world: World, bad: Bad, manifest: Object) -> str | None:
    """What is said once it is said; None before."""
    status = status_of(world, manifest)
    if bad.without == NOT_VALID:
        conditions = [one for one in status.get("conditions", ()) if one["type"] == "Valid"]
        return f"{conditions[0]['status']}: {conditions[0]['message']}" if conditions else None
    if status.get("phase") not in ("Failed", "Succeeded"):
        return None
    flows = "; ".join(f"{one['name']} {one.get('reason')}: {one.get('message')}" for one in status.get("flows", ()))
    return f"{status['phase']} {status['reason']}: {status['message']}; {flows}"


def is_as_wanted(bad: Bad, said: str) -> bool:
    verdict = {NOT_VALID: "False: ", INVALID: "Failed Invalid: "}.get(bad.without, "Failed TaskFailed: ")
    return said.startswith(verdict) and (bad.without_said or bad.said) in said


def test_without_the_webhook_each_says_field_and_cause_and_nothing_hangs(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(template("step", run_for="0.1s"))
    wrong: dict[str, str] = {}
    stored: dict[str, tuple[Bad, Object]] = {}
    for number, (case, bad) in enumerate(BAD.items()):
        manifest = named(bad, number)
        try:
            world.create(manifest)
        except ApiStatusError as error:
            if bad.without != CRD or (bad.without_said or bad.said) not in str(error):
                wrong[case] = f"the API server: {error}"
            print(f"{case}: the API server: {error}")
            continue
        if bad.without == CRD:
            wrong[case] = "the API server took it"
        elif bad.without != NOBODY:
            stored[case] = bad, manifest
    world.history.wait(
        lambda: all(said_without_webhook(world, *one) for one in stored.values()),
        PATIENCE,
        lambda: f"an end of each: {[case for case, one in stored.items() if not said_without_webhook(world, *one)]}",
    )
    for case, (bad, manifest) in stored.items():
        said = said_without_webhook(world, bad, manifest) or ""
        print(f"{case}: {said}")
        if not is_as_wanted(bad, said):
            wrong[case] = said
    assert not wrong, "\n".join(f"{case}: {said}" for case, said in wrong.items())


#: The data of the ConfigMap `limits`, None for none at all, and what the flow that waits for its key `gpu` says.
NO_LIMITS: dict[str, tuple[dict[str, Any] | None, str, str]] = {
    "no ConfigMap": (None, "LockInvalid", "there is no ConfigMap limits; create it with the key gpu"),
    "no key": (
        {"data": {"cpu": "3"}},
        "LockInvalid",
        "ConfigMap limits has no key gpu under data; add it, with a whole number",
    ),
    "a key of bytes": ({"binaryData": {"gpu": "Mw=="}}, "LockInvalid", "has no key gpu under data"),
    "a word": (
        {"data": {"gpu": "hunter2"}},
        "LockInvalid",
        "key gpu of ConfigMap limits is no whole number from 0; correct it",
    ),
    "nothing": ({"data": {"gpu": ""}}, "LockInvalid", "is no whole number from 0"),
    "less than nothing": ({"data": {"gpu": "-1"}}, "LockInvalid", "is no whole number from 0"),
    "a fraction": ({"data": {"gpu": "1.5"}}, "LockInvalid", "is no whole number from 0"),
    "a power": ({"data": {"gpu": "1e3"}}, "LockInvalid", "is no whole number from 0"),
    "two lines": ({"data": {"gpu": "1\n2"}}, "LockInvalid", "is no whole number from 0"),
    "far too much": ({"data": {"gpu": "99999999999"}}, "LockInvalid", "is no whole number from 0"),
    "none may hold it": (
        {"data": {"gpu": "0"}},
        "LockHeld",
        "its limit is 0, so nobody can take it until key gpu of ConfigMap limits is raised",
    ),
}


def test_a_semaphore_without_a_limit_says_what_is_wrong_and_goes_on_once_it_is_right(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(template("step", run_for="0.1s"))
    for number, (data, _, _) in enumerate(NO_LIMITS.values()):
        name = f"limits{number}"
        if data is not None:
            world.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **data})
        ref = {"configMapKeyRef": {"name": name, "key": "gpu"}}
        world.create(workflow(f"w{number}", flow("a", semaphores=[ref])))
    for number, (_, reason, said) in enumerate(NO_LIMITS.values()):
        said = said.replace("ConfigMap limits", f"ConfigMap limits{number}")
        message = world.wait_message(f"w{number}", "a", re.escape(said))
        print(message)
        assert world.flow(f"w{number}", "a")["reason"] == reason
        assert "hunter2" not in str(world.status(f"w{number}"))
        blocked = {one["type"]: one["status"] for one in world.status(f"w{number}")["conditions"]}.get("Blocked")
        assert (blocked == "True") is (reason == "LockInvalid"), message
    for number, (data, _, _) in enumerate(NO_LIMITS.values()):
        path = f"/api/v1/namespaces/{world.namespace}/configmaps"
        if data is None:
            right = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"limits{number}"}}
            world.create({**right, "data": {"gpu": "1"}})
        else:
            world.patch(f"{path}/limits{number}", {"data": {"gpu": "1"}, "binaryData": None})
    for number in range(len(NO_LIMITS)):
        assert world.wait_phase(f"w{number}")["phase"] == "Succeeded"
    wait_holders(world)


@pytest.mark.parametrize("data", [None, {"gpu": "none"}, {"gpu": "0"}], ids=["deleted", "no number", "zero"])
def test_a_limit_that_goes_while_the_semaphore_is_held_takes_nothing_away(
    world: World, start_controller: StartController, data: dict[str, str] | None
) -> None:
    """The holder goes on as if nothing had happened. The next one waits, says why, and goes on once it is corrected."""
    start_controller()
    limits = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "limits"}, "data": {"gpu": "1"}}
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/limits"
    ref = {"configMapKeyRef": {"name": "limits", "key": "gpu"}}
    world.create_all([limits, template("step", run_for="0.1s"), template("long", run_for="forever")])
    world.create(workflow("w", flow("a", of="long", semaphores=[ref])))
    wait_holders(world, "w/a")
    world.create(workflow("next", flow("a", semaphores=[ref])))
    world.wait_flow("next", "a", "Waiting", reason="LockHeld")
    if data is None:
        world.delete(path)
    else:
        world.patch(path, {"data": data})
    wanted = r"is raised; w/a since \S+ may go on" if data == {"gpu": "0"} else "its holders go on"
    world.wait_message("next", "a", wanted)
    assert holders(world) == ["w/a"]
    assert world.flow("w", "a")["phase"] in ("Pending", "Running")
    world.patch(world.workflow_path("w"), {"spec": {"shutdown": "Terminate"}})
    world.wait_phase("w")
    wait_holders(world)
    assert world.flow("next", "a")["phase"] == "Waiting"
    if data is None:
        world.create(limits)
    else:
        world.patch(path, {"data": {"gpu": "1"}})
    assert world.wait_phase("next")["phase"] == "Succeeded"
    wait_holders(world)


def events(world: World, name: str, reason: str) -> list[str]:
    """The messages of the Events about an object."""
    where = f"fieldSelector=involvedObject.name={name},reason={reason}"
    return [one["message"] for one in world.api.get(f"/api/v1/namespaces/{world.namespace}/events?{where}")["items"]]


def test_an_entry_that_decides_about_nothing_is_said_and_the_flow_waits_on(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(template("step", run_for="0.1s"))
    for number, (entry, said) in enumerate(BAD_ENTRIES.values()):
        name = f"w{number}"
        world.create(asking(name))
        world.wait_flow(name, "release", "Waiting", reason="ApprovalNeeded")
        world.patch(world.workflow_path(name), {"spec": {"approvals": [entry]}})
        world.history.wait(
            lambda name=name: events(world, name, "ApprovalIgnored"),  # type: ignore[misc]
            PATIENCE,
            f"an Event about {entry}",
        )
        assert events(world, name, "ApprovalIgnored") == [said]
        right = [{"flow": "release", "decision": "Approve"}, {"flow": "regions", "decision": "Approve"}]
        world.patch(world.workflow_path(name), {"spec": {"approvals": [entry, *right]}})
        assert world.wait_phase(name)["phase"] == "Succeeded"


def quota(world: World, **hard: str) -> str:
    """A ResourceQuota that counts already; returns its path."""
    limits = {key.replace("_", "."): text for key, text in hard.items()}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}
    world.create({**body, "spec": {"hard": {f"count/{key}": text for key, text in limits.items()}}})
    path = f"/api/v1/namespaces/{world.namespace}/resourcequotas/none"
    world.history.wait(lambda: world.api.get(path).get("status", {}).get("hard"), PATIENCE, "the quota to count")
    return path


def test_a_lock_that_the_api_server_refuses_says_why_and_is_taken_once_it_may_be(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    path = quota(world, leases_coordination_k8s_io="0")
    world.create(template("step", run_for="0.1s"))
    world.create(workflow("w", flow("a", mutexes=["db"])))
    message = world.wait_flow("w", "a", "Waiting", reason="QuotaExceeded")["message"]
    print(message)
    assert message.startswith("a quota leaves no room for the Lease of a lock: ")
    assert "exceeded quota: none" in message
    assert message.endswith("; raise it by one for each lock that is held")
    world.delete(path)
    assert world.wait_phase("w")["phase"] == "Succeeded"
    wait_holders(world)
