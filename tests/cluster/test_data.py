"""Outputs, lists and objects that stay, at their bounds: what does not fit elsewhere, on a real control plane."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from hack.cluster import Cluster
from hack.cluster.processes import free_port
from hack.scrape import metrics, total
from tests.cluster.conftest import StartController
from tests.cluster.support import manifests as m
from tests.cluster.support.audit import Audit
from tests.cluster.support.history import Object
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
MESSAGE = {"terminationMessage": {"container": "main"}}
CONFIG_MAPS = {"version": "v1", "resource": "configmaps"}
BIG = {"path": "metadata.annotations.big"}


def output(name: str, source: Object, **fields: Any) -> Object:
    return {"name": name, "from": source, **fields}


def printing(text: str, name: str) -> Object:
    """A template whose container has this argument."""
    made = m.template(name, run_for="0.1s")
    made["spec"]["jobSpec"]["template"]["spec"]["containers"][0]["args"] = [text]
    return made


def noted(name: str, text: str) -> Object:
    """A template whose jobs have this text as their annotation `big`."""
    made = m.template(name, run_for="0.1s")
    made["spec"]["metadata"] = {"annotations": {"big": text}}
    return made


def applying(spec: Object, name: str = "put", after: str = "", **fields: Any) -> Object:
    """A flow that applies an object."""
    made = {**m.flow(name, after), **fields, "templateSpec": {"action": "Apply", **spec}}
    del made["template"]
    return made


def argument(world: World, job: str) -> str:
    found: str = world.wait_job(job)["spec"]["template"]["spec"]["containers"][0]["args"][0]
    return found


def test_outputs_on_every_flow_cost_one_more_status_write_each_and_read_nothing(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    """Each flow uses the output of the one before it. Only termination messages make the controller list pods."""
    start_controller()
    names = "abcdefghij"
    world.create(m.template("step", parameters={"n": ""}, run_for="0.2s"))
    world.create(m.workflow("warm", m.flow("a")))
    world.wait_phase("warm")

    def calls_of(name: str, flows: list[Object]) -> Counter[str]:
        quiet = Audit(cluster.audit_log)
        world.create(m.workflow(name, *flows))
        assert world.wait_phase(name)["phase"] == "Succeeded"
        return Counter(
            f"{call.verb} {call.resource}{'/' if call.subresource else ''}{call.subresource}"
            for call in quiet.calls(world.namespace)
            if call.resource in {"jobs", "pods", "workflows"} and call.verb != "watch"
        )

    plain = calls_of("plain", m.chain(*names))
    handed = [output("n", {"path": "status.succeeded"})]
    uses = [
        {**flow, "outputs": handed, "parameters": [{"name": "n", "value": f"{{{{flows.{before}.outputs.n}}}}"}]}
        for flow, before in zip(m.chain(*names)[1:], names, strict=False)
    ]
    found = calls_of("outputs", [{**m.flow("a"), "outputs": handed}, *uses])
    assert set(found) == {"create jobs", "patch workflows/status"}, "neither GET nor LIST"
    assert found["create jobs"] == len(names)
    assert found["patch workflows/status"] <= plain["patch workflows/status"] + len(names), (plain, found)


def test_the_outputs_of_a_workflow_have_256_kib_together(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    """Two lists of 130,000 bytes leave room for 2,144 more; a value above that fails its flow."""
    start_controller()
    listed = json.dumps(["y" * 64_995, "z" * 64_995])
    world.create_all([noted("long", listed), noted("fits", "x" * 2_000), noted("over", "x" * 4_000)])
    world.create(m.template("step", run_for="0.1s"))

    def flows(last: str) -> list[Object]:
        lists = [m.flow(name, of="long", outputs=[output("x", BIG)]) for name in "ab"]
        loops: list[dict[str, Any]] = [{"for": {"itemsFrom": f"{{{{flows.{name}.outputs.x}}}}"}} for name in "ab"]
        each = [m.flow(f"each-{at}", when="size(item) == 64995", **loop) for at, loop in enumerate(loops)]
        return [*lists, *each, m.flow("c", "each-0 each-1", of=last, outputs=[output("x", BIG)]), m.flow("end", "c")]

    world.create(m.workflow("full", *flows("fits")))
    assert world.wait_phase("full")["phase"] == "Succeeded"
    values = [one["value"] for name in "abc" for one in world.flow("full", name)["outputs"]]
    assert [len(value) for value in values] == [len(listed), len(listed), 2_000]
    assert len(cluster.api().request("GET", world.workflow_path("full"))) < 1.2 * 2**20
    world.create(m.workflow("over", *flows("over")))
    assert world.wait_phase("over")["phase"] == "Failed"
    over = world.flow("over", "c")
    assert over["reason"] == "OutputTooLarge"
    assert "more than 262,144 bytes together: put them into a store, and hand out their place" in over["message"]
    assert world.flow("over", "end")["phase"] == "Skipped"


def test_a_list_that_is_handed_out_for_items_may_have_128_kib(world: World, start_controller: StartController) -> None:
    start_controller()
    listed = json.dumps(["y" * 43_000, "z" * 43_000, "x" * 43_000])
    world.create_all([noted("long", listed), noted("longer", json.dumps(["y" * 132_000])), m.template("step")])

    def over(of: str) -> list[Object]:
        each: dict[str, Any] = {
            "when": "size(item) == 43000 && item.startsWith('z')",
            "for": {"itemsFrom": "{{flows.a.outputs.x}}"},
        }
        return [m.flow("a", of=of, outputs=[output("x", BIG)]), m.flow("each", **each)]

    world.create(m.workflow("fits", *over("long")))
    world.create(m.workflow("over", *over("longer")))
    world.create(m.workflow("plain", m.flow("a", of="long", outputs=[output("x", BIG)])))
    world.wait_flow("fits", "each", "Succeeded")
    assert (world.flow("fits", "each")["succeeded"], world.flow("fits", "each")["skipped"]) == ("1", "0,2")
    for name, limit in (("over", "131,072"), ("plain", "4,096")):
        assert world.wait_phase(name)["phase"] == "Failed"
        failed = world.flow(name, "a")
        assert (failed["reason"], limit in failed["message"]) == ("OutputTooLarge", True), failed["message"]


def test_the_list_of_all_has_null_for_tasks_that_failed_and_no_default_stands_for_them(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(m.template("say", run_for="0.1s", exit_code="{{item}}", termination_message="m{{index}}"))
    world.create(printing("{{flows.l.outputs.x}} {{flows.l.outputs.x[2]}}", "all"))
    world.create(printing("{{flows.l.outputs.x[1]}}", "one"))
    hands: dict[str, Any] = {"of": "say", "outputs": [output("x", MESSAGE, default="none")], "continueOnFail": True}
    loop: dict[str, Any] = {"for": {"items": ["0", "3", "0"]}}
    world.create(m.workflow("w", m.flow("l", **hands, **loop), m.flow("all", of="all"), m.flow("one", of="one")))
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert world.phases("w") == {"l": "Failed", "all": "Succeeded", "one": "Skipped"}
    assert argument(world, "w-all") == '["m0",null,"m2"] m2'
    assert "output x of l" in world.flow("w", "one")["message"]


def test_what_was_applied_stays_through_retry_restart_and_retain_policy(
    world: World, start_controller: StartController
) -> None:
    """Each attempt applies the same object again; each item has one of its own."""
    world.follow("api/v1/configmaps")
    start_controller()
    world.create(m.template("fail", run_for="0.1s", exit_code="1"))
    server = {
        "gvr": {"group": "apps", "version": "v1", "resource": "deployments"},
        "metadata": {"name": "slow"},
        "jobSpec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "slow"}},
            "template": {
                "metadata": {"labels": {"app": "slow"}, "annotations": {"sim.workflow.sh/ready-after": "600s"}},
                "spec": {"containers": [{"name": "main", "image": "busybox:1.36"}]},
            },
        },
    }
    retry = {"maxRetries": 1, "interval": "100ms"}
    maps = {"gvr": CONFIG_MAPS, "metadata": {"name": "conf-{{item}}"}, "jobSpec": {"data": {"of": "{{item}}"}}}
    items: dict[str, Any] = {"for": {"items": ["a", "b"]}}
    world.create(
        m.workflow(
            "w",
            applying(maps, "each", **items),
            applying(server, "serve", "each", timeout="1s", retry=retry),
            jobRetainPolicy="delete",
        )
    )
    assert world.wait_phase("w")["phase"] == "Failed"
    failed = world.flow("w", "serve")
    assert (failed["reason"], failed["attempts"]) == ("DeadlineExceeded", 2)

    def uids() -> dict[str, str]:
        there = [*world.history.latest("deployments"), *world.history.latest("configmaps")]
        return {
            one["metadata"]["name"]: one["metadata"]["uid"]
            for one in there
            if one["metadata"]["name"] in ("slow", "conf-a", "conf-b")
        }

    before = uids()
    assert sorted(before) == ["conf-a", "conf-b", "slow"]
    world.patch(world.workflow_path("w"), {"spec": {"restart": {"at": "1"}}})
    world.wait_flow("w", "serve", "Failed", attempts=4)
    assert world.wait_phase("w")["phase"] == "Failed"
    assert uids() == before
    assert world.flow("w", "each")["attempts"] == 1, "what succeeded and is there is not applied again"
    recorded = [one for record in world.status("w")["record"]["objects"] for one in record["objects"]]
    assert {one["name"]: one["uid"] for one in recorded} == before


def test_a_workflow_that_runs_another_one_reads_its_outputs(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("say", run_for="0.1s", termination_message="0.93"))
    world.create(printing("{{flows.inner.outputs.x}} {{flows.inner.outputs.y}}", "print"))
    gvr = {"group": "flow.workflow.sh", "version": "v1alpha1", "resource": "workflows"}
    spec = {"flows": [m.flow("a", of="say", outputs=[output("x", MESSAGE)])]}
    outputs = [
        output("x", {"path": "status.flows[?(@.name=='a')].outputs[?(@.name=='x')].value"}),
        output("y", {"cel": "object.status.flows[0].outputs[0].value"}),
    ]
    inner = {"name": "inner", "templateSpec": {"gvr": gvr, "jobSpec": spec}, "outputs": outputs}
    world.create(m.workflow("outer", inner, m.flow("b", of="print")))
    assert world.wait_phase("outer")["phase"] == "Succeeded"
    assert argument(world, "outer-b") == "0.93 0.93"


def test_until_the_number_is_known_a_fan_out_is_exactly_one_waiting_task(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    listed = json.dumps(["a", "b", "c"])
    world.create(m.template("list", run_for="3s", termination_message=listed))
    world.create(m.template("step", run_for="0.1s"))
    each: dict[str, Any] = {"for": {"itemsFrom": "{{flows.l.outputs.x}}"}}
    world.create(m.workflow("w", m.flow("l", of="list", outputs=[output("x", MESSAGE)]), m.flow("each", **each)))
    world.wait_flow("w", "l", "Running", "Pending")
    tasks = world.status("w")["tasks"]
    assert (tasks["total"], tasks["waiting"]) == (2, 1)
    assert (world.status("w")["progress"], world.flow("w", "each")["phase"]) == ("0/2", "Waiting")
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert (world.status("w")["tasks"]["total"], world.status("w")["progress"]) == (4, "4/4")
    totals = [
        one.object["status"]["tasks"]["total"]
        for one in world.history.sightings("workflows")
        if one.object.get("status", {}).get("tasks")
    ]
    assert sorted(set(totals)) == [2, 4]


def test_a_condition_reads_replicas_and_the_workflow(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(m.template("say", run_for="0.1s", termination_message='["a","b"]'))
    world.create(m.template("step", run_for="0.1s"))
    last = "index == replicas - 1"
    named = f"workflow.name == 'w' && workflow.namespace == '{world.namespace}' && size(workflow.uid) == 36"
    found: dict[str, Any] = {"for": {"itemsFrom": "{{flows.l.outputs.x}}"}}
    world.create(
        m.workflow(
            "w",
            m.flow("l", of="say", outputs=[output("x", MESSAGE)]),
            m.flow("alone", when="replicas == 1 && index == 0"),
            m.flow("other", when="replicas == 2"),
            {**m.flow("loop", when=last), "for": {"replicas": 3}},
            {**m.flow("items", when=last), "for": {"items": ["x", "y"]}},
            m.flow("found", when=f"{last} && item == 'b'", **found),
            m.flow("named", when=named),
        )
    )
    assert world.wait_phase("w")["phase"] == "Succeeded"
    phases = world.phases("w")
    assert (phases["alone"], phases["other"], phases["named"]) == ("Succeeded", "Skipped", "Succeeded")
    for name, ran, skipped in (("loop", "2", "0-1"), ("items", "1", "0"), ("found", "1", "0")):
        assert (world.flow("w", name)["succeeded"], world.flow("w", name)["skipped"]) == (ran, skipped)


def test_no_output_is_in_metrics_events_or_logs(world: World, start_controller: StartController) -> None:
    port = free_port()
    controller = start_controller(f"--metrics-bind-address=127.0.0.1:{port}", "--log-level=debug")
    world.create(m.template("say", run_for="0.1s", termination_message="hush-7f3a"))
    world.create(printing("{{flows.a.outputs.x}} {{flows.a.outputs.y}}", "print"))
    world.create(m.template("step", run_for="0.1s"))
    outputs = [output("x", MESSAGE), output("y", {"path": "status.gone"}, default="hush-default")]
    world.create(
        m.workflow(
            "w",
            m.flow("a", of="say", outputs=outputs),
            m.flow("b", of="print"),
            m.flow("c", when="outputs.a.x == 'hush'"),
            m.flow("d", when="int(outputs.a.x) > 0", continueOnFail=True),
        )
    )
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert argument(world, "w-b") == "hush-7f3a hush-default"
    text = metrics(port)
    assert total(text, "workflow_outputs_total") >= 2
    events = json.dumps(world.api.get(f"/api/v1/namespaces/{world.namespace}/events"))
    for where in (text, events, controller.log_file.read_text(errors="replace")):
        assert "hush-" not in where.replace("outputs.a.x == 'hush'", "")


def test_an_output_that_is_used_makes_its_flow_no_leaf_and_its_user_no_failure_branch(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(m.template("say", run_for="0.1s", termination_message="1"))
    world.create(m.template("fail", run_for="0.1s", exit_code="3"))
    world.create(m.template("step", run_for="0.1s"))
    note: dict[str, Any] = {"patch": {"metadata": {"annotations": {"n": "{{flows.a.outputs.x}} {{item}}"}}}}
    outputs = [output("x", MESSAGE)]
    anything: dict[str, Any] = {"successPolicy": {"type": "Any"}}
    world.create(m.workflow("leaf", m.flow("a", of="say", outputs=outputs), m.flow("b", of="fail", **note), **anything))
    world.create(m.workflow("branch", m.flow("a", of="fail", outputs=outputs), m.flow("b", **note)))
    status = world.wait_phase("leaf")
    assert (status["phase"], status["reason"]) == ("Failed", "NoLeafCanSucceed")
    assert world.phases("leaf") == {"a": "Succeeded", "b": "Failed"}
    assert world.wait_job("leaf-b")["metadata"]["annotations"]["n"] == "1 {{item}}", "without items it is no variable"
    status = world.wait_phase("branch")
    assert (status["phase"], status["reason"]) == ("Failed", "TaskFailed")
    assert world.phases("branch") == {"a": "Failed", "b": "Skipped"}
