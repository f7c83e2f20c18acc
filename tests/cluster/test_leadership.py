"""Two controllers, one leader: which one writes, and when the other takes over, by the users in the audit log."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from tests.cluster.conftest import StartController, account
from tests.cluster.support import manifests as m
from tests.cluster.support.audit import Audit
from tests.cluster.support.controller import Controller
from tests.cluster.support.world import World, no_attempt_twice

pytestmark = pytest.mark.cluster

LEASE = 3
# Longer than any test: a controller that leads in that time did not wait until the Lease expired.
LONG = 120


class Rivals(Protocol):
    """Starts a controller as a user of its own; lease: seconds."""

    def __call__(self, name: str, lease: int = LEASE) -> Controller: ...


@pytest.fixture
def rival(start_controller: StartController, user_kubeconfig: Callable[[str], Path]) -> Rivals:
    """Starts it; does not wait until it leads."""

    def start(name: str, lease: int = LEASE) -> Controller:
        times = (f"--leader-elect-lease-duration={lease}s", f"--leader-elect-renew-deadline={lease - 1}s")
        own = ("--leader-elect-retry-period=500ms", f"--leader-elect-identity={name}")
        return start_controller(*times, *own, kubeconfig=user_kubeconfig(name), acting=False)

    return start


def holder(world: World) -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases/workflow-controller"
    return str(world.api.get(path)["spec"].get("holderIdentity", ""))


def long_chain(world: World, name: str = "w") -> None:
    world.create(m.template("step", run_for="0.5s"))
    world.create(m.workflow(name, *m.chain(*"abcdefgh")))


def leader_and_challenger(world: World, rival: Rivals, lease: int = LEASE) -> tuple[Controller, Controller]:
    """Two controllers in the middle of a chain; the first one leads."""
    first = rival("first", lease)
    first.wait_acting()
    second = rival("second", lease)
    second.wait_log("the Lease is held by another process", holder="first")
    long_chain(world)
    world.wait_job("w-b")
    return first, second


def test_one_leads_and_the_other_takes_over_when_it_is_killed(world: World, audit: Audit, rival: Rivals) -> None:
    first, second = leader_and_challenger(world, rival)
    assert audit.work(world.namespace, user=account(world, "second")) == [], "it only watches"
    first.kill()
    killed = time.time()
    second.wait_acting()
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert holder(world) == "second"
    took_over = audit.work(world.namespace, user=account(world, "second"))
    assert killed + 1 < took_over[0].at, "a Lease that was just renewed is not taken from a dead holder at once"
    assert audit.work(world.namespace, user=account(world, "first"))[-1].at < took_over[0].at
    assert len(no_attempt_twice(world)) == 8


def test_a_leader_that_gets_sigterm_releases_the_lease_at_once(world: World, audit: Audit, rival: Rivals) -> None:
    first, second = leader_and_challenger(world, rival, LONG)
    assert (first.terminate(), first.has_logged("lease released")) == (0, True)
    second.wait_acting(LONG / 2)
    assert world.wait_phase("w")["phase"] == "Succeeded"
    assert audit.work(world.namespace, user=account(world, "second"))
    assert len(no_attempt_twice(world)) == 8


def test_a_leader_that_was_stopped_and_continued_writes_nothing(world: World, audit: Audit, rival: Rivals) -> None:
    first, second = leader_and_challenger(world, rival)
    first.send(signal.SIGSTOP)
    second.wait_acting()
    world.wait_job("w-d")
    continued = time.time()
    first.send(signal.SIGCONT)
    first.wait_log("no longer leading")
    assert world.wait_phase("w")["phase"] == "Succeeded"
    late = [call for call in audit.work(world.namespace, user=account(world, "first")) if call.at >= continued]
    assert late == [], "it had a backlog of events to act on, and no right to"
    assert holder(world) == "second"
    assert len(no_attempt_twice(world)) == 8
    assert second.terminate() == 0
    first.wait(lambda: sum(line["event"] == "acting" for line in first.log()) == 2, 10, "it leads again")
    world.create(m.workflow("again", m.flow("a")))
    assert world.wait_phase("again")["phase"] == "Succeeded", "it had not ended, only paused"
    assert [call for call in audit.work(world.namespace, user=account(world, "first")) if call.at >= continued]


def test_a_stopped_leader_that_nobody_replaced_goes_on(world: World, audit: Audit, rival: Rivals) -> None:
    """Its Lease has expired, so it campaigns again, and writes nothing before it leads."""
    controller = rival("only")
    controller.wait_acting()
    long_chain(world)
    world.wait_job("w-b")
    controller.send(signal.SIGSTOP)
    time.sleep(LEASE)
    continued = time.time()
    controller.send(signal.SIGCONT)
    assert world.wait_phase("w")["phase"] == "Succeeded"
    calls = [call for call in audit.calls(world.namespace) if call.at >= continued and call.is_write]
    assert calls[0].resource == "leases"
    assert len(no_attempt_twice(world)) == 8
