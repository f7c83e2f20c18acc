"""Scheduler, queue, plugins, restart policy and TTL in the place that each kind has for them."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.workloads import (
    KUEUE_QUEUE_LABEL,
    default_restart_policy,
    place_plugins,
    place_queue,
    place_scheduler,
    rules_for,
    strip_ttl,
)
from pkg.workloads.placement import VOLCANO_QUEUE_ANNOTATION
from tests.unit.workloads.builders import gvr

JOB, POD, VOLCANO = "jobs.v1.batch", "pods.v1", "jobs.v1alpha1.batch.volcano.sh"
PYTORCH, SPARK = "pytorchjobs.v1.kubeflow.org", "sparkapplications.v1beta2.sparkoperator.k8s.io"
OTHER, RAY = "widgets.v1.example.com", "rayjobs.v1.ray.io"
NESTED = "workflows.v1alpha1.flow.workflow.sh"


def _body(spec: dict[str, Any] | None) -> dict[str, Any]:
    return {"metadata": {"labels": {"a": "b"}}, "spec": spec}


@pytest.mark.parametrize(
    ("resource", "spec", "expected"),
    [
        pytest.param(JOB, {"template": {}}, {"template": {"spec": {"schedulerName": "s"}}}, id="Job: pod template"),
        pytest.param(POD, {}, {"schedulerName": "s"}, id="Pod: itself"),
        pytest.param(VOLCANO, {"tasks": []}, {"tasks": [], "schedulerName": "s"}, id="Volcano Job: spec"),
        pytest.param(
            PYTORCH,
            {"pytorchReplicaSpecs": {"Worker": {"template": {"spec": {}}}}},
            {"pytorchReplicaSpecs": {"Worker": {"template": {"spec": {"schedulerName": "s"}}}}},
            id="PyTorchJob: each replica type",
        ),
        pytest.param(
            SPARK,
            {"driver": {"cores": 1}, "executor": {}},
            {"driver": {"cores": 1, "schedulerName": "s"}, "executor": {"schedulerName": "s"}},
            id="SparkApplication: driver and executor",
        ),
        pytest.param(
            OTHER,
            {"x": {"template": {"spec": {"containers": []}}}},
            {"x": {"template": {"spec": {"containers": [], "schedulerName": "s"}}}},
            id="a kind without a row: every pod template",
        ),
    ],
)
def test_the_scheduler_goes_into(resource: str, spec: dict[str, Any], expected: dict[str, Any]) -> None:
    body = _body(spec)
    assert place_scheduler(rules_for(gvr(resource)), body, "s")
    assert body["spec"] == expected


def test_a_kind_without_pods_has_no_place_for_a_scheduler() -> None:
    body = _body({"size": 1})
    assert not place_scheduler(rules_for(gvr(OTHER)), body, "s")
    assert body["spec"] == {"size": 1}


def test_the_queue_of_a_volcano_job_is_a_field() -> None:
    body = _body({"queue": "default"})
    assert place_queue(rules_for(gvr(VOLCANO)), body, "team-a", scheduler="volcano")
    assert body == {"metadata": {"labels": {"a": "b"}}, "spec": {"queue": "team-a"}}


@pytest.mark.parametrize("resource", [JOB, POD, PYTORCH, SPARK, OTHER])
def test_the_queue_of_other_kinds_is_kueues_label(resource: str) -> None:
    body = _body({})
    assert place_queue(rules_for(gvr(resource)), body, "team-a")
    assert body == {"metadata": {"labels": {"a": "b", KUEUE_QUEUE_LABEL: "team-a"}}, "spec": {}}


def test_under_the_volcano_scheduler_a_kind_hands_its_queue_on() -> None:
    body = _body({})
    place_queue(rules_for(gvr(PYTORCH)), body, "team-a", scheduler="volcano")
    assert body["spec"] == {"runPolicy": {"schedulingPolicy": {"queue": "team-a"}}}
    assert body["metadata"]["labels"][KUEUE_QUEUE_LABEL] == "team-a"


def test_under_the_volcano_scheduler_pods_name_their_queue() -> None:
    body = _body({"template": {"metadata": {"annotations": {"a": "b"}}, "spec": {}}})
    assert place_queue(rules_for(gvr(JOB)), body, "team-a", scheduler="volcano")
    assert body["metadata"]["labels"] == {"a": "b", KUEUE_QUEUE_LABEL: "team-a"}
    assert body["spec"]["template"]["metadata"]["annotations"] == {"a": "b", VOLCANO_QUEUE_ANNOTATION: "team-a"}
    body = _body({"template": {"spec": {}}})
    assert place_queue(rules_for(gvr(JOB)), body, "team-a", scheduler="other")
    assert body["spec"] == {"template": {"spec": {}}}


def test_a_nested_workflow_hands_scheduler_queue_and_plugins_on_to_its_own_jobs() -> None:
    body, row = _body({"flows": []}), rules_for(gvr(NESTED))
    assert place_scheduler(row, body, "volcano")
    assert place_queue(row, body, "team-a", scheduler="volcano")
    assert place_plugins(row, body, {"svc": []})
    expected = {"flows": [], "schedulerName": "volcano", "queueName": "team-a", "plugins": {"svc": []}}
    assert body == {"metadata": {"labels": {"a": "b"}}, "spec": expected}


def test_plugins_join_those_of_a_volcano_job() -> None:
    body = _body({"plugins": {"env": [], "svc": ["--old"]}})
    assert place_plugins(rules_for(gvr(VOLCANO)), body, {"svc": ("--new",), "ssh": ()})
    assert body["spec"] == {"plugins": {"env": [], "svc": ["--new"], "ssh": []}}


def test_plugins_have_no_place_in_other_kinds() -> None:
    body = _body({})
    assert not place_plugins(rules_for(gvr(JOB)), body, {"svc": []})
    assert body["spec"] == {}


@pytest.mark.parametrize(
    ("resource", "spec", "expected"),
    [
        pytest.param(
            JOB,
            {"template": {"spec": {}}},
            {"template": {"spec": {"restartPolicy": "Never"}}},
            id="a Job's pods: Never where unset",
        ),
        pytest.param(
            JOB,
            {"template": {"spec": {"restartPolicy": "OnFailure"}}},
            {"template": {"spec": {"restartPolicy": "OnFailure"}}},
            id="what is set stays",
        ),
        pytest.param(POD, {}, {"restartPolicy": "Never"}, id="a Pod: Never where unset"),
        pytest.param(
            VOLCANO,
            {"tasks": [{"template": {"spec": {}}}, {"template": {"spec": {"restartPolicy": "OnFailure"}}}]},
            {
                "tasks": [
                    {"template": {"spec": {"restartPolicy": "Never"}}},
                    {"template": {"spec": {"restartPolicy": "OnFailure"}}},
                ]
            },
            id="each task of a Volcano Job",
        ),
        pytest.param(
            "deployments.v1.apps",
            {"template": {"spec": {}}},
            {"template": {"spec": {}}},
            id="a Deployment's pods run on",
        ),
        pytest.param(
            "jobsets.v1alpha2.jobset.x-k8s.io",
            {"replicatedJobs": [{"template": {"spec": {"template": {"spec": {}}}}}]},
            {"replicatedJobs": [{"template": {"spec": {"template": {"spec": {}}}}}]},
            id="a JobSet has a default of its own that completes",
        ),
        pytest.param(RAY, {"entrypoint": "x"}, {"entrypoint": "x"}, id="no template is made for it"),
        pytest.param(OTHER, {"template": {"spec": {}}}, {"template": {"spec": {}}}, id="an unknown kind is left alone"),
    ],
)
def test_restart_policy(resource: str, spec: dict[str, Any], expected: dict[str, Any]) -> None:
    body = _body(spec)
    default_restart_policy(rules_for(gvr(resource)), body)
    assert body["spec"] == expected


@pytest.mark.parametrize(
    ("resource", "spec", "left", "removed"),
    [
        pytest.param(
            JOB, {"ttlSecondsAfterFinished": 0, "x": 1}, {"x": 1}, ("spec.ttlSecondsAfterFinished",), id="Job"
        ),
        pytest.param(
            PYTORCH,
            {"runPolicy": {"ttlSecondsAfterFinished": 9, "backoffLimit": 1}},
            {"runPolicy": {"backoffLimit": 1}},
            ("spec.runPolicy.ttlSecondsAfterFinished",),
            id="PyTorchJob",
        ),
        pytest.param(SPARK, {"timeToLiveSeconds": 9}, {}, ("spec.timeToLiveSeconds",), id="SparkApplication"),
        pytest.param("workflows.v1alpha1.argoproj.io", {"ttlStrategy": {}}, {}, ("spec.ttlStrategy",), id="Argo"),
        pytest.param(JOB, {"x": 1}, {"x": 1}, (), id="nothing to remove"),
        pytest.param(JOB, None, None, (), id="no spec at all"),
    ],
)
def test_ttl(resource: str, spec: dict[str, Any] | None, left: dict[str, Any] | None, removed: tuple[str, ...]) -> None:
    body = _body(spec)
    assert strip_ttl(rules_for(gvr(resource)), body) == removed
    assert body["spec"] == left
