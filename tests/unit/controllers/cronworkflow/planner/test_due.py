"""Which scheduled time is due, and which were missed."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.schedules import Timetable
from pkg.controllers.cronworkflow.planner.due import MAX_MISSED, counted_before, due
from tests.unit.controllers.cronworkflow.setups import at

HOURLY = Timetable.of(["0 * * * *"], "")


@pytest.mark.parametrize(
    ("since", "now", "deadline", "counted", "time", "missed"),
    [
        pytest.param("00:00:00", "00:59:59", None, "", None, 0, id="before the first time nothing is due"),
        pytest.param("00:00:00", "01:00:00", None, "", "01:00:00", 0, id="a time is due the moment it comes"),
        pytest.param("01:00:00", "01:30:00", None, "", None, 0, id="a time that has its run is not due again"),
        pytest.param("01:00:00", "04:30:00", None, "", "04:00:00", 2, id="of several times the newest is due"),
        pytest.param("01:00:00", "04:30:00", None, "03:00:00", "04:00:00", 0, id="missed times are counted once"),
        pytest.param("01:00:00", "05:30:00", None, "03:00:00", "05:00:00", 1, id="and later ones when they are missed"),
        pytest.param("00:00:00", "01:00:30", 30, "", "01:00:00", 0, id="the last second of the deadline is in time"),
        pytest.param("00:00:00", "01:00:31", 30, "", None, 1, id="after the deadline the newest time is missed, too"),
        pytest.param("00:00:00", "01:00:31", 30, "01:00:00", None, 0, id="and counted once"),
        pytest.param("01:00:00", "04:00:10", 30, "", "04:00:00", 2, id="older times are missed within the deadline"),
    ],
)
def test_due(since: str, now: str, deadline: int | None, counted: str, time: str | None, missed: int) -> None:
    found = due(HOURLY, since=at(since), now=at(now), deadline=deadline, counted=at(counted) if counted else 0.0)
    assert found.time == (at(time) if time else None)
    assert found.missed == missed
    assert found.next == (at(now) // 3600 + 1) * 3600
    again = due(HOURLY, since=at(since), now=at(now), deadline=deadline, counted=found.counted)
    assert again.missed == 0


@pytest.mark.parametrize(
    ("since", "recorded", "now", "deadline", "time", "missed"),
    [
        pytest.param("01:00:00", "", "04:30:00", None, "04:00:00", 2, id="nothing is recorded: all are counted"),
        pytest.param("01:00:00", "02:00:00", "04:30:00", None, "04:00:00", 2, id="what passed without a controller"),
        pytest.param("01:00:00", "05:00:00", "04:30:00", None, "04:00:00", 0, id="what was counted is counted once"),
        pytest.param("01:00:00", "05:00:00", "05:30:00", None, "05:00:00", 1, id="one that waited then is missed now"),
        pytest.param("01:00:00", "05:00:00", "04:30:00", 30, None, 0, id="one that was late then was counted"),
        pytest.param("01:00:00", "02:00:00", "02:00:31", 30, None, 1, id="one that became late without a controller"),
    ],
)
def test_a_controller_that_follows_another_counts_what_that_one_has_not_counted(
    since: str, recorded: str, now: str, deadline: int | None, time: str | None, missed: int
) -> None:
    """recorded: the next scheduled time in status."""
    next_ = at(recorded) if recorded else 0.0
    counted = counted_before(HOURLY, since=at(since), recorded=next_, now=at(now), deadline=deadline)
    found = due(HOURLY, since=at(since), now=at(now), deadline=deadline, counted=counted)
    assert (found.time, found.missed) == (at(time) if time else None, missed)


def test_many_missed_times_are_counted_to_a_bound() -> None:
    found = due(HOURLY, since=0, now=at("12:30:00"), deadline=None, counted=0)
    assert (found.time, found.missed) == (at("12:00:00"), MAX_MISSED)
