"""A crowd of workflows at one mutex: what an acquisition costs, and that a release wakes nobody but the next."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from hack.bench import harness, jobs
from hack.bench.jobs import flow, workflow
from hack.cluster import Cluster, audit_log
from hack.cluster.processes import free_port
from hack.scrape import metric
from pkg.apis.meta import seconds as seconds_of

#: Calls for Leases of one acquisition, its release included.
MAX_LEASE_CALLS = 3.0
#: Reconciles of a workflow: those of one without locks, and those of its turn.
MAX_RECONCILES = 12.0
_JOB_SECONDS = (0.01, 0.02)


def measure(cluster: Cluster, *, workflows: int, seconds: float) -> bool:
    """Prints the figures of so many workflows of one task each, with the mutex and without; returns whether the calls
    and the reconciles are within their bounds.
    """
    free = _run(cluster, "free", workflows, seconds, {})
    held = _run(cluster, "mutex", workflows, seconds, {"mutexes": ["bench"]})
    leases = held.leases / workflows
    print(
        f"locks: {workflows} workflows at one mutex: {held.seconds:.1f} s, a handover (from the end of a"
        f" job to the creation of the next) {held.handover * 1000:.0f} ms (median), {held.late * 1000:.0f} ms (p99);"
        f" {leases:.2f} calls for Leases, {held.statuses / workflows:.2f} status writes and"
        f" {held.reconciles / workflows:.1f} reconciles for each; CPU {1000 * held.cpu / workflows:.1f} ms for each;"
        f" without the mutex {free.statuses / workflows:.2f} status writes, {free.reconciles / workflows:.1f}"
        f" reconciles, CPU {1000 * free.cpu / workflows:.1f} ms, {free.leases} calls for Leases;"
        f" peak memory {held.memory:.0f} MiB"
    )
    return leases <= MAX_LEASE_CALLS and held.reconciles / workflows <= MAX_RECONCILES and not free.leases


class _Result:
    """What one run cost. seconds, handover, late, cpu: in seconds."""

    def __init__(self) -> None:
        self.seconds = self.handover = self.late = self.cpu = self.memory = self.reconciles = 0.0
        self.leases = self.statuses = 0


def _run(cluster: Cluster, name: str, workflows: int, seconds: float, locks: jobs.Object) -> _Result:
    port, found = free_port(), _Result()
    flags = (f"--metrics-bind-address=127.0.0.1:{port}",)
    with jobs.bench(cluster, name, _JOB_SECONDS) as here:
        with harness.controller(cluster, *flags, f"--namespace={here.namespace}") as controller:
            here.run_chain("warm")
            before = metric(port, "workflow_reconcile_total")
            cpu, began, offset = controller.cpu_seconds(), time.time(), audit_log.size(cluster.audit_log)
            with ThreadPoolExecutor(8) as pool:
                for number in range(workflows):
                    pool.submit(here.submit, workflow(f"w{number}", [{**flow("t"), **locks}]))
            found.seconds = here.wait_ended(workflows + 1, seconds) - began
            time.sleep(2.0)  # what is written after the end counts, too
            found.cpu, found.memory = controller.cpu_seconds() - cpu, controller.peak_mib()
            found.reconciles = metric(port, "workflow_reconcile_total") - before
        calls = _calls(cluster, here.namespace, offset)
    found.leases = calls["leases"]
    found.statuses = calls["workflows/status"]
    handovers = sorted(_handovers(cluster, here.namespace, offset))
    if locks and handovers:
        found.handover, found.late = statistics.median(handovers), handovers[len(handovers) * 99 // 100]
    return found


def _calls(cluster: Cluster, namespace: str, offset: int) -> Counter[str]:
    """Calls of the controller in a namespace by resource; of Leases those of locks alone."""
    found: Counter[str] = Counter()
    for entry in audit_log.entries(cluster.audit_log, containing=harness.AGENT, offset=offset):
        about = entry.get("objectRef", {})
        if about.get("namespace") != namespace or entry["verb"] in ("watch", "list"):
            continue
        if about["resource"] == "leases" and not about.get("name", "").startswith("workflow-lock-"):
            continue
        sub = about.get("subresource")
        found[f"{about['resource']}/{sub}" if sub else about["resource"]] += 1
    return found


def _handovers(cluster: Cluster, namespace: str, offset: int) -> list[float]:
    """Seconds from the end of each job to the call that creates the next one, by the API server's audit log."""
    ended: list[float] = []
    created: list[float] = []
    for entry in audit_log.entries(cluster.audit_log, containing='"faultjobs"', offset=offset):
        about = entry["objectRef"]
        if about.get("namespace") != namespace:
            continue
        if entry["verb"] == "patch":
            ended.append(seconds_of(entry["stageTimestamp"]))
        elif entry["verb"] == "create":
            created.append(seconds_of(entry["requestReceivedTimestamp"]))
    next_ones = sorted(created)[1:]
    return [max(0.0, later - earlier) for earlier, later in zip(sorted(ended), next_ones, strict=False)]
