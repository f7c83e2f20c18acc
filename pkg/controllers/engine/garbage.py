"""Keeps the pauses of Python's garbage collector short while the caches are large.

A collection of the oldest generation looks at every object there is, and all threads wait: a second for the caches of
50,000 jobs. Nearly all of these objects are in no cycle, so that their reference counts free them. What has survived
one collection of the oldest generation is therefore left out of the next ones, but for a full one now and then.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

FULL_SECONDS = 900.0
"""Between two collections that look at every object."""
THRESHOLDS = (10_000, 20, 20)
"""How many new objects there are before a collection, and how many collections of a generation before one of the next.
With Python's defaults (700, 10, 10) a tenth of the CPU of a plan is spent on them, and they find next to nothing.
"""


class GarbagePolicy:
    """A callback of the collector; `install` once, when what is loaded at the start is there."""

    def __init__(self, full_seconds: float = FULL_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._full_seconds = full_seconds
        self._clock = clock
        self._full_at = clock() + full_seconds
        self._thresholds = gc.get_threshold()

    def install(self) -> None:
        """Collect everything now, and follow the policy from then on."""
        self._thresholds = gc.get_threshold()
        gc.set_threshold(*THRESHOLDS)
        gc.collect()
        gc.freeze()
        gc.callbacks.append(self)

    def remove(self) -> None:
        """Let the collector look at everything again."""
        gc.callbacks.remove(self)
        gc.unfreeze()
        gc.set_threshold(*self._thresholds)

    def __call__(self, phase: str, info: Mapping[str, int]) -> None:
        """Called by the collector before and after each collection."""
        if info["generation"] < 2:
            return
        if phase == "stop":
            gc.freeze()
        elif self._clock() >= self._full_at:
            self._full_at = self._clock() + self._full_seconds
            gc.unfreeze()
