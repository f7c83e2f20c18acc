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


def test_failures_have_at_most_4_kib_and_the_rest_is_counted(world: World, start_controller: StartController) -> None:
    start_controller("--workers=4")
    failing = {"name": "a", "template": "bad", "for": {"replicas": 60}}
    steps = [last("x"), last("y", when="workflow.failures.size() > 3 && workflow.duration >= 0")]
    bad = template("bad", run_for="0.1s", exit_code="7")
    world.create_all([template("step", run_for="0.1s"), bad, workflow("w", failing, *steps)])
    assert world.wait_phase("w")["phase"] == "Failed"
    assert world.phases("w") == {"a": "Failed", "x": "Succeeded", "y": "Succeeded"}
    text = known(world, "w-x")["failures"]
    assert len(text.encode()) <= 4096
    *shown, more = json.loads(text)
    assert [one["index"] for one in shown] == list(range(len(shown)))
    assert all(set(one) == {"flow", "index", "reason", "message"} for one in shown)
    assert (more["reason"], more["flow"], more["count"]) == ("More", "", 60 - len(shown))
    assert known(world, "w-y")["failures"] == text


def test_last_steps_run_in_their_order_after_stop_and_know_of_it(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create_all([template("step", run_for="1s"), template("long", run_for="3s")])
    world.create(workflow("w", {"name": "a", "template": "long"}, last("x"), last("y", "x"), last("z", "y")))
    world.wait_flow("w", "a", "Running")
    world.patch(world.workflow_path("w"), {"spec": {"shutdown": "Stop"}})
    status = world.wait_phase("w")
    assert (status["phase"], status["reason"]) == ("Failed", "Stopped")
    assert world.phases("w") == dict.fromkeys("axyz", "Succeeded")
    assert {known(world, f"w-{name}")["reason"] for name in "xyz"} == {"Stopped"}
    made = [world.api.get(world.job_path(f"w-{name}"))["metadata"]["creationTimestamp"] for name in "xyz"]
    ended = [world.api.get(world.job_path(f"w-{name}"))["status"]["completionTime"] for name in "axy"]
    assert all(before <= after for before, after in zip(ended, made, strict=True))


def test_terminate_ends_the_last_steps_too(world: World, start_controller: StartController) -> None:
    start_controller()
    world.create_all([template("step", run_for="forever"), template("short", run_for="0.1s")])
    world.create(workflow("w", {"name": "a", "template": "short"}, last("x"), last("y", "x")))
    world.wait_flow("w", "x", "Running")
    world.patch(world.workflow_path("w"), {"spec": {"shutdown": "Terminate"}})
    status = world.wait_phase("w")
    assert (status["phase"], status["reason"]) == ("Failed", "Terminated")
    assert world.phases("w") == {"a": "Succeeded", "x": "Cancelled", "y": "Skipped"}


def test_what_finally_flows_know_is_not_known_to_others_through_their_template(
    world: World, start_controller: StartController
) -> None:
    """The template may come later than the Workflow, so the task says it."""
    start_controller()
    knows = template("knows")
    knows["spec"]["metadata"] = {"annotations": {"example.com/phase": "{{workflow.phase}}"}}
    world.create_all([knows, workflow("w", {"name": "a", "template": "knows"})])
    assert world.wait_phase("w")["phase"] == "Failed"
    flow = world.flow("w", "a")
    assert flow["reason"] == "RenderError"
    assert "{{workflow.phase}} is known in finally flows only" in flow["message"]


def test_the_outcome_is_recorded_before_the_first_job_of_a_last_step(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create_all([template("step", run_for="0.1s"), workflow("w", {"name": "a", "template": "step"}, last("x"))])
    assert world.wait_phase("w")["phase"] == "Succeeded"
    for resource in ("jobs", "workflows"):
        world.history.catch_up(resource)
    made = [seen for seen in world.history.sightings("jobs") if seen.object["metadata"]["name"] == "w-x"]
    recorded = [
        seen
        for seen in world.history.sightings("workflows")
        if seen.object.get("status", {}).get("record", {}).get("end")
    ]
    first = [int(seen[0].object["metadata"]["resourceVersion"]) for seen in (recorded, made)]
    assert first[0] < first[1]
    end = recorded[0].object["status"]["record"]["end"]
    assert {fact: known(world, "w-x")[fact] for fact in ("phase", "reason")} == {
        "phase": "Succeeded",
        "reason": "AllSucceeded",
    }
    assert all(seen.object["status"]["record"]["end"] == end for seen in recorded)
