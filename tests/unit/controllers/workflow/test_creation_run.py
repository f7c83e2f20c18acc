"""When a run of creations is over, what it has to show, and whom it wakes when it is late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from pkg.apis.meta import GVR
from pkg.controllers.workflow.creation_run import Created, CreationRun
from pkg.controllers.workflow.planner.actions import CreateJob
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import CreateFault, Trouble

JOBS = GVR("batch", "v1", "jobs")
ACTIONS = [CreateJob(TaskKey("a", at), 0, JOBS, "team", f"w-a-{at}", "Job", b"{}") for at in range(9)]


@dataclass
class Run:
    """A run whose calls are made one by one; `answers` decides what comes of a job."""

    answers: Callable[[str], Trouble | Exception | None] = lambda _name: None
    calls: list[Callable[[], None]] = field(default_factory=list)
    first: int = 1
    made: list[str] = field(default_factory=list)
    woken: int = 0
    done: int = 0

    def __post_init__(self) -> None:
        self.run = CreationRun(
            ACTIONS, self._create, self.calls.append, first=self.first, on_done=self._done, on_late=self._wake
        )
        self.run.start()

    def _create(self, action: CreateJob) -> Created:
        self.made.append(action.name)
        answer = self.answers(action.name)
        if isinstance(answer, Exception):
            raise answer
        fault = None if answer is None else CreateFault(answer, 0, action.name, "", "", 0.0, 1, 0.0)
        return Created(action, None, fault)

    def _wake(self) -> None:
        self.woken += 1

    def _done(self) -> None:
        self.done += 1

    def answer_all(self) -> list[int]:
        """Makes all calls, the last first; returns how many there were at once."""
        sizes = []
        while self.calls:
            batch = [self.calls.pop() for _ in range(len(self.calls))]
            sizes.append(len(batch))
            for call in batch:
                call()
        return sizes


def test_creations_double_and_the_answers_keep_the_order_of_the_actions() -> None:
    run = Run()
    assert run.answer_all() == [1, 2, 4, 2]
    assert [created.action for created in run.run.results()] == ACTIONS


def test_each_answer_lets_two_more_begin_and_none_waits_for_the_slowest() -> None:
    run = Run()
    sizes = []
    while run.calls:
        run.calls.pop()()
        sizes.append(len(run.calls))
    assert sizes == [2, 3, 4, 5, 4, 3, 2, 1, 0]
    assert run.run.is_done


def test_a_run_begins_with_as_many_as_the_last_one_has_shown_to_succeed() -> None:
    last = Run()
    last.answer_all()
    assert last.run.next_first == len(ACTIONS)
    run = Run(first=4)
    assert run.answer_all() == [4, 5]
    assert run.run.next_first == len(ACTIONS)
    assert Run(first=99).answer_all() == [len(ACTIONS)]


def test_a_run_begins_in_the_order_of_its_actions() -> None:
    run = Run(first=3)
    for call in run.calls[:3]:
        call()
    assert run.made == ["w-a-0", "w-a-1", "w-a-2"]


def test_what_waits_for_its_turn_is_not_made_after_a_failure_that_passes() -> None:
    run = Run(lambda _name: Trouble.RETRY, first=4)
    assert run.answer_all() == [4]
    assert run.made == ["w-a-3"], "the call that was answered first"
    assert run.run.is_done
    assert (run.run.next_first, run.done) == (1, 1)


def test_what_is_refused_for_good_does_not_count_as_a_success() -> None:
    run = Run(lambda name: None if name == "w-a-0" else Trouble.REFUSED)
    run.answer_all()
    assert run.run.next_first == 1


STOPS: dict[str, tuple[Trouble | Exception, bool]] = {
    "a failure that passes": (Trouble.RETRY, True),
    "a refusal for good": (Trouble.REFUSED, False),
    "a name that is taken": (Trouble.NAME_TAKEN, False),
    "a Lease that was lost": (RuntimeError("not the leader"), True),
}


@pytest.mark.parametrize(("answer", "stops"), STOPS.values(), ids=STOPS)
def test_what_ends_a_run_after_the_calls_in_flight(answer: Trouble | Exception, stops: bool) -> None:
    run = Run(lambda name: answer if name == "w-a-1" else None)
    # w-a-2 is answered first, and lets two more begin.
    assert run.answer_all() == ([1, 2, 2] if stops else [1, 2, 4, 2])
    assert run.run.is_done
    assert run.done == 1
    assert run.run.error is (answer if isinstance(answer, Exception) else None)


def test_a_run_that_is_answered_in_time_calls_no_on_late() -> None:
    run = Run()
    run.answer_all()
    assert run.run.wait(0)
    assert run.woken == 0


def test_a_run_that_is_late_wakes_once_after_its_last_answer() -> None:
    run = Run()
    assert not run.run.wait(0)
    assert (run.run.is_done, run.woken) == (False, 0)
    run.answer_all()
    assert (run.run.is_done, run.woken) == (True, 1)


def test_the_first_call_may_be_made_by_the_caller() -> None:
    made: list[str] = []
    calls: list[Callable[[], None]] = []

    def create(action: CreateJob) -> Created:
        made.append(action.name)
        return Created(action, None, None)

    def here(call: Callable[[], None]) -> bool:
        call()
        return True

    run = CreationRun(ACTIONS[:2], create, calls.append, run_here=here, on_late=lambda: None)
    run.start()
    assert made == ["w-a-0"]
    assert len(calls) == 1
    calls[0]()
    assert made == ["w-a-0", "w-a-1"]
    assert run.wait(0)
