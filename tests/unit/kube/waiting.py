"""Waiting for what another thread brings about."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def wait_for(fact: Callable[[], bool]) -> None:
    """Wait until the fact holds; fail after five seconds."""
    deadline = time.monotonic() + 5
    while not fact():
        assert time.monotonic() < deadline, "it did not come to hold within five seconds"
        threading.Event().wait(0.001)
