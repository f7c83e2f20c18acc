"""Serves those who wait for the locks of one namespace, and says which call is next for each holder.

This is the part of a `Space` that does not depend on where news comes from. It keeps what is known: the line, the
places, and who has or takes which. A change that frees a lock serves those who are next at it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.controllers.workflow.planner.locks import words
from pkg.controllers.workflow.planner.locks.calls import LockCall, ReadLimits, Take
from pkg.controllers.workflow.planner.locks.holders import NO_JOBS, Holder, KnownJobs, LockAnswer
from pkg.controllers.workflow.planner.locks.line import Line, Waiter
from pkg.controllers.workflow.planner.locks.roster import Roster
from pkg.controllers.workflow.planner.locks.supply import Supply
from pkg.controllers.workflow.planner.locks.tenure import Patience, Slot, State, Tenure
from pkg.controllers.workflow.planner.locks.view import why

#: Jobs that a list has shown and no plan knows yet are listed again after so many seconds.
LIST_SECONDS: Final = 1.0


class Serving:
    """now: see Space. expected: `namespace/name` of workflows without which nobody is served yet."""

    def __init__(self, expected: Iterable[str], patience: Patience) -> None:
        self.calls: list[LockCall] = []
        self.wake: set[str] = set()
        self.acquired: list[tuple[LockKind, float]] = []
        self.line = Line()
        self.supply = Supply()
        self.roster = Roster()
        self.tenures: dict[Holder, Tenure] = {}
        self.expected = set(expected)
        self.patience = patience
        self._retrying: set[Holder] = set()
        self._is_held_up = bool(expected)
        #: What was in the way of each lock when those who wait for it were told last.
        self._told: dict[LockName, LockAnswer | str] = {}

    # Those who wait

    def stand(self, waiter: Waiter, now: float) -> None:
        """Puts a waiter in line. Semaphores of which nobody knows the limit are read first."""
        self.roster.add(waiter.holder)
        # A limit that was read when somebody waited last may be of any age.
        self.supply.readings.forget_stale(self.line.locks(), now)
        self.line.add(waiter)
        self.supply.touch(waiter.locks)
        self.calls += [ReadLimits(name) for name in self.supply.readings.due(waiter.locks, now)]
        for lock in waiter.locks:
            if lock.kind is LockKind.SEMAPHORE:
                self.shut_or_open(lock)  # nobody else waits for a lock that this shuts

    def advance(self, locks: Iterable[LockName], now: float) -> None:
        """Serves those who are next at these locks."""
        if self.expected:
            return
        due = list(dict.fromkeys(locks))
        while due and (waiter := self.line.next(due, self.supply.free)) is not None:
            self.line.remove(waiter.holder)
            tenure = Tenure(waiter.holder, State.TAKING, waiter.attempt, waiter.locks, waiter.kinds, waiter=waiter)
            self.tenures[waiter.holder] = tenure
            tenure.slots = [self.supply.reserve(waiter.holder, lock) for lock in waiter.locks]
            self.step(tenure, now)
            due = list(dict.fromkeys((*due, *waiter.locks)))

    def shut_or_open(self, lock: LockName) -> list[LockName]:
        """Lets those stand aside who wait for a lock that nobody can take now. Returns the locks to serve next."""
        if self.supply.is_shut(lock):
            return self.line.shut(lock)
        self.line.open(lock)
        return [lock]

    def wake_new(self, waiter: Waiter) -> None:
        """Wakes the workflow of one who has come to stand in line, if its flow shows another reason to wait."""
        if waiter.shown is not None and waiter.holder in self.line and waiter.shown != self._answer(waiter):
            self.wake.add(waiter.holder.key)

    def wake_waiting(self, waiters: Iterable[Waiter]) -> None:
        """Wakes the workflows of those who stand in line and whose flows show something that is not so any more."""
        standing: dict[LockName, LockAnswer | str | None] = {}
        for waiter in waiters:
            if (
                waiter.shown is not None
                and waiter.holder in self.line
                and self._is_news(waiter, waiter.shown, standing)
            ):
                self.wake.add(waiter.holder.key)

    def wake_to_read(self) -> None:
        """Wakes those of whose lock something else is to be read now; that it has only passed on is no such change. All
        who wait are gone through where there is one.
        """
        changed = set()
        for lock in self.supply.take_touched():
            before = self._told.pop(lock, None)
            if not self.line.waiting_for(lock):
                continue
            standing = self.supply.standing(lock)
            if standing is not None:
                self._told[lock] = standing
            if standing != before:
                changed.add(lock)
        if self._is_held_up and not self.expected:
            self._is_held_up = False
            self.wake_waiting(self.line)  # who was not served before others came
        elif changed:
            self.wake_waiting(waiter for waiter in self.line if not changed.isdisjoint(waiter.locks))

    def _answer(self, waiter: Waiter) -> LockAnswer:
        return why(waiter.holder, self.line, self.supply) or words.TAKING

    def _is_news(self, waiter: Waiter, shown: LockAnswer, standing: dict[LockName, LockAnswer | str | None]) -> bool:
        """standing: of the locks that were asked about already."""
        first = None
        for lock in waiter.locks:
            if lock not in standing:
                standing[lock] = self.supply.standing(lock)
            if (first := standing[lock]) is not None:
                break
        # The words of an answer cost more than to see that it is none.
        return first != shown.topic and self._answer(waiter).is_news_after(shown)

    # Those who hold

    def give_back(
        self,
        tenure: Tenure,
        then: Waiter | None,
        now: float,
        known: KnownJobs = NO_JOBS,
        *,
        is_unsure: bool = False,
    ) -> None:
        """A holder gives everything back, and stands in line again if it still waits for something.

        known: the jobs of it that the caches show; is_unsure: its last creation had no answer.
        """
        tenure.then = then
        if tenure.state is State.GIVING:
            return
        tenure.known, tenure.is_settled = known, tenure.is_proven(known)
        if is_unsure and not tenure.is_settled and tenure.state is not State.DOUBTED:
            tenure.doubt(now + self.patience.in_flight)
        self._leave_doubt(tenure, State.GIVING, now)
        self.step(tenure, now)

    def keep(self, tenure: Tenure, now: float) -> None:
        """A holder needs what it has: its job goes on, or may do so."""
        if tenure.state not in (State.FOUND, State.DOUBTED):
            return
        self._leave_doubt(tenure, State.KEPT, now)
        tenure.then = None
        self.repair(tenure, now)

    def take_again(self, tenure: Tenure, waiter: Waiter, now: float) -> None:
        """A holder found its own Leases: it takes them again without waiting, and the missing ones if they are free."""
        self.supply.readings.forget_stale(self.line.locks(), now)
        missing = [lock for lock in waiter.locks if all(slot.place.lock != lock for slot in tenure.slots)]
        if not all(self.supply.free(lock) for lock in missing):
            self.give_back(tenure, waiter, now)
            return
        self._leave_doubt(tenure, State.TAKING, now)
        tenure.then = None
        tenure.locks, tenure.attempt, tenure.waiter = waiter.locks, waiter.attempt, waiter
        tenure.kinds = tuple(sorted({*tenure.kinds, *waiter.kinds}))
        tenure.mark_extra(waiter.locks)
        tenure.slots += [self.supply.reserve(tenure.holder, lock) for lock in missing]
        tenure.ask_again()
        self.step(tenure, now)

    def repair(self, tenure: Tenure, now: float) -> None:
        """A holder whose job goes on has lost Leases, which somebody deleted by hand: it takes them again. Or another
        controller has taken a lower place for it, which it keeps instead of its own.
        """
        is_all_there = all(slot.held is not None for slot in tenure.slots if not slot.is_extra)
        is_all_written = all(slot.is_acknowledged for slot in tenure.slots if not slot.is_extra)
        if not is_all_there or (tenure.state is State.HELD and not is_all_written):
            tenure.is_repair = tenure.is_repair or tenure.state in (State.HELD, State.KEPT)
            tenure.locks = tenure.locks or tuple(dict.fromkeys(slot.place.lock for slot in tenure.slots))
            tenure.mark_extra(tenure.locks)
            tenure.state = State.TAKING
            self.step(tenure, now)

    def drop(self, tenure: Tenure, slot: Slot) -> None:
        """A holder does not have a place any more."""
        tenure.slots.remove(slot)
        self.supply.drop(slot.place)

    def step(self, tenure: Tenure, now: float) -> None:
        """Makes the next call of a holder, or ends what it does."""
        is_ended = self.tenures.get(tenure.holder) is not tenure
        if is_ended or tenure.in_flight is not None or tenure.retry_at > now:
            return
        unsent = tenure.unsent()
        for slot in unsent:
            self.drop(tenure, slot)
        self._next(tenure, now)
        self.advance([slot.place.lock for slot in unsent], now)

    def _next(self, tenure: Tenure, now: float) -> None:
        if tenure.state in (State.GIVING, State.DOUBTED):
            tenure.state = State.GIVING if self._is_doubt_over(tenure, now) else State.DOUBTED
        if tenure.retry_at > now:
            return
        call = tenure.next_call()
        if call is not None:
            tenure.in_flight, tenure.called_at = call, now
            if isinstance(call, Take) and (sent := tenure.slot_at(call.place)) is not None:
                sent.is_sent = True
            self.calls.append(call)
        elif not tenure.slots:
            self._end(tenure, now)
        elif tenure.state is State.TAKING:
            self._acquired(tenure, now)

    def retry(self, tenure: Tenure, at: float) -> None:
        """The next call of a holder is made then, and not before."""
        tenure.retry_at = at
        self._retrying.add(tenure.holder)

    def retry_due(self, now: float) -> None:
        """Makes the calls that are due again."""
        for holder in [one for one in self._retrying if self.tenures[one].retry_at <= now]:
            self._retrying.discard(holder)
            self.step(self.tenures[holder], now)

    def retries(self) -> list[float]:
        """When calls are due again."""
        return [self.tenures[holder].retry_at for holder in self._retrying]

    @staticmethod
    def _leave_doubt(tenure: Tenure, state: State, now: float) -> None:
        if tenure.state is State.DOUBTED:
            tenure.retry_at = min(tenure.retry_at, now)
        tenure.state = state

    def _is_doubt_over(self, tenure: Tenure, now: float) -> bool:
        """Whether nobody can make a job for a holder any more, and none was made. If not, when to look again."""
        if not tenure.slots or tenure.is_settled or tenure.others_until is None:
            return True
        if tenure.others_until > now:
            self.retry(tenure, tenure.others_until)
            return False
        if tenure.listed is None:
            return False  # the list is the next call
        if tenure.listed <= tenure.known.uids:
            tenure.others_until = None
            return True
        # A job that no plan knows yet. Once its event is there, its workflow says that it keeps the locks.
        tenure.listed = None
        self.retry(tenure, now + LIST_SECONDS)
        return False

    def _acquired(self, tenure: Tenure, now: float) -> None:
        tenure.state = State.HELD
        if not (tenure.is_repair or tenure.is_counted) and tenure.waiter is not None:
            self.acquired += [(lock.kind, tenure.waiter.since) for lock in tenure.locks]
        tenure.is_repair, tenure.is_counted = False, True
        self.wake.add(tenure.holder.key)

    def _end(self, tenure: Tenure, now: float) -> None:
        """A holder has given everything back."""
        del self.tenures[tenure.holder]
        self._retrying.discard(tenure.holder)
        if tenure.then is None:
            self.roster.discard(tenure.holder)
            self.advance(tenure.locks, now)
        else:
            self.stand(tenure.then, now)
            self.advance((*tenure.locks, *tenure.then.locks), now)
            self.wake_new(tenure.then)
