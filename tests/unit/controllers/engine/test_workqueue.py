"""The queue on a clock that the test moves; threads only where waiting itself is the question."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from pkg.controllers.engine.backoff import Backoff
from pkg.controllers.engine.workqueue import MAX_SLOW, SLOW_FOR_SECONDS, SLOW_SECONDS, STUCK_SECONDS, WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Recorder:
    """What the queue told its metrics."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float, float]] = []
        self.followed: list[WorkQueue] = []

    def follow(self, queue: WorkQueue) -> None:
        self.followed.append(queue)

    def added(self) -> None:
        self.told.append(("added", 0.0, 0.0))

    def done(self, waited: float, worked: float) -> None:
        self.told.append(("done", waited, worked))

    def retried(self) -> None:
        self.told.append(("retried", 0.0, 0.0))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue:
    return WorkQueue(clock=clock)


def drain(queue: WorkQueue) -> list[str]:
    keys = []
    while (key := queue.get(0)) is not None:
        keys.append(key)
        queue.done(key)
    return keys


def test_keys_come_out_in_the_order_they_went_in(queue: WorkQueue) -> None:
    for key in "bca":
        queue.add(key)
    assert drain(queue) == ["b", "c", "a"]


def test_a_key_that_is_ready_is_not_queued_twice(queue: WorkQueue) -> None:
    for key in "abaab":
        queue.add(key)
    assert len(queue) == 2
    assert drain(queue) == ["a", "b"]


def test_a_key_added_while_it_runs_runs_once_more_and_not_at_once(queue: WorkQueue) -> None:
    queue.add("a")
    assert queue.get(0) == "a"
    queue.add("a")
    queue.add("a")
    assert queue.get(0) is None
    queue.add("b")
    queue.done("a")
    assert drain(queue) == ["b", "a"]


def test_a_delayed_key_comes_when_its_time_has_come(queue: WorkQueue, clock: Clock) -> None:
    queue.add_after("a", 2)
    queue.add_after("b", 1)
    assert queue.get(0) is None
    clock.now += 1
    assert queue.get(0) == "b"
    assert queue.get(0) is None
    clock.now += 1
    assert queue.get(0) == "a"


@pytest.mark.parametrize("delays", [(1, 5), (5, 1)], ids=["earlier first", "earlier last"])
def test_of_two_delays_the_earlier_counts(queue: WorkQueue, clock: Clock, delays: tuple[int, int]) -> None:
    for delay in delays:
        queue.add_after("a", delay)
    assert queue.delayed == 1
    clock.now += 1
    assert drain(queue) == ["a"]
    clock.now += 10
    assert drain(queue) == []


def test_a_plain_add_supersedes_a_delay(queue: WorkQueue, clock: Clock) -> None:
    queue.add_after("a", 1)
    queue.add("a")
    assert drain(queue) == ["a"]
    clock.now += 5
    assert drain(queue) == []


def test_a_delay_that_ends_while_its_key_runs_makes_it_run_again(queue: WorkQueue, clock: Clock) -> None:
    queue.add("a")
    queue.get(0)
    queue.add_after("a", 1)
    clock.now += 1
    assert queue.get(0) is None
    queue.done("a")
    assert queue.get(0) == "a"


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_delay_is_a_plain_add(queue: WorkQueue, seconds: int) -> None:
    queue.add_after("a", seconds)
    assert drain(queue) == ["a"]


def test_a_cancelled_delay_never_comes(queue: WorkQueue, clock: Clock) -> None:
    queue.add_after("a", 1)
    queue.cancel("a")
    clock.now += 5
    assert drain(queue) == []


def test_rate_limited_delays_double_up_to_the_cap_until_forgotten(clock: Clock) -> None:
    queue = WorkQueue(clock=clock, retry=Backoff(base=1.0, cap=4.0))
    for tries, delay in enumerate([1, 2, 4, 4], start=1):
        queue.add_rate_limited("a")
        assert queue.num_requeues("a") == tries
        clock.now += delay - 0.001
        assert queue.get(0) is None
        clock.now += 0.001
        assert drain(queue) == ["a"]
    queue.forget("a")
    assert queue.num_requeues("a") == 0
    queue.add_rate_limited("a")
    clock.now += 1
    assert drain(queue) == ["a"]


