"""The checks of `make lint-manifests` find what they are for: each is shown something broken, and refuses it.

The programs are built by `make lint-manifests`; without them these tests are skipped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster import Cluster
from hack.manifests import checks, oldest_kubernetes, programs
from hack.manifests.sources import CHART, CONTROLLER, NETWORK, Document, objects
from hack.promtool import rules
from hack.promtool.binary import PROMTOOL

_built = all(each.is_built for each in (programs.HELM, programs.KUBE_SCORE, PROMTOOL))
_built = _built and oldest_kubernetes.DOCUMENTS.are_there
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not _built, reason="helm, kubeconform, kube-score and promtool are built by lint-manifests"),
]
DEPLOYMENT = CONTROLLER / "40-controller-deployment.yaml"
BESIDE = [CONTROLLER / f"{name}.yaml" for name in ("41-webhook-deployment", "42-disruption-budgets")]
BESIDE += sorted((NETWORK / "manifests").glob("*.yaml"))
"""What kube-score looks for beside a Deployment."""
WORKFLOW = {
    "apiVersion": "flow.workflow.sh/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "a"},
    "spec": {"flows": [{"name": "a"}]},
}


def deployment() -> Document:
    """That of the controller."""
    (found,) = objects(DEPLOYMENT)
    return found


def pod_of(document: Document) -> Any:
    return document["spec"]["template"]["spec"]


def container_of(document: Document) -> Any:
    return pod_of(document)["containers"][0]


def with_field(document: Document, place: Callable[[Document], Any], **fields: Any) -> Document:
    """A copy with these fields set at one place; a field that is None is removed."""
    changed = deepcopy(document)
    for name, value in fields.items():
        if value is None:
            del place(changed)[name]
        else:
            place(changed)[name] = value
    return changed


def written(folder: Path, *documents: Document) -> list[Path]:
    file = folder / "broken.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return [file]


def spec_of(document: Document) -> Any:
    return document["spec"]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        pytest.param(
            with_field(deployment(), pod_of, priorityClasName="a"),
            "priorityClasName",
            id="a field of Kubernetes' kinds",
        ),
        pytest.param(with_field(deployment(), spec_of, replicas="2"), "replicas", id="a text in place of a number"),
        pytest.param(with_field(WORKFLOW, spec_of, paralelism=1), "paralelism", id="a field of our kinds"),
        pytest.param(with_field(WORKFLOW, spec_of, flows=None), "flows", id="a field that is required"),
    ],
)
def test_kubeconform_finds_what_the_api_server_would_not_take(
    cluster: Cluster, tmp_path: Path, broken: Document, said: str
) -> None:
    assert checks.conform(lambda: checks.openapi(cluster), written(tmp_path, deployment(), WORKFLOW)) == []
    (found,) = checks.conform(lambda: checks.openapi(cluster), written(tmp_path, broken))
    assert found.startswith("kubeconform:")
    assert said in found


def test_kubeconform_finds_a_field_that_the_oldest_kubernetes_does_not_have(tmp_path: Path) -> None:
    newer = with_field(deployment(), container_of, restartPolicyRules=[])  # since 1.34
    assert checks.conform(oldest_kubernetes.openapi, [DEPLOYMENT]) == []
    (found,) = checks.conform(oldest_kubernetes.openapi, written(tmp_path, newer))
    assert "restartPolicyRules" in found


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        pytest.param(
            with_field(deployment(), container_of, securityContext=None), "security context", id="no security context"
        ),
        pytest.param(
            with_field(deployment(), container_of, resources=None), "Memory limit is not set", id="no resources"
        ),
        pytest.param(
            with_field(deployment(), container_of, image="workflow-controller:latest"),
            "latest tag",
            id="no fixed image",
        ),
        pytest.param(
            with_field(deployment(), lambda each: container_of(each)["securityContext"], readOnlyRootFilesystem=False),
            "writable root filesystem",
            id="a root that can be written",
        ),
        pytest.param(
            with_field(
                deployment(),
                lambda each: each["spec"]["template"]["metadata"]["labels"],
                **{"app.kubernetes.io/name": "a"},
            ),
            "selector",
            id="labels that the Deployment does not select",
        ),
    ],
)
def test_kube_score_finds_what_makes_a_deployment_fragile(tmp_path: Path, broken: Document, said: str) -> None:
    assert checks.score([DEPLOYMENT, *BESIDE]) == []
    found = "\n".join(checks.score([*written(tmp_path, broken), *BESIDE]))
    assert "CRITICAL" in found or "WARNING" in found
    assert said in found


def alert(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The alert of that name in these groups."""
    chosen: list[dict[str, Any]] = [rule for group in found for rule in group["rules"] if rule.get("alert") == name]
    return chosen[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"expr": "max(workflow_blocked_oldest_seconds"}, "unclosed", id="PromQL that cannot be read"),
        pytest.param({"expr": "max(workflow_blocked_oldest_second) > 900"}, "FAILED", id="a metric that is misspelt"),
        pytest.param({"expr": "max(workflow_blocked_oldest_seconds) > 9000"}, "FAILED", id="a bound that is too high"),
        pytest.param(
            {"expr": "max(workflow_blocked_oldest_seconds) >= 0"}, "FAILED", id="an alert in a healthy cluster"
        ),
        pytest.param({"labels": {"severity": "low"}}, "FAILED", id="another severity"),
    ],
)
def test_promtool_finds_alerts_that_do_not_fire_when_they_should(change: dict[str, Any], said: str) -> None:
    found = rules.groups()
    alert(found, "WorkflowBlocked").update(change)
    assert said in "\n".join(rules.check(found))


def test_helm_finds_a_template_that_cannot_be_read(tmp_path: Path) -> None:
    folder = shutil.copytree(CHART, tmp_path / "chart")
    template = folder / "templates" / "controller" / "31-webhook-service.yaml"
    template.write_text(template.read_text().replace("{{- end }}", ""))
    (found,) = checks.chart_makes_the_manifests(folder)
    assert "31-webhook-service.yaml" in found


def test_a_chart_that_makes_something_else_than_the_manifests_is_found(tmp_path: Path) -> None:
    folder = shutil.copytree(CHART, tmp_path / "chart")
    values = folder / "values.yaml"
    values.write_text(values.read_text().replace("replicas: 2", "replicas: 3", 1))
    (folder / "templates" / "controller" / "42-disruption-budgets.yaml").unlink()
    assert sorted(checks.chart_makes_the_manifests(folder)) == [
        "helm template lacks PodDisruptionBudget workflow-controller",
        "helm template lacks PodDisruptionBudget workflow-webhook",
        "helm template: Deployment workflow-controller differs",
    ]
