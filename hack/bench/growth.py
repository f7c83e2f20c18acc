"""How the cost of a task grows with the number of tasks, of workflows and of workers, drawn as charts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

from hack.bench import core, runs
from hack.bench.plot import Line, Point, draw
from hack.bench.samples import OURS
from hack.bench.shapes import SHAPES
from hack.cluster import Cluster

TASKS: Final = (1_000, 3_000, 10_000, 30_000, 100_000)
WORKFLOWS: Final = (15, 30, 60, 120)
WORKERS: Final = (1, 2, 4, 8, 16)


def tasks(folder: Path) -> None:
    """The pure core: `core.svg`."""
    found: list[Point] = []
    for count in TASKS:
        cost, _ = core.run(count)
        found.append((float(count), cost))
        print(f"growth: core, {count:,} tasks: {cost:.0f} µs of CPU per task", flush=True)
    _write(folder, "core", "tasks", "µs of CPU per task, pure core", [Line("core", tuple(found))])


def workflows(cluster: Cluster, folder: Path) -> None:
    """So many chains of 10 at once: `workflows.svg`."""
    shape, rates, cpu = SHAPES["chains"], list[Point](), list[Point]()
    for count in WORKFLOWS:
        sample = runs.measure_one(cluster, dataclasses.replace(shape, workflows=count), OURS, 0)
        rates.append((float(count), sample.rate))
        cpu.append((float(count), 100 * sample.cpu_per_task))
        print(f"growth: {count} chains: {sample.rate:.0f} tasks/s, {sample.cpu_per_task:.2f} ms per task", flush=True)
    lines = [Line("tasks/s", tuple(rates)), Line("CPU, 10 µs per task", tuple(cpu))]
    _write(folder, "workflows", "workflows at once", "", lines)


def workers(cluster: Cluster, folder: Path) -> None:
    """Chains with so many workers: `workers.svg`."""
    rates, cpu = list[Point](), list[Point]()
    for count in WORKERS:
        sample = runs.measure_one(cluster, SHAPES["chains"], OURS, 0, (f"--workers={count}",))
        rates.append((float(count), sample.rate))
        cpu.append((float(count), 100 * sample.cpu_per_task))
        print(f"growth: {count} workers: {sample.rate:.0f} tasks/s, {sample.cpu_per_task:.2f} ms per task", flush=True)
    _write(folder, "workers", "workers", "", [Line("tasks/s", tuple(rates)), Line("CPU, 10 µs per task", tuple(cpu))])


def _write(folder: Path, name: str, x: str, y: str, lines: list[Line]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    title = f"Growth with {x}"
    (folder / f"{name}.svg").write_text(draw(title, x, y, lines, logarithmic=True))
