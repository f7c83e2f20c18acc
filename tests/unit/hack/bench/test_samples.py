"""Statistics over rounds."""

from __future__ import annotations

import math

import pytest

from hack.bench.samples import FLOOR, OURS, Sample, percentile, ratio, ratio_interval


def _sample(side: str, number: int, seconds: float) -> Sample:
    return Sample(shape="chains", side=side, round=number, tasks=10, seconds=seconds)


def test_a_percentile_lies_between_the_values_around_it() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([1.0, 2.0], 0.75) == pytest.approx(1.75)
    assert math.isnan(percentile([], 0.5))


def test_a_ratio_compares_within_a_round_and_takes_the_median_of_the_rounds() -> None:
    # The second round was disturbed on both sides; the third has no floor.
    rounds = [(OURS, 0, 2.0), (FLOOR, 0, 1.0), (OURS, 1, 20.0), (FLOOR, 1, 10.0), (OURS, 2, 5.0)]
    assert ratio([_sample(*each) for each in rounds], lambda sample: sample.rate) == 0.5


def test_the_interval_of_a_ratio_contains_it_and_narrows_with_more_values() -> None:
    values = [float(at % 10 + 1) for at in range(100)]
    whole, low, high = ratio_interval(values, values, 0.5)
    assert low <= whole == 1.0 <= high
    _, low_many, high_many = ratio_interval(values * 20, values * 20, 0.5, draws=200)
    assert high_many - low_many < high - low
