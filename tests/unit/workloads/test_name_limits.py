"""What each kind leaves of 63 characters for the name of a job."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.workloads import NameRule, limit, rules_for
from tests.unit.workloads.builders import gvr


def _job_set(replicas: int, **job_spec: int) -> dict[str, Any]:
    return {"replicatedJobs": [{"name": "workers", "replicas": replicas, "template": {"spec": job_spec}}]}


@pytest.mark.parametrize(
    ("resource", "spec", "rule"),
    [
        pytest.param("jobs.v1.batch", {}, NameRule(63), id="a Job may use all of it"),
        pytest.param("pods.v1", {}, NameRule(63), id="a Pod too"),
        pytest.param("deployments.v1.apps", {"replicas": 9}, NameRule(63), id="a Deployment too"),
        pytest.param("widgets.v1.example.com", {}, NameRule(63), id="and a kind without a row"),
        pytest.param(
            "jobs.v1.batch",
            {"completionMode": "Indexed", "completions": 11},
            NameRule(60, label=True),
            id="an Indexed Job: hostnames that end in -10",
        ),
        pytest.param("statefulsets.v1.apps", {"replicas": 100}, NameRule(52, label=True), id="a StatefulSet: 52"),
        pytest.param(
            "jobs.v1alpha1.batch.volcano.sh",
            {"tasks": [{"name": "ps", "replicas": 1}, {"name": "worker", "replicas": 101}]},
            NameRule(63 - len("-worker-100")),
            id="a Volcano Job: its longest task and highest index",
        ),
        pytest.param(
            "jobs.v1alpha1.batch.volcano.sh",
            {"tasks": [{"replicas": 1}]},
            NameRule(63 - len("-default0-0")),
            id="a Volcano task without a name",
        ),
        pytest.param(
            "jobs.v1alpha1.batch.volcano.sh",
            {"tasks": [{"name": "a"}], "plugins": {"svc": []}},
            NameRule(63 - len("-a-0"), dns1035=True),
            id="a Volcano Job with a Service of its own name",
        ),
        pytest.param(
            "pytorchjobs.v1.kubeflow.org",
            {"pytorchReplicaSpecs": {"Master": {"replicas": 1}, "Worker": {"replicas": 12}}},
            NameRule(63 - len("-worker-11"), dns1035=True),
            id="a PyTorchJob: -worker-11",
        ),
        pytest.param(
            "mpijobs.v2beta1.kubeflow.org",
            {"mpiReplicaSpecs": {"Launcher": {}, "Worker": {"replicas": 2}}},
            NameRule(63 - len("-launcher-0"), dns1035=True),
            id="an MPIJob: -launcher-0",
        ),
        pytest.param(
            "jobsets.v1alpha2.jobset.x-k8s.io",
            _job_set(3, parallelism=12),
            NameRule(63 - len("-workers-2-11-abcde"), dns1035=True),
            id="a JobSet: group, job, pod and a random end",
        ),
        pytest.param("trainjobs.v1alpha1.trainer.kubeflow.org", {}, NameRule(48, dns1035=True), id="a TrainJob: 48"),
        pytest.param("rayjobs.v1.ray.io", {}, NameRule(47, dns1035=True), id="a RayJob: 47"),
        pytest.param("rayclusters.v1.ray.io", {}, NameRule(50, dns1035=True), id="a RayCluster: 50"),
        pytest.param(
            "sparkapplications.v1beta2.sparkoperator.k8s.io",
            {},
            NameRule(63, dns1035=True),
            id="a SparkApplication: 63",
        ),
        pytest.param(
            "jobflows.v1alpha1.flow.volcano.sh",
            {"flows": [{"name": "a"}, {"name": "train"}]},
            NameRule(63 - len("-train") - len("-default0-0")),
            id="a JobFlow: its flows, and their tasks",
        ),
        pytest.param(
            "jobsets.v1alpha2.jobset.x-k8s.io",
            {"replicatedJobs": [{"name": "x" * 60}]},
            NameRule(16, dns1035=True),
            id="never less than a hash needs",
        ),
        pytest.param(
            "jobs.v1alpha1.batch.volcano.sh", {"tasks": "x", "plugins": 3}, NameRule(63), id="a spec of the wrong shape"
        ),
        pytest.param(
            "pytorchjobs.v1.kubeflow.org",
            {"pytorchReplicaSpecs": {"Worker": {"replicas": "{{replicas}}"}}},
            NameRule(63 - len("-worker-0"), dns1035=True),
            id="a count that is no number",
        ),
    ],
)
def test_a_name_may_have(resource: str, spec: dict[str, Any], rule: NameRule) -> None:
    assert limit(rules_for(gvr(resource)), {"metadata": {}, "spec": spec}) == rule
