"""Conditions on a real control plane."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import StartController
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
SCORE = {"name": "score", "from": {"terminationMessage": {}}}


def test_a_condition_decides_for_each_task(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create_all([template("step", run_for="0.1s"), template("say", run_for="0.1s", termination_message="0.93")])
    world.create_all([template("fail", run_for="0.1s", exit_code="3")])
    world.create(
        workflow(
            "w",
            flow("measure", of="say", outputs=[SCORE]),
            flow("breaks", of="fail", continueOnFail=True),
            flow("good", when="double(outputs.measure.score) >= double(params.limit)"),
            flow("bad", when="double(outputs.measure.score) < double(params.limit)"),
            flow("after", dependsOn={"targets": ["bad"], "onSkipped": "Ignore"}),
            flow("told", when="flows.breaks.failed == 1 && flows.breaks.phase == 'Failed'"),
            flow("even", when="index % 2 == 0") | {"for": {"replicas": 4}},
            flow("item", when="item == 'y'") | {"for": {"items": ["x", "y"]}},
            parameters=[{"name": "limit", "value": "0.9"}],
        )
    )
    world.create(
        workflow("faulty", flow("measure", of="say", outputs=[SCORE]), flow("a", when="int(outputs.measure.score) > 0"))
    )
    status = world.wait_phase("w")
    assert status["phase"] == "Succeeded", status
    assert world.phases("w") == {
        "measure": "Succeeded",
        "breaks": "Failed",
        "good": "Succeeded",
        "bad": "Skipped",
        "after": "Succeeded",
        "told": "Succeeded",
        "even": "Succeeded",
        "item": "Succeeded",
    }
    assert world.flow("w", "bad")["reason"] == "WhenFalse"
    assert (world.flow("w", "even")["succeeded"], world.flow("w", "even")["skipped"]) == ("0,2", "1,3")
    assert (world.flow("w", "item")["succeeded"], world.flow("w", "item")["skipped"]) == ("1", "0")
    assert world.wait_phase("faulty")["phase"] == "Failed"
    assert world.flow("faulty", "a")["reason"] == "RenderError"
    assert "0.93" not in world.flow("faulty", "a")["message"]


def test_what_was_judged_stays_when_a_controller_dies(world: World, start_controller: StartController) -> None:
    first = start_controller()
    world.create_all([template("step", run_for="0.1s"), template("slow", run_for="3s")])
    late = {"dependsOn": {"targets": ["no", "slow"], "onSkipped": "Ignore"}}
    world.create(workflow("w", flow("no", when="1 > 2"), flow("slow", of="slow"), flow("late") | late))
    world.wait_flow("w", "no", "Skipped")
    first.kill()
    start_controller()
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert world.phases("w") == {"no": "Skipped", "slow": "Succeeded", "late": "Succeeded"}


def test_a_condition_that_cannot_be_is_invalid(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(template("step", run_for="0.1s"))
    world.create(workflow("unknown", flow("a", when="flows.nobody.failed > 0"), flow("b")))
    world.create(workflow("syntax", flow("a", when="index >")))
    world.create(workflow("number", flow("a", when="index + 1")))
    world.create(workflow("circle", flow("a", when="flows.b.failed == 0"), flow("b", "a")))
    said = {name: world.wait_phase(name)["message"] for name in ("unknown", "syntax", "number", "circle")}
    assert 'spec.flows[0].when: no flow is named "nobody"' in said["unknown"]
    assert "spec.flows[0].when: line 1" in said["syntax"]
    assert "it has to give true or false" in said["number"]
    assert "a -> b -> a" in said["circle"]
