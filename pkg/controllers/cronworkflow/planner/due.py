"""Which scheduled time is due, which were missed, and when to look again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pkg.apis.flow.v1alpha1.schedules import Timetable

#: Missed times are counted up to this number at once: after a long pause there may be millions.
MAX_MISSED: Final = 100


@dataclass(frozen=True, slots=True)
class Due:
    """time: the newest scheduled time whose run is to be made now, None if there is none; missed: how many times were
    missed that had not been counted; counted: missed times up to this one are counted now; next: the first scheduled
    time that is still to come; expires_at: when `time` is missed, None if never.
    """

    time: int | None
    missed: int
    counted: float
    next: int | None
    expires_at: float | None = None


def counted_before(timetable: Timetable, *, since: float, recorded: float, now: float, deadline: int | None) -> float:
    """Up to when an earlier controller has counted missed times. recorded: the next scheduled time as status has it; 0
    if it has none.

    That controller has looked at every time before it. The newest of them without a run may have waited for it then. It
    is not counted yet, unless its deadline is over: then that controller has counted it, if it still ran.
    """
    waiting = timetable.last_until(since, recorded - 1) if recorded else None
    if waiting is None:
        return max(0.0, recorded - 1)
    is_late = deadline is not None and now > waiting + deadline
    return waiting if is_late else waiting - 1


def due(timetable: Timetable, *, since: float, now: float, deadline: int | None, counted: float) -> Due:
    """What is due now. since: the newest time that needs no run any more; deadline: startingDeadlineSeconds.

    Of several times without a run the newest counts, and the others are missed. It is missed, too, once the deadline
    after it is over.
    """
    following = timetable.next_after(now)
    newest = timetable.last_until(since, now)
    if newest is None:
        return Due(None, 0, counted, following)
    expires_at = newest + deadline if deadline is not None else None
    is_late = expires_at is not None and now > expires_at
    # The newest time itself is missed only once it is too late for it.
    until = newest if is_late else newest - 1
    missed = timetable.count(max(since, counted), until, MAX_MISSED) if until > max(since, counted) else 0
    return Due(None if is_late else newest, missed, max(counted, until), following, None if is_late else expires_at)
