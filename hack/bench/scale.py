"""Many workflows that have ended beside many that run: memory of the controller, its restart, and what idling costs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hack.bench.shapes import Shape
from hack.bench.shapes import template as template_of
from hack.bench.world import World, path_of
from hack.cluster import Cluster
from hack.controller_process import NO_SERVERS, ControllerProcess
from hack.faults.load import FAULT_JOBS
from pkg.apis.flow.v1alpha1.types import WORKFLOWS

ENDED, RUNNING = 10_000, 2_000
"""Workflows of the whole measurement; they have 100,000 jobs."""
_ENDED = Shape("ended", "8 flows at once", 1, {f"f{at}": () for at in range(8)})
_RUNNING = Shape("running", "9 flows at once, one after them", 1, {f"f{at}": () for at in range(9)} | {"last": ("f0",)})
_BATCH = 250
_SETTLE_SECONDS = 15.0
# Longer before idling is measured: what the creations have begun is over then.
_QUIET_SECONDS = 60.0
_IDLE_SECONDS = 20.0
_FLAGS = ("--workers=8", "--leader-elect=false", "--exclusive=false", *NO_SERVERS)


def measure(cluster: Cluster, *, share: float) -> dict[str, float]:
    """Prints the figures for this share of all workflows; returns them by the names of their bounds if it is all."""
    ended, running = int(ENDED * share), int(RUNNING * share)
    tasks = ended * len(_ENDED.flows) + running * (len(_RUNNING.flows) - 1)
    first = _start(cluster, "first")
    try:
        with _namespace(cluster, "ended", _ENDED) as world:
            for names in _batches(ended):
                world.run(names, 240.0)
        with _namespace(cluster, "running", dataclasses.replace(_RUNNING, phase="Running")) as world:
            world.create_all(WORKFLOWS, (_RUNNING.workflow(f"w{at:05d}") for at in range(running)))
            _wait(lambda: len(world.made) >= running * 9, "the jobs of the running workflows")
            time.sleep(_QUIET_SECONDS)
            rss, idle = first.memory_mib(), _idle(first)
            first.stop()
            _succeed(cluster, "w00000-f0")
            began = time.perf_counter()
            second = _start(cluster, "second")
            try:
                acting = time.perf_counter() - began
                _wait(lambda: ("w00000", "last") in world.made, "the job that was due")
                acted = world.made["w00000", "last"] - began
                time.sleep(_SETTLE_SECONDS)
                peak = second.peak_mib()
            finally:
                second.stop()
    finally:
        first.stop()
    print(
        f"scale: {ended:,} workflows ended and {running:,} running, {tasks:,} jobs: {rss:.0f} MiB, {peak:.0f} MiB at "
        f"most after a restart; acting {acting:.1f} s after exec, the job that was due after {acted:.1f} s; idle "
        f"{idle:.2f} % of a core"
    )
    return {"scale rss": max(rss, peak), "scale restart": acted, "scale idle": idle} if share >= 1.0 else {}


def _batches(count: int) -> Iterator[list[str]]:
    for first in range(0, count, _BATCH):
        yield [f"w{at:05d}" for at in range(first, min(first + _BATCH, count))]


@contextmanager
def _namespace(cluster: Cluster, name: str, shape: Shape) -> Iterator[World]:
    """A new namespace with the template, and a world in it."""
    cluster.api().request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    world = World(str(cluster.kubeconfig), name, shape)
    try:
        world.create_templates([template_of(shape.kind, "step")])
        yield world
    finally:
        world.close()


def _start(cluster: Cluster, name: str) -> ControllerProcess:
    process = ControllerProcess(cluster, cluster.folder / f"{name}.log", *_FLAGS)
    process.wait_acting(120.0)
    return process


def _idle(process: ControllerProcess) -> float:
    """Percent of a core."""
    before = process.cpu_seconds()
    time.sleep(_IDLE_SECONDS)
    return 100 * (process.cpu_seconds() - before) / _IDLE_SECONDS


def _succeed(cluster: Cluster, name: str) -> None:
    path = f"{path_of(FAULT_JOBS, 'running')}/{name}"
    body = cluster.api().get(path)
    body["status"] = {"phase": "Succeeded"}
    cluster.api().request("PUT", f"{path}/status", body)


def _wait(fact: Callable[[], bool], what: str, seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.01)
