"""Calls take turns by group, and no group takes more than its share of the threads."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, cast

import pytest
import structlog
from structlog.testing import LogCapture

from pkg.controllers.workflow import write_turns
from pkg.controllers.workflow.write_pool import WritePool
from pkg.kube.log_context import RECONCILE, add_reconcile
from tests.waiting import until


class Hanging:
    """A call that hangs until it is let go."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()

    def __call__(self) -> str:
        self.began.set()
        assert self.may_end.wait(10)
        return "done"


@pytest.fixture
def pool() -> Iterator[WritePool]:
    made = WritePool(8)
    yield made
    made.stop()


def test_what_a_call_returns_or_raises_is_in_its_future(pool: WritePool) -> None:
    assert pool.submit("a", "w", lambda: 1).result(10) == 1
    with pytest.raises(ZeroDivisionError):
        pool.submit("a", "w", lambda: 1 // 0).result(10)


def test_what_is_begun_runs_and_nobody_waits_for_it(pool: WritePool) -> None:
    done: list[int] = []
    pool.begin("a", "w", lambda: done.append(1))
    until(lambda: done == [1])
    pool.stop()
    pool.begin("a", "w", lambda: done.append(2))
    assert (done, pool.in_flight) == ([1], 0), "a pool that is stopped calls nothing"


def test_what_is_begun_and_fails_is_logged_and_the_thread_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    one, threads = WritePool(1), []
    for function in (lambda: threads.append(threading.get_ident()), lambda: 1 // 0):
        one.begin("a", "w", cast(Any, function))
        until(lambda: one.in_flight == 0)
    one.begin("a", "w", lambda: threads.append(threading.get_ident()))
    until(lambda: len(threads) == 2)
    assert len(set(threads)) == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    one.stop()


def test_no_call_is_forgotten_while_threads_fall_asleep_and_wake() -> None:
    """A group has one thread, so that many calls wait for others; as one hangs, threads also wake by themselves."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    one, done = WritePool(4, share=1), [0]
    lock, hang = threading.Lock(), threading.Event()

    def count() -> None:
        with lock:
            done[0] += 1

    def begin(group: str) -> None:
        for _ in range(500):
            one.begin(group, "w", count)

    try:
        one.begin("hangs", "w", lambda: cast(Any, hang.wait(60)))
        callers = [threading.Thread(target=begin, args=(f"g{number}",)) for number in range(6)]
        for caller in callers:
            caller.start()
        until(lambda: done[0] == 3000, 60)
        until(lambda: one.in_flight == 1)
    finally:
        sys.setswitchinterval(before)
        hang.set()
        one.stop()
    assert done == [3000]


def test_a_thread_that_wakes_by_itself_as_it_is_woken_may_be_woken_again() -> None:
    one, sleeper = WritePool(1), threading.Lock()
    sleeper.acquire()
    with one._lock:
        one._enter_idle(sleeper, time.monotonic())
    one.begin("a", "w", lambda: None)
    assert not sleeper.locked(), "it is woken"
    one._leave_idle(sleeper)
    assert sleeper.locked()
    one.stop()


def test_a_call_logs_in_the_context_of_its_caller(pool: WritePool) -> None:
    reconcile = ("workflow", "team/w", "3", 7)
    token = RECONCILE.set(reconcile)
    future = pool.submit("a", "w", RECONCILE.get)
    RECONCILE.reset(token)
    assert future.result(10) == reconcile
    assert pool.submit("a", "w", RECONCILE.get).result(10) is None


def test_a_call_that_fails_is_logged_in_the_context_of_its_caller(pool: WritePool) -> None:
    capture, before = LogCapture(), structlog.get_config()
    structlog.configure(processors=[add_reconcile, capture])
    token = RECONCILE.set(("workflow", "team/w", "3", 7))
    try:
        pool.begin("a", "w", lambda: cast(Any, 1 // 0))
        until(lambda: len(capture.entries) == 1)
    finally:
        RECONCILE.reset(token)
        structlog.configure(**before)
    assert [(line["workflow"], line["reconcile"], line["exc_info"]) for line in capture.entries] == [
        ("team/w", "3-7", True)
    ]


def test_a_call_is_made_here_once_those_of_its_group_are_quick(pool: WritePool) -> None:
    seen: list[tuple[int, int]] = []

    def call() -> None:
        seen.append((threading.get_ident(), pool.in_flight))

    assert not pool.run_here("a", call), "nobody knows how quick its calls are"
    assert seen == []
    pool.submit("a", "w", lambda: None).result(10)
    assert pool.run_here("a", call)
    assert seen == [(threading.get_ident(), 1)]
    assert pool.in_flight == 0
    pool.stop()
    assert not pool.run_here("a", call)
    assert len(seen) == 1


def test_a_call_that_fails_here_gives_its_turn_back() -> None:
    pool = WritePool(1)
    pool.submit("a", "w", lambda: None).result(10)
    with pytest.raises(ZeroDivisionError):
        pool.run_here("a", lambda: 1 // 0)  # type: ignore[arg-type]
    assert pool.in_flight == 0
    assert pool.submit("a", "w", lambda: 7).result(10) == 7
    pool.stop()


def test_no_call_is_made_here_before_those_that_wait_or_in_a_group_that_hangs() -> None:
    now = [0.0]
    pool = WritePool(4, share=2, clock=lambda: now[0])
    for group in ("a", "b"):
        pool.submit(group, "w", lambda: None).result(10)
    hanging = [Hanging() for _ in range(3)]
    futures = [pool.submit("a", "w", call) for call in hanging]
    assert all(call.began.wait(10) for call in hanging[:2])
    assert not pool.run_here("b", lambda: pytest.fail("one waits"))
    hanging[0].may_end.set()
    assert futures[0].result(10) == "done"
    assert hanging[2].began.wait(10)
    assert not pool.run_here("a", lambda: pytest.fail("the group has no room"))
    assert pool.run_here("b", lambda: None)
    now[0] = 3.0
    hanging[1].may_end.set()
    assert futures[1].result(10) == "done"
    assert not pool.run_here("a", lambda: pytest.fail("the group was slow"))
    hanging[2].may_end.set()
    pool.stop()


def test_calls_that_wait_go_on_after_one_that_was_made_here() -> None:
    pool = WritePool(1)
    pool.submit("a", "w", lambda: None).result(10)
    later: list[Future[int]] = []
    assert pool.run_here("a", lambda: later.append(pool.submit("a", "w", lambda: 7)))
    assert later[0].result(10) == 7
    pool.stop()


def test_calls_that_hang_leave_three_quarters_of_the_threads_to_others(pool: WritePool) -> None:
    hanging = [Hanging() for _ in range(5)]
    futures = [pool.submit("slow", "w", call) for call in hanging]
    assert all(call.began.wait(10) for call in hanging[:2])
    assert pool.is_delayed("slow")
    others: list[Future[int]] = [pool.submit(f"other-{number % 3}", "w", lambda: 7) for number in range(30)]
    assert [other.result(10) for other in others] == [7] * 30
    assert not any(call.began.is_set() for call in hanging[2:])
    for call in hanging:
        call.may_end.set()
    assert [future.result(10) for future in futures] == ["done"] * 5
    assert not pool.is_delayed("other-0")


def test_many_groups_that_hang_do_not_delay_a_quick_one() -> None:
    now = [0.0]
    pool = WritePool(8, clock=lambda: now[0])
    assert pool.submit("healthy", "w", lambda: 1).result(10) == 1
    hanging = [Hanging() for _ in range(100)]
    for number, call in enumerate(hanging):
        pool.submit(f"hanging-{number % 20}", "w", call)
    now[0] = 3.0
    for _ in range(4):
        healthy = [pool.submit("healthy", "w", lambda: 7) for _ in range(10)]
        assert [call.result(10) for call in healthy] == [7] * 10
        began = [call for call in hanging if call.began.is_set()]
        now[0] += 10.0
        for call in began:
            call.may_end.set()  # late, and the next one of its group hangs again
    assert sum(call.began.is_set() for call in hanging) >= 8
    pool.stop()
    for call in hanging:
        call.may_end.set()


def test_a_call_that_waits_for_hanging_ones_runs_once_they_count_as_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_turns, "SLOW_SECONDS", 0.05)
    pool = WritePool(1)
    hanging = Hanging()
    pool.submit("a", "w", hanging)
    assert hanging.began.wait(10)
    assert pool.submit("b", "w", lambda: 7).result(10) == 7
    hanging.may_end.set()
    pool.stop()


def test_groups_take_turns() -> None:
    one = WritePool(1)
    first, order = Hanging(), []
    one.submit("a", "w", first)
    assert first.began.wait(10)
    calls = [one.submit(group, "w", lambda group=group: order.append(group)) for group in "aaaabb"]  # type: ignore[misc]
    first.may_end.set()
    for call in calls:
        call.result(10)
    assert "".join(order) == "ababaa"
    one.stop()


def test_owners_within_a_group_take_turns() -> None:
    one = WritePool(1)
    first, order = Hanging(), []
    one.submit("a", "w", first)
    assert first.began.wait(10)
    calls = [one.submit("a", owner, lambda owner=owner: order.append(owner)) for owner in "wwwxxy"]  # type: ignore[misc]
    first.may_end.set()
    for call in calls:
        call.result(10)
    assert "".join(order) == "wxywxw"
    one.stop()


def test_calls_of_several_groups_run_at_the_same_time(pool: WritePool) -> None:
    together = threading.Barrier(5, timeout=10)
    calls = [pool.submit(group, "w", together.wait) for group in "aabcd"]
    assert sorted(call.result(10) for call in calls) == list(range(5))


def test_an_answer_that_makes_room_for_several_calls_starts_all_of_them() -> None:
    pool = WritePool(8, share=8)
    new = [Hanging() for _ in range(3)]
    for call in new:
        pool.submit("a", "w", call)
    assert all(call.began.wait(10) for call in new)
    together = threading.Barrier(2, timeout=10)
    waiting = [pool.submit("a", "w", together.wait) for _ in range(2)]
    new[0].may_end.set()  # the group is quick from now on
    assert sorted(call.result(10) for call in waiting) == [0, 1]
    for call in new:
        call.may_end.set()
    pool.stop()


def test_calls_that_run_and_calls_that_wait_are_in_flight() -> None:
    pool = WritePool(1)
    hanging = Hanging()
    running = pool.submit("a", "w", hanging)
    assert hanging.began.wait(10)
    waiting = pool.submit("a", "w", lambda: 1)
    assert pool.in_flight == 2
    hanging.may_end.set()
    assert (running.result(10), waiting.result(10)) == ("done", 1)
    pool.stop()


def test_what_waits_when_the_pool_stops_is_cancelled() -> None:
    one = WritePool(1)
    hanging = Hanging()
    running = one.submit("a", "w", hanging)
    assert hanging.began.wait(10)
    waiting = one.submit("a", "w", lambda: 1)
    one.stop()
    hanging.may_end.set()
    assert running.result(10) == "done"
    for call in (waiting, one.submit("b", "w", lambda: 1)):
        with pytest.raises(CancelledError):
            call.result(10)
