"""What a person reads in the log of a real controller."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.cluster.conftest import StartController
from tests.cluster.support import manifests as m
from tests.cluster.support.world import PATIENCE, World

pytestmark = pytest.mark.cluster
# Fields that a line has only if it is about a workflow.
OF_A_WORKFLOW = {"flow", "job", "attempt", "probe", "asked"}


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_every_line_names_its_workflow_and_no_fact_is_logged_twice(
    world: World, start_controller: StartController
) -> None:
    controller = start_controller("--log-level=debug")
    world.create(m.template("step", run_for="0.5s"))
    world.create(m.template("broken", run_for="0.1s", exit_code="1"))
    world.create(m.template("server", run_for="forever", serve="http:8080"))
    retried = {**m.flow("bad", of="broken"), "retry": {"maxRetries": 1, "interval": "1s"}}
    probe = {"httpGetList": [{"taskName": "up", "path": "/", "port": 8080}]}
    gated = [m.flow("up", of="server"), {**m.flow("after"), "dependsOn": {"probe": probe}}]
    world.create(m.workflow("good", *m.chain("a", "b")))
    world.create(m.workflow("bad", retried))
    world.create(m.workflow("gated", *gated, successPolicy={"type": "Critical", "criticalFlows": ["after"]}))
    world.wait_phase("good")
    world.wait_phase("bad", "Failed")
    world.history.wait(lambda: '"after"' in controller.log_text(), PATIENCE, "the flow behind the probe")
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}
    world.create({**quota, "spec": {"hard": {"count/jobs.batch": "0"}}})
    world.create(m.workflow("blocked", m.flow("a")))
    # Three tries: at once, after one second and after two more.
    controller.wait_log("job not created, will be retried")
    world.history.wait(
        lambda: controller.log_text().count("job not created, will be retried") >= 3, PATIENCE, "three tries"
    )
    found = lines(controller.log_text())
    ours = {f"{world.namespace}/{name}" for name in ("good", "bad", "gated", "blocked")}

    nameless = [line for line in found if OF_A_WORKFLOW & line.keys() and line.get("workflow") not in ours]
    assert nameless == []

    told = Counter(
        (line["event"], line["workflow"], line.get("flow", ""), line.get("attempt", 0))
        for line in found
        if line["logger"] == "workflow" and line["event"] != "flow waits"
    )
    assert [fact for fact, count in told.items() if count > 1] == []

    def about(name: str, *levels: str) -> list[str]:
        return [
            line["event"]
            for line in found
            if line.get("workflow") == f"{world.namespace}/{name}" and line["level"] in levels
        ]

    assert about("good", "info", "warning", "error") == ["workflow started", "workflow ended"]
    assert about("bad", "info", "warning", "error") == [
        "workflow started",
        "task is retried",
        "task failed",
        "workflow ended",
    ]
    assert about("blocked", "warning") == ["job not created, will be retried"], "the repetitions are on debug"
    assert about("blocked", "info") == ["workflow started", "workflow blocked"]
    requeues = [line for line in found if line["event"] == "key is requeued"]
    assert requeues
    assert all(line["reason"] for line in requeues)
