"""Obstacles to the creation of a job on the real API server. The controller reports each once, retries, and creates the
job when the obstacle is gone. Other jobs can never be created."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hack.cluster import Cluster
from tests.cluster.conftest import CRDS, StartController
from tests.cluster.support import manifests as m
from tests.cluster.support.history import Object
from tests.cluster.support.world import PATIENCE, World, no_attempt_twice

pytestmark = pytest.mark.cluster

ADMISSION = "/apis/admissionregistration.k8s.io/v1"


def only_event(world: World, workflow: str, reason: str) -> Object:
    """The one Event about a workflow with that reason, once it is there: the status may be seen before it."""
    path = f"/api/v1/namespaces/{world.namespace}/events?fieldSelector=involvedObject.name={workflow},reason={reason}"
    found = world.history.wait(lambda: world.api.get(path)["items"], PATIENCE, f"an Event {reason} about {workflow}")
    assert len(found) == 1, found
    only: Object = found[0]
    return only


def touch(world: World, workflow: str, times: int) -> None:
    """Changes an annotation, so that the workflow is reconciled again and again."""
    for number in range(times):
        world.patch(world.workflow_path(workflow), {"metadata": {"annotations": {"touched": str(number)}}})
        time.sleep(0.3)


def test_a_missing_template_and_a_kind_that_is_not_served_cause_one_event_each(
    world: World, start_controller: StartController
) -> None:
    controller = start_controller("--leader-elect=false")
    world.create(m.custom("thing", "never.test", "things"))
    world.create(m.workflow("w", m.flow("late", of="missing"), m.flow("a", of="thing")))
    world.wait_flow("w", "late", "Waiting", reason="TemplateNotFound")
    world.wait_flow("w", "a", "Waiting", reason="KindNotServed")
    for reason in ("TemplateNotFound", "KindNotServed"):
        only_event(world, "w", reason)
    touch(world, "w", 3)
    controller.terminate()
    start_controller("--leader-elect=false")
    touch(world, "w", 6)
    event = only_event(world, "w", "TemplateNotFound")
    assert (event["type"], event["involvedObject"]["kind"], event["count"]) == ("Warning", "Workflow", 1)
    assert "there is no WorkTemplate missing" in event["message"]
    event = only_event(world, "w", "KindNotServed")
    assert (event["type"], event["involvedObject"]["kind"], event["count"]) == ("Warning", "Workflow", 1)
    assert "things.v1.never.test" in event["message"]
    assert world.flow("w", "a")["reason"] == "KindNotServed"


def test_a_quota_is_waited_for_and_reported_once(world: World, start_controller: StartController) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight"}}
    made = world.create({**quota, "spec": {"hard": {"count/jobs.batch": "0"}}})
    path = world.path(made, "tight")
    while not (world.api.get(path).get("status") or {}).get("hard"):
        time.sleep(0.05)
    start_controller()
    world.create(m.template("step", run_for="0.1s"))
    world.create(m.workflow("w", m.flow("a"), m.flow("b", "a")))
    waiting = world.wait_flow("w", "a", "Waiting", reason="QuotaExceeded")
    assert "exceeded quota: tight" in waiting["message"]
    touch(world, "w", 5)
    assert world.flow("w", "a")["reason"] == "QuotaExceeded"
    world.patch(path, {"spec": {"hard": {"count/jobs.batch": "9"}}})
    raised = time.monotonic()
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert time.monotonic() - raised < 60
    assert only_event(world, "w", "QuotaExceeded")["count"] == 1
    assert len(no_attempt_twice(world)) == 2


def test_a_kind_that_the_controller_may_not_list_is_reported_and_its_job_created_once_it_may(
    cluster: Cluster, world: World, start_controller: StartController, installed_kubeconfig: Path
) -> None:
    group, roles = "secretive.test", "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    start_controller("--leader-elect=false", kubeconfig=installed_kubeconfig)
    world.api.request("POST", CRDS, m.crd(group, "Thing"))
    try:
        world.create(m.custom("thing", group, "things"))
        world.create(m.workflow("w", m.flow("a", of="thing")))
        waiting = world.wait_flow("w", "a", "Waiting", reason="KindUnreadable")
        assert 'cannot list resource "things"' in waiting["message"]
        event = only_event(world, "w", "KindUnreadable")
        assert 'cannot list resource "things"' in event["message"]
        label = {"flow.workflow.sh/aggregate-to-controller": "true"}
        rule = {"apiGroups": [group], "resources": ["things"], "verbs": ["get", "list", "watch", "create", "delete"]}
        role = {"metadata": {"name": group, "labels": label}, "rules": [rule]}
        world.api.request("POST", roles, role)
        world.wait_flow("w", "a", "Pending")
    finally:
        world.api.request("DELETE", f"{CRDS}/things.{group}")
        cluster.kubectl("delete", "clusterrole", group, "--ignore-not-found")


class _Refuser(BaseHTTPRequestHandler):
    """An admission webhook that refuses, with the status code of an object with a wrong schema."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = {"code": 422, "reason": "Invalid", "message": "the budget of this month is spent"}
        answer = {"uid": review["request"]["uid"], "allowed": False, "status": status}
        body = json.dumps({**review, "request": None, "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@contextlib.contextmanager
def refusing_webhook(world: World, folder: Path) -> Iterator[None]:
    """Every Job of the namespace is refused by a webhook on this machine."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, and makes the webhook's certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refuser)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook = {
        "name": "budget.example.com",
        "clientConfig": {
            "url": f"https://127.0.0.1:{server.server_port}/",
            "caBundle": base64.b64encode(cert.read_bytes()).decode(),
        },
        "rules": [{"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 5,
    }
    home = f"{ADMISSION}/validatingwebhookconfigurations"
    world.api.request("POST", home, {"metadata": {"name": world.namespace}, "webhooks": [hook]})
    try:
        yield
    finally:
        world.api.request("DELETE", f"{home}/{world.namespace}")
        server.shutdown()
        server.server_close()


def job_is_refused(world: World) -> str:
    """The message with which the API server refuses a Job that a user creates now; empty if it accepts it."""
    spec = m.template("x")["spec"]["jobSpec"] | {"suspend": True}
    probe = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "by-hand"}, "spec": spec}
    try:
        world.api.request("POST", f"{world.path(probe)}?dryRun=All", probe)
    except Exception as error:
        return str(error)
    return ""


def test_a_webhook_that_refuses_is_asked_again_whatever_its_code(
    world: World, start_controller: StartController, tmp_path: Path
) -> None:
    start_controller()
    world.create(m.template("step", run_for="0.1s"))
    with refusing_webhook(world, tmp_path):
        world.history.wait(lambda: "422" in job_is_refused(world), PATIENCE, "the webhook to act")
        world.create(m.workflow("w", m.flow("a"), m.flow("b", "a")))
        waiting = world.wait_flow("w", "a", "Waiting", reason="AdmissionDenied")
        assert "admission webhook" in waiting["message"]
        assert "the budget of this month is spent" in waiting["message"]
    assert world.wait_phase("w")["phase"] == "Succeeded"
    event = only_event(world, "w", "AdmissionDenied")
    assert "the budget of this month is spent" in event["message"]
    assert len(no_attempt_twice(world)) == 2


POD: dict[str, Any] = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}
DEEP: dict[str, Any] = {"a": 1}
for _ in range(60):
    DEEP = {"a": DEEP}


def of_jobs(job_spec: Any, **spec: Any) -> Object:
    """A WorkTemplate spec of Jobs."""
    return {"gvr": m.JOBS, "jobSpec": job_spec, **spec}


# Each has a template, the fields of its one flow `a`, and where the status must say what.
NEVER_MADE: dict[str, tuple[Object, Object, str, str]] = {
    "a variable that does not exist": (of_jobs({"x": "{{workflow.nothing}}"}), {}, "RenderError", "workflow.nothing"),
    "a parameter nobody gives": (of_jobs({"x": "{{params.epochs}}"}), {}, "RenderError", "params.epochs"),
    "the address of a flow that is not there": (of_jobs({"x": "{{flows.b.podIP}}"}), {}, "RenderError", "flows.b"),
    "a patch that removes what is not there": (
        of_jobs({"template": {"spec": POD}}),
        {"patch": [{"op": "remove", "path": "/spec/nothing"}]},
        "RenderError",
        "/spec/nothing",
    ),
    "a test in a patch that does not hold": (
        of_jobs({"template": {"spec": POD}}),
        {"patch": [{"op": "test", "path": "/spec/template", "value": 1}]},
        "RenderError",
        "/spec/template",
    ),
    "a patch that leaves no spec": (of_jobs({}), {"patch": [{"op": "remove", "path": "/spec"}]}, "RenderError", "spec"),
    "a template of the wrong shape": (of_jobs({"template": ["x"]}), {}, "Refused", "template"),
    "containers that are a word": (of_jobs({"template": {"spec": {"containers": "x"}}}), {}, "Refused", "containers"),
    "nothing in it": (of_jobs({}), {}, "Refused", "spec.template.spec.containers"),
    "a word where a number belongs": (
        of_jobs({"activeDeadlineSeconds": "{{flow.name}}", "template": {"spec": POD}}),
        {},
        "RenderError",
        "activeDeadlineSeconds",
    ),
    "a label with blanks": (
        of_jobs({"template": {"spec": POD}}, metadata={"labels": {"team": "a b"}}),
        {},
        "Refused",
        "metadata.labels",
    ),
}
NEVER_RUN: dict[str, tuple[Object, str]] = {
    "a patch that is a word": ({"patch": "suspend"}, "spec.flows[0].patch"),
    "a patch that is a number": ({"patch": 7}, "spec.flows[0].patch"),
    "a patch that is a list of numbers": ({"patch": [7]}, "spec.flows[0].patch[0]"),
    "an operation that does not exist": ({"patch": [{"op": "set", "path": "/spec/a"}]}, "spec.flows[0].patch[0].op"),
    "a probe of a flow that is not there": (
        {"dependsOn": {"probe": {"taskStatusList": [{"taskName": "b", "phase": "Failed"}]}}},
        "spec.flows[0].dependsOn.probe.taskStatusList[0].taskName",
    ),
    "an empty group": ({"dependsOn": {"orGroups": [{}]}}, "spec.flows[0].dependsOn.orGroups[0]"),
    "itself as a target": ({"dependsOn": {"targets": ["a"]}}, "spec.flows[0].dependsOn.targets[0]"),
    "finally alone": ({"finally": True}, "spec.flows"),
    "a timeout of a thousand years": ({"timeout": "8766000h"}, "spec.flows[0].timeout"),
    "a patch of any depth": ({"patch": {"x": DEEP, "y": "{{workflow.nothing}}"}}, "spec.flows[0].patch.y"),
}


def test_what_the_schema_lets_through_but_cannot_run_ends_failed_and_blocks_nobody(
    world: World, start_controller: StartController
) -> None:
    """All of them at once with one worker, which must still reconcile a workflow that can run."""
    controller = start_controller("--workers=1")
    world.create(m.template("step", run_for="0.1s"))
    for number, (spec, fields, _, _) in enumerate(NEVER_MADE.values()):
        world.create({**m.template(f"t{number}"), "spec": spec})
        world.create(m.workflow(f"made-{number}", m.flow("a", of=f"t{number}", **fields)))
    for number, (fields, _) in enumerate(NEVER_RUN.values()):
        world.create(m.workflow(f"run-{number}", m.flow("a", **fields)))
    policy = {"type": "Critical", "criticalFlows": ["nobody"]}
    world.create(m.workflow("critical", m.flow("a"), successPolicy=policy))
    world.create(m.workflow("restart", m.flow("a"), restart={"at": "1", "flows": ["nobody"]}))
    world.create(m.workflow("good", *m.chain("a", "b")))
    assert world.wait_phase("good")["phase"] == "Succeeded"
    for number, (sentence, (_, _, reason, says)) in enumerate(NEVER_MADE.items()):
        assert world.wait_phase(f"made-{number}")["phase"] == "Failed", sentence
        flow = world.flow(f"made-{number}", "a")
        assert (flow["phase"], flow["reason"]) == ("Failed", reason), (sentence, flow)
        assert says in flow["message"], (sentence, flow)
    for number, (sentence, (_, says)) in enumerate(NEVER_RUN.items()):
        status = world.wait_phase(f"run-{number}")
        assert (status["phase"], status["reason"]) == ("Failed", "Invalid"), (sentence, status)
        assert status["message"].startswith(f"{says}: "), (sentence, status)
    assert "spec.successPolicy.criticalFlows[0]" in world.wait_phase("critical")["message"]
    assert world.wait_phase("restart")["phase"] == "Succeeded"
    assert "nobody" in only_event(world, "restart", "RestartRefused")["message"]
    assert not [line for line in controller.log() if "Traceback" in line["event"] or line.get("exception")]


def test_a_stranger_that_is_leaving_is_waited_for_and_its_name_is_taken(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(m.template("step", run_for="0.1s"))
    spec = m.template("x")["spec"]["jobSpec"] | {"suspend": True}
    meta = {"name": "w-a", "labels": {}, "finalizers": ["example.com/held"]}
    stranger = world.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})
    world.delete(world.job_path("w-a"))
    world.create(m.workflow("w", m.flow("a")))
    waiting = world.wait_flow("w", "a", "Waiting", reason="NameConflict")
    assert stranger["metadata"]["uid"] in waiting["message"]
    assert "and is being deleted" in waiting["message"]
    world.patch(world.job_path("w-a"), {"metadata": {"finalizers": None}})
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert "flows" not in world.status("w")["record"], "it is not renamed"
    assert world.wait_job("w-a")["metadata"]["uid"] != stranger["metadata"]["uid"]


def test_a_workflow_in_a_terminating_namespace_goes_with_it(
    new_world: Callable[[], World], start_controller: StartController
) -> None:
    """A finalizer keeps the namespace. No job is created in it, and the controller works in other namespaces."""
    going, other = new_world(), new_world()
    controller = start_controller(namespace="")
    for world in (going, other):
        world.create(m.template("step", run_for="1s"))
    meta = {"name": "holder", "finalizers": ["example.com/held"]}
    going.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    going.create(m.workflow("w", *m.chain("a", "b", "c")))
    going.wait_job("w-a")
    going.api.request("DELETE", f"/api/v1/namespaces/{going.namespace}")
    other.create(m.workflow("w", *m.chain("a", "b")))
    assert other.wait_phase("w")["phase"] == "Succeeded"
    going.history.wait(lambda: not going.jobs(), PATIENCE, "the jobs to go")
    going.history.wait(lambda: going.history.get("workflows", "w") is None, PATIENCE, "the workflow to go")
    going.patch(f"/api/v1/namespaces/{going.namespace}/configmaps/holder", {"metadata": {"finalizers": None}})
    assert not [line for line in controller.log() if "Traceback" in line["event"] or line.get("exception")]


def test_a_template_shows_who_uses_it(world: World, start_controller: StartController) -> None:
    start_controller()
    world.follow("apis/flow.workflow.sh/v1alpha1/worktemplates")
    world.create(m.workflow("early", m.flow("a"), m.flow("b"), suspend=True))
    world.create(m.template("step"))
    world.create(m.workflow("other", m.flow("a"), suspend=True))

    def used_by() -> Any:
        found = world.history.get("worktemplates", "step") or {}
        return found.get("status", {}).get("usedBy", {})

    world.history.wait(lambda: used_by() == {"count": 2, "names": ["early", "other"]}, PATIENCE, used_by)
    world.delete(world.workflow_path("early"))
    world.history.wait(lambda: used_by() == {"count": 1, "names": ["other"]}, PATIENCE, used_by)
