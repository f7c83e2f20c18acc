"""What a person reads of faulty outputs, lists, conditions and actions: with the webhook when the Workflow is applied,
without it in its status. Every message has the place, what is wrong, and what would be right; nothing waits in silence.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from hack.cluster import Cluster
from hack.cluster.api import Api
from hack.controller_process import NO_SERVERS
from tests.cluster.conftest import make_world
from tests.cluster.support.controller import Controller
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.webhook import asked_webhook
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
MAPS = {"version": "v1", "resource": "configmaps"}
SERVERS = {"group": "apps", "version": "v1", "resource": "deployments"}
WIDGETS = {"group": "nobody.example.com", "version": "v1", "resource": "widgets"}
MESSAGE: Object = {"terminationMessage": {}}
X: Object = {"name": "x", "from": {"path": "status.x"}}
USE = "{{flows.a.outputs.x}}"
FROM = "{{flows.l.outputs.x}}"
#: What the containers of the templates `say-KEY` write to their termination message.
SAID = {
    "word": "HUSH_HUSH",
    "json": '{"acc": [0.93]}',
    "list": '["HUSH_A","HUSH_B"]',
    "twice": '["a","a"]',
    "cut": '["a", "b"',
    "object": '{"a":1}',
    "mixed": '[{"name":"a"},3]',
}


def output(source: Object, name: str = "x", **fields: Any) -> Object:
    return {"name": name, "from": source, **fields}


def reads(source: Object, name: str = "a", of: str = "step") -> Object:
    return flow(name, of=of, outputs=[output(source)])


def path(text: str) -> Object:
    return {"path": text}


def noted(name: str, text: str, after: str = "", **fields: Any) -> Object:
    """A flow that puts the text into an annotation of its job."""
    return flow(name, after, patch={"metadata": {"annotations": {"n": text}}}, **fields)


def each(loop: Object, name: str = "b", **fields: Any) -> Object:
    return {**flow(name, **fields), "for": loop}


def inline(spec: Object, name: str = "a", **fields: Any) -> Object:
    return {"name": name, "templateSpec": spec, **{key.rstrip("_"): value for key, value in fields.items()}}


def apply(name: str, **fields: Any) -> Object:
    return {"gvr": MAPS, "action": "Apply", "metadata": {"name": name}, "jobSpec": {"data": {"a": "b"}}, **fields}


def delete(name: str, gvr: Object = MAPS, **fields: Any) -> Object:
    return {"gvr": gvr, "action": "Delete", "metadata": {"name": name}, **fields}


def says(key: str) -> Object:
    return flow("l", of=f"say-{key}", outputs=[output(MESSAGE)])


NOTE = "spec.flows[1].patch.metadata.annotations.n: "
SOURCE = "spec.flows[0].outputs[0].from"
CIRCLE = "spec.flows[0]: these flows wait for each other in a circle: "
NAME = "spec.flows[0].templateSpec.metadata.name: "
#: Flows, and what both the webhook and the status say.
INVALID: dict[str, tuple[list[Object], str]] = {
    "a path with a leading dot": (
        [reads(path(".status.x"))],
        f"{SOURCE}.path: '.status.x' is no path at '.status.x'; leave the leading dot out",
    ),
    "a path as kubectl writes it": ([reads(path("{.status.x}"))], f"{SOURCE}.path: '{{.status.x}}' is no path"),
    "a path over all items": ([reads(path("status.r[*].x"))], "[0] for an item of a list, or [?(@.name=='x')]"),
    "a path to data": (
        [reads(path("data.x"))],
        f"{SOURCE}.path: 'data.x': a path starts with status, spec or metadata",
    ),
    "CEL that does not compile": ([reads({"cel": "object.status."})], f"{SOURCE}.cel: line 1, column 15: Syntax error"),
    "CEL over another name": ([reads({"cel": "self.x"})], f"{SOURCE}.cel: line 1, column 5: undeclared reference"),
    "CEL over data": ([reads({"cel": "object.data.x"})], f"{SOURCE}.cel: object.data cannot be read"),
    "CEL that looks at nothing": ([reads({"cel": "1 + 1"})], f"{SOURCE}.cel: the expression does not look at `object`"),
    "two sources": (
        [reads({"path": "status.x", "cel": "object.status.x"})],
        f"{SOURCE}: an output has exactly one of path, cel or terminationMessage; this one has path and cel",
    ),
    "no source": ([reads({})], "this one has none"),
    "an output that the flow does not have": (
        [flow("a", outputs=[X]), noted("b", "{{flows.a.outputs.y}}")],
        f'{NOTE}flow "a" has no output "y"; it has x; did you mean "x"?',
    ),
    "an output of a flow without any": (
        [flow("a"), noted("b", USE)],
        f'{NOTE}flow "a" has no output "x"; it has none',
    ),
    "an output of an unknown flow": (
        [flow("ab", outputs=[X]), noted("b", USE)],
        f'{NOTE}no flow is named "a"; did you mean "ab"?',
    ),
    "a slip in the variable": (
        [flow("a", outputs=[X]), noted("b", "{{flows.a.output.x}}")],
        '{{flows.a.output.x}} is no variable; did you mean "flows.a.outputs.x"?',
    ),
    "two flows that use each other": (
        [noted("a", "{{flows.b.outputs.x}}", outputs=[X]), noted("b", USE, outputs=[X])],
        f"{CIRCLE}a -> b -> a; remove one of the dependencies",
    ),
    "an output that a flow uses which runs before": (
        [noted("a", "{{flows.b.outputs.x}}"), flow("b", "a", outputs=[X])],
        f"{CIRCLE}a -> b -> a",
    ),
    "a circle through a condition and a target": (
        [flow("a", outputs=[X], when="flows.c.failed == 0"), noted("b", USE), flow("c", "b")],
        f"{CIRCLE}a -> c -> b -> a",
    ),
    "a circle through a list": (
        [each({"itemsFrom": "{{flows.b.outputs.x}}"}, "a"), flow("b", "a", outputs=[X])],
        f"{CIRCLE}a -> b -> a",
    ),
    "a flow that uses its own output": (
        [noted("a", USE, outputs=[X])],
        "a flow cannot use its own output: that is there once its tasks have succeeded; name another flow",
    ),
    "a list that is no variable": (
        [flow("a", outputs=[X]), each({"itemsFrom": "flows.a.outputs.x"})],
        'spec.flows[1].for.itemsFrom: must be one output of another flow, such as "{{flows.list.outputs.files}}"',
    ),
    "two lists": (
        [flow("a", outputs=[X]), each({"itemsFrom": USE, "items": ["a"]})],
        "a flow has one of replicas, items and itemsFrom, and this one has items and itemsFrom; keep one",
    ),
    "a list and replicas": ([each({"items": ["a"], "replicas": 3})], "spec.flows[0].for.items: a flow has one of"),
    "one task of a flow without for": (
        [flow("a", outputs=[X]), noted("b", "{{flows.a.outputs.x[0]}}")],
        f'{NOTE}flow "a" has no for, so its output x is one value; leave [0] out',
    ),
    "a task past the end": (
        [each({"replicas": 2}, "a", outputs=[X]), noted("b", "{{flows.a.outputs.x[2]}}")],
        f'{NOTE}flow "a" has the indexes 0 to 1, so there is no [2]',
    ),
    "when over an unknown flow": (
        [flow("a", when="flows.nobody.failed > 0"), flow("b")],
        'spec.flows[0].when: no flow is named "nobody"; name one of spec.flows',
    ),
    "when over an unknown output": (
        [flow("a", outputs=[X]), flow("b", when="outputs.a.y == '1'")],
        'spec.flows[1].when: flow "a" has no output "y"; it has x',
    ),
    "when over an unknown parameter": (
        [flow("a", when="params.limit == '1'")],
        'spec.flows[0].when: no parameter is named "limit"; give it in the flow',
    ),
    "when with braces": (
        [flow("b", when="{{index}} == 1")],
        "spec.flows[0].when: variables are written without braces",
    ),
    "when that compares text with a number": (
        [flow("a", outputs=[X]), flow("b", when="outputs.a.x == 3")],
        "spec.flows[1].when: outputs.a.x is text, and a text is never a number; write int(outputs.a.x) == 3",
    ),
    "when that is neither true nor false": ([flow("a", when="index + 1")], "it has to give true or false"),
    "when over another field": (
        [flow("a"), flow("b", when="flows.a.status == 'Failed'")],
        "spec.flows[1].when: flows.a.status: name a flow and one of phase, succeeded, failed",
    ),
    "an apply without a name": (
        [inline({"gvr": MAPS, "action": "Apply", "jobSpec": {}})],
        f"{NAME}action Apply needs the name of the object",
    ),
    "one name for all tasks": (
        [inline(apply("settings"), for_={"replicas": 2})],
        f"{NAME}in a flow with for the name must contain {{{{index}}}} or {{{{item}}}}",
    ),
    "a name that is none": ([inline(apply("Settings_A"))], f"{NAME}an object's name has lower case letters"),
    "force without apply": (
        [inline({"gvr": MAPS, "force": True, "jobSpec": {}})],
        "spec.flows[0].templateSpec.force: force takes over fields of other managers, which action Create",
    ),
    "an apply of a Workflow": (
        [
            inline(
                apply(
                    "w",
                    gvr={"group": "flow.workflow.sh", "version": "v1alpha1", "resource": "workflows"},
                    jobSpec={"flows": [{"name": "a"}]},
                )
            )
        ],
        "spec.flows[0].templateSpec.action: action Apply is not there for objects of flow.workflow.sh",
    ),
    "a delete with a completion": (
        [inline(delete("x", completion="Ready"))],
        "templateSpec.completion: a task of action",
    ),
    "outputs of a delete": (
        [inline(delete("x"), outputs=[output(path("metadata.name"))])],
        "spec.flows[0].outputs: templateSpec deletes an object, so there is nothing that outputs could be read from",
    ),
    "outputs of a Secret": ([reads(path("metadata.name"), of="secret")], "outputs of Secrets are not allowed"),
    "two templates": ([{**flow("a"), "templateSpec": apply("x")}], "a flow has template or templateSpec, not both"),
    "the status of a ConfigMap": (
        [inline(apply("s"), outputs=[X])],
        f"{SOURCE}.path: templateSpec makes a ConfigMap, which has no status; read metadata",
    ),
    "the termination message of a ConfigMap": (
        [inline(apply("s"), outputs=[output(MESSAGE)])],
        f"{SOURCE}.terminationMessage: templateSpec makes a ConfigMap, which has no pods",
    ),
    "the pod address of a ConfigMap": (
        [inline(apply("s")), noted("b", "{{flows.a.podIP}}")],
        f'{NOTE}flow "a" applies a ConfigMap, which has no pods; name it in targets',
    ),
    "a probe of a ConfigMap": (
        [inline(apply("s")), flow("b", dependsOn={"probe": {"tcpSocketList": [{"taskName": "a", "port": 80}]}})],
        'spec.flows[1].dependsOn.probe.tcpSocketList[0].taskName: flow "a" applies a ConfigMap, which has no pods',
    ),
    "a role of a Job": (
        [reads({"terminationMessage": {"role": "worker"}})],
        f"{SOURCE}.terminationMessage.role: template step makes a Job, whose pods have no roles",
    ),
    "an output of a finally flow": (
        [{**flow("a", outputs=[X]), "finally": True}, noted("b", USE)],
        f'{NOTE}"a" is a finally flow, and only finally flows can wait for it',
    ),
    "outputs of an approval": (
        [{"name": "a", "approval": {}, "outputs": [X]}],
        "spec.flows[0].outputs: a flow with approval makes no job that outputs could be read from",
    ),
}
#: Flows; then the flow that ends otherwise than well, its reason, and what its message has.
LATE: dict[str, tuple[list[Object], str, str, str]] = {
    "a path into a list that is none": (
        [reads(path("status.succeeded[0]")), noted("b", USE)],
        "a",
        "OutputMissing",
        "its output x is missing: status.succeeded is a number, no list",
    ),
    "a path into an object that is none": (
        [reads(path("status.succeeded.x"))],
        "a",
        "OutputMissing",
        "status.succeeded is a number, no object",
    ),
    "a path to nothing": ([reads(path("status.r.x"))], "a", "OutputMissing", "there is no status.r"),
    "an item past the end": (
        [reads(path("status.conditions[7].type"))],
        "a",
        "OutputMissing",
        "items, and none at [7]",
    ),
    "an item with no such field": (
        [reads(path("status.conditions[?(@.type=='No')].status"))],
        "a",
        "OutputMissing",
        "status.conditions has no item with type 'No'",
    ),
    "CEL over a key that is not there": (
        [reads({"cel": "object.status.gone.x"})],
        "a",
        "OutputMissing",
        'there is no key "gone"',
    ),
    "a time": (
        [reads({"cel": "timestamp(object.status.completionTime)"})],
        "a",
        "OutputMissing",
        "it gives TIMESTAMP; write string(...) around it",
    ),
    "a termination message that is no JSON": (
        [reads({"terminationMessage": {"path": "acc"}}, of="say-word")],
        "a",
        "OutputMissing",
        "its termination message is no JSON, so no path leads into it",
    ),
    "no termination message": ([reads(MESSAGE)], "a", "OutputMissing", "has no termination message"),
    "a container that is not there": (
        [reads({"terminationMessage": {"container": "other"}}, of="say-word")],
        "a",
        "OutputMissing",
        "has no container other; it has main",
    ),
    "a path past the end of a termination message": (
        [reads({"terminationMessage": {"path": "acc[3]"}}, of="say-json")],
        "a",
        "OutputMissing",
        "acc has 1 items, and none at [3]",
    ),
    "a list that is cut off": (
        [says("cut"), each({"itemsFrom": FROM})],
        "b",
        "RenderError",
        f'for.itemsFrom ({FROM}) must be a JSON list, such as ["a","b"], and is no JSON',
    ),
    "a word as a list": ([says("word"), each({"itemsFrom": FROM})], "b", "RenderError", "and is no JSON"),
    "an object as a list": ([says("object"), each({"itemsFrom": FROM})], "b", "RenderError", "and is an object"),
    "items without the key": (
        [says("list"), each({"itemsFrom": FROM}, of="named")],
        "b",
        "RenderError",
        "{{item.name}} has no value in item 0: item is text without the key name",
    ),
    "an item without the key": (
        [says("mixed"), each({"itemsFrom": FROM}, of="named")],
        "b",
        "RenderError",
        "{{item.name}} has no value in item 1: item is a number without the key name",
    ),
    "items that mean one object": (
        [says("twice"), inline(apply("same-{{item}}"), "b", for_={"itemsFrom": FROM})],
        "b",
        "RenderError",
        "template.metadata.name: this task means the same object as index 0; make the items differ, or add {{index}}",
    ),
    "items that give no names": (
        [says("list"), inline(apply("set-{{item}}"), "b", for_={"itemsFrom": FROM})],
        "b",
        "RenderError",
        "template.metadata.name: set-{{item}} gives no name: an object's name has lower case letters",
    ),
    "an output that gives no name": (
        [says("word"), inline(apply(FROM), "b")],
        "b",
        "RenderError",
        f"template.metadata.name: {FROM} gives no name",
    ),
    "an output that is no number": (
        [says("word"), flow("b", of="grace", parameters=[{"name": "n", "value": FROM}])],
        "b",
        "RenderError",
        'template.jobSpec.activeDeadlineSeconds: {{params.n}} is "(an output)", and this place takes an integer',
    ),
    "an output that the API server refuses": (
        [says("word"), flow("b", patch={"spec": {"template": {"spec": {"restartPolicy": FROM}}}})],
        "b",
        "Refused",
        'spec.template.spec.restartPolicy: Unsupported value: "(an output)": supported values',
    ),
    "when over a text that is no number": (
        [says("word"), flow("b", when="int(outputs.l.x) > 0")],
        "b",
        "RenderError",
        "when cannot be judged: int(...) was given a text that is no whole number",
    ),
    "when over an item without the key": (
        [each({"items": [{"name": "a"}, {"nam": "b"}]}, when="item.name == 'a'")],
        "b",
        "RenderError",
        'index 1: when cannot be judged: there is no key "name"',
    ),
    "when over the item of a flow without": (
        [flow("b", when="item.name == 'a'")],
        "b",
        "RenderError",
        "item is null, because the flow has no for.items",
    ),
    "an apply that conflicts": (
        [inline(apply("shared"))],
        "a",
        "ApplyConflict",
        'ConfigMap shared: Apply failed with 1 conflict: conflict with "gitops": .data.a; leave these fields out of the'
        " template, let that manager give them up, or set force: true",
    ),
    "an apply with a field that there is not": (
        [inline(apply("unknown", jobSpec={"dat": {"a": "b"}}))],
        "a",
        "Refused",
        ".dat: field not declared in schema",
    ),
    "an apply with a wrong type": (
        [inline(apply("typed", jobSpec={"data": {"a": 3}}))],
        "a",
        "Refused",
        ".data.a: expected string",
    ),
    "an apply with a wrong key": (
        [inline(apply("keyed", jobSpec={"data": {"A Key": "b"}}))],
        "a",
        "Refused",
        "data[A Key]",
    ),
    "an apply of a cluster-scoped object": (
        [inline(apply("x", gvr={"version": "v1", "resource": "namespaces"}, jobSpec={}))],
        "a",
        "Refused",
        "namespaces.v1 is cluster-scoped; a workflow creates namespaced objects only",
    ),
    "an apply of a kind that is not served": (
        [inline(apply("x", gvr=WIDGETS))],
        "a",
        "KindNotServed",
        "the cluster does not serve widgets.v1.nobody.example.com; install its CRD, and the job is made at once, or",
    ),
    "a delete of a kind that is not served": (
        [inline(delete("x", WIDGETS))],
        "a",
        "KindNotServed",
        "the cluster does not serve widgets.v1.nobody.example.com",
    ),
    "a delete of what is not there": ([inline(delete("nothing"))], "a", "", ""),
    "a value that is too large": (
        [reads(path("metadata.annotations.big"), of="big")],
        "a",
        "OutputTooLarge",
        "has 5,000 bytes; at most 4,096 are allowed: put it into a store, and hand out its place",
    ),
}
#: The flows of every case.
CASES: dict[str, list[Object]] = {
    **{case: flows for case, (flows, _) in INVALID.items()},
    **{case: flows for case, (flows, *_) in LATE.items()},
}
#: These wait for a person, and say so in the condition Blocked.
BLOCKED = frozenset({"KindNotServed"})


def name_of(case: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in case.lower())[:40].strip("-")


def prepare(world: World) -> None:
    """The templates of all cases, and an object that another manager applied."""
    named, grace = template("named", run_for="0.1s"), template("grace", run_for="0.1s", parameters={"n": "1"})
    named["spec"]["jobSpec"]["template"]["spec"]["containers"][0]["args"] = ["{{item.name}}"]
    grace["spec"]["jobSpec"]["activeDeadlineSeconds"] = "{{params.n}}"
    big = template("big", run_for="0.1s")
    big["spec"]["metadata"] = {"annotations": {"big": "y" * 5_000}}
    secret = template("secret")
    secret["spec"] = {"gvr": {"version": "v1", "resource": "secrets"}, "jobSpec": {}}
    world.create_all([template("step", run_for="0.1s"), named, grace, big, secret])
    world.create_all(template(f"say-{key}", run_for="0.1s", termination_message=text) for key, text in SAID.items())
    world.api.request(
        "PATCH",
        f"/api/v1/namespaces/{world.namespace}/configmaps/shared?fieldManager=gitops",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": {"a": "theirs"}},
        content_type="application/apply-patch+yaml",
    )


@pytest.fixture(scope="module")
def stored(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Controller]]:
    """All of them, stored without the webhook, and a controller that has seen them."""
    world = make_world(cluster.api(), "bad-data")
    log = tmp_path_factory.mktemp("bad-data") / "controller.log"
    own = (
        f"--namespace={world.namespace}",
        f"--leader-elect-resource-namespace={world.namespace}",
        "--log-level=debug",
    )
    controller = Controller(cluster, log, *own, *NO_SERVERS)
    try:
        prepare(world)
        controller.wait_acting()
        for case, flows in CASES.items():
            world.create(workflow(name_of(case), *flows))
        yield world, controller
    finally:
        controller.close()
        world.remove()


@pytest.fixture(scope="module")
def answers(
    cluster: Cluster, stored: tuple[World, Controller], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[int, str]]:
    """The answers of the API server with the webhook: status code, and message with warnings."""
    world = make_world(cluster.api(), "bad-data-judged")
    try:
        prepare(world)
        with asked_webhook(cluster, tmp_path_factory.mktemp("webhook")):
            return {case: asked(cluster.api(), world, flows) for case, flows in CASES.items()}
    finally:
        world.remove()


def asked(api: Api, world: World, flows: list[Object]) -> tuple[int, str]:
    """What a dry run of a Workflow is answered."""
    connection = http.client.HTTPSConnection(api.host, api.port, timeout=30, context=api.tls)
    try:
        target = f"/apis/flow.workflow.sh/v1alpha1/namespaces/{world.namespace}/workflows?dryRun=All"
        connection.request("POST", target, json.dumps(workflow("w", *flows)), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        return answer.status, f"{said.get('message', '')} {answer.headers.get_all('Warning') or ''}"
    finally:
        connection.close()


def test_names_differ() -> None:
    names = [name_of(case) for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", INVALID)
def test_without_the_webhook_it_ends_invalid(stored: tuple[World, Controller], case: str) -> None:
    status = stored[0].wait_phase(name_of(case))
    assert (status["phase"], status["reason"]) == ("Failed", "Invalid")
    assert INVALID[case][1] in status["message"]


@pytest.mark.parametrize("case", INVALID)
def test_the_webhook_refuses_it(answers: dict[str, tuple[int, str]], case: str) -> None:
    code, said = answers[case]
    assert code == 422, said
    assert INVALID[case][1] in said


@pytest.mark.parametrize("case", LATE)
def test_what_only_a_run_shows_ends_its_flow_or_blocks(stored: tuple[World, Controller], case: str) -> None:
    world, (_, name, reason, words) = stored[0], LATE[case]
    if reason in BLOCKED:
        found = world.wait_flow(name_of(case), name, "Waiting", reason=reason)
        condition = next(one for one in world.status(name_of(case))["conditions"] if one["type"] == "Blocked")
        assert (condition["status"], condition["reason"]) == ("True", reason)
        assert words in condition["message"]
    else:
        ended = world.wait_phase(name_of(case))
        found = world.flow(name_of(case), name)
        assert ended["phase"] == ("Failed" if reason else "Succeeded")
    assert found.get("reason", "") == reason
    assert words in found.get("message", "")
    assert "HUSH" not in found.get("message", "")


@pytest.mark.parametrize("case", LATE)
def test_the_webhook_takes_what_only_a_run_shows(answers: dict[str, tuple[int, str]], case: str) -> None:
    assert answers[case][0] == 201, answers[case][1]


def test_no_output_is_in_a_log_line(stored: tuple[World, Controller]) -> None:
    """Not even where the API server quotes one that it refuses, and with debug lines. It is in status alone."""
    world, controller = stored
    for case in LATE:
        if LATE[case][2] not in BLOCKED:
            world.wait_phase(name_of(case))
    assert "HUSH" in json.dumps([one.get("outputs") for one in world.status(name_of("a word as a list"))["flows"]])
    log = controller.log_file.read_text(errors="replace")
    assert len(log.splitlines()) > 100
    assert [line for line in log.splitlines() if "HUSH" in line] == []
