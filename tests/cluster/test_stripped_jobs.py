"""Mutating admission takes a label of ours, or the owner reference, off each job as it is created.

Such a job is none of its task any more. It runs all the same, so no second one may be made, whoever asks again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster import Cluster
from hack.cluster.api import ApiStatusError
from hack.faults.messages import Request
from hack.faults.proxy import Proxy
from pkg.apis.flow.v1alpha1 import labels
from tests.cluster.conftest import StartController
from tests.cluster.support.audit import Audit
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.world import PATIENCE, World

pytestmark = pytest.mark.cluster
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RETRY = {"maxRetries": 3, "interval": "1s"}

#: By what the message says: the path that the policy removes, in CEL.
STRIPPED = {
    f"its label {label} was removed": f"'/metadata/labels/' + jsonpatch.escapeKey('{label}')"
    for label in (labels.FLOW, labels.WORKFLOW_UID)
} | {
    "its owner reference to the Workflow was removed": "'/metadata/ownerReferences'",
}
STRIPS = pytest.mark.parametrize("changed", STRIPPED)


class Policy:
    """A MutatingAdmissionPolicy for the jobs of one namespace that are owned by a Workflow."""

    def __init__(self, world: World, path: str) -> None:
        self._api, self._name = world.api, f"strip-{world.namespace}"
        self._jobs = f"/apis/batch/v1/namespaces/{world.namespace}/jobs"
        rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
        matched = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
        spec = {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"namespaceSelector": matched, "resourceRules": [rule]},
            "matchConditions": [{"name": "ours", "expression": "has(object.metadata.ownerReferences)"}],
            "mutations": [
                {
                    "patchType": "JSONPatch",
                    "jsonPatch": {"expression": f"[JSONPatch{{op: 'remove', path: {path}}}]"},
                }
            ],
        }
        self._post("mutatingadmissionpolicies", spec)
        self._post("mutatingadmissionpolicybindings", {"policyName": self._name})

    def _post(self, plural: str, spec: Object) -> None:
        body = {"metadata": {"name": self._name}, "spec": spec}
        self._api.request("POST", f"{ADMISSION}/{plural}", body)

    def wait(self) -> None:
        """Until it is in force: it changes a job that is not made."""
        tags = {labels.FLOW: "probe", labels.WORKFLOW_UID: "probe"}
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}
        pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}
        meta = {"name": "probe", "labels": tags, "ownerReferences": [owner]}
        body = {"metadata": meta, "spec": {"template": {"spec": pod}}}
        deadline = time.monotonic() + 30
        while True:
            made = json.loads(self._api.request("POST", f"{self._jobs}?dryRun=All", body))["metadata"]
            if not tags.keys() <= made["labels"].keys() or not made.get("ownerReferences"):
                return
            assert time.monotonic() < deadline, "the policy is not in force within 30 s"
            time.sleep(0.1)

    def remove(self) -> None:
        for plural in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
            with contextlib.suppress(ApiStatusError):
                self._api.request("DELETE", f"{ADMISSION}/{plural}/{self._name}")


@pytest.fixture
def strips(world: World, changed: str) -> Iterator[None]:
    """The policy that does what `changed` says."""
    policy = Policy(world, STRIPPED[changed])
    try:
        policy.wait()
        yield
    finally:
        policy.remove()


class LosesCreations(Proxy):
    """Cuts the connection once the API server has answered the creation of a job, so long as `loses` is set."""

    loses = True
    _is_creation = False

    async def _relay(
        self,
        request: Request,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        writer: asyncio.StreamWriter,
        address: str,
    ) -> None:
        self._is_creation = request.method == "POST" and request.target.split("?")[0].endswith("/jobs")
        await super()._relay(request, upstream, writer, address)

    def _lie(self) -> str:
        return "lost" if self._is_creation and self.loses else super()._lie()


@pytest.fixture
def proxy(cluster: Cluster, tmp_path: Path) -> Iterator[LosesCreations]:
    with LosesCreations(cluster.kubeconfig, tmp_path / "proxy", seed=1) as made:
        yield made


def start(world: World) -> None:
    world.create_all([template("step", run_for="2s"), workflow("w", flow("a", retry=RETRY))])


def wait_refused(world: World, audit: Audit, words: str) -> None:
    """The flow has failed for good, and one job was made."""
    assert world.wait_phase("w")["phase"] == "Failed"
    failed = world.flow("w", "a")
    assert (failed["phase"], failed["reason"]) == ("Failed", "Refused")
    assert words in failed["message"]
    world.history.wait(lambda: audit.creations(world.namespace), PATIENCE, "the creation in the audit log")
    assert [call.name for call in audit.creations(world.namespace)] == ["w-a"]
    assert [job["metadata"]["name"] for job in world.history.latest("jobs")] == ["w-a"]


@STRIPS
@pytest.mark.usefixtures("strips")
def test_a_job_that_admission_takes_off_its_task_fails_it_and_is_made_once(
    world: World, audit: Audit, start_controller: StartController, changed: str
) -> None:
    start_controller()
    start(world)
    wait_refused(
        world,
        audit,
        "job w-a was created, but a mutating webhook or admission policy changed it, so it is no job of this task:"
        f" {changed}. Correct the webhook or policy, and delete the job",
    )


@STRIPS
@pytest.mark.usefixtures("strips")
@pytest.mark.parametrize("asks", ["the same controller", "the next controller"])
def test_it_is_made_once_too_if_its_creation_was_not_answered(
    world: World, audit: Audit, start_controller: StartController, proxy: LosesCreations, changed: str, asks: str
) -> None:
    first = start_controller(kubeconfig=proxy.kubeconfig)
    start(world)
    world.wait_job("w-a")
    lost = "answers lost after a write"
    world.history.wait(lambda: proxy.lies[lost], PATIENCE, "the answer to a creation lost")
    if asks == "the next controller":
        first.kill()
        start_controller()
    proxy.loses = False
    wait_refused(world, audit, f"so it is no job of this task: {changed}. Correct that, and delete the job")
    assert "job w-a is there already, made for this workflow" in world.flow("w", "a")["message"]
