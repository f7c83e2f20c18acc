"""The growth of a soak compares its last third with its middle one."""

from __future__ import annotations

import math

import pytest

from hack.bench.soak import growth_of


@pytest.mark.parametrize(
    ("mib", "growth"),
    [
        pytest.param([1, 2, 50, 50, 50, 50], 1.0, id="caches that fill in the first third are no growth"),
        pytest.param([50, 50, 50, 50, 60, 60], 1.2, id="what rises in the last third is"),
    ],
)
def test_growth(mib: list[float], growth: float) -> None:
    assert growth_of(mib) == pytest.approx(growth)


def test_too_few_samples_give_no_figure() -> None:
    assert math.isnan(growth_of([1.0, 2.0]))
