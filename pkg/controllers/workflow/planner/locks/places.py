"""Which places of a lock are free. A mutex has place 0 alone, a semaphore as many as its limit."""

from __future__ import annotations

from collections.abc import Collection


def free_places(taken: Collection[int], limit: int) -> int:
    """How many more may hold a lock. More may be taken than the limit: lowering it takes nothing away."""
    return max(0, limit - len(taken))


def place_to_take(taken: Collection[int], limit: int) -> int | None:
    """The lowest place that is free; None if none is.

    Each place is one object, which the API server creates once. So two controllers cannot give one place to two.
    """
    if not free_places(taken, limit):
        return None
    return next(place for place in range(limit) if place not in taken)
