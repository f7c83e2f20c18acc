"""Workflows of other kinds than Job on a real API server. kwok Stages act as the operators."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import pytest

from hack.cluster import Cluster
from hack.cluster.api import ApiStatusError
from pkg.apis.meta import GVR
from tests.cluster.conftest import CRDS, StartController, wait_established
from tests.cluster.support import kinds
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import API, crd, flow, workflow
from tests.cluster.support.world import PATIENCE, World
from tests.unit.examples.loading import load

pytestmark = pytest.mark.cluster
FAMILIES = ("volcano", "kubeflow", "ray", "spark", "jobset", "any-crd", "nested", "deployment-probe")


@pytest.fixture(scope="module")
def zoo(cluster: Cluster) -> Cluster:
    """The cluster with every kind's CRD, and with kwok Stages for these kinds."""
    api = cluster.api()
    names = [kinds.install(api, d) for d in load("any-crd").documents if d["kind"] == "CustomResourceDefinition"]
    names += [kinds.install(api, kinds.definition(played.gvr, played.kind)) for played in kinds.KINDS]
    for name in names:
        wait_established(api, name)
    cluster.play("kinds", kinds.stages())
    return cluster


def template(name: str, gvr: GVR, spec: Object | None = None, **more: Any) -> Object:
    """A WorkTemplate of any kind."""
    where = {"group": gvr.group, "version": gvr.version, "resource": gvr.resource}
    return {
        "apiVersion": API,
        "kind": "WorkTemplate",
        "metadata": {"name": name},
        "spec": {"gvr": where, "jobSpec": spec or {}, **more},
    }


def object_path(world: World, gvr: GVR, name: str = "") -> str:
    return gvr.path(world.namespace, name or None)


def test_the_examples_of_all_families_end_as_they_announce(
    zoo: Cluster, world: World, start_controller: StartController
) -> None:
    controller = start_controller()
    examples = {name: load(name) for name in FAMILIES}
    for example in examples.values():
        world.create_all(d for d in example.documents if d["kind"] != "CustomResourceDefinition")
    for name, example in examples.items():
        status = world.wait_phase(name)
        expected = example.expected
        assert (status["phase"], world.phases(name)) == (expected["phase"], expected["flows"]), name
        assert world.attempts(name) == expected["attempts"]
    shard = world.flow("jobset", "shard")
    (remembered,) = world.status("jobset")["record"]["flows"]
    assert (shard["succeeded"], remembered["kept"]) == ("0-2", [{"indexes": "1", "attempt": 1, "ran": True}]), (
        "only index 1 was retried"
    )
    world.history.wait(lambda: not world.history.now("deployments"), PATIENCE, "the service to go")
    assert [line for line in controller.log() if line.get("level") == "error"] == []


def zoo_specs() -> dict[str, tuple[GVR, Object]]:
    """A template of each kind, with a spec that the kind's real schema accepts."""
    found: dict[str, tuple[GVR, Object]] = {}
    for name in ("volcano", "kubeflow", "ray", "spark", "jobset"):
        for key, made in load(name).templates.items():
            found[key.removeprefix("kubeflow-")] = (made.spec.gvr.gvr, made.spec.job_spec)
    pod = {"spec": {"containers": [{"name": "main", "image": "busybox:1.36"}]}}
    role = {"Worker": {"replicas": 1, "restartPolicy": "Never", "template": pod}}
    found["xgboost"] = (
        GVR("kubeflow.org", "v1", "xgboostjobs"),
        {"runPolicy": {}, "xgbReplicaSpecs": {"Master": role["Worker"], **role}},
    )
    found["jax"] = (GVR("kubeflow.org", "v1", "jaxjobs"), {"runPolicy": {}, "jaxReplicaSpecs": role})
    found["mpi2"] = (
        GVR("kubeflow.org", "v2beta1", "mpijobs"),
        {"mpiReplicaSpecs": {"Launcher": role["Worker"], **role}},
    )
    found["trainjob"] = (
        GVR("trainer.kubeflow.org", "v1alpha1", "trainjobs"),
        {"runtimeRef": {"name": "torch-distributed"}, "trainer": {"numNodes": 1}},
    )
    for key in ("volcano-single", "ray-job", "spark-app"):
        spec = json.dumps(found[key][1]).replace("{{params.failures}}", "0").replace("{{params.class}}", "x.Y")
        found[key] = (found[key][0], json.loads(spec))
    group = json.dumps(found["jobset-group"][1]).replace("{{params.fail-index}}", "none")
    found["jobset-group"] = (found["jobset-group"][0], json.loads(group))
    return found


