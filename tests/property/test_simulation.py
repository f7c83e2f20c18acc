"""The whole contract at once: random workflows in a world where everything that can go wrong does."""

from __future__ import annotations

from hypothesis import given

from tests.property.scenarios import Scenario, scenarios
from tests.property.simulation import simulate


@given(scenarios())
def test_every_workflow_ends_as_the_contract_says(scenario: Scenario) -> None:
    simulate(scenario)
