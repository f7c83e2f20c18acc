"""Durations as Go writes them: `1h30m`, `500ms`, `0s`."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$"
_WHOLE: Final = re.compile(PATTERN)
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_NANOSECONDS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@lru_cache(maxsize=4096)
def parse(text: str) -> float:
    """Seconds of a duration such as `1h30m`.

    Raises ValueError that says what would be right.
    """
    _check(text)
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


@lru_cache(maxsize=4096)
def nanoseconds(text: str) -> int:
    """Whole nanoseconds of a duration, so that two ways to write the same length are equal.

    Raises ValueError that says what would be right.
    """
    _check(text)
    return int(sum(Decimal(number) * _NANOSECONDS[unit] for number, unit in _PART.findall(text)))


def _check(text: str) -> None:
    if not _WHOLE.match(text):
        raise ValueError(f"{text!r} is not a duration; write it like 90s, 1h30m or 500ms")
