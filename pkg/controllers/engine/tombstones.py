"""Which objects were deleted lately, and at which version.

An answer to one of our own writes may arrive after the watch has brought the deletion of the same object: it must not
bring the object back. Such answers are at most as old as a call may take, so tombstones are kept for a short time only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

GENERATION_SECONDS = 30.0
"""A tombstone is kept for one to two generations."""
GENERATION_LIMIT = 50_000


class Tombstone(NamedTuple):
    """The version at which the object was gone; is_announced: a delta with its final state was returned."""

    version: int
    is_announced: bool


class Tombstones:
    """Tombstones by UID. Times are seconds of `clock`. Not thread-safe: the store has the lock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Two generations instead of a time per tombstone: there may be many.
        self._young: dict[str, Tombstone] = {}
        self._old: dict[str, Tombstone] = {}
        self._young_since = clock()

    def get(self, uid: str) -> Tombstone | None:
        """The tombstone of an object."""
        return self._young.get(uid) or self._old.get(uid)

    def put(self, uid: str, version: int, *, is_announced: bool) -> None:
        """The object is gone as of `version`."""
        self.sweep()
        if len(self._young) >= GENERATION_LIMIT:
            self._turn(self._clock())
        self._old.pop(uid, None)
        self._young[uid] = Tombstone(version, is_announced)

    def clear(self) -> None:
        """Forget all."""
        self._young, self._old = {}, {}

    def sweep(self) -> None:
        """Forget those whose time is over."""
        now = self._clock()
        if now - self._young_since >= 2 * GENERATION_SECONDS:
            self._young = {}
        if now - self._young_since >= GENERATION_SECONDS:
            self._turn(now)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def _turn(self, now: float) -> None:
        self._old, self._young, self._young_since = self._young, {}, now
