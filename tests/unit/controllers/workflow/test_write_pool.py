"""Calls take turns by group, and no group takes more than its share of the threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future

import pytest
import structlog

from pkg.controllers.workflow.write_pool import WritePool


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


def test_a_call_logs_in_the_context_of_its_caller(pool: WritePool) -> None:
    with structlog.contextvars.bound_contextvars(workflow="team/w"):
        future = pool.submit("a", "w", structlog.contextvars.get_contextvars)
    assert future.result(10) == {"workflow": "team/w"}
    assert pool.submit("a", "w", structlog.contextvars.get_contextvars).result(10) == {}


def test_calls_that_hang_leave_three_quarters_of_the_threads_to_others(pool: WritePool) -> None:
    hanging = [Hanging() for _ in range(5)]
    futures = [pool.submit("slow", "w", call) for call in hanging]
    assert all(call.began.wait(10) for call in hanging[:2])
    assert pool.is_full("slow")
    others: list[Future[int]] = [pool.submit(f"other-{number % 3}", "w", lambda: 7) for number in range(30)]
    assert [other.result(10) for other in others] == [7] * 30
    assert not any(call.began.is_set() for call in hanging[2:])
    for call in hanging:
        call.may_end.set()
    assert [future.result(10) for future in futures] == ["done"] * 5
    assert not pool.is_full("other-0")


def test_groups_take_turns() -> None:
    one = WritePool(1)
    first, order = Hanging(), []
    one.submit("a", "w", first)
    assert first.began.wait(10)
    calls = [one.submit(group, "w", lambda group=group: order.append(group)) for group in "aaaabb"]  # type: ignore[misc]
    first.may_end.set()
    for call in calls:
        call.result(10)
    assert "".join(order) == "babaaa"
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
    together = threading.Barrier(8, timeout=10)
    calls = [pool.submit(group, "w", together.wait) for group in "aabbccdd"]
    assert sorted(call.result(10) for call in calls) == list(range(8))


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
