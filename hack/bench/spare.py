"""A standby beside a busy leader: how much memory it keeps of jobs that have come and gone."""

from __future__ import annotations

import time

from hack.bench import jobs
from hack.bench.jobs import Bench, flow, workflow
from hack.cluster import Cluster
from hack.controller_process import NO_SERVERS, ControllerProcess
from pkg.kube.errors import NotFound

REPLICAS = 500
_WARM_UP_JOBS = 2000
# By then its housekeeping has run, and what is kept for a short time only is gone.
_SETTLE_SECONDS = 100.0


def measure(cluster: Cluster, *, tasks: int) -> None:
    """Prints the resident memory of the standby before and after so many jobs."""
    with jobs.bench(cluster, "spare", (0.0, 0.01)) as here:
        flags = ("--workers=8", f"--namespace={here.namespace}", f"--leader-elect-resource-namespace={here.namespace}")
        leader = ControllerProcess(cluster, cluster.folder / "leader.log", *NO_SERVERS, *flags)
        try:
            leader.wait_acting()
            spare = ControllerProcess(cluster, cluster.folder / "spare.log", *NO_SERVERS, *flags)
            try:
                _come_and_go(here, _WARM_UP_JOBS)
                before = spare.memory_mib()
                _come_and_go(here, tasks)
                after, peak = spare.memory_mib(), spare.peak_mib()
            finally:
                spare.stop()
        finally:
            leader.stop()
    print(
        f"spare: {before:.1f} MiB after {_WARM_UP_JOBS} jobs, {after:.1f} MiB after {tasks} more "
        f"({after - before:+.1f}); peak {peak:.1f} MiB"
    )


def _come_and_go(here: Bench, tasks: int) -> None:
    """So many jobs, in workflows that are deleted once they are over, and the time to forget them."""
    for number in range(tasks // REPLICAS):
        made = workflow(f"w{number}", [flow("a", replicas=REPLICAS)])
        made["spec"] |= {"jobRetainPolicy": "delete", "ttlSecondsAfterFinished": 0}
        here.submit(made)
        _wait_gone(here, f"w{number}")
    time.sleep(_SETTLE_SECONDS)


def _wait_gone(here: Bench, name: str) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            here.raw(name)
        except NotFound:
            return
        time.sleep(0.2)
    raise SystemExit(f"the workflow {name} was not gone after 300 s")
