"""Durations as people read them."""

from __future__ import annotations

import pytest

from pkg.views.durations import elapsed, seconds_of, shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        pytest.param(None, "", id="none"),
        pytest.param(0, "0s", id="nothing"),
        pytest.param(2.74, "2.7s", id="tenths below ten seconds"),
        pytest.param(9.96, "10s", id="no 10.0"),
        pytest.param(59.7, "1m", id="rounded up to the next unit"),
        pytest.param(250, "4m10s", id="minutes and seconds"),
        pytest.param(3_605, "1h", id="a unit between that is nought ends it"),
        pytest.param(97_200, "1d3h", id="days and hours"),
    ],
)
def test_shown(seconds: float | None, text: str) -> None:
    assert shown(seconds) == text


def test_elapsed_ends_at_the_end_or_now() -> None:
    start, end = "2027-01-15T08:00:00Z", "2027-01-15T08:00:07.5Z"
    began = seconds_of(start)
    assert began is not None
    assert (elapsed(start, end, 0.0), elapsed(start, "", began + 60), elapsed("", "", began)) == (7.5, 60, None)


@pytest.mark.parametrize("text", ["", None, "yesterday"], ids=["empty", "none", "no time"])
def test_what_is_no_time_is_none(text: str | None) -> None:
    assert seconds_of(text) is None
