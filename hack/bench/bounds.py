"""The bounds of docs/performance.md, each with its figure, and whether it holds. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hack.bench.samples import BARE, FLOOR, OURS, Sample, by_shape, median_of, pooled, ratio, ratio_interval
from hack.bench.shapes import SHAPES

MIN_REACTIONS: Final = 2_000
"""So many reactions are pooled before their percentiles count."""
MIN_BARE: Final = 0.9
RATES: Final = {"chains": 0.75, "fans": 0.85, "layers": 0.85, "wide": 0.85}
CALLS: Final = {"chains": 1.4, "fans": 1.15, "layers": 1.15, "wide": 1.15}
OTHER_CALLS: Final = 2.2
CPU_MS: Final = 1.2
DAG_CPU_MS: Final = 1.5 * CPU_MS
OTHER_CPU: Final = 2.0
REACTION: Final = 1.25
STATUS_BYTES: Final = 25.0
PARTS: Final[Mapping[str, tuple[str, float, str]]] = {
    "core 10000": ("pure core, 10,000 tasks: CPU per task", 150.0, "µs"),
    "core 100000": ("pure core, 100,000 tasks: CPU per task", 150.0, "µs"),
    "core 1000000": ("pure core, 1,000,000 tasks: CPU per task", 150.0, "µs"),
    "core growth": ("pure core, per task of the most tasks / of 10,000", 1.15, "x"),
    "scale rss": ("10,000 finished and 2,000 running workflows: RSS", 600.0, "MiB"),
    "scale restart": ("10,000 finished and 2,000 running workflows: start to first action", 10.0, "s"),
    "scale idle": ("10,000 finished and 2,000 running workflows: idle CPU", 1.0, "% of a core"),
    "soak growth": ("RSS in the last third of a soak / in the middle one", 1.05, "x"),
    "slow rate": ("20 ms per call: tasks/s / floor with as many calls in flight", 0.8, "x"),
    "queued rate": ("calls queued by the API server: tasks/s / floor with as many in flight", 0.8, "x"),
}
_AT_LEAST: Final = frozenset({"slow rate", "queued rate"})


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound. is_valid: whether the figure counts; note: what else is known of it."""

    name: str
    figure: float
    limit: float
    unit: str = ""
    is_least: bool = False
    is_valid: bool = True
    note: str = ""

    @property
    def is_met(self) -> bool:
        if math.isnan(self.figure) or not self.is_valid:
            return False
        return self.figure >= self.limit if self.is_least else self.figure <= self.limit

    def line(self) -> str:
        """For a person to read."""
        word = "ok   " if self.is_met else "short" if self.is_valid else "void "
        sign = ">=" if self.is_least else "<="
        note = f"  ({self.note})" if self.note else ""
        return f"{word} {self.name}: {self.figure:.3g} {sign} {self.limit:g} {self.unit}".rstrip() + note


def bounds(samples: Sequence[Sample], parts: Mapping[str, float]) -> Iterator[Bound]:
    """Every bound that these measurements can judge."""
    shapes = by_shape(samples)
    is_floor_valid, bare = _floor_of_fans(shapes.get("fans", ()))
    if not math.isnan(bare):
        yield Bound("floor's fan / bare creations", bare, MIN_BARE, "x", is_least=True)
    for name, own in shapes.items():
        yield from _of_shape(name, own, is_floor_valid)
    for name, figure in parts.items():
        if name in PARTS:
            title, limit, unit = PARTS[name]
            yield Bound(title, figure, limit, unit, is_least=name in _AT_LEAST)


def _floor_of_fans(samples: Sequence[Sample]) -> tuple[bool, float]:
    """Whether the floor is fast enough to be one, as far as this run says, and its fan's share of bare creations."""
    share = median_of(samples, FLOOR, lambda sample: sample.rate) / median_of(samples, BARE, lambda sample: sample.rate)
    return not share < MIN_BARE, share


def _of_shape(name: str, own: Sequence[Sample], is_floor_valid: bool) -> Iterator[Bound]:
    calls = median_of(own, OURS, lambda sample: sample.calls_per_task)
    cpu = median_of(own, OURS, lambda sample: sample.cpu_per_task)
    shape = SHAPES.get(name)
    if name in RATES:
        rate = ratio(own, lambda sample: sample.rate)
        yield Bound(f"{name}: tasks/s / floor", rate, RATES[name], "x", is_least=True, is_valid=is_floor_valid)
        yield Bound(f"{name}: calls per task", calls, CALLS[name])
        yield Bound(f"{name}: CPU per task", cpu, CPU_MS, "ms")
    elif name == "dag":
        yield Bound(f"{name}: CPU per task", cpu, DAG_CPU_MS, "ms")
        bytes_ = median_of(own, OURS, lambda sample: sample.status_bytes / max(1, sample.last_status))
        yield Bound(f"{name}: status bytes / final size", bytes_, STATUS_BYTES, "x")
    elif shape is not None and (shape.rate or shape.kind.gvr.resource in ("jobs", "pods")):
        yield Bound(f"{name}: calls per task", calls, OTHER_CALLS)
        yield Bound(f"{name}: CPU per task / floor", ratio(own, lambda sample: sample.cpu_per_task), OTHER_CPU, "x")
    if name == "quiet":
        yield from _latencies(name, own)


def _latencies(name: str, own: Sequence[Sample]) -> Iterator[Bound]:
    reactions = pooled(own, OURS, "reactions")
    is_valid = len(reactions) >= MIN_REACTIONS
    for field, title in (("reactions", "reaction"), ("lags", "finish lag")):
        ours, floor = pooled(own, OURS, field), pooled(own, FLOOR, field)
        for share in (0.5, 0.99):
            figure, low, high = ratio_interval(ours, floor, share)
            note = f"95 %: {low:.2f} to {high:.2f}; {len(ours)} pooled"
            bound = f"{name}: {title} p{100 * share:.0f} / floor"
            yield Bound(bound, figure, REACTION, "x", is_valid=is_valid, note=note)
