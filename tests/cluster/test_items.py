"""One task for each item, on a real control plane. The tests share one controller."""

from __future__ import annotations

from typing import Any

import pytest

from hack.cluster.api import ApiStatusError
from tests.cluster.conftest import StartController
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster


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
