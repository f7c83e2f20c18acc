"""What `finally` flows know of how the workflow went, on a real cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hack.cluster import Cluster
from tests.cluster.conftest import StartController
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import template, workflow
from tests.cluster.support.world import World
from tests.documents import MANIFESTS, ROOT

pytestmark = pytest.mark.cluster

FACTS = ("phase", "reason", "message", "duration", "failures")


def last(name: str, after: str = "", **fields: Any) -> Object:
    """A `finally` flow whose jobs carry what is known of the end."""
    patch = {"metadata": {"annotations": {fact: f"{{{{workflow.{fact}}}}}" for fact in FACTS}}}
    found = {"name": name, "template": "step", "finally": True, "patch": patch, **fields}
    return {**found, "dependsOn": {"targets": after.split()}} if after else found


def known(world: World, name: str) -> dict[str, str]:
    """What the job of a finally flow was made with."""
    notes = world.api.get(world.job_path(name))["metadata"]["annotations"]
    return {fact: notes[fact] for fact in FACTS}


def test_the_example_names_the_failures(cluster: Cluster, world: World, start_controller: StartController) -> None:
    start_controller()
    text = (ROOT / "examples" / "finally.yaml").read_text("utf-8").replace("namespace: default", "")
    cluster.kubectl("apply", "-n", world.namespace, "-f", "-", input=text)
    assert world.wait_phase("finally")["phase"] == "Failed"
    assert world.phases("finally") == {
        "fetch": "Succeeded",
        "train": "Failed",
        "clean-up": "Succeeded",
        "report": "Succeeded",
        "celebrate": "Skipped",
    }
    notes = world.api.get(world.job_path("finally-report"))["metadata"]["annotations"]
    assert notes["example.com/ended"].startswith("Failed (TaskFailed) after ")
    (failure,) = json.loads(notes["example.com/failures"])
    assert (failure["flow"], failure["index"], failure["reason"]) == ("train", 1, "Failed")
    assert "exit code 3" in failure["message"]


def test_the_manifest_of_the_document_ends_as_it_says(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller()
    (block,) = [block for block in MANIFESTS if block.where.startswith("docs/finally.md:")]
    cluster.kubectl("apply", "-n", world.namespace, "-f", "-", input=block.text)
    assert world.wait_phase("last-step")["phase"] == "Succeeded"
    assert world.phases("last-step") == {
        "work": "Succeeded",
        "clean-up": "Succeeded",
        "report": "Succeeded",
        "page": "Skipped",
    }
    spec = world.api.get(world.job_path("last-step-report"))["spec"]["template"]["spec"]
    assert spec["containers"][0]["command"][1].endswith(" s: []")


def test_values_are_the_same_in_all_jobs_although_the_controller_is_killed_between_them(
    world: World, start_controller: StartController
) -> None:
    first = start_controller()
    steps = [last("x"), last("y", "x"), last("z", "y")]
    bad = template("bad", run_for="0.1s", exit_code="7")
    world.create_all([template("step", run_for="1s"), bad, workflow("w", {"name": "a", "template": "bad"}, *steps)])
    world.wait_flow("w", "x", "Pending", "Running", "Succeeded")
    first.kill()
    second = start_controller()
    world.wait_flow("w", "y", "Pending", "Running", "Succeeded")
    second.kill()
    start_controller()
    assert world.wait_phase("w")["phase"] == "Failed"
    found = [known(world, f"w-{name}") for name in "xyz"]
    assert found[0] == found[1] == found[2]
    assert found[0]["phase"] == "Failed"
    assert json.loads(found[0]["failures"])[0]["flow"] == "a"
