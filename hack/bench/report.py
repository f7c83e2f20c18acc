"""Prints and keeps what the benchmark of shapes found, and compares two reports."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from hack.bench.bounds import bounds
from hack.bench.harness import ROOT
from hack.bench.samples import BARE, FLOOR, OURS, Report, Sample, by_shape, median_of, percentile, pooled, spread_of
from pkg.apis.meta import timestamp

FOLDER = ROOT / ".bench"
Figure = Callable[[Sample], float]
_FIGURES: Mapping[str, Figure] = {
    "tasks/s": lambda sample: sample.rate,
    "calls/task": lambda sample: sample.calls_per_task,
    "CPU ms/task": lambda sample: sample.cpu_per_task,
    "RSS MiB": lambda sample: sample.rss,
    "status KiB": lambda sample: sample.status_bytes / 1024,
}


def keep(samples: Sequence[Sample], parts: Mapping[str, float], name: str) -> Path:
    """Writes a report into FOLDER."""
    FOLDER.mkdir(exist_ok=True)
    now = time.time()
    made = Report(timestamp(now)[:19] + "Z", _commit(), machine(), tuple(samples), dict(parts))
    path = FOLDER / f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{name}.json"
    path.write_bytes(msgspec.json.encode(made))
    return path


def read(paths: Sequence[str]) -> Report:
    """One report of several files: their rounds are pooled."""
    found = [msgspec.json.decode(Path(path).read_bytes(), type=Report) for path in paths]
    samples = tuple(
        msgspec.structs.replace(sample, round=1000 * at + sample.round)
        for at, report in enumerate(found)
        for sample in report.samples
    )
    parts = {name: figure for report in found for name, figure in report.parts.items()}
    return Report(found[-1].at, found[-1].commit, found[-1].machine, samples, parts)


def machine() -> str:
    """Processor, cores, memory and Python."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, Python {platform.python_version()}"


def show(samples: Sequence[Sample], parts: Mapping[str, float]) -> bool:
    """Prints tables and bounds; whether all bounds hold that can be judged."""
    console = Console(width=150)
    for name, own in by_shape(samples).items():
        console.print(_table(name, own))
        for side in (OURS, FLOOR):
            console.print(f"  {side}: {_calls(own, side)}", highlight=False)
    found = list(bounds(samples, parts))
    for bound in found:
        console.print(bound.line(), highlight=False, soft_wrap=True)
    return all(bound.is_met for bound in found)


def _table(name: str, own: Sequence[Sample]) -> Table:
    rounds = len([sample for sample in own if sample.side == OURS])
    table = Table(f"{name} ({rounds} rounds: median, least-most)", OURS, FLOOR, "ours / floor", box=None)
    bare = median_of(own, BARE, _FIGURES["tasks/s"])
    if not math.isnan(bare):
        table.add_row("bare creations/s", "", f"{bare:.0f}", "")
    for title, figure in _FIGURES.items():
        ours, floor = median_of(own, OURS, figure), median_of(own, FLOOR, figure)
        table.add_row(
            title, _spread(own, OURS, figure), _spread(own, FLOOR, figure), f"{ours / floor:.2f}" if floor else ""
        )
    for title, field in (("reaction ms", "reactions"), ("finish lag ms", "lags")):
        sides = [pooled(own, side, field) for side in (OURS, FLOOR)]
        for share in (0.5, 0.95, 0.99):
            ours, floor = (percentile(values, share) for values in sides)
            table.add_row(f"{title} p{100 * share:.0f}", f"{ours:.1f}", f"{floor:.1f}", f"{ours / floor:.2f}")
    return table


def _spread(own: Sequence[Sample], side: str, figure: Figure) -> str:
    least, most = spread_of(own, side, figure)
    return f"{median_of(own, side, figure):.2f} ({least:.2f}-{most:.2f})"


def _calls(own: Sequence[Sample], side: str) -> str:
    names = dict.fromkeys(name for sample in own if sample.side == side for name in sample.calls)
    figures = {name: median_of(own, side, lambda sample: sample.calls.get(name, 0) / sample.tasks) for name in names}  # noqa: B023
    return ", ".join(f"{name} {figure:.3f}" for name, figure in sorted(figures.items(), key=lambda item: -item[1]))


def compare(one: Report, other: Report) -> None:
    """Prints the figures of two reports side by side, and their ratio with the ratio of their floors taken out."""
    table = Table("shape", "figure", f"A {one.commit}", f"B {other.commit}", "B / A", "B / A, floor's apart", box=None)
    shapes_a, shapes_b = by_shape(one.samples), by_shape(other.samples)
    for name in [name for name in shapes_a if name in shapes_b]:
        for title, figure in _FIGURES.items():
            a, b = (median_of(found[name], OURS, figure) for found in (shapes_a, shapes_b))
            floor_a, floor_b = (median_of(found[name], FLOOR, figure) for found in (shapes_a, shapes_b))
            apart = f"{b / a / (floor_b / floor_a):.2f}" if floor_a and floor_b else ""
            table.add_row(name, title, f"{a:.2f}", f"{b:.2f}", f"{b / a:.2f}", apart)
    for name in [name for name in one.parts if name in other.parts]:
        a, b = one.parts[name], other.parts[name]
        table.add_row(name, "", f"{a:.2f}", f"{b:.2f}", f"{b / a:.2f}" if a else "", "")
    Console(width=150).print(table)


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"
