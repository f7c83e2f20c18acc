"""Workflows of 5,000 tasks in three shapes: do they end, how large does the object grow, what does a task cost."""

from __future__ import annotations

import threading
import time

from hack.bench import harness, jobs
from hack.bench.jobs import Bench, Object, flow, workflow
from hack.cluster import Cluster
from hack.cluster.processes import free_port
from hack.faults.load import FAULT_JOBS
from hack.scrape import metric

LIMIT_MIB = 1.2
_LAYERS = 10


def shapes(tasks: int) -> dict[str, list[Object]]:
    """The same number of tasks as flows in layers (each flow after one of the layer before), as one `for`, and as
    flows with a hundred replicas each.
    """
    width = tasks // _LAYERS
    layered = [
        flow(f"f{layer}-{number}", *((f"f{layer - 1}-{number}",) if layer else ()))
        for layer in range(_LAYERS)
        for number in range(width)
    ]
    return {
        f"{tasks} flows": layered,
        f"one for of {tasks}": [flow("all", replicas=tasks)],
        f"{tasks // 100} flows x 100": [flow(f"f{number}", replicas=100) for number in range(tasks // 100)],
    }


class Sizes:
    """Reads the object every few seconds, since reading it is expensive, and keeps the largest size in bytes."""

    def __init__(self, here: Bench, name: str) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(here, name), daemon=True)
        self._thread.start()

    def _run(self, here: Bench, name: str) -> None:
        while not self._stop.wait(5.0):
            self.peak = max(self.peak, len(here.raw(name)))

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)


def measure(cluster: Cluster, *, tasks: int) -> None:
    """Runs each shape with a controller of its own and prints a line for it; SystemExit if one grows too large."""
    bare = jobs.bare_rate(cluster)
    print(f"size: {tasks} tasks; bare creations {bare:.0f}/s")
    too_large = []
    for title, flows in shapes(tasks).items():
        port = free_port()
        with (
            jobs.bench(cluster, "size", (0.5, 1.0)) as here,
            harness.controller(
                cluster,
                f"--metrics-bind-address=127.0.0.1:{port}",
                f"--namespace={here.namespace}",
            ) as controller,
        ):
            cpu, began = controller.cpu_seconds(), time.time()
            here.submit(workflow("big", flows))
            sizes = Sizes(here, "big")
            took = here.wait_ended(1, 60 + tasks / 10) - began
            sizes.close()
            peak_bytes = max(sizes.peak, len(here.raw("big")))
            used = controller.cpu_seconds() - cpu
            passes = metric(port, "workflow_reconcile_total")
            seconds = metric(port, "workflow_reconcile_duration_seconds_sum")
            events = metric(port, "reflector_events_total", resource=FAULT_JOBS.group_resource)
            writes = metric(port, "workflow_status_writes_total")
            phase, peak = here.phase("big"), controller.peak_mib()
        mib = peak_bytes / 2**20
        rate = tasks / took
        print(
            f"  {title}: {phase} in {took:.1f} s, {rate:.0f} tasks/s ({rate / bare:.2f} of bare creations); "
            f"object at most {mib:.2f} MiB; CPU {1000 * used / tasks:.2f} ms per task, peak memory {peak:.0f} MiB; "
            f"{passes:.0f} passes of {1000 * seconds / max(1, passes):.1f} ms, {passes / max(1, events):.2f} per job "
            f"event; {writes:.0f} status writes"
        )
        if mib >= LIMIT_MIB:
            too_large.append(f"{title}: {mib:.2f} MiB")
        if phase != "Succeeded":
            raise SystemExit(f"{title} ended {phase}")
    if too_large:
        raise SystemExit(f"larger than {LIMIT_MIB} MiB: {'; '.join(too_large)}")
