"""The delays of a backoff policy, and what it refuses."""

from __future__ import annotations

import pytest

from pkg.controllers.engine.backoff import Backoff


@pytest.mark.parametrize(
    ("attempt", "roll", "seconds"),
    [
        pytest.param(0, 0.0, 0.2, id="the first delay is the base"),
        pytest.param(1, 0.0, 0.4, id="the second is twice that"),
        pytest.param(5, 0.0, 6.4, id="and so on"),
        pytest.param(9, 0.0, 30.0, id="never above the cap"),
        pytest.param(10**9, 0.0, 30.0, id="not even after a billion tries"),
        pytest.param(-1, 0.0, 0.2, id="a negative attempt is the first"),
        pytest.param(1, 0.5, 0.3, id="jitter takes part of the delay away"),
        pytest.param(9, 1.0, 15.0, id="half of it at most"),
    ],
)
def test_delay(attempt: int, roll: float, seconds: float) -> None:
    assert Backoff(base=0.2, cap=30.0, jitter=0.5).delay(attempt, roll) == pytest.approx(seconds)


def test_a_factor_of_one_keeps_the_delay() -> None:
    assert Backoff(base=2.0, cap=30.0, factor=1.0).delay(1000) == 2.0


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"base": 0.0, "cap": 1.0}, "base"),
        ({"base": 2.0, "cap": 1.0}, "cap"),
        ({"base": 1.0, "cap": 1.0, "factor": 0.5}, "factor"),
        ({"base": 1.0, "cap": 1.0, "jitter": 1.5}, "jitter"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(fields: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Backoff(**fields)
