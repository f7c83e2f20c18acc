"""Calls per task of a chain, no calls while nothing happens, and a large fan-out beside small workflows."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from hack.cluster import Cluster
from hack.cluster.api import ApiStatusError
from tests.cluster.conftest import CRDS, StartController, wait_established
from tests.cluster.support import manifests as m
from tests.cluster.support.audit import Audit
from tests.cluster.support.world import PATIENCE, World, no_attempt_twice

pytestmark = pytest.mark.cluster

GROUP = "load.test"


@pytest.fixture(scope="module")
def slips(cluster: Cluster) -> None:
    """A kind without an operator: the test writes its status."""
    api = cluster.api()
    with contextlib.suppress(ApiStatusError):
        api.request("POST", CRDS, m.crd(GROUP, "Slip"))
    wait_established(api, f"slips.{GROUP}")


@pytest.fixture
def finishing(world: World, slips: None) -> Iterator[World]:
    """A world in which every slip succeeds as soon as it is created."""
    world.follow(f"apis/{GROUP}/v1/slips")
    stop = threading.Event()

    def finish() -> None:
        done: set[str] = set()
        while not stop.wait(0.001):
            names = {slip["metadata"]["name"] for slip in world.history.now("slips")} - done
            if not names:
                continue
            # This writer handles one job at a time, and must not delay the small workflows.
            name = max(names, key=lambda name: name.startswith("small"))
            done.add(name)
            with contextlib.suppress(ApiStatusError, OSError):
                path = f"/apis/{GROUP}/v1/namespaces/{world.namespace}/slips/{name}/status"
                world.patch(path, {"status": {"phase": "Succeeded"}})

    thread = threading.Thread(target=finish, name="finish slips", daemon=True)
    thread.start()
    yield world
    stop.set()
    thread.join(10)


def test_a_chain_of_ten_jobs_costs_few_calls_and_reads_nothing(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(m.template("warm", run_for="0.1s"))
    world.create(m.workflow("warm", m.flow("a", of="warm")))
    world.wait_phase("warm")
    world.create(m.template("step", run_for="0.2s"))
    quiet = Audit(cluster.audit_log)
    world.create(m.workflow("w", *m.chain(*"abcdefghij")))
    assert world.wait_phase("w")["phase"] == "Succeeded"
    calls = Counter(
        f"{call.verb} {call.resource}{'/' if call.subresource else ''}{call.subresource}"
        for call in quiet.calls(world.namespace)
        if call.resource not in {"leases", "events"} and call.verb != "watch"
    )
    allowed = {"create jobs", "patch workflows/status", "patch worktemplates/status"}
    assert set(calls) <= allowed, "neither GET nor LIST"
    assert calls["create jobs"] == 10
    assert (calls["create jobs"] + calls["patch workflows/status"]) / 10 <= 3.2, calls
    assert calls["patch worktemplates/status"] <= 2, "usedBy, once when it came and once when it ended at most"


def test_nothing_is_written_when_nothing_changed(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    start_controller()
    world.create(m.template("step", run_for="forever"))
    world.create(m.workflow("w", m.flow("a"), m.flow("b", "a"), {**m.flow("c"), "for": {"replicas": 3}}))
    world.wait_flow("w", "a", "Running")
    world.wait_flow("w", "c", "Running", running="0-2")
    time.sleep(1)  # a coalesced write of this state may still be due
    quiet = Audit(cluster.audit_log)
    note = {"metadata": {"annotations": {"note": "nobody's business"}}}
    world.patch(world.job_path("w-a"), note)
    world.patch(world.workflow_path("w"), note)
    time.sleep(3)
    assert [call for call in quiet.calls(world.namespace) if call.resource != "leases" and call.verb != "watch"] == []


def test_a_fan_out_of_500_holds_up_no_other_workflow(
    finishing: World, audit: Audit, start_controller: StartController
) -> None:
    """One worker, so that they share a shard. The big workflow goes to the back of the shard after 64 creations."""
    world, count = finishing, 500
    start_controller("--workers=1")
    world.create(m.custom("slip", GROUP, "slips"))
    world.create(m.workflow("big", {**m.flow("many", of="slip"), "for": {"replicas": count}}))
    world.history.wait(lambda: len(world.history.now("slips")) >= 5, PATIENCE, "the fan-out to begin")
    world.create(m.workflow("small", *m.chain("a", "b", of="slip")))
    world.wait_phase("small", ["Succeeded"])
    world.wait_phase("big", ["Succeeded"])
    assert world.status("big")["tasks"]["succeeded"] == count
    made = [call.name for call in audit.creations(world.namespace, "slips")]
    assert len(made) == count + 2 == len(no_attempt_twice(world, "slips"))
    assert made.index("small-a") < made.index("small-b") < len(made) - 64, "small was done long before big was made"
