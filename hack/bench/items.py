"""As many items as a run may bring: a job hands out the list, and each item becomes a task."""

from __future__ import annotations

import json
import time

from hack.bench import harness, jobs
from hack.bench.jobs import flow, workflow
from hack.bench.size import Sizes
from hack.cluster import Cluster
from hack.cluster.processes import free_port
from hack.faults.judge import writes
from hack.scrape import metric

#: As for every workflow of so many tasks.
MAX_OBJECT_MIB = 1.2


def measure(cluster: Cluster, *, items: int) -> bool:
    """Prints the figures of one workflow; returns whether it ended well: small, and one job for each item."""
    listed = json.dumps([f"{number:x}" for number in range(items)])
    prepare = {**flow("prepare"), "outputs": [{"name": "parts", "from": {"path": "status.parts"}}]}
    each = {**flow("each"), "for": {"itemsFrom": "{{flows.prepare.outputs.parts}}"}}
    port = free_port()
    with (
        jobs.bench(cluster, "items", (0.5, 1.0), handed=lambda _: listed) as here,
        harness.controller(
            cluster, f"--metrics-bind-address=127.0.0.1:{port}", f"--namespace={here.namespace}"
        ) as controller,
    ):
        here.run_chain("warm")
        cpu, began = controller.cpu_seconds(), time.time()
        here.submit(workflow("items", [prepare, each, flow("finish", "each")]))
        sizes = Sizes(here, "items")
        took = here.wait_ended(2, 120 + items / 10) - began
        sizes.close()
        largest = max(sizes.peak, len(here.raw("items"))) / 2**20
        used, memory = controller.cpu_seconds() - cpu, controller.peak_mib()
        passes = metric(port, "workflow_reconcile_total")
        within = {
            bound: metric(port, "workflow_reconcile_duration_seconds_bucket", le=bound)
            for bound in ("0.1", "0.25", "1.0")
        }
        written = metric(port, "workflow_status_writes_total")
        phase = here.phase("items")
        calls = [call for call in writes(cluster.audit_log, here.namespace) if call.name.startswith("items")]
        wrong = [attempt for attempt, uids in here.writer.jobs.items() if len(uids) != 1]
    made = [call.at for call in calls if call.verb == "create"]
    longest = ", ".join(f"{max(0.0, passes - count):.0f} took longer than {bound} s" for bound, count in within.items())
    print(
        f"items: a list of {items:,} ({len(listed):,} bytes): {phase} in {took:.1f} s, {len(made):,} jobs made "
        f"within {max(made) - min(made):.1f} s; object at most {largest:.2f} MiB; {written:.0f} status writes; "
        f"CPU {1000 * used / items:.2f} ms per task, peak memory {memory:.0f} MiB; of {passes:.0f} passes {longest}"
    )
    return phase == "Succeeded" and len(made) == items + 2 and not wrong and largest < MAX_OBJECT_MIB
