"""Durations of other systems as ours."""

from __future__ import annotations

import re
from typing import Final

from pkg.convert.source import Source

_DURATION: Final = re.compile(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+")


def duration_of(source: Source, default: str) -> str:
    """A duration; a number alone is in seconds. What is none is lost, and the default stands."""
    value = source.word()
    if value.isdigit():
        source.plain()
        return f"{value}s"
    if _DURATION.fullmatch(value):
        source.plain()
        return value
    source.lose(f"it is no duration such as 1m30s; {default} is written")
    return default
