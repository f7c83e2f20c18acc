"""Mutual exclusion, whatever happens between any two calls: controllers die, answers are lost, calls arrive late.

The world has an API server with Leases and jobs, and controllers of which only the newest knows that it leads. Calls of
those before it may still arrive. Jobs are made for who holds all of its locks, and end when the test says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.locks.calls import (
    CallAnswer,
    Failed,
    GiveBack,
    GivenBack,
    Held,
    JobsFound,
    Limits,
    LockCall,
    LookForJobs,
    Place,
    ReadLimits,
    Rewritten,
    Take,
    TakeAgain,
    Taken,
    TakenByOther,
)
from pkg.controllers.workflow.planner.locks.holders import Holder, KnownJobs, LockAnswer, LockNeeds, Want
from pkg.controllers.workflow.planner.locks.space import Space
from pkg.controllers.workflow.planner.locks.view import why
from pkg.controllers.workflow.planner.locks.words import TAKING
from pkg.controllers.workflow.planner.progress import TaskKey

EXAMPLES = 3 * (settings.default.max_examples if settings.default else 100)

# A history takes some milliseconds of CPU, on a machine that may be busy with other things.
pytestmark = pytest.mark.timeout(max(300, EXAMPLES))

M, N = LockName(LockKind.MUTEX, "m"), LockName(LockKind.MUTEX, "n")
S = LockName(LockKind.SEMAPHORE, "map/s")
PLACES = {M: 1, N: 1, S: 2}
UNANSWERED = Failed(LockAnswer(Reasons.CREATE_FAILED, "no answer"))
REFUSED = Failed(LockAnswer(Reasons.CREATE_FAILED, "too many requests"), may_have_worked=False)


@dataclass
class Task:
    """One task of a workflow of its own. recorded: what status says of it; shown: what it says that it waits for."""

    name: str
    locks: tuple[LockName, ...]
    attempt: int = 0
    has_job: bool = False
    is_done: bool = False
    recorded: bool = False
    since: float = 0.0
    waits: bool = False
    shown: LockAnswer | None = None

    @property
    def key(self) -> str:
        return f"team/{self.name}"

    @property
    def holder(self) -> Holder:
        return Holder(self.key, f"uid-{self.name}", "f", 0)


@dataclass
class Server:
    """Leases by place. Each change has a version and is told to whoever leads then, in order.

    strangers: places whose name somebody else's Lease has; refusing: locks of which no Lease is created.
    """

    leases: dict[Place, Held] = field(default_factory=dict)
    version: int = 0
    events: list[tuple[bool, Held]] = field(default_factory=list)
    strangers: set[Place] = field(default_factory=set)
    refusing: set[LockName] = field(default_factory=set)

    def carry_out(self, call: LockCall) -> CallAnswer:
        self.version += 1
        match call:
            case ReadLimits():
                return Limits({"s": "2"})
            case Take(place, holder, kinds):
                known = self.leases.get(place)
                if place in self.strangers:
                    return TakenByOther(is_stranger=True)
                if known is not None and known.holder != holder:
                    return TakenByOther(known)
                if known is None and place.lock in self.refusing:
                    return REFUSED
                uid = known.uid if known is not None else f"u{self.version}"
                written = self._write(Held(place, holder, uid, self.version, "", kinds))
                return Taken(written.held, is_shared=known is not None)
            case TakeAgain(held):
                known = self.leases.get(held.place)
                if known is None or known.holder != held.holder:
                    return TakenByOther(known)
                written = self._write(Held(held.place, held.holder, known.uid, self.version))
                return Taken(written.held, is_shared=known.version != held.version)
            case LookForJobs():
                return JobsFound()
            case GiveBack(place, holder, held):
                known = self.leases.get(place)
                if known is not None and known == held:
                    del self.leases[place]
                    self.events.append((False, known))
                    return GivenBack()
                if known is not None and known.holder == holder:
                    return Rewritten(known)
                return GivenBack()

    def _write(self, held: Held) -> Taken:
        self.leases[held.place] = held
        self.events.append((True, held))
        return Taken(held)

    def held_by(self, holder: Holder) -> set[LockName]:
        return {place.lock for place, held in self.leases.items() if held.holder == holder}


class World:
    def __init__(self, tasks: list[Task]) -> None:
        self.tasks = tasks
        self.server = Server()
        self.now = 1_000.0
        self.late: list[LockCall] = []
        self.space = Space()
        self.in_flight: list[LockCall] = []
        self.told = 0
        self.woken: set[str] = set()

    def plan(self, task: Task) -> None:
        """One reconcile of a task's workflow: its job is made if it holds its locks, then the keeper learns of it."""
        view = self.space.view(task.key, task.holder.uid, task.locks, self.now)
        granted = view.granted.get(task.holder.task) == task.attempt
        if task.waits and granted and not task.has_job and not task.is_done:
            assert self.server.held_by(task.holder) >= set(task.locks), "a job is made only under all of its locks"
            task.has_job, task.waits = True, False
            self.check()
        if task.is_done:
            task.recorded = True
        wants: tuple[Want, ...] = ()
        if task.waits:
            reasons = (view.locks[lock] for lock in task.locks if lock in view.locks)
            task.shown = view.answers.get(TaskKey("f", 0)) or next(reasons, TAKING)
            wants = (Want(TaskKey("f", 0), task.attempt, task.locks, task.since, shown=task.shown),)
        keeps = frozenset({TaskKey("f", 0)} if task.has_job or (task.is_done and not task.recorded) else ())
        known = {TaskKey("f", 0): KnownJobs(newest=task.attempt, is_final=True)} if task.is_done else {}
        self.space.update(task.key, task.holder.uid, LockNeeds(wants, keeps, known), self.now)
        self.collect()

    def collect(self) -> None:
        self.in_flight += self.space.take_calls()
        self.woken |= self.space.take_woken()

    def act(self, what: str, number: int) -> None:
        self.now += 0.25
        task = self.tasks[number % len(self.tasks)]
        match what:
            case "wants" if not (task.waits or task.has_job or task.is_done):
                task.waits, task.since = True, self.now
                self.plan(task)
            case "plan":
                self.plan(task)
            case "gives up" if task.waits:
                task.waits = False
                self.plan(task)
            case "ends" if task.has_job:
                task.has_job, task.is_done, task.recorded = False, True, False
            case "again" if task.is_done and task.recorded:
                task.is_done, task.attempt = False, task.attempt + 1
                task.waits, task.since = True, self.now
                self.plan(task)
            case "answer" | "lose the answer" if self.in_flight:
                call = self.in_flight.pop(number % len(self.in_flight))
                answer = self.server.carry_out(call)
                self.space.answered(call, answer if what == "answer" else UNANSWERED, self.now)
                self.collect()
            case "refuse" if self.in_flight:
                self.space.answered(self.in_flight.pop(number % len(self.in_flight)), REFUSED, self.now)
                self.collect()
            case "fail" if self.in_flight:
                call = self.in_flight.pop(number % len(self.in_flight))
                self.space.answered(call, UNANSWERED, self.now)
                self.late.append(call)
                self.collect()
            case "late" if self.late:
                self.server.carry_out(self.late.pop(number % len(self.late)))
            case "watch":
                self.watch(1 + number % 3)
            case "tick":
                self.now += 2
                self.space.tick(self.now)
                self.collect()
            case "crash":
                self.crash()
            case "stranger" if (place := Place(list(PLACES)[number % len(PLACES)], 0)) not in self.server.leases:
                self.server.strangers.add(place)
            case "shut":
                self.server.refusing.add(list(PLACES)[number % len(PLACES)])
            case "open":
                self.server.strangers.clear()
                self.server.refusing.clear()
        self.check()

    def watch(self, count: int) -> None:
        for is_there, held in self.server.events[self.told : self.told + count]:
            self.told += 1
            (self.space.seen if is_there else self.space.lost)(held, self.now)
            self.collect()

    def crash(self) -> None:
        """Another controller leads. It lists the Leases; calls of the one before may still arrive."""
        self.late += self.in_flight
        self.in_flight = []
        self.space = Space([task.key for task in self.tasks if task.waits], self.now)
        self.told = len(self.server.events)
        for held in list(self.server.leases.values()):
            self.space.seen(held, self.now)
        self.woken |= {task.key for task in self.tasks}
        self.collect()

    def settle(self) -> None:
        """Every call is answered, and who is woken is planned, until nothing happens any more."""
        for _ in range(100):
            self.watch(1_000)
            woken, self.woken = self.woken, set()
            for task in self.tasks:
                if task.key in woken:
                    self.plan(task)
            while self.in_flight:
                self.act("answer", 0)
            if not (woken or self.woken):
                return
        raise AssertionError(f"{sorted(self.woken)} are woken without end")

    def check_shown(self) -> None:
        """Whoever stands in line shows what it waits for, but for who has the lock."""
        serving = self.space._serving
        for task in self.tasks:
            if not task.waits or task.holder in serving.tenures:
                continue
            assert task.holder in serving.line, f"{task.name} is forgotten"
            answer, shown = why(task.holder, serving.line, serving.supply), task.shown
            assert answer is not None, f"{task.name} could be served"
            assert shown is not None
            assert not answer.is_news_after(shown), f"{task.name} shows {shown} and waits for {answer}"

    def check(self) -> None:
        for lock, places in PLACES.items():
            having = [task.name for task in self.tasks if task.has_job and lock in task.locks]
            assert len(having) <= places, f"{lock} has {having}"

    def finish(self) -> None:
        """Everybody gets its turn, and at the end nothing is held."""
        while self.late:
            self.act("late", 0)
        for _ in range(400):
            self.watch(1_000)
            for number, task in enumerate(self.tasks):
                if not (task.waits or task.has_job or task.is_done):
                    self.act("wants", number)
                self.act("plan", number)
                self.act("ends", number)
                self.act("plan", number)
            while self.in_flight:
                self.act("answer", 0)
            self.act("tick", 0)
            if all(task.is_done and task.recorded for task in self.tasks) and not self.server.leases:
                break
        assert [task.name for task in self.tasks if not task.is_done] == []
        assert self.server.leases == {}
        assert self.space.is_idle


