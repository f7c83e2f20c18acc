"""Which shard a key belongs to, and that the shards act as one queue."""

from __future__ import annotations

from zlib import crc32

import pytest

from pkg.controllers.engine.shards import ShardedQueue, shard_of


def test_the_shard_of_a_key_is_the_same_in_every_process() -> None:
    assert [shard_of(f"default/wf-{number}", 8) for number in range(6)] == [
        crc32(f"default/wf-{number}".encode()) % 8 for number in range(6)
    ]
    assert shard_of("123456789", 1 << 32) == 0xCBF43926  # the check value of CRC-32


def test_keys_spread_over_all_shards() -> None:
    queue = ShardedQueue(8)
    for number in range(800):
        queue.add(f"default/wf-{number}")
    assert len(queue) == 800
    assert all(60 <= len(shard) <= 140 for shard in queue.queues)


def test_a_key_stays_in_its_shard_also_with_a_delay() -> None:
    now = [0.0]
    queue = ShardedQueue(4, clock=lambda: now[0])
    shard = queue.queue_of("default/a")
    queue.add("default/a")
    queue.add_after("default/a", 5)
    assert len(shard) == len(queue) == 1
    assert shard.delayed == 1
    now[0] = 5
    assert shard.get(0) == "default/a"


def test_a_key_is_unparked_in_its_shard() -> None:
    queue = ShardedQueue(4)
    queue.add("default/a")
    shard = queue.queue_of("default/a")
    assert shard.get(0) == "default/a"
    shard.park("default/a")
    shard.done("default/a")
    queue.unpark("default/a")
    assert shard.get(0) == "default/a"


@pytest.mark.parametrize(
    ("keys", "key", "backlog"),
    [
        pytest.param([], "a/1", 0, id="an empty queue"),
        pytest.param([f"a/{n}" for n in range(100)], "a/1", 100, id="one namespace alone: all its keys"),
        pytest.param([*(f"a/{n}" for n in range(100)), "b/1"], "b/1", 2, id="one key beside a namespace with many"),
        pytest.param([*(f"a/{n}" for n in range(100)), "b/1"], "a/1", 101, id="many keys beside a namespace with one"),
        pytest.param([f"n{n}/1" for n in range(100)], "n7/1", 100, id="many namespaces with a key each"),
    ],
)
def test_the_backlog_of_a_key_is_its_namespaces(keys: list[str], key: str, backlog: int) -> None:
    queue = ShardedQueue(1)
    for each in keys:
        queue.add(each)
    assert queue.backlog(key) == backlog


def test_a_key_is_idle_while_no_other_waits_for_its_worker() -> None:
    queue = ShardedQueue(8)
    shard = queue.queue_of("a/1")
    beside = next(key for number in range(1000) if queue.queue_of(key := f"b/{number}") is not shard)
    before = next(key for number in range(1000) if queue.queue_of(key := f"c/{number}") is shard)
    queue.add(beside)
    assert queue.is_idle("a/1")
    queue.add(before)
    assert not queue.is_idle("a/1")
    assert queue.backlog("a/1") == 0, "it is no load for this namespace"


def test_metrics_are_made_for_each_shard() -> None:
    from pkg.controllers.engine.workqueue import NoQueueMetrics

    made: list[int] = []

    def make(number: int) -> NoQueueMetrics:
        made.append(number)
        return NoQueueMetrics()

    ShardedQueue(3, metrics=make)
    assert made == [0, 1, 2]


def test_less_than_one_shard_is_refused() -> None:
    with pytest.raises(ValueError, match="workers: at least 1"):
        ShardedQueue(0)
