"""Small workflows that come and go for a while: does the controller grow? Minutes in short form, an hour by hand."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Final

from hack.bench.plot import Line, draw
from hack.bench.shapes import Object, Shape, chain, template
from hack.bench.world import World
from hack.cluster import Cluster
from hack.controller_process import NO_SERVERS, ControllerProcess

RATE: Final = 20.0
_TTL: Final = 5
_POINTS: Final = 400  # of the chart, about
_FLAGS: Final = ("--workers=8", "--leader-elect=false", "--exclusive=false", *NO_SERVERS, "--namespace=soak")


class _Gone(Shape):
    """Workflows that are deleted some seconds after their end."""

    def workflow(self, name: str) -> Object:
        made = super().workflow(name)
        made["spec"]["ttlSecondsAfterFinished"] = _TTL
        return made


def measure(cluster: Cluster, *, seconds: float, plot: Path | None = None) -> dict[str, float]:
    """Prints memory over time, draws it into `plot`, and returns its growth by the name of its bound."""
    shape = _Gone("soak", "chains of 3 that come and go", 0, chain(3), rate=RATE)
    shape = dataclasses.replace(shape, workflows=int(seconds * RATE))
    cluster.api().request("POST", "/api/v1/namespaces", {"metadata": {"name": "soak"}})
    world = World(str(cluster.kubeconfig), "soak", shape)
    process = ControllerProcess(cluster, cluster.folder / "soak.log", *_FLAGS)
    try:
        process.wait_acting()
        world.create_templates([template(shape.kind, "step")])
        found, ended = list[tuple[float, float]](), threading.Event()
        sampler = threading.Thread(target=_sample, args=(process, found, ended), daemon=True)
        sampler.start()
        began, cpu = time.perf_counter(), process.cpu_seconds()
        for batch in _batches(shape.workflows):
            world.run(batch, 120.0)
        took, used = time.perf_counter() - began, process.cpu_seconds() - cpu
        ended.set()
        sampler.join(5)
    finally:
        process.stop()
        world.close()
    growth = growth_of([mib for _, mib in found])
    rate = shape.workflows / took
    print(
        f"soak: {shape.workflows:,} workflows in {took:.0f} s ({rate:.1f} a second): {found[0][1]:.0f} to "
        f"{found[-1][1]:.0f} MiB, last third / middle third {growth:.3f}; "
        f"{1000 * used / shape.tasks:.2f} ms of CPU per task"
    )
    if plot is not None:
        shown = found[:: max(1, len(found) // _POINTS)]
        plot.write_text(draw("Memory of the controller", "seconds", "MiB", [Line("RSS", tuple(shown))]))
    return {"soak growth": growth}


def growth_of(mib: Sequence[float]) -> float:
    """The mean of the last third beside that of the middle one; the first third fills the caches. NaN below 3."""
    third = len(mib) // 3
    return mean(mib[2 * third :]) / mean(mib[third : 2 * third]) if third else float("nan")


def _batches(count: int) -> list[list[str]]:
    """The names, ten seconds' worth at a time."""
    names = [f"w{at:06d}" for at in range(count)]
    step = int(10 * RATE)
    return [names[at : at + step] for at in range(0, count, step)]


def _sample(process: ControllerProcess, found: list[tuple[float, float]], ended: threading.Event) -> None:
    began = time.perf_counter()
    while not ended.wait(1.0):
        found.append((time.perf_counter() - began, process.memory_mib()))
