"""The Helm chart on a control plane of its own, in a namespace of another name: installed, changed, and uninstalled.

helm is built by `make lint-manifests`; without it these tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster import Cluster, ClusterError
from hack.cluster.processes import wait_until
from hack.manifests import programs
from hack.manifests.operator_crds import monitoring_crds
from hack.manifests.sources import CHART
from tests.cluster.conftest import ROOT, StartController, token_kubeconfig
from tests.cluster.support.examples import apply, verify
from tests.cluster.support.world import World
from tests.cluster.test_installation import everything

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not programs.HELM.is_built, reason="helm is built by `make lint-manifests`"),
]
NAMESPACE = "flows"
DEPLOYMENTS = ("workflow-controller", "workflow-webhook")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Takes the place of the cluster of the other tests, which has the CRDs already."""
    with Cluster.start(tmp_path_factory.mktemp("helm")) as started:
        for file in monitoring_crds():
            # Too large for the annotation of a client-side apply.
            started.kubectl("create", f"--filename={file}")
        started.kubectl("create", "namespace", NAMESPACE)
        started.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        yield started


@pytest.fixture(scope="module")
def before(cluster: Cluster) -> set[str]:
    """Everything that the cluster held before the installation."""
    return everything(cluster)


def helm(cluster: Cluster, *arguments: str, check: bool = True) -> str:
    """What helm says, on both of its outputs, in our namespace."""
    home = cluster.folder / "helm"
    env = {name: str(home / name.lower()) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    done = subprocess.run(
        [str(programs.helm()), *arguments, f"--namespace={NAMESPACE}"],
        env=os.environ | env | {"KUBECONFIG": str(cluster.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(cluster: Cluster, before: set[str]) -> Cluster:
    """The cluster with the chart and its default values."""
    assert before
    helm(cluster, "install", "work-flow", str(CHART))
    return cluster


def test_an_installation_has_ready_pods_below_restricted(installed: Cluster) -> None:
    for name in DEPLOYMENTS:
        installed.kubectl("rollout", "status", f"deployment/{name}", f"--namespace={NAMESPACE}", "--timeout=60s")
    service = json.loads(installed.kubectl("get", "mutatingwebhookconfiguration", "workflow-webhook", "-o", "json"))
    assert {hook["clientConfig"]["service"]["namespace"] for hook in service["webhooks"]} == {NAMESPACE}


def test_a_value_that_the_chart_does_not_know_is_refused_by_its_name(installed: Cluster) -> None:
    said = helm(installed, "upgrade", "work-flow", str(CHART), "--set=controler.replicas=3", check=False)
    assert "controler" in said


def test_without_the_webhook_workflows_are_taken_and_run(
    installed: Cluster, world: World, start_controller: StartController, tmp_path: Path
) -> None:
    with pytest.raises(ClusterError, match="failed calling webhook"):
        installed.kubectl("apply", "-f", str(ROOT / "examples" / "01-sequential.yaml"))
    every = ("--set=monitoring.enabled=true", "--set=network.enabled=true")
    address = "https://logs.example/?pod={pod}&from={start}"
    logs = f"--set-string=logUrlTemplate={address}"
    said = helm(installed, "upgrade", "work-flow", str(CHART), "--set=webhook.enabled=false", logs, *every)
    assert "copy the ConfigMap kubectl-workflow to the namespaces of your Workflows" in said
    found = json.loads(
        installed.kubectl("get", "configmap", "kubectl-workflow", f"--namespace={NAMESPACE}", "-o", "json")
    )
    assert found["data"] == {"logUrlTemplate": address}
    token = token_kubeconfig(installed, NAMESPACE, "workflow-controller", tmp_path / "token")
    start_controller(f"--leader-elect-resource-namespace={NAMESPACE}", namespace="", kubeconfig=token)
    verify(world, "01-sequential", apply(world, "01-sequential"))
    left = everything(installed)
    assert [each for each in left if "workflow-webhook" in each] == []
    assert f"ServiceMonitor {NAMESPACE} workflow-controller" in left
    assert f"NetworkPolicy {NAMESPACE} default-deny" in left


def test_after_an_uninstallation_the_crds_and_the_workflows_are_left(installed: Cluster, before: set[str]) -> None:
    manifest = (
        "apiVersion: flow.workflow.sh/v1alpha1\nkind: Workflow\nmetadata: {name: kept}\nspec: {flows: [{name: a}]}\n"
    )
    installed.kubectl("apply", "-f", "-", input=manifest)
    helm(installed, "uninstall", "work-flow")

    def ours() -> set[str]:
        # Kubernetes writes this role once more when a part of it goes; it may come back after its deletion.
        installed.kubectl("delete", "clusterrole", "workflow-controller-jobs", "--ignore-not-found")
        return {each for each in everything(installed) - before if "workflow" in each.lower()}

    expected = {
        "APIService <none> v1alpha1.flow.workflow.sh",
        *(
            f"CustomResourceDefinition <none> {kind}s.flow.workflow.sh"
            for kind in ("cronworkflow", "workflow", "worktemplate")
        ),
        "Workflow default kept",
    }
    # What owners leave is collected a moment later.
    assert wait_until(lambda: ours() == expected, 60, 0.5), ours()
    # Installed again, it takes the CRDs over that it left.
    helm(installed, "install", "work-flow", str(CHART))