ACTS = [
    *("wants", "wants", "plan", "plan", "plan", "gives up", "ends", "ends", "again", "again"),
    *("answer", "answer", "answer", "answer", "lose the answer", "lose the answer", "refuse", "refuse", "fail"),
    *("late", "late", "watch", "tick", "tick", "crash"),
]
OBSTACLES = ["stranger", "stranger", "shut", "shut", "open", "open"]
LOCKS = st.sampled_from([(M,), (M,), (M, S), (M, N), (S,)])


@settings(max_examples=EXAMPLES)
@given(
    st.lists(LOCKS, min_size=2, max_size=4),
    st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 3)), min_size=30, max_size=120),
)
def test_nobody_holds_what_another_holds_and_nothing_is_left(
    locks: list[tuple[LockName, ...]], acts: list[tuple[str, int]]
) -> None:
    world = World([Task(f"w{number}", each) for number, each in enumerate(locks)])
    for what, number in acts:
        world.act(what, number)
    world.finish()


@settings(max_examples=EXAMPLES)
@given(
    st.lists(LOCKS, min_size=2, max_size=4),
    st.lists(st.tuples(st.sampled_from([*ACTS, *OBSTACLES]), st.integers(0, 3)), min_size=10, max_size=80),
)
def test_everybody_shows_what_it_waits_for(locks: list[tuple[LockName, ...]], acts: list[tuple[str, int]]) -> None:
    world = World([Task(f"w{number}", each) for number, each in enumerate(locks)])
    for what, number in acts:
        world.act(what, number)
    world.settle()
    world.check_shown()


