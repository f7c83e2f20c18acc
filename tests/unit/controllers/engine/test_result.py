"""Settling, on a real queue whose clock stands still."""

from __future__ import annotations

import pytest

from pkg.controllers.engine.result import Again, Done, Drop, Later, Parked, Result, requeue
from pkg.controllers.engine.workqueue import WorkQueue


@pytest.mark.parametrize(
    ("result", "ready", "delayed", "requeues"),
    [
        pytest.param(Done(), ["other"], 0, 0, id="done: not again until an event"),
        pytest.param(Later(5, "a retry is due"), ["other"], 1, 0, id="later: delayed"),
        pytest.param(Later(0, "more to do"), ["other", "key"], 0, 0, id="later without a delay: behind what waits"),
        pytest.param(Again("conflict"), ["other"], 1, 2, id="again: delayed, and longer each time"),
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


def test_drop_gives_up_a_pending_delay() -> None:
    queue = WorkQueue(clock=lambda: 0.0)
    queue.add("key")
    queue.get(0)
    queue.add_after("key", 5)
    requeue(queue, "key", Drop())
    assert queue.delayed == 0
