"""Misspelt fields of a job, which the API server drops: who says so, how often, and who refuses them."""

from __future__ import annotations

from typing import Any

import pytest

from hack.cluster import Cluster
from tests.cluster.conftest import StartController, wait_established
from tests.cluster.support import kinds
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import API, JOBS, crd, flow, workflow
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
GROUP = "strict.example.com"
CONTAINERS = [{"name": "main", "image": "busybox:1.36"}]
TYPOS = ("backoffLimt", "activeDeadlineSecond", "conatiners")


def misspelt(name: str, **spec: Any) -> Object:
    """The template of a Job with two fields that do not exist."""
    job = {"backoffLimt": 0, "activeDeadlineSecond": 5, "template": {"spec": {"containers": CONTAINERS}}}
    spec = {"gvr": JOBS, "jobSpec": job, **spec}
    return {"apiVersion": API, "kind": "WorkTemplate", "metadata": {"name": name}, "spec": spec}


def patched(name: str, of: str, **fields: Any) -> Object:
    """A flow whose patch adds a third one."""
    pod = {"conatiners": [{"name": "main", "image": "busybox:1.37"}]}
    return flow(name, of=of, patch={"spec": {"template": {"spec": pod}}}, **fields)


def warned(world: World, name: str) -> list[Object]:
    """The Events about warnings on a workflow."""
    selector = f"involvedObject.name={name},reason=ServerWarning"
    found = world.api.get(f"/api/v1/namespaces/{world.namespace}/events?fieldSelector={selector}")
    events: list[Object] = found["items"]
    return events


def test_under_warn_event_and_message_name_the_fields_that_the_api_server_does_not_know(
    world: World, start_controller: StartController
) -> None:
    first = start_controller()
    world.create_all([misspelt("warn"), misspelt("ignore", fieldValidation="Ignore")])
    wide = patched("wide", "warn") | {"for": {"replicas": 20}}
    world.create(workflow("c20", patched("typo", "warn"), wide, flow("silent", of="ignore")))
    assert world.wait_phase("c20")["phase"] == "Succeeded"
    world.history.wait(lambda: warned(world, "c20"), 30, "the Event")
    for name in ("typo", "wide"):
        found = world.flow("c20", name)
        assert found["reason"] == "ServerWarning"
        assert [word for word in TYPOS if word not in found["message"]] == []
    assert world.flow("c20", "silent").get("message", "") == ""
    # Another controller goes on with what status says.
    first.kill()
    world.create(workflow("later", patched("typo", "warn")))
    start_controller()
    world.wait_phase("later")
    world.history.wait(lambda: warned(world, "later"), 30, "the Event")
    for name in ("c20", "later"):
        (event,) = warned(world, name)
        assert (event["type"], event.get("count", 1)) == ("Warning", 1)
        assert [word for word in TYPOS if word not in event["message"]] == []


def test_under_strict_the_task_is_refused_with_the_words_of_the_api_server(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    definition = crd(GROUP, "Form")
    spec = {"type": "object", "properties": {"title": {"type": "string"}}}
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {
        "type": "object",
        "properties": {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    wait_established(cluster.api(), kinds.install(cluster.api(), definition))
    start_controller()
    form = {"gvr": {"group": GROUP, "version": "v1", "resource": "forms"}, "jobSpec": {"titel": "x"}}
    world.create(misspelt("strict", fieldValidation="Strict"))
    for name, mode in (("form-strict", "Strict"), ("form-warn", "Warn")):
        custom = {"apiVersion": API, "kind": "WorkTemplate", "metadata": {"name": name}}
        world.create({**custom, "spec": {**form, "fieldValidation": mode}})
    flows = [patched("typo", "strict"), flow("custom", of="form-strict"), flow("warned", of="form-warn")]
    policy = {"type": "All", "remaining": "Continue"}
    world.create(workflow("c20", *flows, successPolicy=policy))
    typo = world.wait_flow("c20", "typo", "Failed", reason="Refused")
    assert [word for word in TYPOS if word not in typo["message"]] == []
    assert "strict decoding error" in typo["message"]
    custom = world.wait_flow("c20", "custom", "Failed", reason="Refused")
    assert 'unknown field "spec.titel"' in custom["message"]
    found = world.wait_flow("c20", "warned", "Pending", reason="ServerWarning")
    assert 'unknown field "spec.titel"' in found["message"]
    assert world.latest_jobs("c20") == []


def test_the_controller_puts_in_nothing_for_which_a_crd_has_no_field(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    """Generators of CRDs write `metadata: {type: object}` for pod templates, which takes no labels."""
    definition = crd(GROUP, "Gauge")
    text = {"type": "string"}
    container = {"type": "object", "properties": {"name": text, "image": text}}
    pod = {"type": "object", "properties": {"containers": {"type": "array", "items": container}}}
    pods = {"type": "object", "properties": {"metadata": {"type": "object"}, "spec": pod}}
    spec = {"type": "object", "properties": {"template": pods}}
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {
        "type": "object",
        "properties": {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    wait_established(cluster.api(), kinds.install(cluster.api(), definition))
    world.follow(f"apis/{GROUP}/v1/gauges")
    gauge = {"gvr": {"group": GROUP, "version": "v1", "resource": "gauges"}}
    for mode in ("Strict", "Warn"):
        job = {"jobSpec": {"template": {"spec": {"containers": CONTAINERS}}}, "fieldValidation": mode}
        custom = {"apiVersion": API, "kind": "WorkTemplate", "metadata": {"name": mode.lower()}}
        world.create({**custom, "spec": gauge | job})
    start_controller()
    world.create(workflow("g", flow("strict", of="strict"), flow("warn", of="warn")))
    for name in ("strict", "warn"):
        found = world.wait_flow("g", name, "Pending")
        assert (found.get("reason", ""), found.get("message", "")) == ("", "")
        gauges = world.history.latest("gauges")
        assert [one["spec"] for one in gauges if one["metadata"]["name"] == f"g-{name}"] == [
            {"template": {"spec": {"containers": CONTAINERS}}}
        ]


def test_a_refusal_under_warn_also_names_the_misspelt_field(world: World, start_controller: StartController) -> None:
    start_controller()
    pod = {"spec": {"conatiners": CONTAINERS}}
    world.create(misspelt("bad") | {"spec": {"gvr": JOBS, "jobSpec": {"template": pod}}})
    world.create(workflow("bad", flow("bad", of="bad")))
    found = world.wait_flow("bad", "bad", "Failed", reason="Refused")
    assert "spec.template.spec.containers: Required value" in found["message"]
    assert 'unknown field "spec.template.spec.conatiners"' in found["message"]


def test_a_warning_that_is_not_about_fields_is_shown_once(world: World, start_controller: StartController) -> None:
    """The namespace warns of pods that are not as restricted as it wants."""
    world.patch(
        f"/api/v1/namespaces/{world.namespace}",
        {"metadata": {"labels": {"pod-security.kubernetes.io/warn": "restricted"}}},
    )
    start_controller()
    world.create(
        misspelt("plain") | {"spec": {"gvr": JOBS, "jobSpec": {"template": {"spec": {"containers": CONTAINERS}}}}}
    )
    world.create(workflow("warned", flow("wide", of="plain") | {"for": {"replicas": 5}}))
    world.wait_phase("warned", ["Succeeded"])
    found = world.flow("warned", "wide")
    assert found["reason"] == "ServerWarning"
    assert found["message"].startswith('would violate PodSecurity "restricted:latest"')
    world.history.wait(lambda: warned(world, "warned"), 30, "the Event")
    assert len(warned(world, "warned")) == 1
