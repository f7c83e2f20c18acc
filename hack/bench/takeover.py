"""A takeover beside very many workflows that run: how soon the next leader reacts to what happened meanwhile.

Two replicas; the second one's caches are warm. The jobs of a few workflows succeed as the first one gets SIGTERM. The
time counts from the moment at which the second one has the Lease.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from hack.bench import jobs
from hack.bench.jobs import flow, workflow
from hack.cluster import Cluster
from hack.cluster.processes import free_port
from hack.controller_process import NO_SERVERS, ControllerProcess
from hack.faults.judge import writes
from hack.faults.load import FAULT_JOBS
from hack.scrape import metric
from pkg.apis.meta import PartialObject, seconds
from pkg.kube.client import MERGE_PATCH

MAX_SECONDS = 1.0
"""From the Lease to the first job that was due, at most."""
_FOREVER = (86_400.0, 86_400.0)
_DUE = 20
_PATIENCE = 300.0


def measure(cluster: Cluster, *, workflows: int) -> bool:
    """Prints the seconds from the Lease until the next leader acts, creates the first and the last job that was due,
    and has reconciled all workflows; whether the first job came within MAX_SECONDS.
    """
    with jobs.bench(cluster, "takeover", _FOREVER) as here, ExitStack() as stack:
        port = free_port()
        first = stack.enter_context(_Replica(cluster, here.namespace, "first", *NO_SERVERS))
        first.process.wait_acting()
        with ThreadPoolExecutor(8) as pool:
            made = [workflow(f"w{number:04d}", [flow("a"), flow("b", "a")]) for number in range(workflows)]
            list(pool.map(here.submit, made))
        _wait(lambda: len(here.writer.jobs) >= workflows, "the first job of each workflow")
        own = (f"--metrics-bind-address=127.0.0.1:{port}", "--health-bind-address=0")
        second = stack.enter_context(_Replica(cluster, here.namespace, "second", *own))
        _wait(lambda: second.at("caches complete") is not None, "complete caches")
        time.sleep(3.0)  # the standby has the jobs, too; nothing says so from outside
        due = [f"w{number * (workflows // _DUE):04d}" for number in range(_DUE)]
        for name in due:
            here.client.patch(
                FAULT_JOBS,
                here.namespace,
                f"{name}-a",
                b'{"status":{"phase":"Succeeded"}}',
                content_type=MERGE_PATCH,
                type=PartialObject,
                subresource="status",
            )
            if name == due[0]:
                began = time.time()
                stack.callback(first.process.stop)
                first.process.process.terminate()
        _wait(lambda: second.at("acting") is not None, "the takeover")
        _wait(lambda: len(here.writer.jobs) >= workflows + _DUE, "the jobs that were due")
        _wait(lambda: metric(port, "workqueue_depth") == 0, "an empty workqueue")
        emptied = time.time()
        leading, acting = second.at("leading"), second.at("acting")
        assert leading is not None
        assert acting is not None
        wanted = {f"{name}-b" for name in due}
        calls = [
            call for call in writes(cluster.audit_log, here.namespace) if call.at > leading and call.name in wanted
        ]
        at = sorted(call.at - leading for call in calls if call.verb == "create")
    print(
        f"takeover beside {workflows} workflows that run: the Lease {leading - began:.2f} s after SIGTERM; from there "
        f"acting after {acting - leading:.2f} s, the first of {_DUE} jobs that were due after {at[0]:.2f} s, "
        f"the last after {at[-1]:.2f} s, all workflows reconciled after {emptied - leading:.1f} s"
    )
    return at[0] <= MAX_SECONDS


class _Replica:
    """A controller that takes part in the election; killed at the end of its block."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, *flags: str) -> None:
        election = (f"--leader-elect-resource-namespace={namespace}", f"--leader-elect-identity={name}")
        own = (f"--namespace={namespace}", *election, "--workers=8", *flags)
        self.process = ControllerProcess(cluster, Path(cluster.folder) / f"{namespace}-{name}.log", *own)

    def __enter__(self) -> _Replica:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()

    def at(self, event: str) -> float | None:
        """When it logged that line first, in seconds since the epoch; None if it has not."""
        for line in self.process.log_text().splitlines():
            if f'"{event}"' in line:
                return seconds(json.loads(line)["time"])
        return None


def _wait(fact: Callable[[], bool], what: str) -> None:
    """Until `fact()` holds; SystemExit if that takes longer than _PATIENCE."""
    deadline = time.monotonic() + _PATIENCE
    while not fact():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {_PATIENCE:.0f} s: {what}")
        time.sleep(0.02)
