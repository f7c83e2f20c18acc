"""Labels and variables reach every pod of every kind."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Node, Schema, Type
from pkg.workloads import inject, pod_templates, rules_for
from tests.unit.workloads.builders import gvr

LABELS = {"flow.workflow.sh/flow": "a"}
ENV = {"WORKFLOW_NAME": "w", "WORKFLOW_INDEX": "0"}
OURS = [{"name": "WORKFLOW_NAME", "value": "w"}, {"name": "WORKFLOW_INDEX", "value": "0"}]


def _template() -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]}}


def _replicas(field: str) -> dict[str, Any]:
    return {field: {"Master": {"template": _template()}, "Worker": {"template": _template()}}}


TEMPLATES = {
    "jobs.v1.batch": ({"template": _template()}, 1),
    "deployments.v1.apps": ({"template": _template()}, 1),
    "statefulsets.v1.apps": ({"template": _template()}, 1),
    "daemonsets.v1.apps": ({"template": _template()}, 1),
    "pods.v1": (_template()["spec"], 1),
    "jobs.v1alpha1.batch.volcano.sh": ({"tasks": [{"template": _template()}, {"template": _template()}]}, 2),
    "pytorchjobs.v1.kubeflow.org": (_replicas("pytorchReplicaSpecs"), 2),
    "tfjobs.v1.kubeflow.org": (_replicas("tfReplicaSpecs"), 2),
    "paddlejobs.v1.kubeflow.org": (_replicas("paddleReplicaSpecs"), 2),
    "xgboostjobs.v1.kubeflow.org": (_replicas("xgbReplicaSpecs"), 2),
    "jaxjobs.v1.kubeflow.org": (_replicas("jaxReplicaSpecs"), 2),
    "mpijobs.v1.kubeflow.org": (_replicas("mpiReplicaSpecs"), 2),
    "mpijobs.v2beta1.kubeflow.org": (_replicas("mpiReplicaSpecs"), 2),
    "jobsets.v1alpha2.jobset.x-k8s.io": ({"replicatedJobs": [{"template": {"spec": {"template": _template()}}}]}, 1),
    "rayjobs.v1.ray.io": (
        {
            "rayClusterSpec": {
                "headGroupSpec": {"template": _template()},
                "workerGroupSpecs": [{"template": _template()}, {"template": _template()}],
            },
            "submitterPodTemplate": _template(),
        },
        4,
    ),
    "rayclusters.v1.ray.io": (
        {"headGroupSpec": {"template": _template()}, "workerGroupSpecs": [{"template": _template()}]},
        2,
    ),
    "sparkapplications.v1beta2.sparkoperator.k8s.io": ({"driver": {"template": _template()}, "executor": {}}, 1),
    "widgets.v1.example.com": (
        {"groups": [{"template": _template()}], "deep": {"template": {"spec": {"template": _template()}}}},
        2,
    ),
}


def _body(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "x/v1", "kind": "X", "metadata": {}, "spec": copy.deepcopy(spec)}


@pytest.mark.parametrize("resource", TEMPLATES)
def test_every_container_of_every_pod_template_is_reached(resource: str) -> None:
    spec, number = TEMPLATES[resource]
    body, row = _body(spec), rules_for(gvr(resource))
    inject(row, body, labels=LABELS, env=ENV)
    templates = pod_templates(row, body)
    assert len(templates) == number
    for template in templates:
        assert template["metadata"]["labels"] == LABELS
        assert template["spec"]["containers"] == [{"name": "c", "env": OURS}]
        assert template["spec"]["initContainers"] == [{"name": "i", "env": OURS}]


@pytest.mark.parametrize("resource", ["deployments.v1.apps", "statefulsets.v1.apps", "daemonsets.v1.apps"])
def test_a_selector_names_our_labels_too(resource: str) -> None:
    body = _body({"selector": {"matchLabels": {"app": "x"}}, "template": _template()})
    inject(rules_for(gvr(resource)), body, labels=LABELS, env=ENV)
    assert body["spec"]["selector"]["matchLabels"] == {"app": "x", **LABELS}


def test_a_missing_selector_is_made() -> None:
    body = _body({"template": _template()})
    inject(rules_for(gvr("deployments.v1.apps")), body, labels=LABELS, env=ENV)
    assert body["spec"]["selector"] == {"matchLabels": LABELS}


def test_our_variables_come_first_and_win() -> None:
    own = [{"name": "A", "value": "$(WORKFLOW_NAME)"}, {"name": "WORKFLOW_INDEX", "valueFrom": {"fieldRef": {}}}]
    body = _body({"template": {"spec": {"containers": [{"name": "c", "env": own}]}}})
    inject(rules_for(gvr("jobs.v1.batch")), body, labels={}, env=ENV)
    assert body["spec"]["template"]["spec"]["containers"][0]["env"] == [*OURS, own[0]]


OPEN = Node(Type.OBJECT)
ENTRY = Node(Type.OBJECT, {"name": Node(Type.STRING), "value": Node(Type.STRING)}, is_closed=True)
WITH_ENV = Node(Type.OBJECT, {"name": Node(Type.STRING), "env": Node(Type.ARRAY, others=ENTRY)}, is_closed=True)
WITHOUT_ENV = Node(Type.OBJECT, {"name": Node(Type.STRING)}, is_closed=True)
LABELLED = {"metadata": Node(Type.OBJECT, {"labels": Node(Type.OBJECT, others=Node(Type.STRING))}, is_closed=True)}


def _schema(container: Node, **fields: Node) -> Schema:
    """That of a kind with groups of pod templates, which have these fields beside the spec."""
    containers = Node(Type.ARRAY, others=container)
    pod = Node(Type.OBJECT, {"containers": containers, "initContainers": containers}, is_closed=True)
    pods = Node(Type.OBJECT, {"spec": pod, **fields}, is_closed=True)
    group = Node(Type.OBJECT, {"template": pods}, is_closed=True)
    spec = Node(Type.OBJECT, {"groups": Node(Type.ARRAY, others=group)}, is_closed=True)
    return Schema(Node(Type.OBJECT, {"spec": spec}))


@pytest.mark.parametrize(
    ("schema", "has_labels", "has_env"),
    [
        pytest.param(_schema(WITH_ENV, **LABELLED), True, True, id="all of them"),
        pytest.param(_schema(WITH_ENV), False, True, id="no metadata"),
        pytest.param(
            _schema(WITH_ENV, metadata=Node(Type.OBJECT, is_closed=True)), False, True, id="metadata without fields"
        ),
        pytest.param(_schema(WITHOUT_ENV, metadata=OPEN), True, False, id="no variables"),
        pytest.param(NO_SCHEMA, True, True, id="unknown ones"),
    ],
)
def test_only_what_the_schema_has_fields_for_goes_into_a_kind_without_a_row(
    schema: Schema, has_labels: bool, has_env: bool
) -> None:
    body = _body({"groups": [{"template": _template()}]})
    inject(rules_for(gvr("widgets.v1.example.com")), body, labels=LABELS, env=ENV, schema=schema)
    (group,) = body["spec"]["groups"]
    assert ("metadata" in group["template"]) is has_labels
    for field in ("containers", "initContainers"):
        assert ("env" in group["template"]["spec"][field][0]) is has_env


def test_labels_of_the_user_stay() -> None:
    body = _body({"template": {"metadata": {"labels": {"app": "x"}}, **_template()}})
    inject(rules_for(gvr("jobs.v1.batch")), body, labels=LABELS, env={})
    assert body["spec"]["template"]["metadata"]["labels"] == {"app": "x", **LABELS}


def test_injecting_twice_changes_nothing_more() -> None:
    body, row = _body({"template": _template()}), rules_for(gvr("jobs.v1.batch"))
    inject(row, body, labels=LABELS, env=ENV)
    once = copy.deepcopy(body)
    inject(row, body, labels=LABELS, env=ENV)
    assert body == once


def test_spark_gets_labels_and_variables_without_pod_templates() -> None:
    body = _body({"driver": {"cores": 1, "env": [{"name": "A"}]}, "executor": {"labels": {"x": "y"}}})
    inject(rules_for(gvr("sparkapplications.v1beta2.sparkoperator.k8s.io")), body, labels=LABELS, env=ENV)
    assert body["spec"] == {
        "driver": {"cores": 1, "env": [*OURS, {"name": "A"}], "labels": LABELS},
        "executor": {"env": OURS, "labels": {"x": "y", **LABELS}},
    }


def test_a_train_job_gets_its_variables_even_without_a_trainer() -> None:
    body = _body({"runtimeRef": {"name": "torch"}})
    inject(rules_for(gvr("trainjobs.v1alpha1.trainer.kubeflow.org")), body, labels=LABELS, env=ENV)
    assert body["spec"] == {"runtimeRef": {"name": "torch"}, "trainer": {"env": OURS}}


def test_argo_gets_labels_for_all_pods_and_variables_in_each_template() -> None:
    body = _body({"templates": [{"container": {"image": "a"}}, {"script": {"image": "b"}}, {"dag": {}}]})
    inject(rules_for(gvr("workflows.v1alpha1.argoproj.io")), body, labels=LABELS, env=ENV)
    assert body["spec"] == {
        "podMetadata": {"labels": LABELS},
        "templates": [
            {"container": {"image": "a", "env": OURS}},
            {"script": {"image": "b", "env": OURS}},
            {"dag": {}},
        ],
    }


def test_tekton_gets_its_variables_in_the_pod_template_of_all_tasks() -> None:
    body = _body({"pipelineRef": {"name": "p"}})
    inject(rules_for(gvr("pipelineruns.v1.tekton.dev")), body, labels=LABELS, env=ENV)
    assert body["spec"]["taskRunTemplate"] == {"podTemplate": {"env": OURS}}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="no template"),
        pytest.param({"template": None}, id="a null template"),
        pytest.param({"template": "x"}, id="a template that is a text"),
        pytest.param({"template": {"spec": None, "metadata": None}}, id="nulls"),
        pytest.param({"template": {"spec": {"containers": {}}, "metadata": []}}, id="maps and lists exchanged"),
        pytest.param({"template": {"spec": {"containers": ["x", {"env": "y"}]}}}, id="containers that are none"),
        pytest.param({"selector": [], "template": {"metadata": {"labels": "x"}}}, id="labels that are a text"),
    ],
)
@pytest.mark.parametrize("resource", ["deployments.v1.apps", "jobs.v1.batch", "widgets.v1.example.com"])
def test_a_wrong_shape_is_left_for_the_server_to_refuse(resource: str, spec: dict[str, Any]) -> None:
    inject(rules_for(gvr(resource)), _body(spec), labels=LABELS, env=ENV)
