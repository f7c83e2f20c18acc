"""Questions about rights: asked once, off the caller's thread, and again when they are due."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import pytest

from pkg.apis.flow.v1alpha1.people import Person, Question
from pkg.controllers.engine.access_cache import AccessCache, AccessTiming
from pkg.controllers.engine.access_reviews import AccessReviews
from pkg.kube.errors import Forbidden, KubeError, Stopped, Transient
from tests.waiting import until

PATIENCE = 10.0


def question(name: str = "alice", namespace: str = "team-a") -> Question:
    return Question(Person.of(name), "batch", "jobs", namespace)


class Server:
    """An API server that answers when the test says so. `asked`: the questions that came."""

    def __init__(self) -> None:
        self.answer: bool | KubeError = True
        self.asked: queue.Queue[Question] = queue.Queue()
        self.gate = threading.Event()
        self.gate.set()
        self.results: list[str] = []

    def ask(self, asked: Question) -> bool:
        self.asked.put(asked)
        assert self.gate.wait(PATIENCE)
        if isinstance(self.answer, KubeError):
            raise self.answer
        return self.answer


class Bench:
    def __init__(self, **timing: float) -> None:
        self.now = 1000.0
        self.server = Server()
        self.news: queue.Queue[Question] = queue.Queue()
        self.reviews = AccessReviews(
            self.server.ask,
            cache=AccessCache(AccessTiming(**timing)),
            clock=lambda: self.now,
            on_asked=self.server.results.append,
        )
        self.reviews.start(self.news.put)

    def later(self, seconds: float) -> None:
        """Moves the clock; a timer that is due by then is found at once."""
        self.now += seconds
        with self.reviews._lock:
            self.reviews._lock.notify_all()

    def settle(self) -> Question:
        """Waits for news."""
        return self.news.get(timeout=PATIENCE)

    def is_quiet(self) -> bool:
        """Whether nothing is queued or asked, and nothing was announced."""
        return not self.reviews._queued and not self.reviews._open and self.news.empty()


@pytest.fixture
def make() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def build(**timing: float) -> Bench:
        made.append(Bench(**timing))
        return made[-1]

    yield build
    for bench in made:
        bench.server.gate.set()
        bench.reviews.stop()


@pytest.mark.parametrize("answer", [True, False])
def test_the_first_look_asks_and_does_not_wait(make: Callable[..., Bench], answer: bool) -> None:
    bench = make()
    bench.server.answer = answer
    bench.server.gate.clear()
    assert bench.reviews.look(question()) is None
    assert bench.reviews.look(question()) is None
    bench.server.gate.set()
    assert bench.settle() == question()
    known = bench.reviews.look(question())
    assert known is not None
    assert known.is_allowed is answer
    assert bench.server.asked.qsize() == 1
    assert bench.server.results == ["allowed" if answer else "denied"]


def test_a_right_that_is_used_is_renewed_before_it_is_too_old_and_nobody_is_requeued(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    bench.reviews.look(question())
    bench.settle()
    bench.later(0.8 * 280.0)
    known = bench.reviews.look(question())
    assert known is not None
    bench.server.asked.get(timeout=PATIENCE)
    bench.server.asked.get(timeout=PATIENCE)
    while (renewed := bench.reviews.look(question())) is None or renewed.asked_at == known.asked_at:
        threading.Event().wait(0.001)
    assert bench.is_quiet()


def test_a_right_that_was_taken_away_is_news(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.reviews.look(question())
    bench.settle()
    bench.server.answer = False
    bench.later(280.0)
    assert bench.reviews.look(question()) is None
    bench.settle()
    known = bench.reviews.look(question())
    assert known is not None
    assert not known.is_allowed


def test_the_times_are_those_that_were_given(make: Callable[..., Bench]) -> None:
    bench = make(allowed=2.0)
    bench.reviews.look(question())
    bench.settle()
    bench.later(2.0)
    assert bench.reviews.look(question()) is None


def test_a_missing_right_that_is_watched_is_asked_for_until_it_is_granted(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.server.answer = False
    bench.reviews.look(question())
    bench.reviews.watch([question()])
    bench.settle()
    for _ in range(2):
        bench.server.asked.get(timeout=PATIENCE)
        bench.later(30.0)
    bench.server.asked.get(timeout=PATIENCE)
    bench.server.answer = True
    bench.later(30.0)
    assert bench.settle() == question()
    known = bench.reviews.look(question())
    assert known is not None
    assert known.is_allowed


def test_a_missing_right_that_nobody_watches_any_more_is_not_asked_for(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.server.answer = False
    bench.reviews.look(question())
    bench.reviews.watch([question()])
    bench.settle()
    bench.reviews.unwatch([question()])
    bench.later(30.0)
    bench.reviews.look(question("bob"))
    assert bench.settle() == question("bob")
    assert [bench.server.asked.get(timeout=PATIENCE) for _ in range(2)] == [question(), question("bob")]
    assert bench.server.asked.empty()


@pytest.mark.parametrize(
    "error",
    [Transient("no route"), Forbidden("may not")],
    ids=["an API server that is away", "a controller without the right"],
)
def test_a_question_without_an_answer_says_why_and_is_repeated(make: Callable[..., Bench], error: KubeError) -> None:
    bench = make()
    bench.server.answer = error
    bench.reviews.look(question())
    bench.reviews.watch([question()])
    bench.settle()
    assert bench.reviews.look(question()) is None
    assert bench.reviews.trouble(question()) is error
    bench.server.answer = True
    bench.later(0.5)
    bench.settle()
    assert bench.reviews.trouble(question()) is None
    assert bench.server.results == ["error", "allowed"]


def test_another_error_is_announced_unless_only_its_numbers_differ(make: Callable[..., Bench]) -> None:
    bench = make()
    first, other = Transient("read tcp 10.0.0.1:50001: reset"), Transient("no route")
    bench.server.answer = first
    bench.reviews.look(question())
    bench.reviews.watch([question()])
    bench.settle()
    bench.server.answer = Transient("read tcp 10.0.0.1:50002: reset")
    bench.later(30.0)
    until(lambda: bench.reviews._open[question()].tries == 2)
    assert bench.reviews.trouble(question()) is first
    bench.server.answer = other
    bench.later(30.0)
    bench.settle()
    assert bench.reviews.trouble(question()) is other
    assert bench.news.empty()


def test_a_question_without_an_answer_is_forgotten_once_nobody_waits(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.server.answer = Transient("no route")
    bench.reviews.look(question())
    bench.settle()
    bench.later(0.5)
    bench.reviews.look(question("bob"))
    bench.settle()
    assert set(bench.reviews._open) == {question("bob")}


def test_a_known_right_counts_on_while_the_api_server_is_away(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.reviews.look(question())
    bench.settle()
    bench.server.answer = Transient("no route")
    bench.later(230.0)
    assert bench.reviews.look(question()) is not None
    bench.settle()
    assert bench.reviews.look(question()) is not None
    bench.later(50.0)
    assert bench.reviews.look(question()) is None


def test_a_process_that_does_not_lead_asks_again_when_it_does(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.server.answer = Stopped("not the leader")
    bench.reviews.look(question())
    bench.server.asked.get(timeout=PATIENCE)
    while bench.reviews._open:
        threading.Event().wait(0.001)
    bench.server.answer = True
    bench.reviews.look(question())
    assert bench.settle() == question()


def test_namespaces_take_turns(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.server.gate.clear()
    for number in range(20):
        bench.reviews.look(question(f"a-{number}"))
    for _ in range(4):  # as many as there are threads
        bench.server.asked.get(timeout=PATIENCE)
    bench.reviews.look(question("bob", "team-b"))
    bench.server.gate.set()
    asked = [bench.server.asked.get(timeout=PATIENCE) for _ in range(17)]
    assert asked.index(question("bob", "team-b")) <= 2


def test_a_caller_may_wait_for_answers(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.server.answer = False
    asked = [question("alice"), question("bob")]
    assert bench.reviews.answers(asked, PATIENCE) == {question("alice"): False, question("bob"): False}


def test_a_caller_waits_no_longer_than_it_says(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.server.gate.clear()
    assert bench.reviews.answers([question()], 0.0) == {question(): None}


def test_a_caller_who_waits_gets_no_old_no(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.server.answer = False
    assert bench.reviews.answers([question()], PATIENCE) == {question(): False}
    bench.server.answer = True
    bench.later(30.0)
    assert bench.reviews.answers([question()], PATIENCE) == {question(): True}
