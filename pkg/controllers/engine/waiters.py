"""Threads that wait for what a lock guards: `threading.Condition` in fewer steps, where threads wait often."""

from __future__ import annotations

import threading
from collections import deque


class Waiters:
    """lock: what guards the state that is waited for. Call every method with it held."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._sleeping: deque[threading.Lock] = deque()  # each is held until its thread is woken

    def wait(self, seconds: float | None) -> None:
        """Releases the lock until this thread is notified, or for so many seconds, and takes it again.

        As with any condition, look at the state again afterwards.
        """
        sleeper = threading.Lock()
        sleeper.acquire()
        self._sleeping.append(sleeper)
        self._lock.release()
        is_woken = False
        try:
            is_woken = sleeper.acquire(True, -1 if seconds is None else min(seconds, threading.TIMEOUT_MAX))
        finally:
            self._lock.acquire()
            if not is_woken and sleeper in self._sleeping:
                self._sleeping.remove(sleeper)

    def notify(self) -> None:
        """Wakes the thread that has waited longest, if there is one."""
        if self._sleeping:
            self._sleeping.popleft().release()

    def notify_all(self) -> None:
        """Wakes all threads that wait now."""
        while self._sleeping:
            self._sleeping.popleft().release()
