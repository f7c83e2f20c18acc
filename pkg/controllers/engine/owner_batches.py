"""Which owners are read in one request: a URL has room for some, and one answer should not have too many objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

K = TypeVar("K")

MAX_OWNERS: Final = 100
"""Of one request: a UID takes 39 characters of a URL, of which some proxies take 8 KiB."""


def batches(owners: Iterable[tuple[K, int]], most: int) -> Iterator[list[K]]:
    """Owners, each with about how many objects it has, in requests of `most` objects. One with more is alone."""
    batch, total = list[K](), 0
    for owner, count in owners:
        if batch and (len(batch) == MAX_OWNERS or total + count > most):
            yield batch
            batch, total = [], 0
        batch.append(owner)
        total += count
    if batch:
        yield batch
