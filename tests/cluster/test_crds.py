"""The generated CRDs on a real API server: what they refuse and with which message, and that no status is pruned."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from hack import gen_crds
from hack.cluster.binaries import ensure
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import (
    WORKFLOWS,
    Action,
    Asked,
    EndRecord,
    Failure,
    FlowRecord,
    FlowStatus,
    Kept,
    KindRecord,
    Latch,
    ObjectOfTask,
    ObjectRecord,
    OutputStatus,
    Record,
    ReplicaStatus,
    RulesRecord,
    Start,
    TaskCounts,
    Workflow,
    WorkflowStatus,
)
from pkg.apis.meta import GVR, Condition
from pkg.kube.client import MERGE_PATCH, Client
from pkg.kube.config import load_config
from pkg.kube.errors import Exists, KubeError, NotFound, Refused

pytestmark = pytest.mark.cluster

CRDS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")
NAME = "crd-test"


@pytest.fixture
def client(kubeconfig: Path) -> Iterator[Client]:
    client = Client(load_config(str(kubeconfig), None), user_agent="crd-test")
    for text in gen_crds.files().values():
        with contextlib.suppress(Exists):
            client.create(CRDS, None, yaml.safe_load(text), dict[str, Any])
    _until_served(client)
    yield client
    _delete(client)
    client.abort()


def _until_served(client: Client) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            client.list_page(WORKFLOWS, "default", Workflow, limit=1)
        except KubeError:
            assert time.monotonic() < deadline, "the CRD was not served within 20 s"
            time.sleep(0.1)
        else:
            return


def _delete(client: Client) -> None:
    with contextlib.suppress(NotFound):
        client.delete(WORKFLOWS, "default", NAME, uid=None)


def manifest(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "flow.workflow.sh/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": NAME, "namespace": "default"},
        "spec": spec,
    }


def flow(**fields: Any) -> dict[str, Any]:
    return manifest(flows=[{"name": "a", **fields}])


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        pytest.param(manifest(), "spec.flows: Required value", id="no flows"),
        pytest.param(
            manifest(flows=[]), "spec.flows in body should have at least 1 items", id="an empty list of flows"
        ),
        pytest.param(flow(name="A_b"), 'spec.flows[0].name: Invalid value: "A_b"', id="a name that is no DNS label"),
        pytest.param(flow(timeout="5 min"), 'spec.flows[0].timeout: Invalid value: "5 min"', id="no duration"),
        pytest.param(flow(retry={"maxRetries": -1}), "spec.flows[0].retry.maxRetries", id="a number below its bound"),
        pytest.param(flow(retry={"factor": 1.5}), "spec.flows[0].retry.factor", id="a float"),
        pytest.param(flow(retry={"factor": "0.5"}), "spec.flows[0].retry.factor", id="a factor below 1"),
        pytest.param(
            flow(parameters=[{"name": "p", "value": "1"}, {"name": "p", "value": "2"}]),
            "spec.flows[0].parameters[1]: Duplicate value",
            id="a parameter given twice",
        ),
        pytest.param(
            flow(**{"for": {"replicas": 10_001}}), "spec.flows[0].for.replicas", id="a number above its bound"
        ),
        pytest.param(
            flow(dependsOn={"probe": {"taskStatusList": [{"taskName": "b", "phase": "Done"}]}}),
            'spec.flows[0].dependsOn.probe.taskStatusList[0].phase: Unsupported value: "Done"',
            id="a phase that does not exist",
        ),
        pytest.param(
            flow(dependsOn={"probe": {"tcpSocketList": [{"taskName": "b"}]}}),
            "spec.flows[0].dependsOn.probe.tcpSocketList[0].port: Required value",
            id="a probe without a port",
        ),
        pytest.param(
            manifest(flows=[{"name": "a"}], successPolicy={"type": "Most"}),
            'supported values: "All", "Any", "Critical"',
            id="a policy that does not exist",
        ),
        pytest.param(
            manifest(flows=[{"name": "a", "for": {"replicas": 9_999}}, {"name": "b"}, {"name": "c", "for": {}}]),
            "at most 10,000 tasks are allowed in all: lower for.replicas",
            id="more tasks than allowed in all",
        ),
    ],
)
def test_wrong_manifests_are_refused_with_field_and_value(client: Client, bad: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as caught:
        client.create(WORKFLOWS, "default", bad, Workflow)
    assert words in caught.value.message


def test_defaults_are_filled_in_outside_of_lists_and_nulls_are_dropped(client: Client) -> None:
    made = client.create(
        WORKFLOWS, "default", flow(dependsOn=None, retry={"maxRetries": 1}, timeout=None), dict[str, Any]
    )
    assert made["spec"] == {"jobRetainPolicy": "retain", "flows": [{"name": "a", "retry": {"maxRetries": 1}}]}


def test_a_patch_of_any_shape_is_kept_as_it_is(client: Client) -> None:
    patch = {"spec": {"deep": [{"x": [1, None, {"y": True}]}]}}
    made = client.create(WORKFLOWS, "default", flow(patch=patch), dict[str, Any])
    assert made["spec"]["flows"][0]["patch"] == patch


STATUS = WorkflowStatus(
    phase=WorkflowPhase.RUNNING,
    reason="R",
    message="m" * 1_024,
    start_time="2026-01-01T00:00:00.000001Z",
    completion_time="2026-01-01T00:00:00.000001Z",
    observed_generation=3,
    progress="7/12",
    tasks=TaskCounts(total=12, succeeded=7, waiting=5),
    conditions=(Condition("Decided", "True", "R", "m", "2026-01-01T00:00:00.000001Z", 3),),
    flows=(
        FlowStatus(
            name="a",
            phase=Phase.RUNNING,
            reason="R",
            message="m",
            start_time="t",
            completion_time="t",
            attempts=2,
            next_attempt_time="t",
            waiting="0",
            pending="1",
            suspended="2",
            running="3",
            backoff="4",
            succeeded="5-9",
            failed="10",
            skipped="11",
            cancelled="12",
            replicas=(ReplicaStatus(4, Phase.BACKOFF, "R", "m"),),
            outputs=(OutputStatus("loss", values=("0.5",), indexes="5"),),
        ),
    ),
    record=Record(
        spec_hash="abc",
        restarted_at="token",
        restarted_flows="0",
        suspended_at="t",
        suspended_seconds=2,
        kinds=(KindRecord("jobs.v1.batch", "0", "0"),),
        rules=(RulesRecord("h", "0"),),
        flows=(
            FlowRecord(
                "0",
                "x",
                3,
                (Kept("4", 1, "R", "t", True, True, True, True, "pods.v1", "t"),),
                (Latch("p", "0-3"),),
                approvals=2,
                asked=(Asked("0-3", "t"),),
                hands_out=True,
                tasks=7,
                starts=(Start("0-3", "t"),),
            ),
        ),
        objects=(ObjectRecord(0, "configmaps.v1", Action.APPLY, (ObjectOfTask("settings", "u-1", 1, 2),)),),
        end=EndRecord(WorkflowPhase.FAILED, "R", "m", 7, (Failure("a", 1, "R", "m"),), 2),
    ),
)
# As an older controller wrote it.
OLDER = msgspec.structs.replace(
    STATUS,
    record=None,
    flows=(
        msgspec.structs.replace(
            STATUS.flows[0],
            gvr="jobs.v1.batch",
            passed=(Latch("p", "0-3"),),
            renamed="x",
            first_attempt=3,
            kept=(Kept("4", 1, "R", "t", True),),
        ),
    ),
    restarted_at="token",
    restarted_flows="0-3",
    suspended_at="t",
    suspended_seconds=1.5,
    spec_hash="abc",
)


@pytest.mark.parametrize(
    "status", [pytest.param(STATUS, id="of today"), pytest.param(OLDER, id="of an older controller")]
)
def test_nothing_of_a_status_is_pruned(client: Client, status: WorkflowStatus) -> None:
    client.create(WORKFLOWS, "default", flow(), Workflow)
    body = msgspec.json.encode({"status": status})
    client.patch(WORKFLOWS, "default", NAME, body, content_type=MERGE_PATCH, type=Workflow, subresource="status")
    served = client.get(WORKFLOWS, "default", NAME, dict[str, Any])
    assert served["status"] == json.loads(msgspec.json.encode(status))


def test_every_field_of_a_status_is_set_above() -> None:
    record = STATUS.record
    assert record is not None
    for part in (STATUS, STATUS.flows[0], record, *record.kinds, *record.flows, *record.flows[0].kept):
        for field in msgspec.structs.fields(part):
            is_set = getattr(part, field.name) or getattr(OLDER, field.name, getattr(OLDER.flows[0], field.name, None))
            assert is_set, f"{type(part).__name__}.{field.name}"


def test_managed_fields_list_no_items(client: Client) -> None:
    many = manifest(flows=[{"name": f"f{at}", "dependsOn": {"targets": [f"f{at - 1}"]}} for at in range(1, 500)])
    made = client.create(WORKFLOWS, "default", many, dict[str, Any])
    assert len(json.dumps(made["metadata"]["managedFields"])) < 1_000


def test_kubectl_shows_phase_progress_and_reason_by_the_short_name(
    client: Client, kubeconfig: Path, tmp_path: Path
) -> None:
    client.create(WORKFLOWS, "default", flow(), Workflow)
    body = msgspec.json.encode({"status": STATUS})
    client.patch(WORKFLOWS, "default", NAME, body, content_type=MERGE_PATCH, type=Workflow, subresource="status")
    kubectl = ensure() / "kubectl"
    for resource in ("wkf", "workflow", "workflows"):
        command = [str(kubectl), "--kubeconfig", str(kubeconfig), "--cache-dir", str(tmp_path), "get", resource, NAME]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.split()
        assert shown[:9] == ["NAME", "PHASE", "PROGRESS", "REASON", "AGE", NAME, "Running", "7/12", STATUS.reason]
    wide = subprocess.run([*command, "-o", "wide"], capture_output=True, text=True, timeout=20, check=True).stdout
    assert wide.splitlines()[0].split() == ["NAME", "PHASE", "PROGRESS", "REASON", "AGE", "MESSAGE"]
    assert wide.rstrip().endswith(STATUS.message)
