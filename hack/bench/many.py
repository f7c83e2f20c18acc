"""Many workflows of ten tasks: tasks per second beside the API server's own rate of bare creations."""

from __future__ import annotations

import time

from hack.bench import harness, jobs
from hack.bench.jobs import flow, workflow
from hack.cluster import Cluster
from hack.cluster.processes import free_port
from hack.faults.judge import writes
from hack.scrape import metric

TASKS = 10


def measure(cluster: Cluster, *, workflows: int) -> None:
    """Prints throughput, calls, CPU and memory."""
    bare = jobs.bare_rate(cluster)
    port = free_port()
    # Two chains of five: enough stages that the controller, and not only its creations, is measured.
    flows = [
        flow(f"{side}{number}", *((f"{side}{number - 1}",) if number else ())) for side in "ab" for number in range(5)
    ]
    with (
        jobs.bench(cluster, "many", (0.0, 0.01)) as here,
        harness.controller(
            cluster,
            f"--namespace={here.namespace}",
            f"--metrics-bind-address=127.0.0.1:{port}",
        ) as controller,
    ):
        cpu, began = controller.cpu_seconds(), time.time()
        for number in range(workflows):
            here.submit(workflow(f"w{number:04d}", flows))
        took = here.wait_ended(workflows, 60 + workflows) - began
        used = controller.cpu_seconds() - cpu
        passes = metric(port, "workflow_reconcile_total")
        status = metric(port, "workflow_status_writes_total")
        peak = controller.peak_mib()
        calls = sum(1 for _ in writes(cluster.audit_log, here.namespace))
    total = workflows * TASKS
    print(
        f"many: {workflows} workflows x {TASKS}: {total / took:.0f} tasks/s, {total / took / bare:.2f} of bare "
        f"creations ({bare:.0f}/s); {calls / total:.2f} writes per task ({status / total:.2f} of status); CPU "
        f"{1000 * used / total:.2f} ms per task, {passes / total:.2f} passes; peak memory {peak:.0f} MiB"
    )
