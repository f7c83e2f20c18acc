"""Creations whose answers come late: the key is parked, and the world goes on meanwhile in every way it can."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.property.controller import Controller, Late
from tests.property.scenarios import Scenario, scenarios, story_of
from tests.property.simulation import Simulation
from tests.property.world import Died

EXAMPLES = settings.default.max_examples if settings.default else 500

PARKED: list[int] = []
pytestmark = pytest.mark.timeout(3 * EXAMPLES)


class LateController(Controller):
    parked = 0

    def make_pool(self) -> Late:
        self.pool = Late()
        return self.pool

    def next_due(self) -> float | None:
        return self.world.now if self.pool.calls else super().next_due()

    def reconcile(self) -> None:
        super().reconcile()
        self.parked += bool(self.reconciler._parked)


class LateSimulation(Simulation):
    controller: LateController

    def _make_controller(self, lag: int) -> Controller:
        return LateController(self.world, self.story.patience, lag)

    def _act(self, choice: int) -> None:
        if choice % 3 == 0:
            self._answer(self.tape.below(8))
        super()._act(choice)

    def _settle(self) -> None:
        self.controller.deliver_all()
        if self.controller.is_due() or not self._answer(0):
            super()._settle()

    def _answer(self, number: int) -> bool:
        calls = self.controller.pool.calls
        if not calls:
            return False
        self._note("a creation is answered")
        try:
            self.controller.pool.answer(min(number, len(calls) - 1))
        except Died:
            self._crash("killed in a creation")
        return True


@settings(max_examples=max(1, EXAMPLES // 2))
@given(scenarios(max_flows=12))
def test_every_workflow_ends_as_the_contract_says_though_creations_are_answered_late(scenario: Scenario) -> None:
    simulation = LateSimulation(story_of(scenario), scenario.schedule)
    simulation.run()
    simulation.judge_history()
    PARKED.append(simulation.controller.parked)


def test_creations_did_come_late() -> None:
    """Otherwise the test above shows nothing."""
    assert sum(PARKED) > len(PARKED)
