"""The whole contract at once: random workflows in a world where everything goes wrong that can."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.scenarios import Scenario, scenarios
from tests.property.simulation import simulate

EXAMPLES = settings.default.max_examples if settings.default else 500

# A history takes a fifth of a second of CPU, on a machine that may be busy with other things.
pytestmark = pytest.mark.timeout(3 * EXAMPLES)


@given(scenarios())
def test_every_workflow_ends_as_the_contract_says(scenario: Scenario) -> None:
    simulate(scenario)


@settings(max_examples=max(1, EXAMPLES // 2))
@given(scenarios(max_flows=20))
def test_nothing_hangs_when_watches_fall_silent_and_answers_are_lost(scenario: Scenario) -> None:
    simulate(scenario, deaf=True)


@settings(max_examples=max(1, EXAMPLES // 5))
@given(scenarios(max_flows=15), st.binary(max_size=200))
def test_where_time_cannot_matter_the_outcome_is_the_same_on_any_order(scenario: Scenario, other: bytes) -> None:
    """Late events, crashes, lost leases and failing calls change when tasks end, but not how."""
    one = simulate(scenario, calm=True)
    two = simulate(replace(scenario, schedule=other), calm=True)
    assert (one.phase, one.finals) == (two.phase, two.finals)
