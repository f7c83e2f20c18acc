"""What a person may have meant by a resource that is not known."""

from __future__ import annotations

import pytest

from pkg.apis.meta import GVR
from pkg.workloads import near_kind


@pytest.mark.parametrize(
    ("group", "resource", "meant"),
    [
        pytest.param("batch", "jobs", "", id="a known one"),
        pytest.param("batch", "job", 'resource "jobs" of group "batch"', id="the singular"),
        pytest.param("batch", "Job", 'resource "jobs" of group "batch"', id="the kind in place of the resource"),
        pytest.param("", "deployments", 'resource "deployments" of group "apps"', id="without its group"),
        pytest.param("core", "pods", 'group "", which is that of Pods and Services', id="the core group by a name"),
        pytest.param(
            "kubeflow.org", "pytorchjob", 'resource "pytorchjobs" of group "kubeflow.org"', id="an operator's"
        ),
        pytest.param("example.com", "widgets", "", id="one like no other"),
        pytest.param("batch.example.com", "jobs", "", id="somebody else's of the same name"),
        pytest.param("x" * 10_000, "jobs", "", id="one without end"),
    ],
)
def test_what_was_meant(group: str, resource: str, meant: str) -> None:
    assert near_kind(GVR(group=group, version="v1", resource=resource)) == meant
