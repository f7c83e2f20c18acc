"""One task for each item, on a real control plane. The tests share one controller."""

from __future__ import annotations

from typing import Any

import pytest

from hack.cluster.api import ApiStatusError
from tests.cluster.conftest import StartController
from tests.cluster.support.examples import outcome
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.world import World, no_attempt_twice
from tests.unit.examples.loading import load

pytestmark = pytest.mark.cluster
# A controller that follows one which was killed need not wait for its Lease.
ALONE = ("--leader-elect=false", "--exclusive=false")
SKIPPED_COUNTS: Object = {"targets": ["each"], "onSkipped": "Ignore"}


def step(argument: str, name: str = "step") -> Object:
    """A template whose container has this argument."""
    made = template(name, run_for="0.1s")
    made["spec"]["jobSpec"]["template"]["spec"]["containers"][0]["args"] = [argument]
    return made


def each(listed: Any, *, of: str = "step", name: str = "each") -> Object:
    """A flow with these items."""
    return {**flow(name, of=of), "for": {"items": listed}}


def argument(world: World, job: str) -> str:
    found: str = world.wait_job(job)["spec"]["template"]["spec"]["containers"][0]["args"][0]
    return found


def test_each_item_is_a_task_with_its_value(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create(step("{{item}} {{index}}/{{replicas}}"))
    world.create(step("{{item.name}}", "named"))
    listed = ["a b", 0.5, 7, True, {"name": "x", "tags": ["y"]}]
    world.create(workflow("w", each(listed)))
    world.create(workflow("named", each(listed[-1:], of="named")))
    world.create(workflow("many", *(each(["x"] * 6_000, name=f"f{at}") for at in range(2))))
    world.create(workflow("none", each([]), flow("after", "each")))

    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert [argument(world, f"w-each-{index}") for index in range(5)] == [
        "a b 0/5",
        "0.5 1/5",
        "7 2/5",
        "true 3/5",
        '{"name":"x","tags":["y"]} 4/5',
    ]
    assert argument(world, "named-each-0") == "x"
    many = world.wait_phase("many")
    assert (many["reason"], many["message"]) == (
        "Invalid",
        "spec.flows: 12,000 tasks in all; at most 10,000 are allowed: lower for.replicas, or list fewer for.items",
    )
    none = world.wait_phase("none")
    assert (none["phase"], none["tasks"]["skipped"], none["flows"][0]["reason"]) == ("Succeeded", 2, "NoReplicas")


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param(3, id="no list"),
        pytest.param(["x"] * 10_001, id="a list of 10,001"),
    ],
)
def test_the_api_server_refuses(world: World, listed: object) -> None:
    with pytest.raises(ApiStatusError) as refused:
        world.create(workflow("w", each(listed)))
    assert "spec.flows[0].for.items" in str(refused.value)


def listing(value: str, name: str = "list") -> Object:
    """A flow that hands out the value of a CEL expression as its output `files`."""
    return {**flow(name), "outputs": [{"name": "files", "from": {"cel": f"has(object.status) ? {value} : dyn(0)"}}]}


def over(source: str = "list", *, of: str = "step", **loop: Any) -> Object:
    """A flow with a task for each file of another."""
    return {**flow("each", of=of), "for": {"itemsFrom": f"{{{{flows.{source}.outputs.files}}}}", **loop}}


def test_a_list_that_a_run_found_decides_how_many_tasks_there_are(
    world: World, start_controller: StartController
) -> None:
    controller = start_controller(*ALONE)
    world.create(step("{{item}} {{index}}/{{replicas}}"))
    world.create(step("{{item.name}}", "named"))
    files = "dyn([{'name': 'a'}, {'name': object.metadata.labels['flow.workflow.sh/flow']}])"
    world.create(workflow("w", listing("dyn(['x', 'y', 'z'])"), over(parallelism=1), flow("after", "each")))
    world.create(workflow("named", listing(files), over(of="named")))
    world.create(workflow("none", listing("dyn([])"), over(), {**flow("after"), "dependsOn": SKIPPED_COUNTS}))
    world.create(workflow("text", listing("dyn('no list')"), over(), flow("after", "each")))
    wide = {**flow("wide", "each"), "for": {"replicas": 9_998}}
    world.create(workflow("many", listing("dyn(['x', 'y', 'z'])"), over(), wide))

    world.wait_job("w-each-0")
    world.history.catch_up("workflows")
    assert 3 in [record.get("tasks") for record in world.status("w")["record"]["flows"]], (
        "recorded before the first job"
    )
    controller.kill()  # the next one finds the number in status, and reads nothing again
    world.delete(world.job_path("w-list"))
    start_controller(*ALONE)
    assert world.wait_phase("w")["progress"] == "5/5"
    assert [argument(world, f"w-each-{index}") for index in range(3)] == ["x 0/3", "y 1/3", "z 2/3"]
    assert world.wait_phase("named")["phase"] == "Succeeded"
    assert [argument(world, f"named-each-{index}") for index in range(2)] == ["a", "list"]
    none = world.wait_phase("none")
    assert (none["phase"], world.phases("none")) == (
        "Succeeded",
        {"list": "Succeeded", "each": "Skipped", "after": "Succeeded"},
    )
    assert world.flow("none", "each")["reason"] == "NoReplicas"
    assert world.wait_phase("text")["phase"] == "Failed"
    found = world.flow("text", "each")
    assert (found["reason"], world.flow("text", "after")["phase"]) == ("RenderError", "Skipped")
    assert "for.itemsFrom ({{flows.list.outputs.files}}) must be a JSON list, such as" in found["message"]
    assert world.wait_phase("many")["phase"] == "Failed"
    assert world.flow("many", "each")["reason"] == "TooManyItems"
    assert (
        "the workflow would have 10,002 tasks, and at most 10,000 are allowed" in world.flow("many", "each")["message"]
    )
    no_attempt_twice(world)

    # A restart of the list reads it anew, and every task runs again.
    world.patch(world.workflow_path("named"), {"spec": {"restart": {"at": "1", "flows": ["list"]}}})
    world.wait_job("named-each-1-r1")
    assert world.wait_phase("named")["progress"] == "3/3"


def test_the_examples_end_as_they_announce(world: World, start_controller: StartController) -> None:
    start_controller(*ALONE)
    examples = {name: load(name) for name in ("items", "pipeline")}
    for example in examples.values():
        world.create_all(example.documents)
    for name, example in examples.items():
        assert world.wait_phase(name)["phase"] == "Succeeded"
        assert outcome(world, name, example.expected) == example.expected
    (container,) = world.wait_job("items-collect")["spec"]["template"]["spec"]["containers"]
    assert container["command"][-1] == """echo 'the files have ["0","0","0"] rows'"""
