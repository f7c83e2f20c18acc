"""What a kind never has is said before anybody waits for it, with its place."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.types import WorkTemplateSpec
from pkg.apis.flow.v1alpha1.validation import read
from pkg.apis.meta import GVR
from pkg.controllers.workflow.planner.graph.compile import compile_spec
from pkg.webhooks.admit.workflows import Around, Judgement
from pkg.workloads.never import never_faults
from tests.builders import TEMPLATES, http, on, tcp, template, wf

CONFIG_MAP: dict[str, Any] = {"gvr": {"version": "v1", "resource": "configmaps"}, "jobSpec": {"data": {"a": "b"}}}
APPLY = {"action": "Apply", "metadata": {"name": "settings"}}
SERVICE: dict[str, Any] = {"gvr": {"version": "v1", "resource": "services"}, "jobSpec": {"selector": {"app": "x"}}}
DEPLOYMENT: dict[str, Any] = {"gvr": {"group": "apps", "version": "v1", "resource": "deployments"}, "jobSpec": {}}
DELETE: dict[str, Any] = {**DEPLOYMENT, "action": "Delete", "metadata": {"name": "old"}}
WORKFLOW: dict[str, Any] = {
    "gvr": {"group": "flow.workflow.sh", "version": "v1alpha1", "resource": "workflows"},
    "jobSpec": {"flows": [{"name": "a"}]},
}
ADDRESS = {"patch": {"metadata": {"annotations": {"peer": "{{flows.a.podIP}}"}}}}
SECRET: dict[str, Any] = {"gvr": {"version": "v1", "resource": "secrets"}, "jobSpec": {}}
SETTINGS = template("settings", GVR("", "v1", "configmaps"), jobSpec={}).spec
MESSAGE = {"terminationMessage": {"container": "main"}}


def of(spec: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"template": "", "templateSpec": spec, **fields}


def reads(source: dict[str, Any]) -> dict[str, Any]:
    return {"outputs": [{"name": "x", "from": source}]}


FAULTY: dict[str, tuple[dict[str, Any], str]] = {
    "the address of an applied ConfigMap": (
        {"a": of({**CONFIG_MAP, **APPLY}), "b": ADDRESS},
        'spec.flows[1].patch.metadata.annotations.peer: flow "a" applies a ConfigMap, which has no pods; name it in'
        " targets, or name the flow whose pods are meant",
    ),
    "the address of a created ConfigMap": (
        {"a": of(CONFIG_MAP), "b": ADDRESS},
        'flow "a" makes a ConfigMap, which has no pods',
    ),
    "the address of what is deleted": (
        {"a": of(DELETE), "b": ADDRESS},
        'flow "a" deletes an object, so it has no pods',
    ),
    "the address of a created Service": (
        {"a": of(SERVICE), "b": ADDRESS},
        'flow "a" makes a Service, which has no pods of its own',
    ),
    "the address of a workflow inside": (
        {"a": of(WORKFLOW), "b": ADDRESS},
        'flow "a" makes a Workflow, which has no pods of its own',
    ),
    "an HTTP probe of a ConfigMap": (
        {"a": of(CONFIG_MAP), "b": on(probe=http("a"))},
        'spec.flows[1].dependsOn.probe.httpGetList[0].taskName: flow "a" makes a ConfigMap, which has no pods',
    ),
    "a TCP probe of a ConfigMap": (
        {"a": of(CONFIG_MAP), "b": on(probe=tcp("a"))},
        'spec.flows[1].dependsOn.probe.tcpSocketList[0].taskName: flow "a" makes a ConfigMap, which has no pods',
    ),
    "an address in a parameter": (
        {
            "a": of(CONFIG_MAP),
            "b": {
                "parameters": [{"name": "p", "value": "{{flows.a.podIP}}"}],
                "patch": {"metadata": {"annotations": {"p": "{{params.p}}"}}},
            },
        },
        "spec.flows[1].parameters[0].value: ",
    ),
    "an address in a template of the flow": (
        {"a": of(CONFIG_MAP), "b": of({**DEPLOYMENT, "jobSpec": {"x": "{{flows.a.podIP}}"}})},
        ".jobSpec.x: ",
    ),
    "a termination message of a ConfigMap": (
        {"a": of(CONFIG_MAP, **reads(MESSAGE))},
        "spec.flows[0].outputs[0].from.terminationMessage: templateSpec makes a ConfigMap, which has no pods, and so no"
        " termination message",
    ),
    "a termination message of an applied Service": (
        {"a": of({**SERVICE, **APPLY}, **reads(MESSAGE))},
        "outputs[0].from.terminationMessage: ",
    ),
    "the status of a ConfigMap, by path": (
        {"a": of(CONFIG_MAP, **reads({"path": "status.x"}))},
        "spec.flows[0].outputs[0].from.path: templateSpec makes a ConfigMap, which has no status; read metadata,"
        " such as metadata.name",
    ),
    "the status of a ConfigMap, by CEL": (
        {"a": of(CONFIG_MAP, **reads({"cel": "object.status.x"}))},
        "spec.flows[0].outputs[0].from.cel: templateSpec makes a ConfigMap, which has no status",
    ),
    "the role of a pod where pods have none": (
        {"a": reads({"terminationMessage": {"role": "worker"}})},
        "spec.flows[0].outputs[0].from.terminationMessage.role: template job makes a Job, whose pods have no roles that"
        " are known; leave role out",
    ),
    "the name of a Secret": (
        {"a": of(SECRET, **reads({"path": "metadata.name"}))},
        "spec.flows[0].outputs: templateSpec makes a Secret, and outputs of Secrets are not allowed",
    ),
    "what is left of what is deleted": (
        {"a": of(DELETE, **reads({"path": "status.x"}))},
        "spec.flows[0].outputs: templateSpec deletes an object, so there is nothing that outputs could be read from",
    ),
    "the spec of a ConfigMap": (
        {"a": of(CONFIG_MAP, **reads({"path": "spec.x"}))},
        "which has no spec; read metadata",
    ),
}
RIGHT: dict[str, dict[str, Any]] = {
    "the address of an applied Deployment": {"a": of({**DEPLOYMENT, **APPLY}), "b": ADDRESS},
    "the address of an applied Service": {"a": of({**SERVICE, **APPLY}), "b": ADDRESS},
    "the name of a ConfigMap": {"a": of(CONFIG_MAP, **reads({"path": "metadata.name"}))},
    "the spec of a Service": {"a": of(SERVICE, **reads({"path": "spec.clusterIP"}))},
    "the end of a ConfigMap": {"a": of(CONFIG_MAP), "b": on("a")},
    "a job": {"a": reads(MESSAGE), "b": ADDRESS},
}


def faults(flows: dict[str, Any], **templates: WorkTemplateSpec) -> list[str]:
    known = {"job": TEMPLATES["job"].spec, **templates}
    return [str(one) for one in never_faults(read(wf(**flows).spec, known))]


@pytest.mark.parametrize(("flows", "message"), FAULTY.values(), ids=FAULTY)
def test_what_never_comes_is_a_fault(flows: dict[str, Any], message: str) -> None:
    (found,) = faults(flows)
    assert message in found


@pytest.mark.parametrize("flows", RIGHT.values(), ids=RIGHT)
def test_what_may_come_is_none(flows: dict[str, Any]) -> None:
    assert faults(flows) == []


@pytest.mark.parametrize("is_webhook", [pytest.param(True, id="the webhook"), pytest.param(False, id="the controller")])
def test_webhook_and_controller_say_it(is_webhook: bool) -> None:
    made = wf(a=of({**CONFIG_MAP, **APPLY}), b=ADDRESS)
    found = Judgement(made.spec, made.metadata, Around()).faults() if is_webhook else compile_spec(made.spec, {})
    assert isinstance(found, tuple)
    assert ["applies a ConfigMap, which has no pods" in str(one) for one in found] == [True]


def test_a_workflow_that_runs_is_not_judged_again() -> None:
    made = wf(a=of({**CONFIG_MAP, **APPLY}), b=ADDRESS)
    assert not isinstance(compile_spec(made.spec, {}, is_started=True), tuple)


def test_a_template_beside_it_is_looked_at_once_it_is_there() -> None:
    flows = {"a": {"template": "settings"}, "b": ADDRESS}
    assert faults(flows) == []
    (found,) = faults(flows, settings=SETTINGS)
    assert 'flow "a" makes a ConfigMap' in found


def test_a_flow_with_approval_has_no_template() -> None:
    flows = {"a": {"template": "", "approval": {}}, "b": on(probe=tcp("a"))}
    assert faults(flows, a=SETTINGS) == []


def test_what_cannot_be_decoded_is_another_fault() -> None:
    assert faults({"a": of(CONFIG_MAP, outputs=[{"name": "x", "from": 3}]), "b": {"dependsOn": {"targets": 3}}}) == []
