"""One measurement of one shape, and what several of them say together. Pure."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence

import msgspec

OURS, FLOOR, BARE = "ours", "floor", "bare"


class Sample(msgspec.Struct, frozen=True):
    """One run. side: OURS, FLOOR or BARE; round: the number of its round, from 0.

    seconds: from the first workflow to the end of the last; reactions, lags: milliseconds, from the last job that a
    task waited for to its own job, and from a workflow's last job to its end, each as seen by the observer; calls:
    `verb resource` -> how many, Leases and watches apart; cpu: seconds, without what the process uses when idle;
    idle_cpu: per second; rss: MiB at most; status_bytes: of all statuses stored, last_status: of the last one.
    """

    shape: str
    side: str
    round: int
    tasks: int
    seconds: float
    reactions: tuple[float, ...] = ()
    lags: tuple[float, ...] = ()
    calls: dict[str, int] = {}
    cpu: float = 0.0
    idle_cpu: float = 0.0
    rss: float = 0.0
    status_bytes: int = 0
    last_status: int = 0

    @property
    def rate(self) -> float:
        """Tasks per second."""
        return self.tasks / self.seconds

    @property
    def calls_per_task(self) -> float:
        return sum(self.calls.values()) / self.tasks

    @property
    def cpu_per_task(self) -> float:
        """Milliseconds."""
        return 1000 * self.cpu / self.tasks


class Report(msgspec.Struct, frozen=True):
    """What a run of the benchmark found: when (RFC 3339), which commit, on which machine, and figures of other parts by
    name.
    """

    at: str
    commit: str
    machine: str
    samples: tuple[Sample, ...] = ()
    parts: dict[str, float] = {}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of all values is; NaN without values."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def pooled(samples: Sequence[Sample], side: str, field: str) -> list[float]:
    """`reactions` or `lags` of all rounds of one side."""
    return [value for sample in samples if sample.side == side for value in getattr(sample, field)]


def median_of(samples: Sequence[Sample], side: str, figure: Callable[[Sample], float]) -> float:
    """The median over the rounds of one side; NaN without rounds."""
    found = [figure(sample) for sample in samples if sample.side == side]
    return statistics.median(found) if found else float("nan")


def spread_of(samples: Sequence[Sample], side: str, figure: Callable[[Sample], float]) -> tuple[float, float]:
    """The least and the greatest of the rounds of one side."""
    found = [figure(sample) for sample in samples if sample.side == side] or [float("nan")]
    return min(found), max(found)


def ratio(samples: Sequence[Sample], figure: Callable[[Sample], float]) -> float:
    """Ours divided by the floor's, as the median over the rounds that have both; NaN without such rounds."""
    by_round: dict[int, dict[str, float]] = {}
    for sample in samples:
        by_round.setdefault(sample.round, {})[sample.side] = figure(sample)
    found = [each[OURS] / each[FLOOR] for each in by_round.values() if OURS in each and each.get(FLOOR)]
    return statistics.median(found) if found else float("nan")


def ratio_interval(
    ours: Sequence[float], floor: Sequence[float], share: float, *, draws: int = 1000
) -> tuple[float, float, float]:
    """The ratio of two percentiles, and its 95 % interval by bootstrap."""
    if not ours or not floor:
        return (float("nan"),) * 3
    dice = random.Random(1)
    found = sorted(
        percentile(dice.choices(ours, k=len(ours)), share) / percentile(dice.choices(floor, k=len(floor)), share)
        for _ in range(draws)
    )
    whole = percentile(ours, share) / percentile(floor, share)
    return whole, percentile(found, 0.025), percentile(found, 0.975)


def by_shape(samples: Sequence[Sample]) -> Mapping[str, list[Sample]]:
    """The samples of each shape, in the order in which the shapes first occur."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.shape, []).append(sample)
    return found
