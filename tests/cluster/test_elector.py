"""Electors on the real API server: one leads, the next takes over, and the Lease says so."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from pkg.controllers.engine.claim import LEASES
from pkg.controllers.engine.elector import Elector
from pkg.controllers.engine.lease import LeaseOptions
from pkg.kube.client import Client
from pkg.kube.config import load_config

pytestmark = pytest.mark.cluster

# Longer than any test: an elector that leads in that time did not wait until the Lease expired.
LONG = 60.0


class Campaign(Protocol):
    """Starts an elector of that identity; lease: seconds."""

    def __call__(self, identity: str, lease: float = 2.0) -> Elector: ...


@pytest.fixture
def lease_name() -> str:
    return f"elector-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def client(kubeconfig: Path) -> Iterator[Client]:
    made = Client(load_config(str(kubeconfig)), user_agent="workflow-controller/test")
    yield made
    made.abort()


@pytest.fixture
def campaign(kubeconfig: Path, lease_name: str) -> Iterator[Campaign]:
    """Start an elector of that identity with a client of its own; all are stopped at the end."""
    started: list[Elector] = []

    def start(identity: str, lease: float = 2.0) -> Elector:
        own = Client(load_config(str(kubeconfig)), user_agent="workflow-controller/test", pool_size=2, timeout=0.6)
        options = LeaseOptions(
            "default", lease_name, identity, lease_duration=lease, renew_deadline=0.75 * lease, retry_period=0.3
        )
        elector = Elector(own, options, lambda: None, lambda: None)
        elector.start()
        started.append(elector)
        return elector

    yield start
    for elector in started:
        elector.stop()


def test_one_leads_and_hands_over_at_once_when_it_is_stopped(
    campaign: Campaign, client: Client, lease_name: str
) -> None:
    first = campaign("a", LONG)
    assert first.wait_leader(10)
    second = campaign("b", LONG)
    assert not second.wait_leader(1)
    lease = client.get(LEASES, "default", lease_name, dict)
    assert lease["spec"]["holderIdentity"] == "a"
    first.stop()
    assert not first.is_leader()
    assert second.wait_leader(LONG / 2), "the Lease was released, so that nobody waits for it to expire"
    lease = client.get(LEASES, "default", lease_name, dict)
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("b", 1)


def test_a_dead_holder_is_followed_once_its_lease_ran_out(campaign: Campaign) -> None:
    first = campaign("a")
    assert first.wait_leader(10)
    first.stop(release=False)
    second = campaign("b")
    began = time.monotonic()
    assert second.wait_leader(30)
    assert time.monotonic() - began > 1.9


def test_the_same_identity_goes_on_at_once(campaign: Campaign) -> None:
    first = campaign("a", LONG)
    assert first.wait_leader(10)
    first.stop(release=False)
    assert campaign("a", LONG).wait_leader(LONG / 2)


def test_of_five_at_once_never_two_lead(campaign: Campaign) -> None:
    electors = [campaign(name) for name in "abcde"]
    stop = threading.Event()
    most = [0]

    def look() -> None:
        while not stop.wait(0.002):
            most[0] = max(most[0], sum(elector.is_leader() for elector in electors))

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(3):
        _the_leader_of(electors).stop()
    stop.set()
    watcher.join()
    assert most[0] == 1


def _the_leader_of(electors: list[Elector]) -> Elector:
    """The elector that leads, within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for elector in electors:
            if elector.is_leader():
                return elector
        time.sleep(0.01)
    pytest.fail("nobody leads")
