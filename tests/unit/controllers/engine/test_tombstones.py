"""How long deletions are remembered."""

from __future__ import annotations

import pytest

from pkg.controllers.engine import tombstones
from pkg.controllers.engine.tombstones import GENERATION_SECONDS, Tombstone, Tombstones


@pytest.mark.parametrize(
    ("times", "is_kept"),
    [
        pytest.param([0.0], True, id="at once"),
        pytest.param([GENERATION_SECONDS], True, id="for a generation"),
        pytest.param([2 * GENERATION_SECONDS - 1], True, id="for at most two"),
        pytest.param([GENERATION_SECONDS, 2 * GENERATION_SECONDS - 1], True, id="for the next generation, too"),
        pytest.param([GENERATION_SECONDS, 2 * GENERATION_SECONDS], False, id="not for two"),
        pytest.param([2 * GENERATION_SECONDS], False, id="not for two, though nothing happened meanwhile"),
    ],
)
def test_a_tombstone_is_kept_for_a_short_time(times: list[float], is_kept: bool) -> None:
    now = [0.0]
    stones = Tombstones(lambda: now[0])
    stones.put("a", 5, is_announced=False)
    for now[0] in times:
        stones.sweep()
    assert (stones.get("a") is not None) is is_kept
    assert len(stones) == is_kept


def test_a_tombstone_can_be_replaced_in_a_later_generation() -> None:
    now = [0.0]
    stones = Tombstones(lambda: now[0])
    stones.put("a", 5, is_announced=False)
    now[0] = GENERATION_SECONDS
    stones.put("a", 6, is_announced=True)
    assert stones.get("a") == Tombstone(6, True)
    assert len(stones) == 1


def test_there_are_at_most_two_full_generations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "GENERATION_LIMIT", 10)
    stones = Tombstones(lambda: 0.0)
    for number in range(1000):
        stones.put(str(number), number, is_announced=True)
        assert len(stones) <= 20
        assert stones.get(str(number)) is not None
