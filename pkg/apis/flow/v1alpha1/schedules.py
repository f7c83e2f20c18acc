"""Schedules in cron's form, in a time zone. `cronsim` reads them. Pure: the caller says what time it is.

Times are whole seconds since the epoch. A schedule whose minute and hour do not begin with `*` names fixed times. Such
a time fires once in an hour that a change of the clocks doubles, the first time, and right after an hour that a change
leaves out. Any other schedule fires at each minute of the local clock that matches.
"""

from __future__ import annotations

import difflib
import functools
import re
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from cronsim import CronSim, CronSimError

_EXAMPLE: Final = "minute, hour, day of month, month and day of week, such as 30 2 * * MON-FRI"
_FIELDS: Final = 5
_WORDS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# Names that mean another zone on each machine, or count leap seconds.
_NO_ZONES: Final = re.compile(r"(?:localtime|local|posixrules|Factory|(?:posix|right)(?:/.*)?)\Z", re.IGNORECASE)
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,3}\Z")
# A leap year, so that the 29th of February comes.
_ANY_TIME: Final = datetime(2024, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
MINUTE: Final = 60
# The fields of the days, with all of their values.
_DAYS: Final = {2: "1-31", 4: "0-6"}
# Of each field: its name, how many values it has, and the first of them.
_SIZES: Final = (("minute", 60, 0), ("hour", 24, 0), ("day of month", 31, 1), ("month", 12, 1), ("day of week", 7, 0))
_WITHIN: Final = ("hour", "day", "month", "year", "week")
_SHIFT: Final = re.compile(r"(?:UTC|GMT)?([+-])0?([0-9]{1,2})(?::?00)?\Z", re.IGNORECASE)
# The hours that zones of fixed offsets go up to, east and west of Greenwich.
_MAX_SHIFT: Final = {"+": 14, "-": 12}
# So much of a name must be alike for another to be meant.
_NEAR: Final = 0.8


class ScheduleFault(ValueError):
    """A schedule or a time zone that cannot be; the message says why and what would be right."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """All schedules of one CronWorkflow, each as five fields, in their zone."""

    schedules: tuple[str, ...]
    zone: tzinfo = UTC

    @classmethod
    def of(cls, schedules: Iterable[str], zone: str) -> Timetable:
        """Raises ScheduleFault for the first schedule that cannot be, and for a zone that is not there."""
        return cls(tuple(parse(text) for text in schedules), zone_of(zone))

    def next_after(self, after: float) -> int | None:
        """The first time after `after`; None if there is none within 50 years."""
        start = datetime.fromtimestamp(after // 1, UTC)
        found = [time for text in self.schedules for time in [_first(text, start, self.zone)] if time is not None]
        return int(min(found).timestamp()) if found else None

    def last_until(self, after: float, until: float) -> int | None:
        """The newest time after `after` and not after `until`; None if there is none."""
        first = self.next_after(after)
        if first is None or first > until:
            return None
        second = self.next_after(first)
        if second is None or second > until:
            return first
        # `next_after` never falls, so the newest time is found by halving the minutes that may be before it.
        low, high = second // MINUTE, int(until) // MINUTE
        while low < high:
            middle = (low + high) // 2
            following = self.next_after(middle * MINUTE)
            if following is not None and following <= until:
                low = max(middle + 1, following // MINUTE)
            else:
                high = middle
        return low * MINUTE

    def count(self, after: float, until: float, limit: int) -> int:
        """How many times there are after `after` and not after `until`, counted up to `limit`."""
        found = 0
        time = self.next_after(after)
        while time is not None and time <= until and found < limit:
            found += 1
            time = self.next_after(time)
        return found

    def written(self, time: float) -> str:
        """A time as RFC 3339 has it, in the zone: 2026-03-29T03:00:00+02:00, in UTC with Z."""
        text = datetime.fromtimestamp(int(time), UTC).astimezone(self.zone).isoformat()
        return text.removesuffix("+00:00") + "Z" if self.zone is UTC else text


def _first(text: str, after: datetime, zone: tzinfo) -> datetime | None:
    """The first time of one schedule after `after`, which is in UTC, as the result is."""
    if zone is UTC:
        return next(CronSim(text, after), None)
    return _first_free(text, after, zone) if _is_free(text) else _first_fixed(text, after, zone)


def _first_fixed(text: str, after: datetime, zone: tzinfo) -> datetime | None:
    times = (found.astimezone(UTC) for found in CronSim(text, after.astimezone(zone)))
    # While the second of two doubled hours runs, cronsim may name a time of the first one.
    return next((time for time in times if time > after), None)


def _first_free(text: str, after: datetime, zone: tzinfo) -> datetime | None:
    """Cronsim is asked for one stretch of time after the other in which the local clock is not changed.

    Near a change it leaves times out: after a midnight that the change skips, and where the change is half an hour.
    """
    since, offset = after, _offset(after, zone)
    while True:
        wall = (after + offset).replace(tzinfo=None)
        found = next(CronSim(text, wall), None)
        if found is None:
            return None
        time = found.replace(tzinfo=UTC) - offset
        change = _first_change(since, time, zone, offset)
        if change is None:
            return time
        # The minute of the change may match, too.
        since, after, offset = change, change - _MINUTE, _offset(change, zone)


def _first_change(since: datetime, until: datetime, zone: tzinfo, offset: timedelta) -> datetime | None:
    """The first second after `since` and not after `until` with another offset from UTC; None if there is none."""
    low = since
    while low < until:
        high = min(low + _DAY, until)
        if _offset(high, zone) != offset:
            while high - low > _SECOND:
                middle = low + (high - low) // (2 * _SECOND) * _SECOND
                low, high = (low, middle) if _offset(middle, zone) != offset else (middle, high)
            return high
        low = high
    return None


def _offset(time: datetime, zone: tzinfo) -> timedelta:
    """What the local clock is ahead of UTC by."""
    return time.astimezone(zone).utcoffset() or timedelta()


def _is_free(text: str) -> bool:
    """Whether a schedule follows the local clock minute by minute, and names no fixed times."""
    minute, hour, *_ = text.split()
    return minute.startswith("*") or hour.startswith("*")


@functools.lru_cache(maxsize=16_384)
def parse(text: str) -> str:
    """A schedule as five fields. Raises ScheduleFault for one that cannot be read, and for one that never fires."""
    plain = " ".join(text.split())
    if "TZ=" in plain.upper():
        raise ScheduleFault("has a time zone; write the zone into timeZone, and here only " + _EXAMPLE)
    if plain.startswith("@"):
        word = _WORDS.get(plain.lower())
        if word is None:
            hint = "; for an interval write */5 in the field of minutes" if plain.lower().startswith("@every") else ""
            raise ScheduleFault(f"there is no such word; the words are {', '.join(_WORDS)}{hint}")
        return word
    fields = plain.replace("?", "*").split()
    if len(fields) != _FIELDS:
        raise ScheduleFault(f"has {len(fields)} fields, and needs 5: {_EXAMPLE}")
    plain = " ".join(_as_cronjob(at, field) for at, field in enumerate(fields)).upper()
    try:
        is_there = next(CronSim(plain, _ANY_TIME), None) is not None
    except CronSimError as error:
        raise ScheduleFault(_bad(str(error), fields)) from error
    if not is_there:
        raise ScheduleFault("never fires: no day of the next 50 years has this date; correct the day or the month")
    return plain


def _as_cronjob(at: int, field: str) -> str:
    """A field as cronsim has to read it so that it means what it means for a CronJob.

    There a step makes a day of month or week one that is given, so that a day has to match only one of both. A range
    of one value with a step is that value; cronsim takes it for the rest of the field.
    """
    parts = [re.sub(r"^(\w+)-\1/\d+$", r"\1", part) for part in field.split(",")]
    if at in _DAYS:
        if any(part in ("*", "*/1") for part in parts):
            return "*"
        parts = [re.sub(r"^\*(?=/)", _DAYS[at], part) for part in parts]
    return ",".join(parts)


def _bad(error: str, fields: list[str]) -> str:
    """What is wrong with a schedule that cronsim cannot read, or whose day no month has."""
    name = error.removeprefix("Bad ")
    allowed = {
        "minute": (0, "0 to 59"),
        "hour": (1, "0 to 23"),
        "day-of-month": (2, "1 to 31, L for the last day"),
        "month": (3, "1 to 12 or JAN to DEC"),
        "day-of-week": (4, "0 to 7 or SUN to SAT, where 0 and 7 are Sunday"),
    }
    at, values = allowed.get(name, (0, ""))
    if name == "day-of-month" and _is_read(["0", "0", fields[2], "*", "*"]):
        return f"never fires: no month of {fields[3]} has a day {fields[2]}; correct the day or the month"
    forms = "a list (1,2), a range (1-5) or a step (*/5)"
    return f'the {name.replace("-", " ")} "{fields[at]}" is none; write {values}, {forms}'


def _is_read(fields: list[str]) -> bool:
    try:
        CronSim(" ".join(fields).upper(), _ANY_TIME)
    except CronSimError:
        return False
    return True


def lone_step(text: str) -> str | None:
    """What a step of a schedule means that is as large as its field or larger, in words; None if there is none.

    Whoever writes */90 for minutes expects a run each 90 minutes.
    """
    for at, field in enumerate(text.split()):
        name, size, first = _SIZES[at]
        step = re.fullmatch(r"\*/([0-9]+)", field)
        if step is not None and int(step[1]) >= size:
            return f'the {name} "{field}" means {name} {first} alone, because a step counts anew in each {_WITHIN[at]}'
    return None


@functools.lru_cache(maxsize=1_024)
def zone_of(name: str) -> tzinfo:
    """The time zone of a name; UTC for none. Raises ScheduleFault if it is not there."""
    if name in ("", "UTC", "Etc/UTC"):
        return UTC
    if not _ZONE.match(name) or _NO_ZONES.match(name):
        raise ScheduleFault(_no_zone(name))
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleFault(_no_zone(name)) from error


def _no_zone(name: str) -> str:
    """What is wrong with the name of a zone, and which one was probably meant."""
    shift = _SHIFT.match(name)
    if shift is not None and 0 < int(shift[2]) <= _MAX_SHIFT[shift[1]]:
        # POSIX, and so IANA, counts what is west of Greenwich as positive.
        sign = "-" if shift[1] == "+" else "+"
        hours = int(shift[2])
        return (
            f"no time zone has this name; for clocks that are always {shift[1]}{hours} h from UTC write"
            f' "Etc/GMT{sign}{hours}" (with the sign reversed), or the name of a place, such as Europe/Berlin'
        )
    known = _zones_by_lower_case()
    found = known.get(name.strip().lower().replace(" ", "_"))
    if found is None:
        places = [one for one in known if "/" in one]  # CEST is not meant to be EST
        found = next((known[one] for one in difflib.get_close_matches(name.lower(), places, n=1, cutoff=_NEAR)), None)
    hint = f'; did you mean "{found}"?' if found else ""
    return f"no time zone has this name; write one of the IANA's, such as Europe/Berlin{hint}"


@functools.cache
def _zones_by_lower_case() -> dict[str, str]:
    return {name.lower(): name for name in sorted(zoneinfo.available_timezones()) if not _NO_ZONES.match(name)}
