"""A proxy makes the API server slow, or refuses calls for now: throughput beside the floor, and the Lease.

The floor gets as many calls in flight as the controller had at most. It repeats nothing, so it is not refused anything.
`queued.py` does the same with the queues of the API server itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from hack.bench import runs
from hack.bench.samples import FLOOR, OURS
from hack.bench.shapes import SHAPES, template
from hack.bench.world import World
from hack.cluster import Cluster
from hack.controller_process import NO_SERVERS, ControllerProcess
from hack.faults import answers
from hack.faults.access import Everybody
from hack.faults.messages import Request
from hack.faults.proxy import Proxy

DELAY: Final = 0.02
REFUSED: Final = 0.05
_SHAPES: Final = ("chains", "fans")
_LEASE: Final = "/apis/coordination.k8s.io/v1/namespaces/default/leases/workflow-controller"
_PATIENCE: Final = 240.0


class SlowProxy(Proxy):
    """Forwards every call `delay` seconds later, and answers the share `refused` of the calls 429 with Retry-After.

    Watches pass at once. user: what its kubeconfig says of the user. peak: most calls that were in flight at a time
    since `forget`.
    """

    def __init__(
        self,
        kubeconfig: Path,
        folder: Path,
        *,
        delay: float = DELAY,
        refused: float = 0.0,
        user: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(kubeconfig, folder, seed=1, access=Everybody(user))
        self._delay = delay
        self._refused = refused
        self._in_flight = 0
        self.peak = 0

    def forget(self) -> None:
        """Begins to count anew."""
        self.peak = 0

    async def _relay(
        self,
        request: Request,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        writer: asyncio.StreamWriter,
        address: str,
    ) -> None:
        self._in_flight += 1
        self.peak = max(self.peak, self._in_flight)
        try:
            await asyncio.sleep(self._delay)
            if self._dice.random() < self._refused:
                self.lies["answers 429"] += 1
                writer.write(answers.THROTTLED)
                await writer.drain()
                return
            await super()._relay(request, upstream, writer, address)
        finally:
            self._in_flight -= 1


def measure(cluster: Cluster, *, rounds: int = 1) -> dict[str, float]:
    """Prints the figures; returns the lowest rate beside the floor by the name of its bound. SystemExit if the
    controller lost its Lease, or workflows did not succeed, while calls were refused.
    """
    title = f"{1000 * DELAY:.0f} ms per call"
    with SlowProxy(cluster.kubeconfig, cluster.folder / "slow") as proxy:
        share = beside_floor(cluster, proxy, title, rounds)
    with SlowProxy(cluster.kubeconfig, cluster.folder / "refusing", refused=REFUSED) as proxy:
        rate = with_election(cluster, proxy, "refused", "while calls were refused")
        print(
            f"slow: chains, {title}, {proxy.lies['answers 429']} calls answered 429: {rate:.0f} tasks/s, "
            "the Lease was kept",
            flush=True,
        )
    return {"slow rate": share}


def beside_floor(cluster: Cluster, proxy: SlowProxy, title: str, rounds: int) -> float:
    """Prints the rates of some shapes through a proxy; returns the lowest beside the floor, of the medians."""
    shares = []
    for name in _SHAPES:
        found = []
        for number in range(rounds):
            proxy.forget()
            ours = runs.measure_one(cluster, SHAPES[name], OURS, number, via=proxy.kubeconfig)
            calls = proxy.peak
            floor = runs.measure_one(cluster, SHAPES[name], FLOOR, number, via=proxy.kubeconfig, connections=calls)
            found.append(ours.rate / floor.rate)
            print(
                f"slow: {name}, {title}, {calls} calls in flight: {ours.rate:.0f} tasks/s, floor {floor.rate:.0f}",
                flush=True,
            )
        shares.append(median(found))
    return min(shares)


def with_election(cluster: Cluster, proxy: SlowProxy, namespace: str, when: str) -> float:
    """The tasks per second of chains in that namespace, through a proxy, with an election. SystemExit if the controller
    lost its Lease, or workflows did not succeed; when: the end of its message.
    """
    shape = SHAPES["chains"]
    with _world(cluster, namespace) as world:
        flags = ("--workers=8", "--leader-elect-resource-namespace=default", "--exclusive=false", *NO_SERVERS)
        log = cluster.folder / f"{namespace}.log"
        process = ControllerProcess(cluster, log, *flags, f"--namespace={namespace}", kubeconfig=proxy.kubeconfig)
        try:
            process.wait_acting(60.0)
            before, began = _holder(cluster), time.perf_counter()
            world.run([f"w{at:03d}" for at in range(shape.workflows)], _PATIENCE)
            took = time.perf_counter() - began
            if _holder(cluster) != before or process.log_text().count('"acting"') != 1:
                raise SystemExit(f"the controller lost its Lease {when}: {process.tail()}")
            if wrong := [name for name, phase in world.phases.items() if phase != "Succeeded"]:
                raise SystemExit(f"workflows that did not succeed {when}: {', '.join(wrong)}")
        finally:
            process.stop()
    return shape.tasks / took


@contextmanager
def _world(cluster: Cluster, namespace: str) -> Iterator[World]:
    shape = SHAPES["chains"]
    cluster.api().request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    world = World(str(cluster.kubeconfig), namespace, shape)
    try:
        world.create_templates([template(shape.kind, "step")])
        yield world
    finally:
        world.close()


def _holder(cluster: Cluster) -> tuple[str, int]:
    """Who holds the Lease, and how often it has changed hands."""
    spec = cluster.api().get(_LEASE)["spec"]
    return spec["holderIdentity"], spec.get("leaseTransitions", 0)
