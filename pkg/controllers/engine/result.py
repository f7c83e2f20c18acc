"""The result of one reconcile of a key, and the one place that turns it into a requeue.

A reconciler returns a value; nothing but `requeue` touches the queue, so "why did this key run again?" has one answer.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias, assert_never

from pkg.apis.structs import Frozen


class Done(Frozen, frozen=True):
    """Nothing to do until an event names the key again."""


class Later(Frozen, frozen=True):
    """Run again after so many seconds; 0 means at once, behind the keys that already wait in the shard.

    `reason` says for the log what the next reconcile is for.
    """

    seconds: float
    reason: str


class Again(Frozen, frozen=True):
    """The reconcile failed; run again after the key's own growing delay. `reason` says for the log what failed."""

    reason: str


class Parked(Frozen, frozen=True):
    """Calls that the reconcile made are not answered yet; run again once the queue's `unpark` is called for the key.

    Whatever is added meanwhile waits. `reason` says for the log what is waited for.
    """

    reason: str


class Drop(Frozen, frozen=True):
    """The object is gone: forget everything about the key, pending delays too."""


Result: TypeAlias = Done | Later | Again | Parked | Drop


class Requeue(Protocol):
    """The part of a workqueue that requeueing needs."""

    def add(self, key: str) -> None: ...

    def add_after(self, key: str, seconds: float) -> None: ...

    def add_rate_limited(self, key: str) -> None: ...

    def park(self, key: str) -> None: ...

    def forget(self, key: str) -> None: ...

    def cancel(self, key: str) -> None: ...


def requeue(queue: Requeue, key: str, result: Result) -> None:
    """Requeue `key` as its result says; call it before `done(key)`, while the key is still being processed."""
    match result:
        case Done():
            queue.forget(key)
        case Later(seconds):
            queue.forget(key)
            if seconds > 0:
                queue.add_after(key, seconds)
            else:
                queue.add(key)
        case Again():
            queue.add_rate_limited(key)
        case Parked():
            queue.forget(key)
            queue.park(key)
        case Drop():
            queue.forget(key)
            queue.cancel(key)
        case _:
            assert_never(result)
