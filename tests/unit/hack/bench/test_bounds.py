"""What the benchmark says of figures: which bound holds, which does not, and which cannot be judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hack.bench.bounds import bounds
from hack.bench.samples import BARE, FLOOR, OURS, Sample


def _sample(shape: str, side: str, seconds: float, **fields: Any) -> Sample:
    made: dict[str, Any] = {"round": 0, "tasks": 100, "calls": {"create jobs": 100}, "cpu": 0.1, **fields}
    return Sample(shape=shape, side=side, seconds=seconds, **made)


def _lines(samples: Sequence[Sample]) -> dict[str, str]:
    """The word of each bound by its name."""
    return {bound.name: bound.line().split()[0] for bound in bounds(samples, {})}


def test_a_rate_within_the_bound_is_ok_and_one_below_it_is_short() -> None:
    floor = _sample("chains", FLOOR, 1.0)
    assert _lines([_sample("chains", OURS, 1.3), floor])["chains: tasks/s / floor"] == "ok"
    assert _lines([_sample("chains", OURS, 1.4), floor])["chains: tasks/s / floor"] == "short"


def test_a_floor_far_below_bare_creations_makes_the_rates_void() -> None:
    fans = [_sample("fans", OURS, 1.3), _sample("fans", FLOOR, 1.2), _sample("fans", BARE, 1.0)]
    found = _lines(fans)
    assert found["floor's fan / bare creations"] == "short"
    assert found["fans: tasks/s / floor"] == "void"


@pytest.mark.parametrize(
    ("shape", "calls", "word"),
    [
        pytest.param("chains", 140, "ok", id="chains may take 1.4 calls"),
        pytest.param("fans", 116, "short", id="fans may take 1.15 calls"),
        pytest.param("quiet", 220, "ok", id="a quiet controller may take 2.2 calls"),
        pytest.param("jobs", 221, "short", id="real Jobs may take 2.2 calls"),
    ],
)
def test_all_calls_count(shape: str, calls: int, word: str) -> None:
    split = {"create jobs": 100, "create events": calls - 100}
    found = _lines([_sample(shape, OURS, 1.0, calls=split), _sample(shape, FLOOR, 1.0)])
    assert found[f"{shape}: calls per task"] == word


def test_reactions_count_once_enough_are_pooled() -> None:
    few = [_sample("quiet", side, 1.0, reactions=(4.0,) * 100, lags=(1.0,)) for side in (OURS, FLOOR)]
    assert _lines(few)["quiet: reaction p50 / floor"] == "void"
    many = [_sample("quiet", side, 1.0, reactions=(4.0,) * 2000, lags=(1.0,)) for side in (OURS, FLOOR)]
    assert _lines(many)["quiet: reaction p50 / floor"] == "ok"


def test_statuses_may_add_up_to_25_times_the_last_one() -> None:
    for total, word in ((2500, "ok"), (2600, "short")):
        found = _lines([_sample("dag", OURS, 1.0, status_bytes=total, last_status=100)])
        assert found["dag: status bytes / final size"] == word
