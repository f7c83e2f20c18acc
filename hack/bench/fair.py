"""A crowd of workflows in one namespace, and small ones in another: by how much these are delayed."""

from __future__ import annotations

import itertools
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from hack.bench import harness, jobs
from hack.bench.jobs import CHAIN, flow, workflow
from hack.cluster import Cluster
from hack.cluster.audit_log import entries
from hack.faults.judge import writes
from pkg.apis.meta import seconds as seconds_of

TASKS = 50
MAX_DELAY = 2.0
_JOB_SECONDS = (0.2, 0.3)
_ALONE = 5


def measure(cluster: Cluster, *, workflows: int, seconds: float) -> bool:
    """Prints by how many seconds small workflows were delayed while the crowd was at work, for at most so many seconds;
    returns whether all are within the bound.
    """
    with (
        jobs.bench(cluster, "crowd", _JOB_SECONDS) as crowd,
        jobs.bench(cluster, "small", _JOB_SECONDS) as own,
        harness.controller(cluster) as controller,
    ):
        own.run_chain("warm")
        alone = [own.run_chain(f"alone{number}") for number in range(_ALONE)]
        cpu, began = controller.cpu_seconds(), time.time()
        beside = []
        with ThreadPoolExecutor(4) as pool:
            for number in range(workflows):
                pool.submit(crowd.submit, workflow(f"w{number}", _flows()))
            for number in itertools.count():
                if time.time() - began > seconds or crowd.writer.ended >= workflows:
                    break
                beside.append(own.run_chain(f"beside{number}"))
            pool.shutdown(cancel_futures=True)
        took, used = time.time() - began, controller.cpu_seconds() - cpu
        ended, peak = crowd.writer.ended, controller.peak_mib()
        made = sum(call.verb == "create" for call in writes(cluster.audit_log, crowd.namespace))
        reactions = [_reactions(cluster, own.namespace, f"beside{number}") for number in range(len(beside))]
    usual = statistics.median(alone)
    delays = sorted(each - usual for each in beside)
    print(
        f"fair: {len(beside)} chains of {CHAIN}, one after the other, beside {workflows} workflows of {TASKS} tasks "
        f"(in {took:.0f} s {made} jobs made, {ended} workflows ended): {usual:.2f} s alone, delayed by "
        f"{statistics.median(delays):.2f} s (median), {delays[-1]:.2f} s at most; the controller's reactions took "
        f"{statistics.median(reactions):.2f} s of each (median), {max(reactions):.2f} s at most; "
        f"controller: {used / took:.2f} CPUs, peak memory {peak:.0f} MiB"
    )
    return delays[-1] <= MAX_DELAY


def _reactions(cluster: Cluster, namespace: str, chain: str) -> float:
    """Seconds from the end of each job of a chain to the call that creates the next one, by the API server's audit log.

    The rest of the time the chain waits for the API server and its jobs: on a busy machine, for nothing of ours.
    """
    ended: dict[str, float] = {}
    created: dict[str, float] = {}
    for entry in entries(cluster.audit_log, containing=f'"{chain}-t'):
        about = entry["objectRef"]
        if about.get("namespace") != namespace:
            continue
        if entry["verb"] == "patch":
            ended[about["name"]] = seconds_of(entry["stageTimestamp"])
        elif entry["verb"] == "create":
            created[about["name"]] = seconds_of(entry["requestReceivedTimestamp"])
    pairs = [(f"{chain}-t{number - 1}", f"{chain}-t{number}") for number in range(1, CHAIN)]
    return sum(max(0.0, created[later] - ended[earlier]) for earlier, later in pairs)


def _flows() -> list[jobs.Object]:
    return [flow(f"t{number}") for number in range(TASKS)]
