"""Schedules and zones: which times they name, also where clocks are changed, and what is refused in which words."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, strategies

from pkg.apis.flow.v1alpha1.schedules import ScheduleFault, Timetable, lone_step, parse, zone_of

MINUTE = timedelta(minutes=1)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def times(schedule: str, zone: str, since: str, until: str) -> list[str]:
    """Every time of a schedule after `since` and before `until`, as it is written in the zone."""
    timetable, found, end = Timetable.of([schedule], zone), list[str](), at(until)
    time = timetable.next_after(at(since))
    while time is not None and time < end:
        found.append(timetable.written(time))
        time = timetable.next_after(time)
    return found


SPRING = [
    pytest.param(
        "Europe/Berlin", "30 2 * * *", "2027-03-28", ["2027-03-28T03:00:00+02:00"], id="Berlin: right after the hour"
    ),
    pytest.param(
        "America/New_York",
        "30 2 * * *",
        "2027-03-14",
        ["2027-03-14T03:00:00-04:00"],
        id="New York: right after the hour",
    ),
    pytest.param(
        "Australia/Lord_Howe",
        "15 2 * * *",
        "2027-10-03",
        ["2027-10-03T02:30:00+11:00"],
        id="Lord Howe: right after the half hour",
    ),
    pytest.param(
        "Europe/Berlin",
        "0 2,3 * * *",
        "2027-03-28",
        ["2027-03-28T03:00:00+02:00"],
        id="two times that fall together are one",
    ),
    pytest.param("Africa/Cairo", "0 0 * * *", "2027-04-30", ["2027-04-30T01:00:00+03:00"], id="a midnight that is not"),
    pytest.param(
        "Australia/Lord_Howe",
        "45 * * * *",
        "2027-10-03",
        [f"2027-10-03T{hour:02}:45:00+{'10:30' if hour < 2 else '11:00'}" for hour in range(24)],
        id="each hour of a day without a half hour has its minute",
    ),
]
AUTUMN = [
    pytest.param(
        "Europe/Berlin", "30 2 * * *", "2027-10-31", ["2027-10-31T02:30:00+02:00"], id="Berlin: the first time alone"
    ),
    pytest.param(
        "America/New_York",
        "30 1 * * *",
        "2027-11-07",
        ["2027-11-07T01:30:00-04:00"],
        id="New York: the first time alone",
    ),
    pytest.param(
        "Australia/Lord_Howe",
        "45 1 * * *",
        "2027-04-04",
        ["2027-04-04T01:45:00+11:00"],
        id="Lord Howe: the first time alone",
    ),
    pytest.param(
        "Europe/Berlin",
        "*/30 2 * * *",
        "2027-10-31",
        [
            "2027-10-31T02:00:00+02:00",
            "2027-10-31T02:30:00+02:00",
            "2027-10-31T02:00:00+01:00",
            "2027-10-31T02:30:00+01:00",
        ],
        id="a schedule with a star follows the clock through both hours",
    ),
    pytest.param(
        "Australia/Lord_Howe",
        "*/15 2 * * *",
        "2027-04-04",
        [f"2027-04-04T02:{minute:02}:00+10:30" for minute in (0, 15, 30, 45)],
        id="the hour after half an hour that is doubled is whole",
    ),
]


@pytest.mark.parametrize(("zone", "schedule", "day", "wanted"), [*SPRING, *AUTUMN])
def test_a_change_of_the_clocks(zone: str, schedule: str, day: str, wanted: list[str]) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    before, after = midnight.astimezone(UTC) - MINUTE, (midnight + timedelta(days=1)).astimezone(UTC)
    assert times(schedule, zone, before.isoformat(), after.isoformat()) == wanted


CHANGES = [
    ("Europe/Berlin", "2027-03-28"),
    ("Europe/Berlin", "2027-10-31"),
    ("America/New_York", "2027-03-14"),
    ("America/New_York", "2027-11-07"),
    ("Australia/Lord_Howe", "2027-04-04"),
    ("Australia/Lord_Howe", "2027-10-03"),
    ("Africa/Cairo", "2027-04-30"),
    ("Africa/Cairo", "2027-10-29"),
    ("America/Havana", "2027-03-14"),
    ("America/Havana", "2027-11-07"),
    ("Asia/Beirut", "2027-03-28"),
    ("America/Santiago", "2027-09-05"),
    ("Antarctica/Troll", "2027-03-28"),
    ("Pacific/Apia", "2011-12-30"),
]


def by_minutes(schedule: str, zone: str, start: datetime, end: datetime) -> Iterator[int]:
    """The times after `start` and before `end`, found minute by minute by looking at the local clock."""
    fields, local = CronSim(schedule, start), ZoneInfo(zone)
    is_fixed = not any(field.startswith("*") for field in schedule.split()[:2])

    def matches(wall: datetime) -> bool:
        is_time = wall.minute in fields.minutes and wall.hour in fields.hours and wall.month in fields.months
        return is_time and fields.match_day(wall.date())

    before = start.astimezone(local).replace(tzinfo=None)
    moment = start + MINUTE
    while moment < end:
        shown = moment.astimezone(local)
        wall = shown.replace(tzinfo=None)
        left_out = [before + MINUTE * skipped for skipped in range(1, int((wall - before) / MINUTE))]
        is_met = matches(wall) and not (is_fixed and shown.fold)
        if is_met or (is_fixed and any(map(matches, left_out))):
            yield int(moment.timestamp())
        before, moment = wall, moment + MINUTE


def any_schedule(pick: random.Random) -> str:
    minute = pick.choice(["*", "*/10", "*/7", "0", "30", "15", "45", "5,35", "0-10", "59"])
    hour = pick.choice(["*", "*/2", "*/5", "0", "1", "2", "1,2", "2,3", "0-3", "23", "0,23"])
    return f"{minute} {hour} {pick.choice(['*', '*', 'L', '30'])} * {pick.choice(['*', '*', 'SUN', 'SUN#1'])}"


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_around_a_change_every_time_is_found_once(zone: str, day: str) -> None:
    pick = random.Random(f"{zone} {day}")
    for _ in range(6):
        schedule = any_schedule(pick)
        start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=15)
        end = start + timedelta(hours=33)
        wanted = list(by_minutes(schedule, zone, start, end))
        timetable, found = Timetable.of([schedule], zone), list[int]()
        time = timetable.next_after(start.timestamp())
        while time is not None and time < end.timestamp():
            found.append(time)
            time = timetable.next_after(time)
        assert found == wanted, schedule
        for _ in range(10):
            now = start.timestamp() + pick.randrange(33 * 3600)
            last = max((one for one in wanted if one <= now), default=None)
            assert timetable.last_until(start.timestamp(), now) == last, (schedule, now)


def test_several_schedules_are_one_timetable() -> None:
    timetable = Timetable.of(["0 6 * * *", "0 6,18 * * *"], "")
    assert timetable.count(at("2027-01-01T00:00:00Z"), at("2027-01-03T00:00:00Z"), 100) == 4
    assert timetable.last_until(at("2027-01-01T00:00:00Z"), at("2027-01-02T17:00:00Z")) == at("2027-01-02T06:00:00Z")


def test_the_newest_of_millions_of_times_is_found_at_once() -> None:
    timetable = Timetable.of(["* * * * *"], "Europe/Berlin")
    until = at("2027-06-01T12:34:56Z")
    assert timetable.last_until(at("2000-01-01T00:00:00Z"), until) == until - 56
    assert timetable.count(0, until, 100) == 100


@pytest.mark.parametrize(
    ("time", "zone", "wanted"),
    [
        ("2027-03-28T01:00:00Z", "Europe/Berlin", "2027-03-28T03:00:00+02:00"),
        ("2027-10-31T01:30:00Z", "Europe/Berlin", "2027-10-31T02:30:00+01:00"),
        ("2027-10-31T01:30:00Z", "", "2027-10-31T01:30:00Z"),
    ],
)
def test_a_time_is_written_with_the_offset_of_its_zone(time: str, zone: str, wanted: str) -> None:
    assert Timetable.of(["* * * * *"], zone).written(at(time)) == wanted


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("@daily", "0 0 * * *"),
        ("@Hourly", "0 * * * *"),
        ("  0   6 ? * mon-fri ", "0 6 * * MON-FRI"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("0 0 L * *", "0 0 L * *"),
    ],
)
def test_a_schedule_is_read(text: str, plain: str) -> None:
    assert parse(text) == plain


@pytest.mark.parametrize(
    ("text", "days"),
    [
        pytest.param("0 0 13 * FRI", [1, 8, 13, 15, 22, 29], id="both are given: one has to match"),
        pytest.param("0 0 */10 * FRI", [1, 8, 11, 15, 21, 22, 29, 31], id="a step of days is given"),
        pytest.param("0 0 13 * */3", [2, 3, 6, 9, 10, 13, 16, 17, 20, 23, 24, 27, 30, 31], id="a step of weekdays"),
        pytest.param("0 0 */1 * FRI", [1, 8, 15, 22, 29], id="each day is not given"),
        pytest.param("0 0 *,13 * FRI", [1, 8, 15, 22, 29], id="nor is a list with each day"),
        pytest.param("0 0 */10 * *", [1, 11, 21, 31], id="a step of days alone"),
        pytest.param("0 0 13-13/2 * *", [13], id="a range of one day with a step"),
    ],
)
def test_days_mean_what_they_mean_for_a_cronjob(text: str, days: list[int]) -> None:
    """January 2027 begins on a Friday. The lists are those of github.com/robfig/cron, which CronJob uses."""
    found = times(text, "", "2026-12-31T23:59:59Z", "2027-02-01T00:00:00Z")
    assert [datetime.fromisoformat(time).day for time in found] == days


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("0 0 31 2 *", "never fires: no month of 2 has a day 31", id="a day that the month does not have"),
        pytest.param("0 0 30 FEB *", "never fires: no month of FEB has a day 30", id="a month by its name"),
        pytest.param("0 0 31 4,6 *", "never fires: no month of 4,6 has a day 31", id="a day that no listed month has"),
        pytest.param("0 0 30,31 2 *", "never fires: no month of 2 has a day 30,31", id="days that no listed month has"),
        pytest.param("0 0 32 2 *", 'the day of month "32" is none', id="a day that no month has"),
        pytest.param("0 0 * * * *", "has 6 fields, and needs 5", id="with seconds"),
        pytest.param("", "has 0 fields, and needs 5", id="empty"),
        pytest.param("61 * * * *", 'the minute "61" is none; write 0 to 59', id="a minute that is none"),
        pytest.param("* 24 * * *", 'the hour "24" is none; write 0 to 23', id="an hour that is none"),
        pytest.param("* * 0 * *", 'the day of month "0" is none; write 1 to 31', id="a day that is none"),
        pytest.param("* * * 13 *", 'the month "13" is none; write 1 to 12 or JAN to DEC', id="a month that is none"),
        pytest.param("* * * * FUN", 'the day of week "FUN" is none; write 0 to 7', id="a weekday that is none"),
        pytest.param("*/0 * * * *", 'the minute "*/0" is none', id="a step of nothing"),
        pytest.param("TZ=UTC 0 0 * * *", "write the zone into timeZone", id="a zone in the schedule"),
        pytest.param("@every 5m", "for an interval write */5", id="an interval"),
        pytest.param("@noon", "there is no such word; the words are @yearly", id="a word that is none"),
    ],
)
def test_a_schedule_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(ScheduleFault) as caught:
        parse(text)
    assert why in str(caught.value)


@given(strategies.text(max_size=40) | strategies.text("0123456789*/,-#LWSUNMON ", max_size=40))
def test_any_text_is_a_schedule_or_refused(text: str) -> None:
    try:
        plain = parse(text)
    except ScheduleFault:
        return
    assert Timetable((plain,)).next_after(1_800_000_000) is not None


@pytest.mark.parametrize(
    "name",
    ["Mars/Olympus", "America", "../etc/passwd", "/etc/localtime", "localtime", "Local", "right/UTC", "a" * 64, "\x00"],
)
def test_a_zone_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ScheduleFault, match="no time zone has this name"):
        zone_of(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("europe/berlin", 'did you mean "Europe/Berlin"?', id="small letters"),
        pytest.param(" America/New York ", 'did you mean "America/New_York"?', id="blanks"),
        pytest.param("Europe/Berln", 'did you mean "Europe/Berlin"?', id="a letter left out"),
        pytest.param("UTC+2", 'for clocks that are always +2 h from UTC write "Etc/GMT-2"', id="an offset"),
        pytest.param("-05:00", 'for clocks that are always -5 h from UTC write "Etc/GMT+5"', id="an offset alone"),
        pytest.param("+15", "such as Europe/Berlin", id="an offset that no zone has"),
        pytest.param("UTC+0530", "such as Europe/Berlin", id="half an hour, which has no name"),
        pytest.param("CEST", "such as Europe/Berlin", id="letters that are almost those of another zone"),
        pytest.param("Mars/Olympus", "such as Europe/Berlin", id="nothing alike"),
    ],
)
def test_the_zone_that_was_meant_is_named(name: str, said: str) -> None:
    with pytest.raises(ScheduleFault) as caught:
        zone_of(name)
    assert str(caught.value).endswith((said, "or the name of a place, such as Europe/Berlin"))
    assert said in str(caught.value)
    for zone in re.findall(r'"(.+?)"', str(caught.value)):
        assert zone_of(zone) is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("*/90 * * * *", 'the minute "*/90" means minute 0 alone', id="each 90 minutes"),
        pytest.param("0 */24 * * *", 'the hour "*/24" means hour 0 alone', id="each 24 hours"),
        pytest.param("0 0 */31 * *", 'the day of month "*/31" means day of month 1 alone', id="each 31 days"),
        pytest.param("*/59 */23 */30 */11 */6", None, id="the largest steps that mean something"),
    ],
)
def test_a_step_that_never_comes_round_is_named(text: str, said: str | None) -> None:
    found = lone_step(text)
    assert found is None if said is None else said in (found or "")


@pytest.mark.parametrize("name", ["", "UTC", "Etc/UTC"])
def test_utc_is_the_zone_without_a_name(name: str) -> None:
    assert zone_of(name) is UTC
