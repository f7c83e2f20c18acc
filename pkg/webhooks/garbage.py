"""Keeps Python's garbage collector out of the way of reviews."""

from __future__ import annotations

import gc
from typing import Final

from pkg.controllers.engine.garbage import GarbagePolicy

# A review of 5,000 flows makes about so many objects that live until its end. None is in a cycle, so a collection
# meanwhile looks at all of them and frees nothing.
_OBJECTS: Final = 50_000


def collect_rarely() -> None:
    """Call it once, when what is loaded at the start is there."""
    gc.set_threshold(_OBJECTS, 20, 20)
    GarbagePolicy().install()
