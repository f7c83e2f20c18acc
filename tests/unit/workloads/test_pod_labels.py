"""Finding the pods of a job by its kind's own labels, and the one that leads."""

from __future__ import annotations

import pytest

from pkg.workloads import has_role, lead_rank, pod_selector, reaches_pods, registry, role_of, rules_for, watch_selector
from tests.unit.workloads.builders import gvr, job

PYTORCH = rules_for(gvr("pytorchjobs.v1.kubeflow.org"))
RAY = rules_for(gvr("rayjobs.v1.ray.io"))
BATCH = rules_for(gvr("jobs.v1.batch"))
VOLCANO = rules_for(gvr("jobs.v1alpha1.batch.volcano.sh"))
TYPE, INDEX = "training.kubeflow.org/replica-type", "training.kubeflow.org/replica-index"


@pytest.mark.parametrize(
    ("resource", "selector"),
    [
        ("jobs.v1.batch", {"batch.kubernetes.io/controller-uid": "u-1"}),
        ("jobs.v1alpha1.batch.volcano.sh", {"volcano.sh/job-name": "work-a"}),
        ("jobsets.v1alpha2.jobset.x-k8s.io", {"jobset.sigs.k8s.io/jobset-name": "work-a"}),
        ("sparkapplications.v1beta2.sparkoperator.k8s.io", {"sparkoperator.k8s.io/app-name": "work-a"}),
        (
            "tfjobs.v1.kubeflow.org",
            {
                "training.kubeflow.org/job-name": "work-a",
                "training.kubeflow.org/operator-name": "tfjob-controller",
            },
        ),
        (
            "mpijobs.v2beta1.kubeflow.org",
            {"training.kubeflow.org/job-name": "work-a", "training.kubeflow.org/operator-name": "mpi-operator"},
        ),
        ("deployments.v1.apps", None),
        ("widgets.v1.example.com", None),
    ],
)
def test_the_selector_of(resource: str, selector: dict[str, str] | None) -> None:
    assert pod_selector(rules_for(gvr(resource)), job()) == selector


def test_a_ray_job_has_pods_once_its_cluster_has_a_name() -> None:
    assert pod_selector(RAY, job()) is None
    assert pod_selector(RAY, job({"rayClusterName": "c-1"})) == {"ray.io/cluster": "c-1"}


def test_the_master_leads_then_the_lowest_worker() -> None:
    pods = [
        {TYPE: "worker", INDEX: "10"},
        {TYPE: "worker", INDEX: "2"},
        {},
        {TYPE: "master", INDEX: "0"},
        {TYPE: "worker"},
    ]
    ordered = sorted(pods, key=lambda labels: lead_rank(PYTORCH, labels))
    assert ordered == [pods[3], pods[1], pods[0], pods[2], pods[4]]


def test_a_pod_marked_as_master_leads_whatever_its_type() -> None:
    marked = {TYPE: "worker", INDEX: "0", "training.kubeflow.org/job-role": "master"}
    assert lead_rank(PYTORCH, marked) < lead_rank(PYTORCH, {TYPE: "chief", INDEX: "0"})


def test_without_roles_index_0_leads() -> None:
    label = "batch.kubernetes.io/job-completion-index"
    assert lead_rank(BATCH, {label: "0"}) < lead_rank(BATCH, {label: "1"}) < lead_rank(BATCH, {})


def test_an_index_that_is_no_number_comes_last() -> None:
    assert lead_rank(BATCH, {"batch.kubernetes.io/job-completion-index": "²"}) == lead_rank(BATCH, {})


def test_a_role_is_found_whatever_its_case() -> None:
    assert has_role(PYTORCH, {TYPE: "worker"}, "Worker")
    assert not has_role(PYTORCH, {TYPE: "worker"}, "Master")
    assert role_of(VOLCANO, {"volcano.sh/task-spec": "PS"}) == "ps"
    assert role_of(BATCH, {TYPE: "worker"}) == ""


def test_labels_reach_the_pods_of_all_kinds_but_those_whose_templates_are_elsewhere() -> None:
    out_of_reach = {row.kind for row in registry().kinds if not row.refused and not reaches_pods(row)}
    without_pods = {"PersistentVolumeClaim", "Service", "ConfigMap", "Secret"}
    assert out_of_reach == {*without_pods, "JobFlow", "TrainJob", "Workflow", "PipelineRun"}


@pytest.mark.parametrize(
    ("resource", "selector"),
    [
        ("trainjobs.v1alpha1.trainer.kubeflow.org", "jobset.sigs.k8s.io/jobset-name"),
        ("pipelineruns.v1.tekton.dev", "tekton.dev/pipelineRun"),
        (
            "tfjobs.v1.kubeflow.org",
            "training.kubeflow.org/job-name,training.kubeflow.org/operator-name=tfjob-controller",
        ),
        ("widgets.v1.example.com", ""),
    ],
)
def test_the_selector_for_all_pods_of_a_kind(resource: str, selector: str) -> None:
    assert watch_selector(rules_for(gvr(resource))) == selector
