"""What a plan reads of the locks of its workflow: who holds, and why the others wait."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockName
from pkg.controllers.workflow.planner.locks import words
from pkg.controllers.workflow.planner.locks.holders import Holder, LockAnswer, LockView
from pkg.controllers.workflow.planner.locks.line import Line
from pkg.controllers.workflow.planner.locks.supply import Supply
from pkg.controllers.workflow.planner.locks.tenure import Tenure
from pkg.controllers.workflow.planner.progress import TaskKey

_NOTHING: Final = LockView()


def why(holder: Holder, line: Line, supply: Supply) -> LockAnswer | None:
    """What it waits for; None if it is about to be served, if that is not known, and if it does not stand in line."""
    waiter = line.get(holder)
    if waiter is None:
        return None
    for lock in waiter.locks:
        if (answer := supply.why(lock)) is not None:
            return answer
    for lock in waiter.locks:
        first = line.first(lock)
        if first is not None and first.holder != holder:
            return words.behind(lock, first.holder.identity)
    return None


def view_of(
    holders: Collection[Holder],
    locks: Iterable[LockName],
    tenures: Mapping[Holder, Tenure],
    granted: Mapping[TaskKey, int],
    line: Line,
    supply: Supply,
) -> LockView:
    """The view of one workflow. holders: all of it who hold or wait; locks: all that its tasks may wait for; granted:
    whose job may be made now, and for which attempt.
    """
    reasons: dict[LockName, LockAnswer] = {}
    for lock in locks:
        before = line.first(lock)
        if (answer := supply.why(lock)) is not None:
            reasons[lock] = answer
        elif before is not None and before.holder not in holders:
            reasons[lock] = words.behind(lock, before.holder.identity)
    if not holders:
        return LockView(locks=reasons) if reasons else _NOTHING
    having = [tenures[holder] for holder in holders if holder in tenures]
    waiting = sorted(holder for holder in holders if holder not in tenures)
    first = {holder.flow: holder for holder in reversed(waiting)}
    return LockView(
        granted=granted,
        holders=frozenset(one.holder.task for one in having),
        answers={one.task: answer for one in first.values() if (answer := why(one, line, supply)) is not None},
        locks=reasons,
        is_waiting=bool(waiting),
    )
