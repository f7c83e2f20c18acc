"""Tasks that apply objects which stay, and tasks that delete objects, on the real API server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster import Cluster
from pkg.apis.flow.v1alpha1 import labels
from tests.cluster.conftest import StartController
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
CONFIG_MAPS = {"version": "v1", "resource": "configmaps"}
DEPLOYMENTS = {"group": "apps", "version": "v1", "resource": "deployments"}


def apply_map(name: str, data: dict[str, str], **fields: Any) -> Object:
    return {"gvr": CONFIG_MAPS, "action": "Apply", "metadata": {"name": name}, "jobSpec": {"data": data}, **fields}


def apply_server(name: str, **simulated: str) -> Object:
    notes = {f"sim.workflow.sh/{key.replace('_', '-')}": value for key, value in simulated.items()}
    pod = {"containers": [{"name": "main", "image": "busybox:1.36"}]}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}, "annotations": notes}, "spec": pod},
    }
    return {"gvr": DEPLOYMENTS, "action": "Apply", "metadata": {"name": name}, "jobSpec": spec}


def delete(name: str, gvr: Object = CONFIG_MAPS) -> Object:
    return {"gvr": gvr, "action": "Delete", "metadata": {"name": name}}


def step(name: str, spec: Object, after: str = "", **fields: Any) -> Object:
    others = {key.rstrip("_"): value for key, value in fields.items()}
    made = {**flow(name, after), **others, "templateSpec": spec}
    del made["template"]
    return made


@pytest.fixture
def busy(world: World, start_controller: StartController) -> World:
    world.follow("api/v1/configmaps")
    start_controller()
    return world


def map_path(world: World, name: str) -> str:
    return f"/api/v1/namespaces/{world.namespace}/configmaps/{name}"


def get_map(world: World, name: str) -> Object:
    found: Object = world.api.get(map_path(world, name))
    return found


def is_there(world: World, name: str) -> bool:
    return any(one["metadata"]["name"] == name for one in world.history.latest("configmaps"))


def make_map(world: World, name: str, data: dict[str, str], **metadata: Any) -> Object:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data}
    return world.create(document)


def recorded(world: World, name: str) -> list[Object]:
    return [one for record in world.status(name)["record"].get("objects", ()) for one in record["objects"]]


def test_an_applied_object_carries_nothing_of_the_run_and_status_has_its_uid(busy: World) -> None:
    world = busy
    world.create(workflow("a1", step("put", apply_map("settings", {"mode": "fast"})), jobRetainPolicy="delete"))
    assert world.wait_phase("a1")["phase"] == "Succeeded"
    found = get_map(world, "settings")
    assert found["data"] == {"mode": "fast"}
    meta = found["metadata"]
    assert not meta.keys() & {"labels", "annotations", "ownerReferences", "finalizers"}
    assert [(one["manager"], one["operation"]) for one in meta["managedFields"]] == [("workflow-controller", "Apply")]
    assert [one["uid"] for one in recorded(world, "a1")] == [meta["uid"]]


def test_a_second_run_updates_it_and_takes_away_what_it_no_longer_says(busy: World) -> None:
    world = busy
    world.create(workflow("a2", step("put", apply_map("twice", {"one": "1", "two": "2"}))))
    assert world.wait_phase("a2")["phase"] == "Succeeded"
    uid = get_map(world, "twice")["metadata"]["uid"]
    world.create(workflow("b2", step("put", apply_map("twice", {"one": "11"}))))
    assert world.wait_phase("b2")["phase"] == "Succeeded"
    found = get_map(world, "twice")
    assert (found["data"], found["metadata"]["uid"]) == ({"one": "11"}, uid)


def test_a_conflict_fails_the_task_with_the_managers_name_and_force_takes_over(busy: World) -> None:
    world = busy
    make_map(world, "shared", {"mode": "theirs"})
    world.api.request(
        "PATCH",
        f"{map_path(world, 'shared')}?fieldManager=gitops&force=true",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": {"mode": "theirs"}},
        content_type="application/apply-patch+yaml",
    )
    world.create(
        workflow("a3", step("put", apply_map("shared", {"mode": "ours"}), retry={"maxRetries": 3, "interval": "1s"}))
    )
    assert world.wait_phase("a3")["phase"] == "Failed"
    put = world.flow("a3", "put")
    assert put["reason"] == "ApplyConflict"
    assert '"gitops"' in put["message"]
    assert ".data.mode" in put["message"]
    assert "force: true" in put["message"]
    assert get_map(world, "shared")["data"] == {"mode": "theirs"}
    world.create(workflow("b3", step("put", apply_map("shared", {"mode": "ours"}, force=True))))
    assert world.wait_phase("b3")["phase"] == "Succeeded"
    assert get_map(world, "shared")["data"] == {"mode": "ours"}


def test_with_for_each_index_has_an_object_of_its_own(busy: World) -> None:
    world = busy
    spec = apply_map("shard-{{index}}", {"number": "{{index}}"})
    world.create(workflow("a4", step("put", spec, for_={"replicas": 3})))
    assert world.wait_phase("a4")["phase"] == "Succeeded"
    assert [get_map(world, f"shard-{n}")["data"]["number"] for n in range(3)] == ["0", "1", "2"]
    assert len({one["uid"] for one in recorded(world, "a4")}) == 3


def test_a_deployment_is_done_once_it_is_ready_and_outlives_the_workflow(busy: World) -> None:
    world = busy
    world.create(template("step", run_for="0.1s"))
    world.create(workflow("a5", step("serve", apply_server("web")), flow("after", "serve"), jobRetainPolicy="delete"))
    assert world.wait_phase("a5")["phase"] == "Succeeded"
    web = next(one for one in world.history.latest("deployments") if one["metadata"]["name"] == "web")
    assert web["status"]["availableReplicas"] == 1
    assert not web["metadata"].get("labels")
    world.delete(world.workflow_path("a5"))
    world.history.wait(lambda: world.history.get("workflows", "a5") is None, 60, "a5 is gone")
    world.create(workflow("b5", step("serve", apply_server("web"))))
    assert world.wait_phase("b5")["phase"] == "Succeeded"
    now = next(one for one in world.history.latest("deployments") if one["metadata"]["name"] == "web")
    assert now["metadata"]["uid"] == web["metadata"]["uid"]


@pytest.mark.parametrize("how", ["terminate", "timeout", "workflow deleted"])
def test_an_object_that_is_not_ready_stays_when_its_task_ends(busy: World, how: str) -> None:
    world, name = busy, f"slow-{how.rsplit(' ', 1)[-1]}"
    fields: dict[str, Any] = {"timeout": "2s"} if how == "timeout" else {}
    world.create(workflow("a6", step("serve", apply_server(name, ready_after="600s"), **fields)))
    world.wait_flow("a6", "serve", "Pending", "Running", "Failed")
    if how == "terminate":
        world.patch(world.workflow_path("a6"), {"spec": {"shutdown": "Terminate"}})
    if how == "workflow deleted":
        world.delete(world.workflow_path("a6"), "Foreground")
        world.history.wait(lambda: world.history.get("workflows", "a6") is None, 60, "a6 is gone")
    else:
        assert world.wait_phase("a6")["phase"] == "Failed"
    reason = {"terminate": "WorkflowDecided", "timeout": "DeadlineExceeded"}.get(how)
    assert reason is None or world.flow("a6", "serve")["reason"] == reason
    left = [one for one in world.history.latest("deployments") if one["metadata"]["name"] == name]
    assert [one["metadata"].get("deletionTimestamp") for one in left] == [None]


def test_delete_takes_the_object_that_it_found_and_is_done_when_that_is_gone(busy: World) -> None:
    world = busy
    made = make_map(world, "old", {"a": "1"}, finalizers=["test.example.com/hold"])
    world.create(workflow("d1", step("remove", delete("old"))))
    world.wait_flow("d1", "remove", "Running")
    assert [one["uid"] for one in recorded(world, "d1")] == [made["metadata"]["uid"]]
    world.history.wait(lambda: "deletionTimestamp" in get_map(world, "old")["metadata"], 60, "its deletion")
    assert world.flow("d1", "remove")["phase"] == "Running"
    world.patch(map_path(world, "old"), {"metadata": {"finalizers": None}})
    assert world.wait_phase("d1")["phase"] == "Succeeded"
    assert not is_there(world, "old")


def test_delete_of_what_is_not_there_succeeds(busy: World) -> None:
    world = busy
    world.create(workflow("d2", step("remove", delete("nothing"))))
    assert world.wait_phase("d2")["phase"] == "Succeeded"


def test_delete_leaves_another_object_of_the_name_alone(busy: World) -> None:
    world = busy
    make_map(world, "phoenix", {"a": "1"}, finalizers=["test.example.com/hold"])
    spec = workflow("d3", step("remove", delete("phoenix")), step("again", apply_map("phoenix", {"b": "2"}), "remove"))
    world.create(spec)
    world.wait_flow("d3", "remove", "Running")
    world.patch(map_path(world, "phoenix"), {"metadata": {"finalizers": None}})
    assert world.wait_phase("d3")["phase"] == "Succeeded"
    assert get_map(world, "phoenix")["data"] == {"b": "2"}


def test_a_controller_that_is_killed_goes_on_where_it_stopped(world: World, start_controller: StartController) -> None:
    world.follow("api/v1/configmaps")
    controller = start_controller()
    make_map(world, "held", {"a": "1"}, finalizers=["test.example.com/hold"])
    world.create(
        workflow(
            "k1",
            step("serve", apply_server("kept", ready_after="4s")),
            step("remove", delete("held")),
            step("put", apply_map("done", {"x": "{{workflow.name}}"}), "serve remove"),
        )
    )
    world.wait_flow("k1", "remove", "Running")
    world.wait_flow("k1", "serve", "Pending", "Running")
    controller.kill()
    world.patch(map_path(world, "held"), {"metadata": {"finalizers": None}})
    start_controller()
    assert world.wait_phase("k1")["phase"] == "Succeeded"
    assert world.attempts("k1") == {"serve": 1, "remove": 1, "put": 1}
    assert get_map(world, "done")["data"] == {"x": "k1"}


def test_a_service_that_was_applied_is_probed_by_its_own_selector(busy: World) -> None:
    world = busy
    world.create(template("step", run_for="0.1s", parameters={"address": ""}))
    after = flow("after", of="step", parameters=[{"name": "address", "value": "{{flows.serve.podIP}}"}])
    after["patch"] = {"metadata": {"annotations": {"address": "{{params.address}}"}}}
    world.create(workflow("p1", step("serve", apply_server("probed")), after))
    assert world.wait_phase("p1")["phase"] == "Succeeded"
    job = world.wait_job("p1-after")
    pods = world.api.get(f"/api/v1/namespaces/{world.namespace}/pods?labelSelector=app%3Dprobed")["items"]
    assert [pod["status"]["podIP"] for pod in pods] == [job["metadata"]["annotations"]["address"]]
    assert not [name for pod in pods for name in pod["metadata"]["labels"] if name.startswith(labels.FLOW)]
    assert json.dumps(pods).count("WORKFLOW_NAME") == 0


def test_the_example_of_a_service_that_stays_runs_twice(cluster: Cluster, busy: World) -> None:
    world = busy
    text = (Path(__file__).parents[2] / "examples" / "apply-service.yaml").read_text("utf-8")
    (document,) = yaml.safe_load_all(text)
    make_map(world, "greeter-settings-old", {"a": "1"})
    world.create(document)
    assert world.wait_phase("apply-service")["phase"] == "Succeeded"
    uid = get_map(world, "greeter-settings")["metadata"]["uid"]
    assert not is_there(world, "greeter-settings-old")
    document["metadata"]["name"] = "again"
    document["spec"]["parameters"][0]["value"] = "welcome"
    world.create(document)
    assert world.wait_phase("again")["phase"] == "Succeeded"
    found = get_map(world, "greeter-settings")
    assert (found["metadata"]["uid"], found["data"]) == (uid, {"greeting": "welcome"})
