"""Waiting for what another thread brings about."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def wait_for(fact: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until the fact holds; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, f"it did not come to hold within {seconds:.0f} s"
        threading.Event().wait(0.001)
