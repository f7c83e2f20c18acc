"""`kubectl apply` and `kubectl explain`, with the real kubectl: what an unchanged manifest does, and a large one."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest

from hack.cluster import Cluster
from hack.cluster.api import ApiStatusError
from hack.cluster.errors import ClusterError
from tests.cluster.conftest import StartController
from tests.cluster.support import kinds
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import API, flow, template, workflow
from tests.cluster.support.world import PATIENCE, World

pytestmark = pytest.mark.cluster

PROBE = {
    "httpGetList": [{"taskName": "a", "port": 80}],
    "tcpSocketList": [{"taskName": "a", "port": 81}],
    "taskStatusList": [{"taskName": "a", "phase": "Running"}],
}
PARTS: Object = {
    "retry": {},
    "for": {},
    "dependsOn": {"targets": ["a"], "probe": PROBE, "orGroups": [{"targets": ["a"], "probe": {}}]},
    "parameters": [{"name": "p"}, {"name": "q", "value": "2"}],
    "patch": {},
}
RETRY: Object = {"maxRetries": 0, "interval": "10s", "factor": 2, "maxInterval": "5m"}
WRITTEN: Object = {
    "retry": {**RETRY, "reasons": ["Failed", "JobDeleted", "DeadlineExceeded", "PendingTimeout"]},
    "for": {"replicas": 1, "dependsOn": {}},
    "dependsOn": {"targets": [], "onSkipped": "Skip", "orGroups": []},
    "continueOnFail": False,
    "finally": False,
    "template": "step",
}


def work_template(**spec: Any) -> Object:
    gvr = {"group": "batch", "version": "v1", "resource": "jobs"}
    return {"apiVersion": API, "kind": "WorkTemplate", "metadata": {"name": "m"}, "spec": {"gvr": gvr, **spec}}


MANIFESTS = [
    pytest.param(workflow("m", {"name": "a"}), id="only what is required"),
    pytest.param(workflow("m", {"name": "a"}, {"name": "b", **PARTS}, successPolicy={}), id="parts without fields"),
    pytest.param(
        workflow(
            "m",
            {"name": "a", **WRITTEN},
            successPolicy={"type": "All", "criticalFlows": []},
            jobRetainPolicy="retain",
            suspend=False,
            parameters=[],
            plugins={},
        ),
        id="every default written out",
    ),
    pytest.param(
        workflow(
            "m", {"name": "a", "retry": {"factor": "1.5"}}, parameters=[{"name": "b"}, {"name": "a", "value": "1"}]
        ),
        id="a fraction in quotes, and parameters out of order",
    ),
    pytest.param(work_template(), id="a template with only what is required"),
    pytest.param(
        work_template(metadata={}, jobSpec={}, parameters=[{"name": "p"}], statusRules={}, fieldValidation="Warn"),
        id="a template with defaults",
    ),
]


class Applied:
    """One manifest, applied with kubectl as often as is wanted."""

    def __init__(self, cluster: Cluster, world: World, manifest: Object) -> None:
        self._cluster = cluster
        self._world = world
        self.manifest = manifest
        self._plural = {"Workflow": "workflows", "WorkTemplate": "worktemplates"}[manifest["kind"]]

    def apply(self, *flags: str) -> str:
        """What kubectl says of the object, without its name."""
        text = json.dumps(self.manifest)
        said = self._cluster.kubectl("apply", "-n", self._world.namespace, *flags, "-f", "-", input=text)
        return said.split()[-1]

    @property
    def version(self) -> tuple[str, int]:
        """resourceVersion and generation."""
        path = f"/apis/{API}/namespaces/{self._world.namespace}/{self._plural}/{self.manifest['metadata']['name']}"
        meta = self._world.api.get(path)["metadata"]
        return meta["resourceVersion"], meta["generation"]

    def expect_unchanged(self) -> None:
        """Applied again by the client, the manifest changes nothing, and kubectl says so."""
        assert self.apply() == "created"
        before = self.version
        assert [self.apply(), self.apply()] == ["unchanged", "unchanged"]
        assert self.version == before

    def expect_unchanged_on_the_server(self) -> None:
        """Applied again by the server, the manifest changes nothing."""
        self.apply("--server-side")
        before = self.version
        self.apply("--server-side")
        assert self.version == before


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_an_unchanged_manifest_is_unchanged(cluster: Cluster, world: World, manifest: Object) -> None:
    Applied(cluster, world, manifest).expect_unchanged()


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_an_unchanged_manifest_changes_nothing_on_the_server(cluster: Cluster, world: World, manifest: Object) -> None:
    Applied(cluster, world, manifest).expect_unchanged_on_the_server()


def test_a_workflow_with_a_status_is_unchanged_too_until_a_parameter_changes(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(template("step", parameters={"p": "1"}))
    given = [{"name": "p", "value": "1"}, {"name": "q", "value": "2"}]
    applied = Applied(cluster, world, workflow("m", flow("a", retry={}), parameters=given))
    assert applied.apply() == "created"
    world.wait_phase("m")
    before = applied.version
    assert applied.apply() == "unchanged"
    applied.apply("--server-side", "--force-conflicts")
    assert applied.version[1] == before[1], "another writer of the same values makes no new generation"
    given[1]["value"] = "3"
    assert applied.apply() == "configured"
    assert applied.version[1] == before[1] + 1


def test_above_256_kib_only_server_side_apply_works(cluster: Cluster, world: World) -> None:
    flows = [flow(f"f{number}", patch={"spec": {"note": "x" * 200}}, retry={}) for number in range(1_200)]
    applied = Applied(cluster, world, workflow("m", *flows))
    assert len(json.dumps(applied.manifest)) > 262_144
    with pytest.raises(ClusterError, match="Too long"):
        applied.apply()
    assert applied.apply("--server-side") == "serverside-applied"
    before = applied.version
    applied.apply("--server-side")
    assert applied.version == before
    fields = json.dumps(world.api.get(world.workflow_path("m"))["metadata"]["managedFields"])
    assert len(fields) < 2_000, "flows are one atomic list"


def is_taken(world: World, document: Object) -> bool:
    """Whether the API server takes an object; a changed schema counts a moment later."""
    try:
        world.create(document)
    except ApiStatusError:
        return False
    return True


def test_a_fraction_without_quotes_from_before_is_read_and_keeps_no_status_from_being_written(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    path = f"{kinds.CRDS}/workflows.flow.workflow.sh"
    now = world.api.get(path)["spec"]["versions"]
    before = copy.deepcopy(now)
    flows = before[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["flows"]["items"]
    flows["properties"]["retry"]["properties"]["factor"] = {"type": "number"}
    old = workflow("old", flow("a", retry={"maxRetries": 1, "factor": 1.5}), flow("b", "a"))
    world.create(template("step"))
    world.patch(path, {"spec": {"versions": before}})
    try:
        world.history.wait(lambda: is_taken(world, old), 30, "the old schema")
    finally:
        world.patch(path, {"spec": {"versions": now}})
    assert world.api.get(world.workflow_path("old"))["spec"]["flows"][0]["retry"]["factor"] == 1.5
    start_controller()
    assert world.wait_phase("old")["phase"] == "Succeeded"


def test_two_writers_of_different_parameters_do_not_disturb_each_other(cluster: Cluster, world: World) -> None:
    one = workflow("m", {"name": "a"}, parameters=[{"name": "p", "value": "1"}])
    Applied(cluster, world, one).apply("--server-side", "--field-manager=one")
    two = {**one, "spec": {"parameters": [{"name": "q", "value": "2"}]}}
    Applied(cluster, world, two).apply("--server-side", "--field-manager=two", "--validate=ignore")
    found = world.api.get(world.workflow_path("m"))["spec"]["parameters"]
    assert {parameter["name"]: parameter["value"] for parameter in found} == {"p": "1", "q": "2"}


@pytest.mark.parametrize(
    ("field", "words"),
    [
        pytest.param("workflow.spec.flows.retry.factor", ("Default: 2.", 'Example: "1.5"'), id="factor"),
        pytest.param("workflow.spec.flows.dependsOn.probe.failAfter", ("units: h, m, s, ms", "never"), id="failAfter"),
        pytest.param("workflow.spec.ttlSecondsAfterFinished", ("Seconds", "Example: 86400"), id="ttl"),
        pytest.param("worktemplate.spec.gvr.resource", ("plural", "Required.", "pytorchjobs"), id="resource"),
    ],
)
def test_explain_reads_as_documentation(cluster: Cluster, field: str, words: tuple[str, ...]) -> None:
    said = " ".join(explained(cluster, field).split())
    assert [word for word in words if word not in said] == []


def explained(cluster: Cluster, field: str) -> str:
    """What `kubectl explain` says. The API server publishes the schema of a CRD a moment after it serves the kind."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return cluster.kubectl("explain", field)
        except ClusterError as error:
            if "couldn't find resource" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.2)
