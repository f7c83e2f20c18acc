"""Index ranges as batch/v1 writes them: `0-3,7`."""

from __future__ import annotations

from collections.abc import Iterable

from pkg.apis.flow.v1alpha1.types import MAX_TASKS


def pack_indexes(indexes: Iterable[int]) -> str:
    """The ranges of ascending indexes; the empty string for none."""
    parts: list[str] = []
    first = last = -2
    for index in indexes:
        if index == last + 1:
            last = index
            continue
        if first >= 0:
            parts.append(_part(first, last))
        first = last = index
    if first >= 0:
        parts.append(_part(first, last))
    return ",".join(parts)


def unpack_indexes(text: str) -> list[int]:
    """The indexes that the ranges name. Raises ValueError for text that is not a list of ranges of tasks."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        named = range(int(first), int(last or first) + 1)
        if len(named) + len(found) > MAX_TASKS:
            raise ValueError(f"more than {MAX_TASKS:,} indexes in {text[:40]!r}")
        found.extend(named)
    return found


def count_indexes(text: str) -> int:
    """How many indexes the ranges name, without listing them; ValueError as `unpack_indexes` raises it."""
    total = 0
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total


def _part(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