def test_delays_that_were_given_up_take_no_room(queue: WorkQueue) -> None:
    for seconds in range(5000, 0, -1):
        queue.add_after("a", seconds)
    assert queue.delayed == 1
    assert len(queue._heap) < 100


def test_a_namespace_that_has_used_much_time_waits(queue: WorkQueue, clock: Clock) -> None:
    for key in ("big/a", "big/b", "big/c", "small/a", "small/b"):
        queue.add(key)
    order = []
    while (got := queue.get(0)) is not None:
        order.append(got)
        clock.now += 0.8 if got.startswith("big") else 0.2
        queue.done(got)
    assert order == ["big/a", "small/a", "small/b", "big/b", "big/c"]


def test_one_key_of_another_namespace_waits_for_no_more_than_one_of_many(queue: WorkQueue, clock: Clock) -> None:
    for number in range(1000):
        queue.add(f"big/{number}")
    for _ in range(10):
        key = queue.get(0)
        assert key is not None
        clock.now += 1.0
        queue.done(key)
    queue.add("small/a")
    assert "small/a" in (queue.get(0), queue.get(0))


def parked(queue: WorkQueue, key: str) -> None:
    queue.add(key)
    assert queue.get(0) == key
    queue.park(key)
    queue.done(key)


def test_a_parked_key_does_not_run_whatever_is_added(queue: WorkQueue, clock: Clock) -> None:
    parked(queue, "a")
    queue.add("a")
    queue.add_after("a", 1)
    queue.add_rate_limited("a")
    clock.now += 60
    assert queue.get(0) is None
    assert (queue.parked(), len(queue)) == (1, 0)
    queue.add("b")
    assert drain(queue) == ["b"]


@pytest.mark.parametrize("is_added", [True, False], ids=["added meanwhile", "not added"])
def test_an_unparked_key_runs_once(queue: WorkQueue, is_added: bool) -> None:
    parked(queue, "a")
    if is_added:
        queue.add("a")
        queue.add("a")
    queue.unpark("a")
    queue.unpark("a")
    assert (queue.parked(), len(queue)) == (0, 1)
    assert drain(queue) == ["a"]


@pytest.mark.parametrize(
    ("happens", "is_resumed"),
    [
        pytest.param(lambda queue: None, True, id="nothing else happened"),
        pytest.param(lambda queue: queue.add("a", noted=True), True, id="what happened is noted elsewhere"),
        pytest.param(lambda queue: queue.add("a"), False, id="it was added"),
        pytest.param(lambda queue: queue.add_after("a", 5), False, id="it was to be added later"),
        pytest.param(lambda queue: queue.add_rate_limited("a"), False, id="it failed"),
    ],
)
def test_a_key_is_resumed_if_it_was_only_unparked(
    queue: WorkQueue, happens: Callable[[WorkQueue], None], is_resumed: bool
) -> None:
    parked(queue, "a")
    happens(queue)
    queue.unpark("a")
    assert queue.get(0) == "a"
    assert queue.is_resumed("a") is is_resumed
    queue.done("a")
    queue.add("a")
    assert queue.get(0) == "a"
    assert not queue.is_resumed("a"), "the next time it is added"


@pytest.mark.parametrize("is_added", [True, False], ids=["added meanwhile", "not added"])
@pytest.mark.parametrize("is_early", [True, False], ids=["before it was parked", "before it was done"])
def test_what_a_key_is_parked_for_may_come_first(queue: WorkQueue, is_early: bool, is_added: bool) -> None:
    queue.add("a")
    assert queue.get(0) == "a"
    if is_added:
        queue.add("a")
    for act in (queue.unpark, queue.park) if is_early else (queue.park, queue.unpark):
        act("a")
    assert queue.get(0) is None, "it is in processing"
    queue.done("a")
    assert drain(queue) == ["a"]
    parked(queue, "a")
    assert queue.get(0) is None, "the next time it stays parked"


def test_a_key_that_is_not_in_processing_is_not_parked(queue: WorkQueue) -> None:
    queue.add("a")
    queue.park("a")
    assert drain(queue) == ["a"]


