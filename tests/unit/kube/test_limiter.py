"""The token bucket, with time as an argument."""

from __future__ import annotations

import pytest

from pkg.kube.limiter import TokenBucket


def test_a_burst_is_free_and_then_calls_are_spaced() -> None:
    bucket = TokenBucket(rate=10, burst=2)
    assert [bucket.reserve(0.0) for _ in range(4)] == pytest.approx([0, 0, 0.1, 0.2])


def test_tokens_come_back_with_time_and_never_more_than_the_burst() -> None:
    bucket = TokenBucket(rate=10, burst=2)
    for _ in range(4):
        bucket.reserve(0.0)
    assert bucket.reserve(100.0) == bucket.reserve(100.0) == 0
    assert bucket.reserve(100.0) == pytest.approx(0.1)


def test_take_never_borrows() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    assert [bucket.take(0.0), bucket.take(0.5), bucket.take(1.0), bucket.take(1.0)] == [True, False, True, False]


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.take(10.0)
    assert not bucket.take(5.0)
    assert not bucket.take(10.5)
    assert bucket.take(11.0)
