"""Times as people read them: `4m10s`, `2d3h`. Pure."""

from __future__ import annotations

from datetime import datetime

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def shown(seconds: float | None) -> str:
    """A duration in its two largest units, such as `4m10s`; below ten seconds with a tenth. Empty for None."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f}".removesuffix(".0") + "s"
    left = round(seconds)
    parts: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return "".join(parts)


def seconds_of(time: str | datetime | None) -> float | None:
    """Seconds since the epoch of an RFC 3339 time; None if there is none, or if it is no time."""
    if not time:
        return None
    if isinstance(time, datetime):
        return time.timestamp()
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None


def elapsed(start: str | datetime | None, end: str | datetime | None, now: float) -> float | None:
    """Seconds from `start` to `end`, or to `now` while there is no end; None if there is no start."""
    began = seconds_of(start)
    if began is None:
        return None
    ended = seconds_of(end)
    return max(0.0, (now if ended is None else ended) - began)