def test_shutting_down_gives_parked_keys_up(queue: WorkQueue) -> None:
    parked(queue, "a")
    queue.add("a")
    assert queue.shut_down_with_drain(0)
    queue.unpark("a")
    assert queue.get() is None


def test_shutting_down_hands_out_what_is_ready_and_takes_no_more(queue: WorkQueue, clock: Clock) -> None:
    queue.add("a")
    queue.add_after("b", 1)
    queue.shut_down()
    for add in (queue.add, queue.add_rate_limited, lambda key: queue.add_after(key, 0)):
        add("c")
    clock.now += 5
    assert queue.is_shutting_down
    assert drain(queue) == ["a"]
    assert queue.get() is None


def test_metrics_show_waits_and_work(clock: Clock) -> None:
    recorder = Recorder()
    queue = WorkQueue(clock=clock, metrics=recorder)
    assert recorder.followed == [queue]
    queue.add("a")
    queue.add("b")
    queue.add("a")
    clock.now += 2
    queue.get(0)
    clock.now += 3
    queue.get(0)
    assert queue.unfinished_seconds() == 3
    clock.now += 1
    assert queue.longest_running_seconds() == 4
    queue.done("a")
    queue.add_rate_limited("c")
    assert recorder.told == [
        ("added", 0.0, 0.0),
        ("added", 0.0, 0.0),
        ("done", 2.0, 4.0),
        ("retried", 0.0, 0.0),
    ]
    queue.done("b")
    assert recorder.told[-1] == ("done", 5.0, 1.0)
    assert queue.unfinished_seconds() == 0
    assert queue.longest_running_seconds() == 0


def test_done_of_a_key_that_does_not_run_changes_nothing(queue: WorkQueue) -> None:
    queue.done("a")
    assert drain(queue) == []


def waiting_getter(queue: WorkQueue) -> tuple[threading.Thread, list[str | None]]:
    got: list[str | None] = []
    thread = threading.Thread(target=lambda: got.append(queue.get()))
    thread.start()
    return thread, got


@pytest.mark.parametrize(
    ("wake", "expected"),
    [
        pytest.param(lambda q: q.add("a"), "a", id="a new key wakes the one who waits"),
        pytest.param(lambda q: q.add_after("a", 0.01), "a", id="a delay that ends wakes the one who waits"),
        pytest.param(
            lambda q: (q.add_after("a", 3600), q.add_after("b", 0.01)), "b", id="an earlier delay shortens the wait"
        ),
        pytest.param(lambda q: q.shut_down(), None, id="shutting down wakes the one who waits"),
    ],
)
def test_get_waits(wake: Callable[[WorkQueue], object], expected: str | None) -> None:
    queue = WorkQueue()
    thread, got = waiting_getter(queue)
    wake(queue)
    thread.join(5)
    assert got == [expected]


def test_get_gives_up_after_its_timeout() -> None:
    assert WorkQueue().get(0.01) is None


def test_a_drain_waits_for_what_is_ready_and_running() -> None:
    queue = WorkQueue()
    queue.add("a")
    queue.add("b")
    assert queue.get(0) == "a"
    queue.add("a")  # once more, once done
    assert not queue.shut_down_with_drain(0.01)
    results: list[bool] = []
    drainer = threading.Thread(target=lambda: results.append(queue.shut_down_with_drain(5)))
    drainer.start()
    queue.done("a")
    assert drain(queue) == ["b", "a"]
    drainer.join(5)
    assert results == [True]


def test_an_idle_queue_drains_at_once() -> None:
    assert WorkQueue().shut_down_with_drain(0)


def test_no_key_runs_twice_at_once_and_none_is_lost() -> None:
    queue = WorkQueue()
    keys = [f"k{number}" for number in range(10)]
    running: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    seen: dict[str, int] = {}
    overlaps: list[str] = []
    lock = threading.Lock()

    def work() -> None:
        while (key := queue.get()) is not None:
            with lock:
                running[key] += 1
                if running[key] > 1:
                    overlaps.append(key)
                seen[key] = wanted[key]
            with lock:
                running[key] -= 1
            queue.done(key)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for number in range(3000):
        key = keys[number * 7 % 10]
        with lock:
            wanted[key] += 1
        queue.add_after(key, 0.001) if number % 5 == 0 else queue.add(key)
    for key in keys:
        with lock:
            wanted[key] += 1
        queue.add(key)
    assert queue.shut_down_with_drain(10)
    for worker in workers:
        worker.join(5)
    assert overlaps == []
    assert seen == wanted, "a pass ran after the last time that each key was added"


