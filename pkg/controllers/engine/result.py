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
    """The reconcile failed; run again after the key's own growing delay. `reason` says for the log what failed.

    within: seconds after which to run again at the latest, whatever the delay is; None for no limit.
    """

    reason: str
    within: float | None = None


class Parked(Frozen, frozen=True):
    """Calls that the reconcile made are not answered yet; run again once the queue's `unpark` is called for the key.

    Whatever is added meanwhile waits. `reason` says for the log what is waited for.
    """

    reason: str


class Drop(Frozen, frozen=True):
    """The object is gone: forget everything about the key, pending delays too."""


Result: TypeAlias = Done | Later | Again | Parked | Drop


def both(one: Result, other: Result) -> Result:
    """The one result of a reconcile that did two things, of which each has a result. The order does not matter, but
    for the reason where both would have one.

    The key runs when the sooner of them wants it. A failure keeps its growing delay. A parked key runs once it is
    unparked, and not before: that reconcile finds again what the other result is about.
    """
    for parked in (one, other):
        if isinstance(parked, Parked):
            return parked
    for failed in (one, other):
        if isinstance(failed, Again):
            limits = [limit for limit in (_limit(one), _limit(other)) if limit is not None]
            return Again(failed.reason, min(limits, default=None))
    if isinstance(one, Later) and isinstance(other, Later):
        return one if one.seconds <= other.seconds else other
    if isinstance(one, Later) or isinstance(other, Drop):
        return one
    return other


def _limit(result: Result) -> float | None:
    """Seconds after which the key is to run again at the latest, as far as that is known; None if it is not."""
    if isinstance(result, Later):
        return result.seconds
    return result.within if isinstance(result, Again) else None


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
            if result.within is not None:
                queue.add_after(key, result.within)  # of the two delays the queue keeps the shorter
        case Parked():
            queue.forget(key)
            queue.park(key)
        case Drop():
            queue.forget(key)
            queue.cancel(key)
        case _:
            assert_never(result)
