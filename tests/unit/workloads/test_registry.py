"""The table itself: what it holds, and how a slip in it is reported."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.types import Completion
from pkg.apis.meta import GVR
from pkg.workloads import RuleError, reaches_pods, registry, rules_for
from pkg.workloads.registry import load

WANTED = {
    ("batch", "jobs"),
    ("", "pods"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("batch", "cronjobs"),
    ("batch.volcano.sh", "jobs"),
    ("flow.volcano.sh", "jobflows"),
    ("kubeflow.org", "pytorchjobs"),
    ("kubeflow.org", "tfjobs"),
    ("kubeflow.org", "mpijobs"),
    ("kubeflow.org", "paddlejobs"),
    ("kubeflow.org", "xgboostjobs"),
    ("kubeflow.org", "jaxjobs"),
    ("trainer.kubeflow.org", "trainjobs"),
    ("jobset.x-k8s.io", "jobsets"),
    ("ray.io", "rayjobs"),
    ("ray.io", "rayclusters"),
    ("sparkoperator.k8s.io", "sparkapplications"),
    ("", "persistentvolumeclaims"),
    ("", "services"),
    ("", "configmaps"),
    ("", "secrets"),
    ("flow.workflow.sh", "workflows"),
    ("argoproj.io", "workflows"),
    ("tekton.dev", "pipelineruns"),
}


def test_the_kinds_that_have_a_row() -> None:
    assert {(row.group, row.resource) for row in registry().kinds} == WANTED


def test_the_version_chooses_between_the_two_mpi_jobs() -> None:
    first = rules_for(GVR("kubeflow.org", "v1", "mpijobs"))
    second = rules_for(GVR("kubeflow.org", "v2beta1", "mpijobs"))
    assert first.rules.fail != second.rules.fail


def test_a_row_without_version_holds_for_all() -> None:
    assert rules_for(GVR("ray.io", "v1alpha1", "rayjobs")) is rules_for(GVR("ray.io", "v1", "rayjobs"))


def test_a_cron_job_is_refused_with_a_reason() -> None:
    assert "never finishes" in rules_for(GVR("batch", "v1", "cronjobs")).refused


@pytest.mark.parametrize(
    "resource", ["configmaps", "secrets", "services", "persistentvolumeclaims", "ingresses.networking.k8s.io"]
)
def test_what_serves_others_is_done_as_soon_as_it_is_there(resource: str) -> None:
    name, _, group = resource.partition(".")
    assert rules_for(GVR(group, "v1", name)).completion is Completion.CREATED


def test_what_runs_no_pods_has_no_pod_templates() -> None:
    """So nothing is put into an object whose kind has none."""
    assert [row.kind for row in registry().by_resource.values() if row.never and reaches_pods(row)] == []


def test_what_the_shipped_roles_do_not_name_has_a_row_of_its_own() -> None:
    found = rules_for(GVR("rbac.authorization.k8s.io", "v1", "roles"))
    assert found.kind == "Role"
    assert found not in registry().kinds


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        pytest.param("{kind: X}", "resource is missing", id="no resource"),
        pytest.param("{kind: X, resource: xs, colour: red}", "colour", id="an unknown column"),
        pytest.param("{kind: X, resource: xs, gate: soft}", "soft", id="an unknown gate"),
        pytest.param("{kind: X, resource: xs, rules: {ok: [{con: A}]}}", "con", id="an unknown predicate"),
        pytest.param("{kind: X, resource: xs, rules: {ok: [{call: foo}]}}", "foo", id="an unknown function"),
        pytest.param("{kind: X, resource: xs, podTemplates: [.spec]}", "pod_templates", id="a path with a leading dot"),
        pytest.param("{kind: X, resource: xs, ttl: ['spec.a[*]']}", "ends in a wildcard", id="a field that is none"),
        pytest.param("{kind: X, resource: xs, name: {suffix: foo}}", "name.suffix 'foo'", id="an unknown suffix"),
        pytest.param("{kind: X, resource: xs, message: [data.x]}", "reason or message", id="a message from nowhere"),
        pytest.param("{kind: X, resource: xs, pods: {selector: {a: '{nam}'}}}", "{nam}", id="an unknown placeholder"),
        pytest.param("[]", "object", id="a row that is no map"),
    ],
)
def test_a_slip_names_the_row(row: str, fault: str) -> None:
    with pytest.raises(RuleError) as caught:
        load(f"generic: {{kind: any}}\nkinds:\n- {row}\n")
    assert fault in str(caught.value)
    assert "X" in str(caught.value) or "?" in str(caught.value)


def test_two_rows_for_one_resource_are_refused() -> None:
    with pytest.raises(RuleError, match="has a row already"):
        load("generic: {kind: any}\nkinds: [{kind: X, resource: xs}, {kind: Y, resource: xs}]\n")


@pytest.mark.parametrize("text", ["- 1", "generic: {kind: a}", "kinds: []\ngeneric: {kind: a}\nmore: 1", "{"])
def test_a_table_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match=r"rules\.yaml"):
        load(text)
