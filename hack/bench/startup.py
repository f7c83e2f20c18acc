"""How long a controller takes until it acts, in an empty namespace and in one with many workflows, and how long it
takes to end.
"""

from __future__ import annotations

import time

from hack.bench import harness, jobs
from hack.bench.jobs import flow, workflow
from hack.cluster import Cluster


def measure(cluster: Cluster, *, workflows: int) -> None:
    """Prints the seconds from exec until it acts, without workflows in the namespace and with suspended ones, and the
    seconds from SIGTERM to the end."""
    with jobs.bench(cluster, "startup", (0.1, 0.2)) as here:
        empty, _ = _start(cluster, here.namespace)
        for number in range(workflows):
            made = workflow(f"w{number:04d}", [flow(f"f{own}") for own in range(10)])
            made["spec"]["suspend"] = True
            here.submit(made)
        full, stopped = _start(cluster, here.namespace)
    print(
        f"startup: acting {empty:.2f} s after exec in an empty namespace, {full:.2f} s beside {workflows} workflows "
        f"(ratio {full / empty:.2f}); gone {stopped:.2f} s after SIGTERM"
    )


def _start(cluster: Cluster, namespace: str) -> tuple[float, float]:
    """Seconds until it acts, and from SIGTERM to its end."""
    began = time.perf_counter()
    with harness.controller(cluster, f"--namespace={namespace}") as controller:
        acting = time.perf_counter() - began
        began = time.perf_counter()
        controller.stop()
        return acting, time.perf_counter() - began
