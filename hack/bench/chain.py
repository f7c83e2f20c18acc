"""A chain of batch Jobs on a quiet cluster: API calls per task, the time from one job's end to the next one's creation,
and the controller's CPU per task.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from typing import Any

import msgspec

from hack.bench import harness
from hack.cluster import Cluster
from pkg.apis.flow.v1alpha1.labels import FLOW
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Workflow
from pkg.apis.meta import GVR, Job
from pkg.kube.client import Client
from pkg.kube.config import load_config
from pkg.kube.errors import KubeError

JOBS = GVR("batch", "v1", "jobs")
TEMPLATE = """
apiVersion: flow.workflow.sh/v1alpha1
kind: WorkTemplate
metadata: {name: step}
spec:
  gvr: {group: batch, version: v1, resource: jobs}
  jobSpec:
    backoffLimit: 0
    template:
      metadata: {annotations: {sim.workflow.sh/run-for: 1s}}
      spec:
        restartPolicy: Never
        containers: [{name: main, image: "busybox:1.36", command: [sh, -c, "sleep 1"]}]
"""


class Observer:
    """Watches the jobs itself. made, complete: when the job of a flow was first seen, and seen Complete, in seconds
    of a monotonic clock.
    """

    def __init__(self, client: Client) -> None:
        self.made: dict[str, float] = {}
        self.complete: dict[str, float] = {}
        version = client.list_page(JOBS, "default", Job).resource_version
        self._watch = client.watch(JOBS, "default", resource_version=version, timeout_seconds=600, read_timeout=600)
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """Ends the watch."""
        self._watch.close()

    def _run(self) -> None:
        with self._watch, contextlib.suppress(KubeError):
            for line in self._watch:
                now = time.perf_counter()
                event = msgspec.json.decode(line)
                job: dict[str, Any] = event["object"]
                flow = job["metadata"].get("labels", {}).get(FLOW)
                if flow is None:
                    continue
                self.made.setdefault(flow, now)
                conditions = job.get("status", {}).get("conditions", [])
                if any(item["type"] == "Complete" and item["status"] == "True" for item in conditions):
                    self.complete.setdefault(flow, now)


def workflow(length: int) -> str:
    """A chain t0 -> t1 -> ... as JSON."""
    flows = [
        {"name": f"t{number}", "template": "step", **({"dependsOn": {"targets": [f"t{number - 1}"]}} if number else {})}
        for number in range(length)
    ]
    body = {
        "apiVersion": "flow.workflow.sh/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "chain", "namespace": "default"},
        "spec": {"flows": flows},
    }
    return msgspec.json.encode(body).decode()


def measure(cluster: Cluster, *, length: int) -> None:
    """Runs one chain and prints its figures; SystemExit if it does not end."""
    cluster.kubectl("apply", "-f", "-", input=TEMPLATE)
    client = Client(load_config(str(cluster.kubeconfig)), user_agent="bench")
    with harness.controller(cluster, "--namespace=default") as controller:
        observer = Observer(client)
        time.sleep(2.0)  # until the cluster is idle
        since, cpu, began = time.time(), controller.cpu_seconds(), time.perf_counter()
        client.create(WORKFLOWS, "default", workflow(length).encode(), Workflow)
        while client.get(WORKFLOWS, "default", "chain", Workflow).status.phase not in ("Succeeded", "Failed"):
            if time.perf_counter() - began > 20 * length:
                raise SystemExit("the chain did not end")
            time.sleep(0.5)
        took, used = time.perf_counter() - began, controller.cpu_seconds() - cpu
        time.sleep(1.0)
        calls = harness.api_calls(cluster.audit_log, since=since)
        peak = controller.peak_mib()
        observer.close()
    delays = [1000 * (observer.made[f"t{number}"] - observer.complete[f"t{number - 1}"]) for number in range(1, length)]
    print(f"chain: {length} batch Jobs, {took:.1f} s")
    print(f"  API calls per task (Lease, watches, Events apart): {sum(calls.values()) / length:.2f}")
    for (verb, resource), count in sorted(calls.items()):
        print(f"    {verb} {resource}: {count}")
    print(
        "  job seen Complete -> dependent seen created, ms: "
        f"median {statistics.median(delays):.1f}, min {min(delays):.1f}, max {max(delays):.1f}"
    )
    print(f"  controller CPU per task: {1000 * used / length:.1f} ms; peak memory {peak:.0f} MiB")
