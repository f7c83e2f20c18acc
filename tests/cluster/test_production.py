"""A night of examples/pipeline-production.yaml: a schedule, an approval, a lock, and a step that names the failures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from hack.cluster import Cluster
from pkg.cli.app import command
from tests.cluster.support.crons import cron_world, run_name
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import template, workflow
from tests.cluster.support.world import World
from tests.documents import ROOT

pytestmark = pytest.mark.cluster

EXAMPLE = ROOT / "examples" / "pipeline-production.yaml"
LAST_RUN = "2027-05-31T01:00:00Z"
BEFORE = "2027-06-01T00:59:58Z"
TIME = "2027-06-01T03:00:00+02:00"


def documents() -> list[Object]:
    """The objects of the example, in any namespace. Their jobs stay, so that the test can look at them."""
    found = [document for document in yaml.safe_load_all(EXAMPLE.read_text("utf-8")) if document]
    for document in found:
        del document["metadata"]["namespace"]
        if document["kind"] == "CronWorkflow":
            document["spec"]["workflowTemplate"]["spec"]["jobRetainPolicy"] = "retain"
    return found


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_night(cluster: Cluster, world: World, tmp_path: Path, verb: str) -> None:
    own, cron = documents()
    with cron_world(cluster, world, tmp_path) as crons:
        world.create_all([own, template("long", run_for="forever")])
        crons.create(cron, LAST_RUN)
        crons.set_clock(BEFORE)
        crons.start()
        name = run_name("production", TIME)
        crons.wait_run(name)
        # Another workflow changes what all runs share, and holds the lock meanwhile.
        holding = {"name": "hold", "template": "long", "mutexes": ["production-page"]}
        world.create(workflow("other", holding))
        world.wait_flow("other", "hold", "Running")
        world.wait_flow(name, "release", "Waiting", reason="ApprovalNeeded")
        flags = (f"--kubeconfig={cluster.kubeconfig}", f"--namespace={world.namespace}")
        result = CliRunner().invoke(command, [verb, name, "release", "-m", "seen", *flags])
        assert result.exit_code == 0, result.output
        if verb == "approve":
            world.wait_flow(name, "page", "Waiting", reason="LockHeld")
        world.patch(world.workflow_path("other"), {"spec": {"shutdown": "Terminate"}})
        status = world.wait_phase(name)
    ends = {"approve": ("Succeeded", "AllSucceeded"), "reject": ("Failed", "TaskFailed")}[verb]
    assert (status["phase"], status["reason"]) == ends
    flows = world.phases(name)
    published = "Succeeded" if verb == "approve" else "Skipped"
    assert {flow: flows[flow] for flow in ("page", "web", "clean-up", "report")} == {
        "page": published,
        "web": published,
        "clean-up": "Succeeded",
        "report": "Succeeded",
    }
    job = world.api.get(world.job_path(f"{name}-report"))
    env = {one["name"]: one.get("value") for one in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    head, _, failures = env["INPUT"].partition(": ")
    assert head.startswith(f"{ends[0]} after ")
    failed = [(one["flow"], one["reason"], one["message"]) for one in json.loads(failures)]
    assert failed == ([] if verb == "approve" else [("release", "Rejected", "rejected: seen")])
