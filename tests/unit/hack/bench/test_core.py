"""The simulated world of the core benchmark runs workflows to their end."""

from __future__ import annotations

from hack.bench.core import SHAPE, run


def test_every_task_is_planned_and_ends() -> None:
    cost, passes = run(2 * SHAPE.tasks)
    assert cost > 0
    assert 1.0 < passes < 3.0
