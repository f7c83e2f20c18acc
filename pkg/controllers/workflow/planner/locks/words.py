"""What a user reads who waits for a lock: which one, who holds it, and since when; or what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.locks.calls import Held
from pkg.controllers.workflow.planner.locks.holders import LockAnswer

TAKING: Final = LockAnswer(Reasons.LOCK_HELD, "its locks are being taken; this takes a moment")
#: Topics of answers, see LockAnswer.
HELD: Final = "held"
CLOSED: Final = "closed"
_MAX_NAME: Final = 120


def held_by(lock: LockName, holders: Sequence[Held]) -> LockAnswer:
    """A lock without a free place. holders: of its places, the first is named."""
    if lock.kind is LockKind.MUTEX:
        return LockAnswer(Reasons.LOCK_HELD, f"waits for {_name(lock)}, held by {_holder(holders[0])}", HELD)
    others = len(holders) - 1
    text = f"{_holder(holders[0])} and by {others} more" if others else _holder(holders[0])
    return LockAnswer(
        Reasons.LOCK_HELD, f"waits for {_name(lock)}, all of whose places are taken: held by {text}", HELD
    )


def closed(lock: LockName, holders: Sequence[Held]) -> LockAnswer:
    """A semaphore of no places. holders: those who took it before the number was lowered, the first is named."""
    others = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
    still = f"; {_holder(holders[0])}{others} may go on" if holders else ""
    limit = f"its limit is 0, so nobody can take it until key {lock.key} of ConfigMap {lock.config_map} is raised"
    return LockAnswer(Reasons.LOCK_HELD, f"waits for {_name(lock)}: {limit}{still}", CLOSED)


def behind(lock: LockName, first: str) -> LockAnswer:
    """A lock that has a free place, for somebody who waits longer. first: who that is."""
    text = f"waits for {_name(lock)} behind {_cut(first)}, which waits longer and for other locks too"
    return LockAnswer(Reasons.LOCK_HELD, text, HELD)


def stranger(lock: LockName, lease: str) -> LockAnswer:
    """A Lease that is no lock of ours has the name of the place."""
    text = (
        f"the Lease {lease} has the name of a place of {_name(lock)} and is none of the controller's, which leaves it"
        " alone; delete it, and the lock is taken within a minute"
    )
    return LockAnswer(Reasons.LOCK_INVALID, text)


def invalid(lock: LockName, fault: str) -> LockAnswer:
    """A semaphore of which nobody can say how many may hold it."""
    return LockAnswer(Reasons.LOCK_INVALID, f"{_name(lock)}: {fault}; its holders go on")


def unread(lock: LockName, trouble: str) -> LockAnswer:
    """A semaphore whose ConfigMap could not be read yet. It needs nobody's help if the next read works."""
    text = f"waits for {_name(lock)}, whose number is not known yet: {trouble}; it is tried again every ten seconds"
    return LockAnswer(Reasons.LOCK_HELD, text)


def _holder(held: Held) -> str:
    since = f" since {held.since}" if held.since else ""
    return f"{_cut(held.holder.identity)}{since}"


def _name(lock: LockName) -> str:
    return f"{lock.kind} {_cut(lock.name)}"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 3]}..."
