"""One workqueue per worker. A checksum of the key chooses its shard.

A key always lands in the same shard, so with one worker per shard it never runs twice at once, and a busy workflow
delays at most the keys of its own shard. crc32, not `hash`: the same key has the same shard in every process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from zlib import crc32

from pkg.controllers.engine.backoff import Backoff
from pkg.controllers.engine.workqueue import RETRY, QueueMetrics, WorkQueue


def shard_of(key: str, shards: int) -> int:
    """The shard of `key` among `shards`, from 0."""
    return crc32(key.encode()) % shards


class ShardedQueue:
    """`shards` workqueues behind one `add`; the workers take theirs from `queues`.

    `metrics` makes what a shard counts with, from the shard's number. Raises ValueError for fewer than one shard.
    """

    def __init__(
        self,
        shards: int,
        *,
        retry: Backoff = RETRY,
        metrics: Callable[[int], QueueMetrics] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if shards < 1:
            raise ValueError(f"workers: at least 1 is needed, not {shards}")
        self.queues: tuple[WorkQueue, ...] = tuple(
            WorkQueue(str(number), retry=retry, metrics=metrics(number) if metrics else None, clock=clock)
            for number in range(shards)
        )

    def queue_of(self, key: str) -> WorkQueue:
        """The shard that `key` belongs to."""
        return self.queues[shard_of(key, len(self.queues))]

    def add(self, key: str, *, noted: bool = False) -> None:
        """Make `key` ready in its shard. noted: see `WorkQueue.add`."""
        self.queue_of(key).add(key, noted=noted)

    def add_after(self, key: str, seconds: float) -> None:
        """Make `key` ready in its shard, in so many seconds."""
        self.queue_of(key).add_after(key, seconds)

    def unpark(self, key: str) -> None:
        """Make `key`, which is parked in its shard, ready."""
        self.queue_of(key).unpark(key)

    def is_resumed(self, key: str) -> bool:
        """Whether `key`, which is in processing, was only unparked or added as `noted` before it was handed out."""
        return self.queue_of(key).is_resumed(key)

    def is_idle(self, key: str) -> bool:
        """Whether no key waits for the worker of the shard of `key`."""
        return not self.queue_of(key).share(key)[2]

    def backlog(self, key: str) -> int:
        """How many ready keys count as load for `key`: those of its namespace, times the namespaces that share.

        So a namespace with few keys is not slowed down by one with many; many namespaces with a key each are a load.
        """
        of_namespace = namespaces = ready = 0
        for queue in self.queues:
            keys, groups, all_keys = queue.share(key)
            of_namespace, namespaces, ready = of_namespace + keys, namespaces + groups, ready + all_keys
        return min(of_namespace * namespaces, ready)

    def __len__(self) -> int:
        """How many keys are ready in all shards."""
        return sum(len(queue) for queue in self.queues)
