"""The delay before the next try: exponential, bounded and jittered.

Pure: the random number is an argument.
"""

from __future__ import annotations

import math

import msgspec

# Beyond this exponent every sensible policy has reached its cap; it keeps the power from overflowing.
_MAX_EXPONENT = 64.0


class Backoff(msgspec.Struct, frozen=True):
    """Delays of `base * factor^attempt` seconds, never above `cap`.

    `jitter` is the share of a delay that may be taken away at random (0 none, 1 all of it): the cap still
    holds, and callers that failed together try again at different times.

    Raises ValueError for a base or cap that is not above zero, a factor below 1 or a jitter outside 0 to 1.
    """

    base: float
    cap: float
    factor: float = 2.0
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.base <= self.cap:
            raise ValueError(f"backoff: base must be above 0 and at most cap, not base {self.base} and cap {self.cap}")
        if self.factor < 1.0:
            raise ValueError(f"backoff: factor must be at least 1, not {self.factor}")
        if not 0.0 <= self.jitter <= 1.0:
            raise ValueError(f"backoff: jitter must be between 0 and 1, not {self.jitter}")

    def delay(self, attempt: int, roll: float = 0.0) -> float:
        """Seconds before try `attempt` (counted from 0); `roll` in [0, 1) says how much of the jitter is taken."""
        exponent = min(max(attempt, 0) * math.log2(self.factor), _MAX_EXPONENT)
        whole: float = min(self.base * 2.0**exponent, self.cap)
        return whole * (1.0 - self.jitter * roll)
