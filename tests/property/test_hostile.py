"""Jobs that claim to be ours, by labels, owner, name and attempt, change nothing: the run is the same, step by step."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from tests.property.hostile import malice, simulate_hostile
from tests.property.scenarios import Scenario, scenarios
from tests.property.simulation import Simulation, simulate

EXAMPLES = settings.default.max_examples if settings.default else 500

pytestmark = pytest.mark.timeout(6 * EXAMPLES)


def _history(simulation: Simulation) -> tuple[list[str], Any]:
    """Everything that happened, with its time, and the status at the end."""
    return simulation.trail, msgspec.to_builtins(simulation.world.workflow.status)


@settings(max_examples=max(1, EXAMPLES // 4))
@given(scenarios(max_flows=15), malice)
def test_nothing_that_is_made_in_another_namespace_is_felt(scenario: Scenario, data: bytes) -> None:
    assert _history(simulate_hostile(scenario, data, inside=False)) == _history(simulate(scenario))


@settings(max_examples=max(1, EXAMPLES // 4))
@given(scenarios(max_flows=15), malice)
def test_a_job_that_only_pretends_decides_no_task_and_raises_no_attempt(scenario: Scenario, data: bytes) -> None:
    assert _history(simulate_hostile(scenario, data, inside=True)) == _history(simulate(scenario))
