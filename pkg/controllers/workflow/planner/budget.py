"""How much one pass may do, in counted work, so that no workflow holds its shard for long.

Work is counted, not timed: the same snapshot always gives the same plan. What exceeds the budget is left for the next
pass, and the key goes to the back of its shard. One unit is about 10 microseconds of CPU; the benchmark `passes`
measures what a pass takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Units of one pass: about 40 ms, without the rendering of status.
PASS_BUDGET = 4_000


@dataclass(slots=True)
class Budget:
    """What is left of the budget of one pass."""

    left: int = PASS_BUDGET
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = self.left

    def spend(self, units: int) -> None:
        """Counts work that is done, or about to be done."""
        self.left -= units

    def suffices(self, units: int) -> bool:
        """Whether so many units are left, or three quarters of the budget, for a step that cannot be divided."""
        return self.left >= min(units, 3 * self.total // 4)

    @property
    def is_spent(self) -> bool:
        return self.left <= 0
