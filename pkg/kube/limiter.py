"""A token bucket: the client-side limiter of API calls, and the spam filter of Events.

Time comes in as an argument, so that both are tested without waiting.
"""

from __future__ import annotations

import threading


class TokenBucket:
    """`burst` tokens at most, refilled at `rate` per second; safe to use from many threads."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = max(burst, 1.0)
        self._tokens = self._burst
        self._at: float | None = None
        self._lock = threading.Lock()

    def reserve(self, now: float) -> float:
        """Take a token, a future one if need be; the seconds to wait before it may be used."""
        with self._lock:
            self._refill(now)
            self._tokens -= 1
            return max(0.0, -self._tokens / self._rate)

    def take(self, now: float) -> bool:
        """Take a token if there is one now."""
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