@pytest.mark.parametrize("crash_after", range(12))
def test_a_controller_that_dies_after_any_call(crash_after: int) -> None:
    """Three tasks share two locks; the controller dies after that many answers, and each call of it arrives late."""
    world = World([Task("a", (M, S)), Task("b", (M,)), Task("c", (M, S))])
    for number in range(3):
        world.act("wants", number)
    for _ in range(crash_after):
        world.act("answer", 0)
        for number in range(3):
            world.act("plan", number)
            world.act("ends", number)
            world.act("plan", number)
    world.act("crash", 0)
    for number in range(3):
        world.act("plan", number)
    world.finish()


def holding(*tasks: Task) -> World:
    """A world in which the first task holds its locks, and has no job yet."""
    world = World(list(tasks))
    for number in range(len(tasks)):
        world.act("wants", number)
    while world.in_flight:
        world.act("answer", 0)
    assert world.space.view("team/a", "uid-a", (), world.now).granted
    return world


def test_a_deletion_of_the_controller_before_takes_nothing_from_who_has_taken_it_again() -> None:
    world = holding(Task("a", (M,)), Task("b", (M,)))
    world.act("gives up", 0)  # the deletion is under way
    world.crash()
    world.tasks[0].waits = True
    world.act("plan", 0)
    world.act("answer", 0)
    world.act("plan", 0)
    assert world.tasks[0].has_job
    world.act("late", 0)
    world.act("plan", 1)
    world.watch(10)
    while world.in_flight:
        world.act("answer", 0)
    world.act("plan", 1)
    assert not world.tasks[1].has_job
    world.finish()


def test_a_creation_of_the_controller_before_is_found_by_who_comes_second() -> None:
    world = World([Task("a", (M, N)), Task("b", (M, N))])
    world.act("wants", 0)
    world.crash()
    world.tasks[0].waits = False
    world.act("plan", 0)
    world.act("wants", 1)
    world.act("late", 0)  # a has the mutex m now, which nobody knows
    while world.in_flight:
        world.act("answer", 0)
        world.act("plan", 1)
    world.finish()


def test_an_answer_that_is_lost_leaves_nothing_behind() -> None:
    world = World([Task("a", (M,)), Task("b", (M,))])
    world.act("wants", 0)
    world.act("lose the answer", 0)
    world.act("gives up", 0)
    assert world.server.leases
    world.finish()


def test_a_late_deletion_of_a_lease_whose_creation_had_no_answer_takes_nothing() -> None:
    world = World([Task("a", (M,))])
    world.act("wants", 0)
    world.act("lose the answer", 0)
    world.now += 1.0  # the pause after a failure is over
    world.act("gives up", 0)  # a deletion of whatever Lease there is
    world.act("crash", 0)
    world.act("wants", 0)
    world.act("answer", 0)
    world.act("late", 0)
    world.act("plan", 0)
    assert world.tasks[0].has_job
    world.finish()
