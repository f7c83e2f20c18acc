"""Owners whose objects are read in one request."""

from __future__ import annotations

import pytest

from pkg.controllers.engine.owner_batches import MAX_OWNERS, batches


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param([3, 4, 3], [[0, 1, 2]], id="as many objects as one answer should have"),
        pytest.param([3, 4, 4], [[0, 1], [2]], id="and no more"),
        pytest.param([11, 1, 10], [[0], [1], [2]], id="one with more is alone"),
        pytest.param([0, 0, 10, 0], [[0, 1, 2, 3]], id="some without objects"),
        pytest.param(
            [0] * (MAX_OWNERS + 1), [list(range(MAX_OWNERS)), [MAX_OWNERS]], id="as many as a URL has room for"
        ),
    ],
)
def test_batches(counts: list[int], expected: list[list[int]]) -> None:
    assert list(batches(enumerate(counts), 10)) == expected
