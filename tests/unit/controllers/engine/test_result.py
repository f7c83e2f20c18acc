"""Settling, on a real queue whose clock stands still."""

from __future__ import annotations

import pytest

from pkg.apis.structs import is_equal
from pkg.controllers.engine.backoff import Backoff
from pkg.controllers.engine.result import Again, Done, Drop, Later, Parked, Result, both, requeue
from pkg.controllers.engine.workqueue import WorkQueue


@pytest.mark.parametrize(
    ("result", "ready", "delayed", "requeues"),
    [
        pytest.param(Done(), ["other"], 0, 0, id="done: not again until an event"),
        pytest.param(Later(5, "a retry is due"), ["other"], 1, 0, id="later: delayed"),
        pytest.param(Later(0, "more to do"), ["other", "key"], 0, 0, id="later without a delay: behind what waits"),
        pytest.param(Again("conflict"), ["other"], 1, 2, id="again: delayed, and longer each time"),
        pytest.param(
            Again("conflict", 0.0), ["other", "key"], 0, 2, id="again, and at once: the delay grows all the same"
        ),
        pytest.param(Parked("creations"), ["other"], 0, 0, id="parked: not before it is unparked"),
        pytest.param(Drop(), ["other"], 0, 0, id="drop: nothing is remembered"),
    ],
)
def test_requeue(result: Result, ready: list[str], delayed: int, requeues: int) -> None:
    queue = WorkQueue(clock=lambda: 0.0)
    queue.add_rate_limited("key")
    queue.add("key")
    queue.add("other")
    key = queue.get(0)
    assert key == "key"
    requeue(queue, key, result)
    queue.done(key)
    assert queue.delayed == delayed
    assert queue.num_requeues("key") == requeues
    assert [queue.get(0) for _ in range(len(queue))] == ready


@pytest.mark.parametrize(
    ("within", "due"),
    [
        pytest.param(None, 8.0, id="after its own delay"),
        pytest.param(5.0, 5.0, id="within less"),
        pytest.param(60.0, 8.0, id="within more"),
    ],
)
def test_again_comes_after_its_own_delay_or_when_something_else_is_due(within: float | None, due: float) -> None:
    now = [0.0]
    queue = WorkQueue(retry=Backoff(base=8.0, cap=8.0, jitter=0.0), clock=lambda: now[0])
    queue.add("key")
    queue.get(0)
    requeue(queue, "key", Again("conflict", within))
    queue.done("key")
    now[0] = due - 0.1
    assert queue.get(0) is None
    now[0] = due
    assert queue.get(0) == "key"


SOON, LATE, AT_ONCE = Later(1.0, "soon"), Later(60.0, "late"), Later(0, "at once")
FAILED, PARKED = Again("failed"), Parked("calls")


@pytest.mark.parametrize(
    ("one", "other", "result"),
    [
        pytest.param(Done(), Done(), Done(), id="nothing to do"),
        pytest.param(Done(), SOON, SOON, id="something is due"),
        pytest.param(Done(), FAILED, FAILED, id="a failure is not lost"),
        pytest.param(Done(), PARKED, PARKED, id="parked"),
        pytest.param(Done(), Drop(), Done(), id="delays are kept unless nobody needs them"),
        pytest.param(Drop(), Drop(), Drop(), id="all are gone"),
        pytest.param(Drop(), SOON, SOON, id="gone, and something is due"),
        pytest.param(Drop(), FAILED, FAILED, id="gone, and a failure is not lost"),
        pytest.param(Drop(), PARKED, PARKED, id="gone, and parked"),
        pytest.param(SOON, LATE, SOON, id="the sooner counts"),
        pytest.param(AT_ONCE, SOON, AT_ONCE, id="at once is the soonest"),
        pytest.param(LATE, FAILED, Again("failed", 60.0), id="a failure, and what is due does not wait for its delay"),
        pytest.param(AT_ONCE, FAILED, Again("failed", 0.0), id="a failure, and more to do at once"),
        pytest.param(SOON, PARKED, PARKED, id="a parked key runs once it is unparked, and not before"),
        pytest.param(AT_ONCE, PARKED, PARKED, id="nor at once"),
        pytest.param(FAILED, PARKED, PARKED, id="nor for a failure"),
        pytest.param(FAILED, FAILED, FAILED, id="two failures"),
        pytest.param(FAILED, Again("failed", 3.0), Again("failed", 3.0), id="two failures, one with a limit"),
        pytest.param(SOON, Again("failed", 3.0), Again("failed", 1.0), id="the sooner limit counts"),
        pytest.param(LATE, Again("failed", 3.0), Again("failed", 3.0), id="and not the later one"),
        pytest.param(PARKED, PARKED, PARKED, id="both parked"),
    ],
)
def test_one_result_of_two(one: Result, other: Result, result: Result) -> None:
    assert is_equal(both(one, other), result)
    assert is_equal(both(other, one), result)


def test_drop_gives_up_a_pending_delay() -> None:
    queue = WorkQueue(clock=lambda: 0.0)
    queue.add("key")
    queue.get(0)
    queue.add_after("key", 5)
    requeue(queue, "key", Drop())
    assert queue.delayed == 0
