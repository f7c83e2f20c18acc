"""The locks of one namespace: who has which place, who stands in line, and which calls are to be made.

It makes no call itself. It is told what happens - what workflows need, which Leases are there, what calls came to - and
hands out calls, one at a time for each holder, and the workflows that have something new to see. So a test can stop the
controller between any two calls.

Three rules keep a lock with one holder, whatever this process has missed:
- A place is one Lease, which the API server creates once. What is remembered here only spares calls that would fail.
- A holder counts as such once the API server has acknowledged its Leases in this term. A Lease of its own that it finds
  is written again first: a deletion that an earlier controller has sent names another version, and is refused.
- A Lease is deleted by uid and version, as it was seen.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.controllers.workflow.planner.locks import words
from pkg.controllers.workflow.planner.locks.calls import (
    CallAnswer,
    Failed,
    GivenBack,
    Held,
    LeaseCall,
    Limits,
    LockCall,
    ReadLimits,
    Take,
    Taken,
    TakenByOther,
)
from pkg.controllers.workflow.planner.locks.gone import Gone
from pkg.controllers.workflow.planner.locks.holders import Holder, LockNeeds, LockView
from pkg.controllers.workflow.planner.locks.line import Line, Waiter
from pkg.controllers.workflow.planner.locks.roster import Roster
from pkg.controllers.workflow.planner.locks.supply import Supply
from pkg.controllers.workflow.planner.locks.tenure import Slot, State, Tenure
from pkg.controllers.workflow.planner.locks.view import view_of, why

#: So long nobody is served after the start of a term because a workflow that stood in line has not been planned yet.
EXPECT_SECONDS: Final = 20.0


class Space:
    """now, everywhere: seconds since the epoch. Calls and keys pile up in `calls` and `wake` until they are taken."""

    def __init__(self, expected: Iterable[str] = (), now: float = 0.0) -> None:
        """expected: `namespace/name` of workflows that stood in line when the term before ended."""
        self.calls: list[LockCall] = []
        self.wake: set[str] = set()
        #: Locks that were acquired: the kind of each, and how long its holder had waited, in seconds.
        self.acquired: list[tuple[LockKind, float]] = []
        self._line = Line()
        self._supply = Supply()
        self._tenures: dict[Holder, Tenure] = {}
        self._retrying: set[Holder] = set()
        self._roster = Roster()
        self._gone = Gone()
        self._expected = set(expected)
        self._expect_until = now + EXPECT_SECONDS

    # What workflows need

    def update(self, key: str, uid: str, needs: LockNeeds, now: float) -> None:
        """What a workflow needs now. key: `namespace/name`. Who is in neither part of it gives back what it holds."""
        wants = {Holder.of(key, uid, want): want for want in needs.wants}
        touched = self._withdraw_all(key, uid, but=wants)
        for holder in [one for one in self._holders(key, uid) if one not in wants and one.task not in needs.keeps]:
            self._give_back(self._tenures[holder], None, now)
        new = []
        for holder, want in wants.items():
            waiter = Waiter(holder, want.attempt, want.locks, want.since, want.rank, want.kinds)
            if (tenure := self._tenures.get(holder)) is not None:
                self._want(tenure, waiter, is_kept=holder.task in needs.keeps, now=now)
                continue
            if holder not in self._line:
                new.append((holder, want))
            self._stand(waiter, now)
            touched += waiter.locks
        self._advance(self._reported(key) or touched, now)
        for holder, want in new:
            # What its flow shows was found before it stood in line.
            if (
                want.shown is not None
                and holder in self._line
                and want.shown != (why(holder, self._line, self._supply) or words.TAKING)
            ):
                self.wake.add(key)

    def leave(self, key: str, uid: str, now: float) -> None:
        """The workflow is being deleted: it waits for nothing any more, and keeps what it holds."""
        touched = self._withdraw_all(key, uid, but=())
        self._advance(self._reported(key) or touched, now)

    def workflows(self, key: str) -> list[str]:
        """The uids of the workflows of this name that hold or wait for something."""
        return self._roster.uids(key)

    def kinds(self, key: str, uid: str) -> frozenset[str]:
        """The kinds of jobs that the holders of a workflow may have."""
        return frozenset(kind for holder in self._holders(key, uid) for kind in self._tenures[holder].kinds)

    def view(self, key: str, uid: str, locks: Iterable[LockName]) -> LockView:
        """What a plan of a workflow reads. locks: all that its tasks may wait for."""
        holders = self._roster.of(key, uid)
        return view_of(holders, locks, self._tenures, self._line, self._supply)

    # What the cluster shows

    def seen(self, held: Held, now: float) -> None:
        """A Lease of ours is there, or was changed."""
        if held.uid in self._gone:
            return
        slot = self._supply.at(held.place)
        if slot is not None and slot.holder == held.holder:
            if slot.held is None or slot.held.version < held.version:
                slot.held = held
            return
        if slot is not None and not self._is_replaced(slot, held):
            return  # the call that takes the place will say that another has it
        tenure = self._tenures.get(held.holder)
        if tenure is None:
            tenure = self._tenures[held.holder] = Tenure(held.holder, State.FOUND)
            self._roster.add(held.holder)
            self._line.remove(held.holder)
        tenure.kinds = tenure.kinds or held.kinds
        tenure.slots.append(
            self._supply.put(
                Slot(held.place, held.holder, held, is_sent=True, is_extra=tenure.state is not State.FOUND)
            )
        )
        self.wake.add(held.holder.key)
        self._step(tenure, now)

    def lost(self, held: Held, now: float) -> None:
        """A Lease of ours is not there any more, as it was seen."""
        self._gone.add(held.uid)
        slot = self._supply.at(held.place)
        if slot is None or slot.held is None or slot.held.uid != held.uid:
            return
        tenure = self._tenures[slot.holder]
        if tenure.state in (State.HELD, State.TAKING) and not slot.is_extra:
            # Somebody deleted it by hand. The job goes on, so that the place is taken again.
            slot.held, slot.is_acknowledged, slot.is_sent = None, False, False
            tenure.is_repair = tenure.is_repair or tenure.state is State.HELD
            tenure.state = State.TAKING
        else:
            self._drop(tenure, slot)
        self._step(tenure, now)
        self._advance([held.place.lock], now)

    def answered(self, call: LockCall, answer: CallAnswer, now: float) -> None:
        """What became of a call."""
        if isinstance(call, ReadLimits):
            if isinstance(answer, Limits | Failed):
                self._read(call.config_map, answer, now)
            return
        tenure = self._tenures.get(call.holder)
        if tenure is None or tenure.in_flight is not call:
            return
        tenure.in_flight = None
        slot = tenure.slot_at(call.place)
        match answer:
            case Failed():
                self._failed(tenure, call, answer, now)
            case Taken(held) if slot is not None:
                tenure.tries = 0
                slot.held, slot.is_acknowledged = held, True
                self._supply.worked(call.place.lock)
            case TakenByOther():
                self._refused(tenure, call, answer, now)
            case GivenBack() if slot is not None:
                tenure.tries = 0
                if slot.held is not None:
                    self._gone.add(slot.held.uid)
                self._drop(tenure, slot)
        self._step(tenure, now)
        self._advance([call.place.lock], now)

    def tick(self, now: float) -> None:
        """What is due now: calls that failed, ConfigMaps, Leases that are none of ours or were refused."""
        for holder in [one for one in self._retrying if self._tenures[one].retry_at <= now]:
            self._retrying.discard(holder)
            self._step(self._tenures[holder], now)
        touched = self._supply.due(now)
        if self._expected and self._expect_until <= now:
            self._expected.clear()
            touched += self._line.locks()
        self.calls += [ReadLimits(name) for name in self._supply.readings.due(self._line.locks(), now)]
        self._supply.readings.forget_stale(self._line.locks(), now)
        self._advance([found for lock in touched for found in self._shut_or_open(lock)], now)

    def next_at(self) -> float | None:
        """When `tick` is due (seconds since the epoch); None if nothing is."""
        times = [self._tenures[holder].retry_at for holder in self._retrying]
        if self._expected:
            times.append(self._expect_until)
        if (supply := self._supply.next_at(self._line.locks())) is not None:
            times.append(supply)
        return min(times, default=None)

    # For those who count

    @property
    def is_idle(self) -> bool:
        """Whether nobody holds or waits for anything."""
        return not (self._roster or self._expected) and self._supply.next_at(()) is None

    def known(self) -> set[str]:
        """The workflows that hold or wait for something."""
        return self._roster.keys()

    def waiting_since(self) -> list[float]:
        """Since when everybody waits who does (seconds since the epoch)."""
        return [waiter.since for waiter in self._line]

    def places_held(self) -> Mapping[LockKind, int]:
        """How many places are held, by the kind of the lock."""
        return self._supply.held()

    # Inside

    def _reported(self, key: str) -> list[LockName]:
        """A workflow has said what it needs. Once all have who stood in line before this term, everybody is served."""
        if key not in self._expected:
            return []
        self._expected.discard(key)
        return [] if self._expected else list(self._line.locks())

    def _holders(self, key: str, uid: str) -> list[Holder]:
        """Those of a workflow who have places, or take or give some back."""
        return [one for one in self._roster.of(key, uid) if one in self._tenures]

    def _withdraw_all(self, key: str, uid: str, *, but: Container[Holder]) -> list[LockName]:
        """Takes the waiters of a workflow out of the line, but for these; returns the locks that they waited for."""
        touched: list[LockName] = []
        for holder in self._roster.of(key, uid):
            if holder not in but and holder not in self._tenures:
                waiter = self._line.remove(holder)
                touched += waiter.locks if waiter is not None else ()
                self._roster.discard(holder)
        return touched

    def _want(self, tenure: Tenure, waiter: Waiter, *, is_kept: bool, now: float) -> None:
        """A holder wants its locks for an attempt. It may have them, from before this term or for an earlier one."""
        match tenure.state:
            case State.GIVING:
                tenure.then = waiter
            case State.TAKING:
                tenure.attempt, tenure.waiter = waiter.attempt, waiter
            case State.HELD if tenure.attempt == waiter.attempt:
                pass
            case State.HELD if is_kept:
                tenure.attempt, tenure.waiter = waiter.attempt, waiter
                self.wake.add(tenure.holder.key)
            case State.HELD:
                self._give_back(tenure, waiter, now)
            case State.FOUND:
                self._take_again(tenure, waiter, now)

    def _take_again(self, tenure: Tenure, waiter: Waiter, now: float) -> None:
        """A holder found its own Leases: it takes them again without waiting, and the missing ones if they are free."""
        tenure.locks, tenure.attempt, tenure.waiter = waiter.locks, waiter.attempt, waiter
        tenure.kinds = tuple(sorted({*tenure.kinds, *waiter.kinds}))
        known: set[LockName] = set()
        for slot in tenure.slots:
            slot.is_extra = slot.place.lock in known or slot.place.lock not in waiter.locks
            known.add(slot.place.lock)
        self._supply.readings.forget_stale(self._line.locks(), now)
        missing = [lock for lock in waiter.locks if tenure.slot_of(lock) is None]
        if all(self._supply.free(lock) for lock in missing):
            tenure.state = State.TAKING
            tenure.slots += [self._supply.reserve(tenure.holder, lock) for lock in missing]
            self._step(tenure, now)
        else:
            self._give_back(tenure, waiter, now)

    def _give_back(self, tenure: Tenure, then: Waiter | None, now: float) -> None:
        """A holder gives everything back, and stands in line again if it still waits for something."""
        tenure.then = then
        if tenure.state is not State.GIVING:
            tenure.state = State.GIVING
            self._step(tenure, now)

    def _stand(self, waiter: Waiter, now: float) -> None:
        """Puts a waiter in line. Semaphores of which nobody knows the limit are read first."""
        self._roster.add(waiter.holder)
        # A limit that was read when somebody waited last may be of any age.
        self._supply.readings.forget_stale(self._line.locks(), now)
        self._line.add(waiter)
        self.calls += [ReadLimits(name) for name in self._supply.readings.due(waiter.locks, now)]
        for lock in waiter.locks:
            if lock.kind is LockKind.SEMAPHORE:
                self._shut_or_open(lock)  # nobody else waits for a lock that this shuts

    def _advance(self, locks: Iterable[LockName], now: float) -> None:
        """Serves those who are next at these locks."""
        if self._expected:
            return
        due = list(dict.fromkeys(locks))
        while due and (waiter := self._line.next(due, self._supply.free)) is not None:
            self._line.remove(waiter.holder)
            tenure = Tenure(waiter.holder, State.TAKING, waiter.attempt, waiter.locks, waiter.kinds, waiter=waiter)
            self._tenures[waiter.holder] = tenure
            tenure.slots = [self._supply.reserve(waiter.holder, lock) for lock in waiter.locks]
            self._step(tenure, now)
            due = list(dict.fromkeys((*due, *waiter.locks)))

    def _drop(self, tenure: Tenure, slot: Slot) -> None:
        """A holder does not have a place any more."""
        tenure.slots.remove(slot)
        self._supply.drop(slot.place)

    def _is_replaced(self, slot: Slot, held: Held) -> bool:
        """Whether another holder has a place than was known; not while a call of the one who was known is under way."""
        tenure = self._tenures[slot.holder]
        if slot.held is None or slot.held.version >= held.version or tenure.in_flight is not None:
            return False
        self._drop(tenure, slot)
        return True

    def _step(self, tenure: Tenure, now: float) -> None:
        """Makes the next call of a holder, or ends what it does."""
        is_ended = self._tenures.get(tenure.holder) is not tenure
        if is_ended or tenure.in_flight is not None or tenure.retry_at > now:
            return
        for slot in tenure.unsent():
            self._drop(tenure, slot)
        call = tenure.next_call()
        if call is not None:
            tenure.in_flight = call
            if isinstance(call, Take) and (sent := tenure.slot_at(call.place)) is not None:
                sent.is_sent = True
            self.calls.append(call)
        elif not tenure.slots:
            self._end(tenure, now)
        elif tenure.state is State.TAKING:
            tenure.state = State.HELD
            if not tenure.is_repair and tenure.waiter is not None:
                waited = max(0.0, now - tenure.waiter.since)
                self.acquired += [(lock.kind, waited) for lock in tenure.locks]
            tenure.is_repair = False
            self.wake.add(tenure.holder.key)

    def _end(self, tenure: Tenure, now: float) -> None:
        """A holder has given everything back."""
        del self._tenures[tenure.holder]
        self._retrying.discard(tenure.holder)
        if tenure.then is None:
            self._roster.discard(tenure.holder)
            self._advance(tenure.locks, now)
        else:
            self._stand(tenure.then, now)
            self._advance((*tenure.locks, *tenure.then.locks), now)

    def _failed(self, tenure: Tenure, call: LeaseCall, failed: Failed, now: float) -> None:
        """A call failed: it is made again later. Where the API server refuses a Lease, all else is given back."""
        slot = tenure.slot_at(call.place)
        is_refused = isinstance(call, Take) and not failed.may_have_worked and tenure.state is State.TAKING
        if not is_refused or tenure.is_repair or slot is None:
            tenure.retry_at = now + tenure.delay()
            self._retrying.add(tenure.holder)
            return
        slot.is_sent = False  # it was not created
        lock = call.place.lock
        before = self._supply.why(lock)
        self._supply.refuse(lock, failed.answer, now)
        freed = self._shut_or_open(lock)
        self._give_back(tenure, tenure.waiter, now)
        self._advance(freed, now)
        if self._supply.why(lock) != before:
            self._wake_waiting({lock})

    def _refused(self, tenure: Tenure, call: LeaseCall, answer: TakenByOther, now: float) -> None:
        """Another has the place that this holder was to take: it gives back the others, and stands in line again."""
        if (slot := tenure.slot_at(call.place)) is not None:
            if slot.held is not None:
                self._gone.add(slot.held.uid)
            self._drop(tenure, slot)
        if answer.held is not None:
            self._gone.discard(answer.held.uid)  # a GET has shown it, which is newer than what was known
            self.seen(answer.held, now)
        elif answer.is_stranger:
            self._supply.stranger(call.place, now)
            self._wake_waiting({call.place.lock})
        if tenure.state is State.TAKING and tenure.is_repair:
            tenure.locks = tuple(lock for lock in tenure.locks if tenure.slot_of(lock) is not None)
        elif tenure.state is State.TAKING:
            self._give_back(tenure, tenure.waiter, now)

    def _read(self, name: str, answer: Limits | Failed, now: float) -> None:
        """A ConfigMap was read. Those who wait see it if what is wrong with it has changed."""
        locks = [lock for lock in self._line.locks() if lock.kind is LockKind.SEMAPHORE and lock.config_map == name]
        before = {lock: self._supply.fault(lock) for lock in locks}
        self._supply.readings.answered(name, answer, now)
        self._advance([found for lock in locks for found in self._shut_or_open(lock)], now)
        self._wake_waiting({lock for lock in locks if before[lock] != self._supply.fault(lock)})

    def _shut_or_open(self, lock: LockName) -> list[LockName]:
        """Lets those stand aside who wait for a lock that nobody can take now. Returns the locks to serve next."""
        if self._supply.is_shut(lock):
            return self._line.shut(lock)
        self._line.open(lock)
        return [lock]

    def _wake_waiting(self, locks: set[LockName]) -> None:
        self.wake |= {waiter.holder.key for waiter in self._line if not locks.isdisjoint(waiter.locks)}
