"""Outputs on a real control plane: where they are read, who uses them, what survives, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hack.cluster.api import ApiStatusError
from tests.cluster.conftest import StartController
from tests.cluster.support.audit import Audit
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
MESSAGE = {"terminationMessage": {"container": "main"}}


def output(name: str, source: Object, **fields: Any) -> Object:
    return {"name": name, "from": source, **fields}


def printing(text: str, name: str = "print") -> Object:
    """A template whose container has this argument."""
    made = template(name, run_for="0.1s")
    made["spec"]["jobSpec"]["template"]["spec"]["containers"][0]["args"] = [text]
    return made


def saying(name: str, text: str) -> Object:
    """A template whose pods leave this termination message."""
    return template(name, run_for="0.1s", termination_message=text)


def values(world: World, name: str, of: str) -> dict[str, Any]:
    """The recorded outputs of a flow."""
    found = world.flow(name, of).get("outputs", ())
    return {one["name"]: one.get("values", one.get("value", "")) for one in found}


def argument(world: World, job: str) -> str:
    found: str = world.wait_job(job)["spec"]["template"]["spec"]["containers"][0]["args"][0]
    return found


def test_values_are_read_recorded_and_used(world: World, audit: Audit, start_controller: StartController) -> None:
    controller = start_controller()
    world.create_all([saying("say", '{"acc": [0.93]}'), saying("each", "{{index}}")])
    world.create(
        printing("{{flows.a.outputs.acc}} {{flows.a.outputs.done}} {{flows.a.outputs.sum}} {{flows.a.outputs.no}}")
    )
    world.create(printing("{{flows.l.outputs.x}} {{flows.l.outputs.x[2]}}", "list"))
    world.create(printing("{{flows.l.outputs.x[index]}}", "same"))
    outputs = [
        output("acc", {"terminationMessage": {"container": "main", "path": "acc[0]"}}),
        output("done", {"path": "status.conditions[?(@.type=='Complete')].status"}),
        output("sum", {"cel": "object.status.succeeded + 41"}),
        output("no", {"path": "status.gone"}, default="none"),
    ]
    world.create(workflow("w", flow("a", of="say", outputs=outputs), flow("b", of="print")))
    loop: dict[str, Any] = {"for": {"replicas": 3}}
    world.create(
        workflow(
            "l",
            flow("l", of="each", outputs=[output("x", MESSAGE)], **loop),
            flow("all", of="list"),
            flow("own", of="same", **loop),
            jobRetainPolicy="delete",
        )
    )
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert values(world, "w", "a") == {"acc": "0.93", "done": "True", "sum": "42", "no": "none"}
    assert argument(world, "w-b") == "0.93 True 42 none"
    assert world.wait_phase("l")["phase"] == "Succeeded"
    assert values(world, "l", "l") == {"x": ["0", "1", "2"]}
    world.history.catch_up("jobs")
    history = {one.object["metadata"]["name"]: one.object for one in world.history.sightings("jobs")}
    arguments = {
        name: job["spec"]["template"]["spec"]["containers"][0].get("args", [""])[0] for name, job in history.items()
    }
    assert arguments["l-all"] == '["0","1","2"] 2'
    assert [arguments[f"l-own-{index}"] for index in range(3)] == ["0", "1", "2"]
    # Outputs are in the status of the workflow, and nowhere else.
    assert "0.93" not in json.dumps(controller.log())
    assert [call for call in audit.calls() if call.verb == "get" and call.resource in ("jobs", "pods")] == []


def test_a_missing_value_fails_the_attempt_and_a_retry_may_find_it(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create_all([template("step", run_for="0.1s"), saying("say", "0.9"), printing("{{flows.a.outputs.x}}")])
    missing = output("x", {"path": "status.gone.deeper"})
    once = {"maxRetries": 1, "interval": "100ms"}
    world.create(workflow("w", flow("a", outputs=[missing], retry=once), flow("b", of="print")))
    world.create(
        workflow("not", flow("a", outputs=[missing], retry={**once, "reasons": ["Failed"]}), flow("b", of="print"))
    )
    world.create(workflow("into", flow("a", outputs=[output("x", {"path": "status.succeeded[0]"})])))
    large = output("x", {"cel": "object.metadata.annotations['big']"})
    long = template("long", run_for="0.1s")
    long["spec"]["metadata"] = {"annotations": {"big": "y" * 4_097}}
    world.create(long)
    world.create(workflow("large", flow("a", of="long", outputs=[large], retry=once), flow("b", of="print")))

    assert world.wait_phase("w")["phase"] == "Failed"
    failed = world.flow("w", "a")
    assert (failed["reason"], failed["attempts"]) == ("OutputMissing", 2)
    assert failed["message"].endswith("its output x is missing: there is no status.gone")
    assert world.flow("w", "b")["phase"] == "Skipped"
    assert world.wait_phase("not")["phase"] == "Failed"
    assert world.flow("not", "a")["attempts"] == 1
    assert world.wait_phase("into")["phase"] == "Failed"
    assert "status.succeeded is a number, no list" in world.flow("into", "a")["message"]
    assert world.wait_phase("large")["phase"] == "Failed"
    assert (world.flow("large", "a")["reason"], world.flow("large", "a")["attempts"]) == ("OutputTooLarge", 1)


def test_no_output_is_lost_or_read_twice_when_a_controller_dies(
    world: World, start_controller: StartController
) -> None:
    first = start_controller()
    world.create_all([saying("say", "first"), template("slow", run_for="2s"), printing("{{flows.a.outputs.x}}")])
    use = {**flow("b", "slow", of="print")}
    world.create(workflow("w", flow("a", of="say", outputs=[output("x", MESSAGE)]), flow("slow", of="slow"), use))
    world.wait_flow("w", "a", "Succeeded")
    first.kill()
    world.delete(world.job_path("w-a"))
    world.history.wait(lambda: world.history.get("jobs", "w-a") is None, 30, "the job to go")
    start_controller()
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert argument(world, "w-b") == "first"
    assert values(world, "w", "a") == {"x": "first"}


def test_a_restart_reads_again_and_runs_what_uses_the_value(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create_all([saying("say", "{{attempt}}"), printing("{{flows.a.outputs.x}}")])
    world.create(workflow("w", flow("a", of="say", outputs=[output("x", MESSAGE)]), flow("b", of="print")))
    world.wait_phase("w")
    world.patch(world.workflow_path("w"), {"spec": {"restart": {"at": "1", "flows": ["a"]}}})
    world.wait_flow("w", "b", "Succeeded", attempts=2)
    assert (argument(world, "w-b"), argument(world, "w-b-r1")) == ("0", "1")
    assert values(world, "w", "a") == {"x": "1"}


def test_what_is_wrong_ends_invalid_with_its_place(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(template("step"))
    x = output("x", {"path": "status.x"})

    def uses(name: str, text: str, **fields: Any) -> Object:
        return flow(name, patch={"metadata": {"annotations": {"n": text}}}, **fields)

    world.create(workflow("none", uses("b", "{{flows.a.outputs.y}}"), flow("a", outputs=[x])))
    world.create(
        workflow(
            "circle", uses("a", "{{flows.b.outputs.x}}", outputs=[x]), uses("b", "{{flows.a.outputs.x}}", outputs=[x])
        )
    )
    world.create(workflow("both", flow("a", outputs=[output("x", {"path": "status.x", "cel": "object.status.x"})])))
    world.create(
        {
            "apiVersion": "flow.workflow.sh/v1alpha1",
            "kind": "WorkTemplate",
            "metadata": {"name": "hidden"},
            "spec": {"gvr": {"version": "v1", "resource": "secrets"}, "jobSpec": {}},
        }
    )
    world.create(workflow("secret", flow("a", of="hidden", outputs=[x])))
    said = {name: world.wait_phase(name) for name in ("none", "circle", "both", "secret")}
    assert {said[name]["reason"] for name in ("none", "circle", "both")} == {"Invalid"}
    assert 'flow "a" has no output "y"; it has x' in said["none"]["message"]
    assert "a -> b -> a" in said["circle"]["message"]
    assert "exactly one of path, cel or terminationMessage" in said["both"]["message"]
    assert "outputs of Secrets are not allowed" in said["secret"]["message"]
    with pytest.raises(ApiStatusError) as refused:
        world.create(workflow("many", flow("a", outputs=[{**x, "name": f"x{at}"} for at in range(33)])))
    assert "spec.flows[0].outputs" in str(refused.value)
