"""A token bucket: the client-side rate limiter of API calls and Events.

Time is an argument, so tests need not wait.
"""

from __future__ import annotations

import threading


class TokenBucket:
    """Holds at most `burst` tokens, refilled at `rate` per second. Thread-safe."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = max(burst, 1.0)
        self._tokens = self._burst
        self._at: float | None = None
        self._lock = threading.Lock()

    def reserve(self, now: float) -> float:
        """Take a token, or reserve a future one; the seconds to wait until it is valid."""
        with self._lock:
            self._refill(now)
            self._tokens -= 1
            return max(0.0, -self._tokens / self._rate)

    def take(self, now: float) -> bool:
        """Take a token if one is available; whether it was."""
        with self._lock:
            self._refill(now)
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def _refill(self, now: float) -> None:
        if self._at is not None and now > self._at:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now if self._at is None else max(self._at, now)
