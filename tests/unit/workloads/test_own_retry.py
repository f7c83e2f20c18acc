"""Which jobs their own kind will retry, by the table of kinds."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.meta import GVR
from pkg.workloads import own_retries, rules_for

JOB = GVR("batch", "v1", "jobs")
PYTORCH = GVR("kubeflow.org", "v1", "pytorchjobs")
JOBSET = GVR("jobset.x-k8s.io", "v1alpha2", "jobsets")


@pytest.mark.parametrize(
    ("gvr", "spec", "found"),
    [
        pytest.param(JOB, {"backoffLimit": 0}, [], id="a Job that does not retry"),
        pytest.param(JOB, {}, [("spec.backoffLimit", None)], id="a Job by default"),
        pytest.param(JOB, {"backoffLimit": 2}, [("spec.backoffLimit", 2)], id="a Job that is told to"),
        pytest.param(JOB, {"backoffLimit": "{{params.n}}"}, [], id="a value that is not known yet"),
        pytest.param(
            JOB,
            {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "OnFailure"}}},
            [("spec.template.spec.restartPolicy", "OnFailure")],
            id="pods that restart their containers",
        ),
        pytest.param(
            PYTORCH,
            {"pytorchReplicaSpecs": {"Master": {"restartPolicy": "Never"}, "Worker": {"restartPolicy": "Always"}}},
            [("spec.pytorchReplicaSpecs.*.restartPolicy", "Always")],
            id="one of several roles",
        ),
        pytest.param(JOBSET, {"failurePolicy": {"maxRestarts": 3}}, [("spec.failurePolicy.maxRestarts", 3)], id="sets"),
        pytest.param(GVR("batch.volcano.sh", "v1alpha1", "jobs"), {"maxRetry": 3}, [], id="no single value decides"),
        pytest.param(GVR("apps", "v1", "deployments"), {}, [], id="a service"),
        pytest.param(JOB, {"backoffLimit": [1], "template": []}, [], id="a spec that is none"),
    ],
)
def test_own_retries(gvr: GVR, spec: dict[str, Any], found: list[tuple[str, Any]]) -> None:
    assert [(how.path, value) for how, value in own_retries(rules_for(gvr), {"spec": spec})] == found
