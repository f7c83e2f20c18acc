"""Waiting for what another thread or process does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def until(fact: Callable[[], bool], seconds: float = 30) -> None:
    """Waits until the fact holds; fails after so many seconds. The time is no bound that is tested."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, f"not so after {seconds:g} s"
        threading.Event().wait(0.002)
