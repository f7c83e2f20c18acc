"""One `for` of 500: how quickly its jobs are created, what a task costs, and how a small workflow fares beside it."""

from __future__ import annotations

import time

from hack.bench import harness, jobs
from hack.bench.jobs import CHAIN, flow, workflow
from hack.cluster import Cluster
from hack.faults.judge import writes


def measure(cluster: Cluster, *, replicas: int) -> None:
    """Prints the figures of one wide workflow, beside those of a small one alone and of bare creations."""
    bare = jobs.bare_rate(cluster)
    with (
        jobs.bench(cluster, "wide", (0.2, 0.3)) as here,
        harness.controller(cluster, f"--namespace={here.namespace}") as controller,
    ):
        here.run_chain("warm")
        alone = here.run_chain("alone")
        cpu, since = controller.cpu_seconds(), here.submit(workflow("wide", [flow("all", replicas=replicas)]))
        beside = here.run_chain("beside")
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
        f"{1000 * used / (replicas + CHAIN):.2f} ms CPU per task; a chain of {CHAIN} took {beside:.2f} s beside it, "
        f"{alone:.2f} s alone (ratio {beside / alone:.2f})"
    )
