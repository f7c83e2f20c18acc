"""Templates in flows, generateName, and kinds without a spec or a status, on the real API server."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1 import labels
from tests.cluster.conftest import StartController
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
CONFIG_MAPS = {"version": "v1", "resource": "configmaps"}


def config_map(**fields: Any) -> Object:
    return {"gvr": CONFIG_MAPS, "jobSpec": {"data": {"mode": "fast"}}, **fields}


@pytest.fixture
def busy(world: World, start_controller: StartController) -> World:
    world.follow("api/v1/configmaps")
    start_controller()
    return world


def test_a_flow_has_its_template_in_itself(busy: World) -> None:
    world = busy
    spec = template("x", run_for="0.1s")["spec"] | {"parameters": [{"name": "grace", "value": "7"}]}
    spec["jobSpec"]["activeDeadlineSeconds"] = "{{params.grace}}"
    world.create(workflow("t1", {"name": "a", "templateSpec": spec, "parameters": [{"name": "grace", "value": "70"}]}))
    assert world.wait_phase("t1")["phase"] == "Succeeded"
    job = world.wait_job("t1-a")
    assert job["spec"]["activeDeadlineSeconds"] == 70
    assert job["metadata"]["labels"][labels.FLOW] == "a"


def test_generate_name_gives_names_to_workflow_and_jobs(busy: World) -> None:
    world = busy
    document = workflow("x", {"name": "a", "templateSpec": template("x", run_for="0.1s")["spec"]})
    document["metadata"] = {"generateName": "nightly-"}
    name = world.create(document)["metadata"]["name"]
    assert world.wait_phase(name)["phase"] == "Succeeded"
    assert [job["metadata"]["name"] for job in world.latest_jobs(name)] == [f"{name}-a"]


def test_the_keys_of_a_kind_without_spec_are_its_own_and_it_is_done_once_it_is_there(busy: World) -> None:
    world = busy
    merge = {"data": {"more": "{{index}}"}}
    steps = [{"op": "add", "path": "/data/more", "value": "{{index}}"}]
    world.create(
        workflow(
            "t2",
            {"name": "plain", "templateSpec": config_map()},
            {"name": "merged", "templateSpec": config_map(), "patch": merge},
            {"name": "stepped", "templateSpec": config_map(), "patch": steps},
            flow("after", "plain", of="step"),
            jobRetainPolicy="delete",
        )
    )
    world.create(template("step", run_for="0.1s"))
    found = {}

    def all_there() -> bool:
        found.update({one["metadata"]["name"]: one["data"] for one in world.history.now("configmaps") if "data" in one})
        return {"t2-plain", "t2-merged", "t2-stepped"} <= found.keys()

    world.history.wait(all_there, 60, "the ConfigMaps")
    assert found["t2-plain"] == {"mode": "fast"}
    assert found["t2-merged"] == found["t2-stepped"] == {"mode": "fast", "more": "0"}
    assert world.wait_phase("t2")["phase"] == "Succeeded"
    gone = "the ConfigMaps are deleted as jobs are"
    world.history.wait(lambda: not any(n.startswith("t2-") for n in names(world)), 60, gone)


def names(world: World) -> list[str]:
    return [one["metadata"]["name"] for one in world.history.now("configmaps")]


def test_a_service_and_a_claim_are_done_once_they_are_there(busy: World) -> None:
    world = busy
    service = {"gvr": {"version": "v1", "resource": "services"}, "jobSpec": {"ports": [{"port": 80}]}}
    size = {"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"]}
    claim = {"gvr": {"version": "v1", "resource": "persistentvolumeclaims"}, "jobSpec": size}
    world.create(workflow("t3", {"name": "s", "templateSpec": service}, {"name": "c", "templateSpec": claim}))
    assert world.wait_phase("t3")["phase"] == "Succeeded"
    assert world.phases("t3") == {"s": "Succeeded", "c": "Succeeded"}


def test_a_job_with_completion_created_does_not_wait_for_its_end(busy: World) -> None:
    world = busy
    spec = {**template("x", run_for="600s")["spec"], "completion": "Created"}
    world.create(workflow("t4", {"name": "a", "templateSpec": spec}))
    assert world.wait_phase("t4")["phase"] == "Succeeded"
    assert "completionTime" not in world.wait_job("t4-a").get("status", {})
