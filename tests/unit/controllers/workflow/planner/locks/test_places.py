"""Which place of a lock is free."""

from __future__ import annotations

import pytest

from pkg.controllers.workflow.planner.locks.places import free_places, place_to_take


@pytest.mark.parametrize(
    ("taken", "limit", "free", "place"),
    [
        pytest.param(set(), 1, 1, 0, id="a mutex that nobody holds"),
        pytest.param({0}, 1, 0, None, id="a mutex that somebody holds"),
        pytest.param({0, 2}, 3, 1, 1, id="the lowest free place of a semaphore"),
        pytest.param({0, 1, 2, 3}, 2, 0, None, id="a limit that was lowered below what is held"),
        pytest.param({3, 4}, 2, 0, None, id="the same, with the low places free"),
        pytest.param({4}, 2, 1, 0, id="the same, once enough was given back"),
        pytest.param(set(), 0, 0, None, id="a limit of nothing"),
    ],
)
def test_places(taken: set[int], limit: int, free: int, place: int | None) -> None:
    assert free_places(taken, limit) == free
    assert place_to_take(taken, limit) == place
