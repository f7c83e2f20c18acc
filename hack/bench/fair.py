"""A crowd of workflows in one namespace, and small ones in another: by how much these are delayed."""

from __future__ import annotations

import itertools
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from hack.bench import harness, jobs
from hack.bench.jobs import CHAIN, flow, workflow
from hack.cluster import Cluster
from hack.faults.judge import writes

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
    usual = statistics.median(alone)
    delays = sorted(each - usual for each in beside)
    print(
        f"fair: {len(beside)} chains of {CHAIN}, one after the other, beside {workflows} workflows of {TASKS} tasks "
        f"(in {took:.0f} s {made} jobs made, {ended} workflows ended): {usual:.2f} s alone, delayed by "
        f"{statistics.median(delays):.2f} s (median), {delays[-1]:.2f} s at most; "
        f"controller: {used / took:.2f} CPUs, peak memory {peak:.0f} MiB"
    )
    return delays[-1] <= MAX_DELAY


def _flows() -> list[jobs.Object]:
    return [flow(f"t{number}") for number in range(TASKS)]
