"""Rights that come and go while a workflow runs, and answers that come late or not at all.

A job is made for people who all had the right at most five minutes before; and once they have it for good, the
workflow ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from pkg.apis.flow.v1alpha1.people import CREATED_BY, EDITED_BY, Person, Question
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, WORKTEMPLATES
from pkg.controllers.engine.access_cache import AccessCache, Authorize, Known
from pkg.controllers.workflow.rights import Rights
from pkg.kube.errors import KubeError, Transient
from tests.property.controller import Controller
from tests.property.scenarios import Scenario, scenarios, story_of
from tests.property.simulation import Simulation
from tests.property.world import KEY, NAME, World

EXAMPLES = settings.default.max_examples if settings.default else 500
FIVE_MINUTES = 300.0
PEOPLE = tuple(Person.of(name) for name in ("alice", "bob", "carol"))
DENIED: list[int] = []
LAST: list[int] = []
pytestmark = pytest.mark.timeout(3 * EXAMPLES)


class RightsWorld(World):
    """had: when each person was last seen to have the right, while they have it: now."""

    has: dict[Person, bool]
    had: dict[Person, float]
    made = 0

    def change(self, person: Person, *, has: bool) -> None:
        if self.has[person]:
            self.had[person] = self.now
        self.has[person] = has

    def behind(self) -> set[Person]:
        """Everybody whose rights the workflow needs now: creator, editor, and the editor of its templates."""
        return set(PEOPLE)

    def create(self, *args: Any, **how: Any) -> Any:
        for person in self.behind():
            since = self.now - (self.now if self.has[person] else self.had[person])
            assert since <= FIVE_MINUTES, f"a job is made {since:.0f} s after {person.user} lost the right"
        self.made += 1
        return super().create(*args, **how)


class Reviews:
    """As AccessReviews, but the simulation decides when a question is answered, and how late."""

    def __init__(self, world: RightsWorld) -> None:
        self.world = world
        self.cache = AccessCache()
        self.asked: dict[Question, tuple[float, bool]] = {}
        self.failed: dict[Question, KubeError] = {}
        self.watched: set[Question] = set()
        self.answered: Callable[[Question], None] = lambda _question: None

    def look(self, question: Question) -> Known | None:
        if self.cache.is_due(question, self.world.now):
            self._ask(question)
        return self.cache.get(question, self.world.now)

    def trouble(self, question: Question) -> KubeError | None:
        return self.failed.get(question)

    def answers(self, questions: Iterable[Question], _seconds: float) -> Mapping[Question, bool | None]:
        """Nobody waits in a simulation: what is known now."""
        known = {question: self.look(question) for question in questions}
        return {question: one.is_allowed if one is not None else None for question, one in known.items()}

    def watch(self, questions: Iterable[Question]) -> None:
        self.watched.update(questions)

    def unwatch(self, questions: Iterable[Question]) -> None:
        self.watched.difference_update(questions)

    def _ask(self, question: Question) -> None:
        if question not in self.asked:
            self.asked[question] = self.world.now, self.world.has[question.person]

    def answer(self, number: int, *, fails: bool = False) -> bool:
        """Answers one question, as it was when it was asked; False if there is none."""
        if not self.asked:
            return False
        question = list(self.asked)[number % len(self.asked)]
        at, is_allowed = self.asked.pop(question)
        if fails:
            self.failed[question] = Transient("no route to host")
            self.asked[question] = self.world.now, self.world.has[question.person]
        else:
            self.failed.pop(question, None)
            self.cache.put(question, Known(is_allowed, at), self.world.now)
        self.answered(question)
        return True

    def next_due(self) -> float | None:
        """When a missing right that is watched is asked for again."""
        known = [self.cache.get(question, self.world.now) for question in self.watched if question not in self.asked]
        return min((one.asked_at + 30.0 for one in known if one is not None and not one.is_allowed), default=None)

    def tick(self) -> None:
        for question in self.watched:
            if self.cache.is_due(question, self.world.now):
                self._ask(question)


class RightsController(Controller):
    def make_rights(self) -> Rights:
        world = self.world
        assert isinstance(world, RightsWorld)
        self.reviews = Reviews(world)
        rights = Rights(Authorize.ENFORCE, self.reviews, self._wake, clock=lambda: world.now)
        self.reviews.answered = rights.answered
        return rights

    def next_due(self) -> float | None:
        if self.reviews.asked:
            return self.world.now
        times = [time for time in (super().next_due(), self.reviews.next_due()) if time is not None]
        return min(times, default=None)

    def is_due(self) -> bool:
        self.reviews.tick()
        return super().is_due()


class RightsSimulation(Simulation):
    controller: RightsController
    world: RightsWorld

    def _make_world(self) -> RightsWorld:
        world = RightsWorld(self.story.fate_of)
        world.has = dict.fromkeys(PEOPLE, True)
        world.had = dict.fromkeys(PEOPLE, world.now)
        return world

    def _make_controller(self, lag: int) -> Controller:
        self._sign()
        return RightsController(self.world, self.story.patience, lag)

    def _sign(self) -> None:
        """As the webhook would: who created the workflow, who edited it, and who edited its templates."""
        alice, bob, carol = (person.text for person in PEOPLE)
        for (gvr, name), obj in list(self.world.objects.items()):
            if gvr in (WORKFLOWS, WORKTEMPLATES) and CREATED_BY not in obj.metadata.annotations:
                notes = {CREATED_BY: alice, EDITED_BY: bob if gvr == WORKFLOWS else carol}
                meta = msgspec.structs.replace(obj.metadata, annotations={**obj.metadata.annotations, **notes})
                self.world.objects[gvr, name] = msgspec.structs.replace(obj, metadata=meta)
        # Nobody has seen them without.
        for gvr in (WORKFLOWS, WORKTEMPLATES):
            for event in list(self.world.log[gvr]):
                if CREATED_BY not in event.obj.metadata.annotations:
                    self.world.log[gvr] = [
                        type(event)(self.world.objects[gvr, event.obj.metadata.name]) for event in self.world.log[gvr]
                    ]
                    break

    def _act(self, choice: int) -> None:
        if choice % 5 == 0:
            person = PEOPLE[self.tape.below(3)]
            self.world.change(person, has=not self.world.has[person])
            self._note(f"{person.user} {'gets' if self.world.has[person] else 'loses'} the right")
        if choice % 3 == 0:
            self.controller.reviews.answer(self.tape.below(3), fails=self.tape.one_in(4))
        if choice % 7 == 0:
            self.world.advance(self.world.now + self.tape.pick(20.0, 100.0, 310.0, 350.0))
        super()._act(choice)

    def _settle(self) -> None:
        self.controller.deliver_all()
        if self.controller.is_due() or not self.controller.reviews.answer(0):
            super()._settle()

    def _quiet(self) -> None:
        DENIED[-1] += not all(self.world.has.values())
        for person in PEOPLE:
            self.world.change(person, has=True)
        super()._quiet()


@given(scenarios())
def test_no_job_is_made_for_a_person_who_lost_the_right_five_minutes_ago(scenario: Scenario) -> None:
    DENIED.append(0)
    simulation = RightsSimulation(story_of(scenario), scenario.schedule)
    simulation.run()
    LAST.append(simulation.world.made)


def test_the_property_is_about_something() -> None:
    assert sum(DENIED) > len(DENIED) / 20, "rights were hardly ever missing"
    assert sum(made > 0 for made in LAST) > len(LAST) / 2, "hardly any job was made"
    assert KEY.endswith(NAME)
