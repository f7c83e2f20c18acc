"""Ten thousand CronWorkflows: what they cost while none is due, and how fast their runs are made when all are.

The clock of schedules is moved, so that the moment comes when it suits.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from hack.bench import jobs
from hack.bench.jobs import Bench
from hack.cluster import Cluster
from hack.cluster.processes import free_port
from hack.controller_process import ControllerProcess
from hack.moved_clock import VARIABLE, MovedClock
from hack.scrape import metric
from pkg.apis.flow.v1alpha1.types import API_VERSION, CRONWORKFLOWS, WORKFLOWS
from pkg.apis.meta import PartialObject
from pkg.views.paging import read_all

#: Seconds by which the last of the runs may be late, if so many are due at once on a quiet machine.
MAX_LATE: Final = 90.0
#: Share of a core beside ten thousand CronWorkflows of which none is due.
MAX_IDLE: Final = 0.02
MAX_MIB: Final = 250.0
#: Runs are suspended: what is measured is how they are made, not how they run.
_RUN: Final = {"suspend": True, "flows": [{"name": "a", "template": "step"}]}
_IDLE_SECONDS: Final = 20


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    next_schedule_time: str = ""


class _Seen(msgspec.Struct, frozen=True):
    """What is read of a CronWorkflow."""

    metadata: dict[str, Any]
    status: _Status = _Status()


_NIGHT: Final = datetime(2027, 3, 1, tzinfo=UTC).timestamp()


class _Controller(ControllerProcess):
    """A controller that reads the clock of a file."""

    def command_line(self, kubeconfig: Path, flags: Sequence[str], root: Path) -> list[str]:
        return [sys.executable, str(root / "hack" / "moved_clock.py"), f"--kubeconfig={kubeconfig}", *flags]


def _cron(number: int) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "CronWorkflow",
        "metadata": {"name": f"c{number:05d}"},
        "spec": {
            "schedules": ["0 * * * *"],
            "timeZone": "Europe/Berlin",
            "startingDeadlineSeconds": 1800,
            "workflowTemplate": {"spec": _RUN},
        },
    }


def measure(cluster: Cluster, *, crons: int) -> bool:
    """Prints CPU and memory of a controller beside so many CronWorkflows, and how late runs are that are due at once.

    Returns whether memory, CPU and lateness are within their bounds. SystemExit if a run is missing, or was made twice.
    """
    with jobs.bench(cluster, "crons", (0.1, 0.2)) as here, tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda at: here.client.create(CRONWORKFLOWS, here.namespace, _cron(at), bytes), range(crons)))
        made_in = time.monotonic() - began
        clock = MovedClock(Path(folder) / "clock")
        clock.move_to(_NIGHT + 1_900)
        port = free_port()
        flags = (f"--namespace={here.namespace}", f"--leader-elect-resource-namespace={here.namespace}")
        servers = (f"--metrics-bind-address=127.0.0.1:{port}", "--health-bind-address=0")
        log = Path(folder) / "controller.log"
        env = {VARIABLE: str(Path(folder) / "clock")}
        controller = _Controller(cluster, log, *flags, *servers, env=env)
        try:
            controller.wait_acting(120)
            _settled(lambda: _written(here), crons, 600)
            started_cpu = controller.cpu_seconds()
            cpu = controller.cpu_seconds()
            time.sleep(_IDLE_SECONDS)
            idle = (controller.cpu_seconds() - cpu) / _IDLE_SECONDS
            memory = controller.memory_mib()
            cpu = controller.cpu_seconds()
            clock.move_to(_NIGHT + 3_600)
            began = time.monotonic()
            _settled(lambda: int(metric(port, "workflow_cron_runs_total", result="created")), crons, 600)
            took = time.monotonic() - began
            used = controller.cpu_seconds() - cpu
            mean = metric(port, "workflow_cron_lateness_seconds_sum") / max(1, crons)
            made = _names(here)
            peak = controller.peak_mib()
        finally:
            controller.kill()
    wanted = {f"c{number:05d}-{int(_NIGHT + 3_600) // 60}" for number in range(crons)}
    print(
        f"crons: {crons} CronWorkflows (made in {made_in:.0f} s): {started_cpu:.1f} s of CPU until all have a status;"
        f" idle {100 * idle:.1f} % of a core, {memory:.0f} MiB; {crons} runs due at once: the last {took:.1f} s late,"
        f" on average {mean:.1f} s ({crons / took:.0f}/s, {1000 * used / crons:.2f} ms of CPU each);"
        f" peak memory {peak:.0f} MiB"
    )
    if set(made) != wanted or len(made) != crons:
        raise SystemExit(
            f"crons: {len(wanted - set(made))} runs are missing, {len(set(made) - wanted)} are none of ours"
        )
    return idle <= MAX_IDLE and peak <= MAX_MIB and took <= MAX_LATE


def _settled(count: Any, wanted: int, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while (found := count()) < wanted:
        if time.monotonic() > ends:
            raise SystemExit(f"crons: {found} of {wanted} after {seconds:.0f} s")
        time.sleep(0.5)


def _written(here: Bench) -> int:
    return sum(
        bool(one.status.next_schedule_time) for one in read_all(here.client, CRONWORKFLOWS, here.namespace, _Seen)
    )


def _names(here: Bench) -> list[str]:
    found = read_all(here.client, WORKFLOWS, here.namespace, PartialObject, metadata_only=True)
    return [one.metadata.name for one in found]
