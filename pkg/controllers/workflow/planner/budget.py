"""How much one pass may do, in counted work, so that no workflow holds its shard for long.

Work is counted, not timed: the same snapshot always gives the same plan. What exceeds the budget is left for the next
pass, and the key goes to the back of its shard. One unit is about 10 microseconds of CPU; `make bench` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass

# Units of one pass: about 40 ms, without the rendering of status.
PASS_BUDGET = 4_000


@dataclass(slots=True)
class Budget:
    """What is left of the budget of one pass."""

    left: int = PASS_BUDGET

    def spend(self, units: int) -> None:
        """Counts work that is done, or about to be done."""
        self.left -= units

    @property
    def is_spent(self) -> bool:
        return self.left <= 0
