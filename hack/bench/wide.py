"""One `for` of 500: how quickly its jobs are created, what a task costs, and how a small workflow fares beside it."""

from __future__ import annotations

import time

from hack.bench import harness, jobs
from hack.bench.jobs import Bench, flow, workflow
from hack.cluster import Cluster
from hack.faults.judge import writes

_CHAIN = 5


def measure(cluster: Cluster, *, replicas: int) -> None:
    """Prints the figures of one wide workflow, beside those of a small one alone and of bare creations."""
    bare = jobs.bare_rate(cluster)
    with (
        jobs.bench(cluster, "wide", (0.2, 0.3)) as here,
        harness.controller(cluster, f"--namespace={here.namespace}") as controller,
    ):
        _small(here, "warm", 1)
        alone = _small(here, "alone", 2)
        cpu, since = controller.cpu_seconds(), here.submit(workflow("wide", [flow("all", replicas=replicas)]))
        beside = _small(here, "beside", 3)
        here.wait_ended(4, 120)
        time.sleep(0.5)
        used = controller.cpu_seconds() - cpu
        calls = [call for call in writes(cluster.audit_log, here.namespace) if call.at >= since]
    own = [call for call in calls if call.name.startswith("wide")]
    made = [call.at for call in own if call.verb == "create"]
    took = max(made) - since
    print(
        f"wide: a for of {replicas}: all created {took:.2f} s after the workflow, {replicas / took:.0f}/s "
        f"({replicas / took / bare:.2f} of bare creations, {bare:.0f}/s); {len(own) / replicas:.2f} writes and "
        f"{1000 * used / (replicas + _CHAIN):.2f} ms CPU per task; a chain of {_CHAIN} took {beside:.2f} s beside it, "
        f"{alone:.2f} s alone (ratio {beside / alone:.2f})"
    )


def _small(here: Bench, name: str, ended: int) -> float:
    """Seconds that a chain of five takes from its creation to its end."""
    names = [f"t{number}" for number in range(_CHAIN)]
    flows = [flow(own, *((names[number - 1],) if number else ())) for number, own in enumerate(names)]
    began = here.submit(workflow(name, flows))
    deadline = time.monotonic() + 60
    while here.phase(name) not in ("Succeeded", "Failed"):
        if time.monotonic() > deadline:
            raise SystemExit(f"{name} did not end within 60 s ({ended})")
        time.sleep(0.02)
    return time.time() - began