def test_one_workflow_of_a_dozen_kinds_survives_failures_and_deletions(
    zoo: Cluster, world: World, start_controller: StartController
) -> None:
    """Each kind has a flow that fails once and is retried, and one whose first job is deleted by hand."""
    specs = zoo_specs()
    retry = {"maxRetries": 2, "interval": "200ms"}
    flows = []
    for key, (gvr, spec) in specs.items():
        world.create(
            template(f"{key}-once", gvr, spec, metadata={"annotations": {"sim.workflow.sh/fail-until-attempt": "1"}})
        )
        held = {"annotations": {"sim.workflow.sh/hold-attempt": "0"}}
        world.create(template(f"{key}-gone", gvr, spec, metadata=held))
        flows.append(flow(f"{key}-fails", of=f"{key}-once", retry=retry))
        flows.append(flow(f"{key}-gone", of=f"{key}-gone", retry=retry))
        flows.append(flow(f"{key}-after", f"{key}-fails {key}-gone", of=f"{key}-after"))
        world.create(template(f"{key}-after", gvr, spec))
    assert len(specs) >= 12
    start_controller()
    world.create(workflow("zoo", *flows))
    waiting = {f"{key}-gone": gvr for key, (gvr, _) in specs.items()}
    deadline = time.monotonic() + PATIENCE
    while waiting and time.monotonic() < deadline:
        for name, gvr in list(waiting.items()):
            try:
                world.delete(object_path(world, gvr, f"zoo-{name}"))
            except ApiStatusError:
                continue
            del waiting[name]
    assert waiting == {}, "every kind's first job was there to be deleted"
    status = world.wait_phase("zoo")
    assert status["phase"] == "Succeeded", status
    for key in specs:
        assert world.flow("zoo", f"{key}-fails")["attempts"] == 2
        assert world.flow("zoo", f"{key}-gone")["attempts"] == 2
        assert world.flow("zoo", f"{key}-after")["attempts"] == 1