def test_a_namespace_with_a_key_that_is_stuck_gets_no_other_one(queue: WorkQueue, clock: Clock) -> None:
    for key in ("a/1", "a/2", "b/1"):
        queue.add(key)
    assert queue.get(0) == "a/1"
    clock.now += STUCK_SECONDS + 0.1
    assert queue.needs_thread(1)
    assert not queue.needs_thread(2), "the other thread is free"
    assert drain(queue) == ["b/1"]
    assert not queue.needs_thread(1), "no key could run"
    queue.done("a/1")
    clock.now += SLOW_FOR_SECONDS
    assert drain(queue) == ["a/2"]


@contextlib.contextmanager
def waiting(queue: WorkQueue) -> Iterator[None]:
    """One thread waits in `get` for as long."""
    queue._waiters += 1
    yield
    queue._waiters -= 1


def make_slow(queue: WorkQueue, clock: Clock, names: list[str]) -> None:
    for name in names:
        queue.add(f"{name}/w")
        with waiting(queue):
            assert queue.get(0) == f"{name}/w"
    clock.now += SLOW_SECONDS + 0.1
    for name in names:
        queue.done(f"{name}/w")


def test_a_namespace_that_was_slow_leaves_a_thread_to_the_others(queue: WorkQueue, clock: Clock) -> None:
    make_slow(queue, clock, ["slow"])
    queue.add("slow/w")
    assert queue.get(0) is None
    with waiting(queue):
        assert queue.needs_thread(1), "the only thread stays free, so another one is needed"
    queue.add("quick/w")
    assert queue.get(0) == "quick/w"
    with waiting(queue):
        assert queue.get(0) == "slow/w"
    queue.done("slow/w")
    queue.add("slow/w")
    clock.now += SLOW_FOR_SECONDS
    assert queue.get(0) == "slow/w", "it counts as slow for some time only"


def test_quick_keys_make_a_slow_namespace_quick_again(queue: WorkQueue, clock: Clock) -> None:
    make_slow(queue, clock, ["slow"])
    for _ in range(6):
        queue.add("slow/w")
        assert queue.get(0) is None
        with waiting(queue):
            assert queue.get(0) == "slow/w"
        queue.done("slow/w")
    queue.add("slow/w")
    with waiting(queue):
        assert queue.get(0) == "slow/w"
    queue.done("slow/w")
    queue.add("slow/w")
    assert queue.get(0) == "slow/w"


def test_slow_namespaces_together_have_a_few_keys_in_processing(queue: WorkQueue, clock: Clock) -> None:
    names = [f"slow-{number}" for number in range(MAX_SLOW + 3)]
    make_slow(queue, clock, names)
    for name in names:
        queue.add(f"{name}/w")
    with waiting(queue):
        taken = [queue.get(0) for _ in range(MAX_SLOW)]
        assert queue.get(0) is None
        queue.add("quick/w")
        assert queue.get(0) == "quick/w"
        queue.done(str(taken[0]))
        assert queue.get(0) is not None
        assert queue.get(0) is None


def test_a_thread_that_waits_learns_that_a_stuck_key_is_done() -> None:
    queue = WorkQueue()
    queue.add("a/1")
    queue.add("a/2")
    assert queue.get(0) == "a/1"
    queue._processing["a/1"] -= SLOW_SECONDS + 1  # as if it had been so for long
    got: list[str | None] = []
    threads = [threading.Thread(target=lambda: got.append(queue.get(10))) for _ in range(2)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 10
    while queue._waiters < 2:
        assert time.monotonic() < end
    queue.done("a/1")
    while not got:
        assert time.monotonic() < end
    queue.shut_down()
    for thread in threads:
        thread.join(10)
    assert got == ["a/2", None]
