"""Creations whose answers come late: the key is parked, and the world goes on meanwhile in every way it can."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from pkg.controllers.workflow.planner.actions import Plan
from pkg.controllers.workflow.room import Room
from tests.property.controller import Controller, Late
from tests.property.scenarios import Scenario, Story, scenarios, story_of
from tests.property.simulation import Simulation
from tests.property.world import NAMESPACE, Died

EXAMPLES = settings.default.max_examples if settings.default else 500

PARKED: list[int] = []
WAITED: list[int] = []
pytestmark = pytest.mark.timeout(3 * EXAMPLES)


class LateController(Controller):
    parked = 0
    waited = 0
    is_full = False

    def make_pool(self) -> Late:
        self.pool = Late()
        return self.pool

    def make_room(self) -> Room:
        return Room(self._wake, creations=2)

    def fill_room(self, *, is_full: bool) -> None:
        """Other workflows of the namespace begin creations, or have theirs answered."""
        if is_full and not self.is_full:
            self.room.take(NAMESPACE, 2, 0)
        elif self.is_full and not is_full:
            self.room.give_back(NAMESPACE, 2, 0)
        self.is_full = is_full

    def next_due(self) -> float | None:
        return self.world.now if self.pool.calls else super().next_due()

    def next_plan(self) -> Plan | None:
        return None if self.room.waiting(NAMESPACE) else super().next_plan()

    def reconcile(self) -> None:
        super().reconcile()
        self.parked += bool(self.reconciler._parked)
        self.waited += self.room.waiting(NAMESPACE)


class LateSimulation(Simulation):
    controller: LateController

    def __init__(self, story: Story, schedule: bytes) -> None:
        self.made: list[LateController] = []
        super().__init__(story, schedule)

    def _make_controller(self, lag: int) -> Controller:
        made = LateController(self.world, self.story.patience, lag)
        self.made.append(made)
        return made

    def _act(self, choice: int) -> None:
        if choice % 3 == 0:
            self._answer(self.tape.below(8))
        if choice % 2:
            self._note("the room of the namespace changes")
            self.controller.fill_room(is_full=bool(self.tape.below(4)))
        super()._act(choice)

    def _settle(self) -> None:
        self.controller.deliver_all()
        if self.controller.is_due() or not self._answer(0):
            super()._settle()

    def _quiet(self) -> None:
        self.controller.fill_room(is_full=False)
        super()._quiet()

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
    simulation = LateSimulation(story_of(scenario, with_objects=True), scenario.schedule)
    simulation.run()
    simulation.judge_history()
    PARKED.append(sum(made.parked for made in simulation.made))
    WAITED.append(sum(made.waited for made in simulation.made))


def test_creations_did_come_late_and_did_wait_for_room() -> None:
    """Otherwise the test above shows nothing."""
    assert sum(PARKED) > len(PARKED)
    assert sum(WAITED) > len(WAITED) / 10