def test_a_crd_that_comes_later_starts_the_workflow(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller()
    gvr = GVR("later.example.com", "v1", "parcels")
    world.create(template("parcel", gvr))
    world.create(workflow("late", flow("send", of="parcel")))
    world.wait_flow("late", "send", "Waiting", reason="KindNotServed")
    time.sleep(3)  # by now the controller looks for the kind at long intervals
    name = kinds.install(world.api, crd("later.example.com", "Parcel"))
    wait_established(world.api, name)
    world.wait_flow("late", "send", "Pending")
    assert world.api.get(object_path(world, gvr, "late-send"))["kind"] == "Parcel"


def test_a_crd_deleted_under_a_workflow_fails_what_had_jobs_and_nothing_else(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller()
    gvr = GVR("going.example.com", "v1", "crates")
    name = kinds.install(world.api, crd("going.example.com", "Crate"))
    wait_established(world.api, name)
    world.create(template("crate", gvr))
    other = load("01-sequential")
    world.create_all(other.documents)
    flows = [
        flow("full", of="crate"),
        flow("next", of="crate", dependsOn={"probe": {"taskStatusList": [{"taskName": "full", "phase": "Failed"}]}}),
    ]
    world.create(workflow("gone", *flows))
    world.wait_flow("gone", "full", "Pending")
    world.delete(f"{CRDS}/{name}")
    failed = world.wait_flow("gone", "full", "Failed")
    assert failed["reason"] == "JobDeleted"
    assert "crates.v1.going.example.com" in failed["message"]
    waiting = world.wait_flow("gone", "next", "Waiting", reason="KindNotServed")
    assert "does not serve crates.v1.going.example.com" in waiting["message"]
    assert world.wait_phase("sequential")["phase"] == "Succeeded"
    kinds.install(world.api, crd("going.example.com", "Crate"))
    world.wait_flow("gone", "next", "Pending")


def test_what_cannot_be_a_job_is_refused_with_a_reason(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller()
    refusals = {
        "cron": (GVR("batch", "v1", "cronjobs"), "never finishes"),
        "node": (GVR("", "v1", "nodes"), "cluster-scoped"),
        "review": (GVR("authorization.k8s.io", "v1", "localsubjectaccessreviews"), "cannot be listed and watched"),
    }
    for key, (gvr, _) in refusals.items():
        world.create(template(key, gvr))
    # continueOnFail, so that the first refusal does not decide the workflow.
    world.create(workflow("refused", *(flow(key, of=key, continueOnFail=True) for key in refusals)))
    world.wait_phase("refused")
    for key, (_, text) in refusals.items():
        found = world.flow("refused", key)
        assert found["reason"] == "Refused", found
        assert text in found["message"]


def test_claims_and_services_are_done_when_they_are_there(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller()
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": ""}
    # A claim is done once it is there. Here a later flow needs the volume.
    world.create(template("claim", GVR("", "v1", "persistentvolumeclaims"), claim, completion="Ready"))
    world.create(template("service", GVR("", "v1", "services"), {"ports": [{"port": 80}], "selector": {"a": "b"}}))
    world.create(workflow("things", flow("claim", of="claim"), flow("service", of="service")))
    world.wait_flow("things", "service", "Succeeded")
    world.wait_flow("things", "claim", "Pending")
    # The phase of a claim belongs to its controller, which replaces one that a test writes within milliseconds.
    volumes = "/api/v1/persistentvolumes"
    volume = {
        "capacity": {"storage": "1Mi"},
        "accessModes": claim["accessModes"],
        "hostPath": {"path": "/nowhere"},
        "claimRef": {"namespace": world.namespace, "name": "things-claim"},
    }
    world.api.request("POST", volumes, {"metadata": {"name": world.namespace}, "spec": volume})
    try:
        world.history.wait(
            lambda: world.api.get(f"{volumes}/{world.namespace}")["status"].get("phase") == "Available",
            60,
            "the volume",
        )
        path = object_path(world, GVR("", "v1", "persistentvolumeclaims"), "things-claim")
        world.patch(path, {"metadata": {"annotations": {"look": "again"}}})  # the controller looks every 15 s
        assert world.wait_phase("things")["phase"] == "Succeeded"
    finally:
        world.delete(f"{volumes}/{world.namespace}")


def test_dots_in_a_name_stand_in_the_way_of_no_hostname(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    """The pods of an Indexed Job and of a StatefulSet have hostnames made of its name, and these are labels."""
    start_controller()
    containers = [{"name": "main", "image": "busybox:1.36"}]
    pod = {"template": {"spec": {"restartPolicy": "Never", "containers": containers}}}
    indexed = {"backoffLimit": 0, "completionMode": "Indexed", "completions": 2, "parallelism": 2, **pod}
    world.create(template("indexed", GVR("batch", "v1", "jobs"), indexed))
    tags = {"app": "dotted"}
    served = {"template": {"metadata": {"labels": tags}, "spec": {"containers": containers}}}
    spec = {"serviceName": "dotted", "selector": {"matchLabels": tags}, **served}
    world.create(template("store", GVR("apps", "v1", "statefulsets"), spec))
    world.create(workflow("1.2.dotted", flow("store", of="store"), flow("each", "store", of="indexed")))
    assert world.wait_phase("1.2.dotted")["phase"] == "Succeeded"
    assert all("." not in item["metadata"]["name"] for item in _pods(world))


def test_rules_that_cannot_be_used_or_evaluated_fail_nothing(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller()
    gvr = GVR("faulty.example.com", "v1", "boxes")
    document = crd("faulty.example.com", "Boxe")
    wait_established(world.api, kinds.install(world.api, document))
    world.create(template("sum", gvr, statusRules={"ok": [{"cel": "object.status.sum == object.spec.sum"}]}))
    world.create(template("slip", gvr, statusRules={"ok": [{"cel": "object.status.sum =="}]}))
    world.create(workflow("sums", flow("sum", of="sum"), flow("slip", of="slip")))
    found = world.wait_flow("sums", "slip", "Waiting", reason="StatusRuleFault")
    assert "spec.statusRules.ok[0]: cel: line 1, column" in found["message"]
    world.wait_flow("sums", "sum", "Pending")
    path = object_path(world, gvr, "sums-sum")
    world.patch(f"{path}/status", {"status": {"other": 1}})
    found = world.wait_flow("sums", "sum", "Pending", reason="StatusRuleFault")
    assert 'there is no key "' in found["message"]
    world.patch(path, {"spec": {"sum": 7}})
    world.patch(f"{path}/status", {"status": {"sum": 7}})
    world.wait_flow("sums", "sum", "Succeeded")
    home = f"/apis/flow.workflow.sh/v1alpha1/namespaces/{world.namespace}/worktemplates/slip"
    world.patch(home, {"spec": {"statusRules": {"ok": [{"path": "status.sum", "gt": 0}]}}})
    world.wait_flow("sums", "slip", "Pending")
    world.patch(f"{object_path(world, gvr, 'sums-slip')}/status", {"status": {"sum": 1}})
    assert world.wait_phase("sums")["phase"] == "Succeeded"


def test_a_job_that_stays_pending_shows_its_last_warning_event(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    """A quota forbids one Job's pods, which only an Event of the Job says. The pod of another Job fits no node, which
    only an Event of the pod says. No scheduler takes the pod of a third one, of which nobody says anything.
    """
    start_controller()
    lost = {
        "restartPolicy": "Never",
        "schedulerName": "nobody",
        "containers": [{"name": "main", "image": "busybox:1.36"}],
    }
    world.create(template("lost", GVR("batch", "v1", "jobs"), {"backoffLimit": 0, "template": {"spec": lost}}))
    world.create(workflow("lost", flow("lost", of="lost")))
    alone = {
        "restartPolicy": "Never",
        "nodeSelector": {"no": "where"},
        "containers": [{"name": "main", "image": "busybox:1.36"}],
    }
    world.create(template("homeless", GVR("batch", "v1", "jobs"), {"backoffLimit": 0, "template": {"spec": alone}}))
    world.create(workflow("homeless", flow("homeless", of="homeless")))
    deadline = time.monotonic() + PATIENCE
    while len(_pods(world)) < 2:
        assert time.monotonic() < deadline, "the pods that fit no node, or have no scheduler, are there"
        time.sleep(0.1)
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    world.create(quota)
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}
    world.create(template("stuck", GVR("batch", "v1", "jobs"), {"backoffLimit": 0, "template": {"spec": pod}}))
    world.create(workflow("pending", flow("stuck", of="stuck", pendingTimeout="40s")))
    found = world.wait_flow("pending", "stuck", "Pending", reason="FailedCreate")
    assert "exceeded quota" in found["message"]
    found = world.wait_flow("homeless", "homeless", "Pending", reason="FailedScheduling")
    assert found["message"].startswith("job homeless-homeless: pod homeless-homeless-")
    assert "nodes are available" in found["message"]
    found = world.wait_flow("lost", "lost", "Pending", reason="NotScheduled")
    assert "does the scheduler nobody run in the cluster?" in found["message"]
    failed = world.wait_flow("pending", "stuck", "Failed")
    assert failed["reason"] == "PendingTimeout"


def test_a_job_that_kueue_holds_is_suspended_and_its_clocks_stand_still(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    """The jobSpec is suspended from the start, as by Kueue's webhook. Only the test, in Kueue's place, resumes it."""
    start_controller()
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}
    spec = {"suspend": True, "backoffLimit": 0, "template": {"spec": pod}}
    world.create(template("queued", GVR("batch", "v1", "jobs"), spec))
    made = workflow("queue", flow("queued", of="queued", pendingTimeout="4s", timeout="20s"), queueName="team-a")
    world.create(made)
    world.wait_flow("queue", "queued", "Suspended")
    job = world.wait_job("queue-queued")
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    time.sleep(6)
    assert world.flow("queue", "queued")["phase"] == "Suspended", "neither clock ran while it was held"
    assert world.api.get(world.job_path("queue-queued"))["spec"]["suspend"] is True, "nobody touched it"
    world.patch(world.job_path("queue-queued"), {"spec": {"suspend": False}})
    assert world.wait_phase("queue")["phase"] == "Succeeded"


def test_pods_that_only_their_own_operator_marks_are_probed(
    zoo: Cluster, world: World, start_controller: StartController
) -> None:
    """The pods of a TrainJob come from a runtime. They have no label of ours, but those of its JobSet."""
    start_controller()
    gvr, spec = zoo_specs()["trainjob"]
    held = {"annotations": {"sim.workflow.sh/hold-attempt": "0"}}
    world.create(template("trainer", gvr, spec, metadata=held))
    pod: Object = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}
    world.create(template("quick", GVR("batch", "v1", "jobs"), {"backoffLimit": 0, "template": {"spec": pod}}))
    note = {"template": {"spec": {**pod, "containers": [{**pod["containers"][0], "args": ["{{flows.train.podIP}}"]}]}}}
    world.create(template("noted", GVR("batch", "v1", "jobs"), {"backoffLimit": 0, **note}))
    get = {"taskName": "train", "path": "/", "port": 8080}
    nodes = {"httpGetList": [get], "periodSeconds": 1, "role": "node", "pods": "All"}
    flows = [
        flow("train", of="trainer"),
        flow("ask", of="quick", dependsOn={"probe": nodes}),
        flow("note", of="noted"),
    ]
    world.create(workflow("marked", *flows))
    world.wait_flow("marked", "train", "Running")

    def make(group: str, index: int, port: int, jobset: str = "marked-train") -> None:
        tags = {"jobset.sigs.k8s.io/jobset-name": jobset, "jobset.sigs.k8s.io/replicatedjob-name": group}
        tags["batch.kubernetes.io/job-completion-index"] = str(index)
        meta = {"name": f"{jobset}-{group}-{index}", "labels": tags}
        meta["annotations"] = {"sim.workflow.sh/serve": f"http:{port}", "sim.workflow.sh/run-for": "forever"}
        world.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod})

    make("node", 0, 8080, jobset="other")
    make("dataset-initializer", 0, 8081)
    make("node", 1, 8081)
    first = world.wait_flow("marked", "note", "Pending", "Running", "Succeeded")
    assert first["attempts"] == 1
    time.sleep(3)
    assert world.flow("marked", "ask")["phase"] == "Waiting", "its only node does not answer on the port"
    world.delete(f"/api/v1/namespaces/{world.namespace}/pods/marked-train-node-1")
    make("node", 0, 8080)
    world.wait_flow("marked", "ask", "Succeeded")
    pods = {item["metadata"]["name"]: item["status"].get("podIP") for item in _pods(world)}
    args = world.wait_job("marked-note")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[0].startswith("127.")
    assert args[0] != pods["other-node-0"]
    world.patch(
        object_path(world, gvr, "marked-train"), {"metadata": {"annotations": {"sim.workflow.sh/hold-attempt": None}}}
    )
    assert world.wait_phase("marked")["phase"] == "Succeeded"


def _pods(world: World) -> list[Object]:
    found: list[Object] = world.api.get(f"/api/v1/namespaces/{world.namespace}/pods")["items"]
    return found


def test_a_version_that_is_served_no_more_and_a_scope_that_changes_are_noticed(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller()
    gvr = GVR("drums.example.com", "v1", "drums")
    document = crd("drums.example.com", "Drum")
    newer = {**document["spec"]["versions"][0], "name": "v2", "storage": False}
    document["spec"]["versions"].append(newer)
    name = kinds.install(world.api, document)
    wait_established(world.api, name)
    world.create(template("drum", gvr))
    world.create(template("newer", GVR(gvr.group, "v2", gvr.resource)))
    world.create(
        workflow(
            "band",
            flow("first", of="drum"),
            flow("next", "first", of="drum"),
            flow("other", of="newer", continueOnFail=True),
        )
    )
    world.wait_flow("band", "first", "Pending")
    world.wait_flow("band", "other", "Pending")
    served = [{**version, "served": version["name"] == "v2"} for version in document["spec"]["versions"]]
    world.patch(f"{CRDS}/{name}", {"spec": {"versions": served}})
    time.sleep(4)
    assert world.flow("band", "first")["phase"] == "Pending", "the job is still there, in the other version"
    path = object_path(world, GVR(gvr.group, "v2", gvr.resource), "band-first")
    world.patch(f"{path}/status", {"status": {"phase": "Succeeded"}})
    world.wait_flow("band", "first", "Succeeded")
    world.wait_flow("band", "next", "Waiting", reason="KindNotServed")
    world.delete(f"{CRDS}/{name}")
    failed = world.wait_flow("band", "other", "Failed")
    assert failed["reason"] == "JobDeleted"
    document["spec"]["scope"] = "Cluster"
    deadline = time.monotonic() + PATIENCE
    while any(item["metadata"]["name"] == name for item in world.api.get(CRDS)["items"]):
        assert time.monotonic() < deadline, "the CRD goes"
        time.sleep(0.2)
    world.api.request("POST", CRDS, document)
    refused = world.wait_flow("band", "next", "Failed", "Skipped")
    assert (refused["phase"], refused["reason"]) == ("Failed", "Refused")
    assert "cluster-scoped" in refused["message"]


def test_an_object_that_nobody_can_decode_stands_in_nobodys_way(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    """The API server accepts objects that nest deeper than the decoders allow."""
    deep = "[" * 3000 + "]" * 3000
    path = f"/apis/flow.workflow.sh/v1alpha1/namespaces/{world.namespace}/worktemplates"
    text = json.dumps({**template("deep", GVR("batch", "v1", "jobs"), {"a": "DEEP"}), "kind": "WorkTemplate"})
    api = world.api
    connection = http.client.HTTPSConnection(api.host, api.port, timeout=30, context=api.tls)
    connection.request("POST", path, text.replace('"DEEP"', deep), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 201
    connection.close()
    controller = start_controller()
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}
    world.create(template("quick", GVR("batch", "v1", "jobs"), {"backoffLimit": 0, "template": {"spec": pod}}))
    world.create(workflow("beside", flow("a", of="quick")))
    assert world.wait_phase("beside")["phase"] == "Succeeded"
    skipped = [line for line in controller.log() if "cannot be decoded" in line.get("event", "")]
    assert [line["object"] for line in skipped] == [f"{world.namespace}/deep"]
