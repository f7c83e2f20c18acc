"""The custom resource that benchmarks make, workflows of it, and bare creations to compare with.

The writer of the fault runs completes these jobs: it does hundreds a second, kwok some tens.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec

from hack.bench import harness
from hack.cluster import Cluster
from hack.faults import load
from hack.faults.writer import Writer
from pkg.apis.flow.v1alpha1.types import WORKFLOWS
from pkg.apis.meta import PartialObject
from pkg.kube.client import Client
from pkg.kube.config import load_config

Object = dict[str, Any]
CHAIN = 5
_numbers = count(1)


def flow(name: str, *targets: str, replicas: int | None = None) -> Object:
    """A flow of the one template, after its targets; with `for` if it has replicas."""
    made: Object = {"name": name, "template": "step"}
    if targets:
        made["dependsOn"] = {"targets": list(targets)}
    if replicas is not None:
        made["for"] = {"replicas": replicas}
    return made


def workflow(name: str, flows: list[Object]) -> Object:
    """A Workflow."""
    return {"apiVersion": load.FLOW_API, "kind": "Workflow", "metadata": {"name": name}, "spec": {"flows": flows}}


@dataclass(slots=True)
class Bench:
    """A namespace with the template, and a writer that completes every job after some seconds."""

    cluster: Cluster
    client: Client
    namespace: str
    writer: Writer

    def submit(self, made: Object) -> float:
        """Creates a workflow; returns when that was (seconds since the epoch)."""
        self.client.create(WORKFLOWS, self.namespace, msgspec.json.encode(made), PartialObject)
        return time.time()

    def wait_ended(self, workflows: int, seconds: float) -> float:
        """When so many workflows had ended (seconds since the epoch); SystemExit if that takes longer."""
        deadline = time.monotonic() + seconds
        while self.writer.ended < workflows:
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.writer.ended} of {workflows} workflows ended within {seconds:.0f} s")
            time.sleep(0.05)
        return time.time()

    def raw(self, name: str) -> bytes:
        """A workflow as the API server serves it, managedFields and all."""
        return self.client.get(WORKFLOWS, self.namespace, name, bytes)

    def run_chain(self, name: str) -> float:
        """Seconds that a chain of CHAIN tasks takes from its creation to its end; SystemExit after a minute."""
        names = [f"t{number}" for number in range(CHAIN)]
        flows = [flow(own, *((names[number - 1],) if number else ())) for number, own in enumerate(names)]
        began = self.submit(workflow(name, flows))
        deadline = time.monotonic() + 60
        while self.phase(name) not in ("Succeeded", "Failed"):
            if time.monotonic() > deadline:
                raise SystemExit(f"the chain {name} did not end within 60 s")
            time.sleep(0.02)
        return time.time() - began

    def phase(self, name: str) -> str:
        """Its phase as it is now."""
        status: Object = msgspec.json.decode(self.raw(name)).get("status") or {}
        return str(status.get("phase", ""))


@contextlib.contextmanager
def bench(
    cluster: Cluster, name: str, seconds: tuple[float, float], *, handed: Callable[[str], str] = load.parts
) -> Iterator[Bench]:
    """A new namespace. Its jobs last `seconds` (from, to) and succeed. handed: see `Writer`."""
    namespace = f"{name}-{next(_numbers)}"
    load.make_namespace(cluster.api(), namespace)
    client = Client(load_config(str(cluster.kubeconfig)), user_agent="bench", pool_size=24, timeout=30.0)
    with Writer(str(cluster.kubeconfig), namespace, seconds, running=0.0, fate=_succeeds, handed=handed) as writer:
        yield Bench(cluster, client, namespace, writer)
    client.abort()


def _succeeds(_attempt: load.Attempt) -> str:
    return "Succeeded"


def bare_rate(cluster: Cluster, seconds: float = 4.0, threads: int = 16) -> float:
    """Creations per second of the same resource by a client that does nothing else, with as many threads as the
    controller has.
    """
    namespace = f"bare-{next(_numbers)}"
    load.make_namespace(cluster.api(), namespace)
    client = Client(load_config(str(cluster.kubeconfig)), user_agent="bare", pool_size=threads)
    began = time.perf_counter()

    def make(number: int) -> int:
        made = 0
        while time.perf_counter() - began < seconds:
            body = {
                "apiVersion": load.FAULT_JOBS.api_version,
                "kind": "FaultJob",
                "metadata": {"name": f"bare-{number}-{made}", "labels": {"bench": "bare"}},
                "spec": {"flow": "bare", "index": number},
            }
            client.create(load.FAULT_JOBS, namespace, body, PartialObject)
            made += 1
        return made

    with ThreadPoolExecutor(threads) as pool:
        total = sum(pool.map(make, range(threads)))
    took = time.perf_counter() - began
    client.abort()
    return total / took


@contextlib.contextmanager
def cluster_with_jobs(extra_args: Sequence[str] = ()) -> Iterator[Cluster]:
    """A cluster that serves our CRDs and the benchmark's own. extra_args: see `Cluster.start`."""
    with harness.cluster_with_crds(extra_args=extra_args) as cluster:
        harness.install_crd(cluster.api(), load.CRD)
        yield cluster
