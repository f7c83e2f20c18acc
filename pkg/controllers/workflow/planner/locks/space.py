"""The locks of one namespace: who has which place, who stands in line, and which calls are to be made.

It makes no call itself. It takes in what happens (what workflows need, which Leases are there, what calls came to), and
hands out calls, one at a time for each holder, and the workflows that have something new to see. So a test can stop the
controller between any two calls.

Four rules keep a lock with one holder, whatever this process has missed:
- A place is one Lease, which the API server creates once. What is remembered here only spares calls that would fail.
- A holder counts as such once the API server has acknowledged its Leases in this term. A Lease of its own that it finds
  is written again first: a deletion that an earlier controller has sent names another version, and is refused.
- A Lease is deleted by uid and version, as it was seen.
- A Lease that another controller has written is deleted once nobody can make a job by it any more (`tenure.py`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.controllers.workflow.planner.locks.calls import (
    CallAnswer,
    Failed,
    GivenBack,
    Held,
    HolderCall,
    JobsFound,
    LeaseCall,
    Limits,
    LockCall,
    LookForJobs,
    Place,
    ReadLimits,
    Rewritten,
    Take,
    Taken,
    TakenByOther,
)
from pkg.controllers.workflow.planner.locks.gone import Gone
from pkg.controllers.workflow.planner.locks.holders import NO_JOBS, Holder, LockNeeds, LockView
from pkg.controllers.workflow.planner.locks.line import Waiter
from pkg.controllers.workflow.planner.locks.serving import Serving
from pkg.controllers.workflow.planner.locks.tenure import ELECTED, Patience, Slot, State, Tenure
from pkg.controllers.workflow.planner.locks.view import view_of
from pkg.controllers.workflow.planner.progress import TaskKey

#: So long nobody is served after the start of a term because a workflow that stood in line has not been planned yet.
EXPECT_SECONDS: Final = 20.0


class Space:
    """now, everywhere: seconds of a clock that is never set. Since when somebody waits is compared with nothing else.
    Calls and keys pile up in `calls` and `wake` until they are taken.
    """

    def __init__(self, expected: Iterable[str] = (), now: float = 0.0, patience: Patience = ELECTED) -> None:
        """expected: `namespace/name` of workflows that stood in line when the term before ended."""
        self._serving = Serving(expected, patience)
        self._line, self._supply = self._serving.line, self._serving.supply
        self._roster, self._tenures = self._serving.roster, self._serving.tenures
        self._patience = patience
        self._gone = Gone()
        self._expect_until = now + EXPECT_SECONDS

    def take_calls(self) -> list[LockCall]:
        """The calls to make that were not handed out before."""
        calls, self._serving.calls = self._serving.calls, []
        return calls

    def take_woken(self) -> set[str]:
        """The workflows that have something new to see, by `namespace/name`."""
        woken, self._serving.wake = self._serving.wake, set()
        return woken

    def take_acquired(self) -> list[tuple[LockKind, float]]:
        """Locks that were acquired: the kind of each, and since when its holder had waited."""
        acquired, self._serving.acquired = self._serving.acquired, []
        return acquired

    # What workflows need

    def update(self, key: str, uid: str, needs: LockNeeds, now: float) -> None:
        """What a workflow needs now. key: `namespace/name`. Who is in neither part of it gives back what it holds."""
        wants = {Holder.of(key, uid, want): want for want in needs.wants}
        touched = self._withdraw_all(key, uid, but=wants)
        for holder in self._holders(key, uid):
            if holder in wants:
                continue
            if holder.task in needs.keeps:
                self._serving.keep(self._tenures[holder], now)
            else:
                known, is_unsure = needs.jobs.get(holder.task, NO_JOBS), holder.task in needs.unsure
                self._serving.give_back(self._tenures[holder], None, now, known, is_unsure=is_unsure)
        new, told = [], []
        for holder, want in wants.items():
            waiter = Waiter(holder, want.attempt, want.locks, want.since, want.rank, want.kinds, want.shown)
            if (tenure := self._tenures.get(holder)) is not None:
                self._want(tenure, waiter, is_kept=holder.task in needs.keeps, now=now)
                continue
            before = self._line.get(holder)
            if before is None:
                new.append(waiter)
            elif before.shown != waiter.shown:  # else it was woken for that already, and would be without end
                told.append(waiter)
            self._serving.stand(waiter, now)
            touched += waiter.locks
        self._serving.advance(self._reported(key) or touched, now)
        # What their flows show was found before this.
        for waiter in new:
            self._serving.wake_new(waiter)
        self._serving.wake_waiting(told)
        self._serving.wake_to_read()

    def leave(self, key: str, uid: str, now: float) -> None:
        """The workflow is being deleted: it waits for nothing any more, and keeps what it holds."""
        touched = self._withdraw_all(key, uid, but=())
        self._serving.advance(self._reported(key) or touched, now)
        self._serving.wake_to_read()

    def doubt(self, key: str, uid: str, now: float) -> None:
        """A creation of this workflow had no answer, and the workflow is gone: the job may come yet."""
        for holder in self._holders(key, uid):
            self._tenures[holder].doubt(now + self._patience.in_flight)

    def may_create(self, key: str, uid: str, task: TaskKey, attempt: int, now: float) -> bool:
        """Whether a job may be made now of a task, or WHOLE, that was granted its locks before."""
        tenure = self._tenures.get(Holder(key, uid, task.flow, task.index))
        is_for_it = tenure is not None and (tenure.holder.is_whole or tenure.attempt == attempt)
        return tenure is not None and is_for_it and tenure.may_create(now, self._patience)

    def workflows(self, key: str) -> list[str]:
        """The uids of the workflows of this name that hold or wait for something."""
        return self._roster.uids(key)

    def kinds(self, key: str, uid: str) -> frozenset[str]:
        """The kinds of jobs that the holders of a workflow may have."""
        return frozenset(kind for holder in self._holders(key, uid) for kind in self._tenures[holder].kinds)

    def view(self, key: str, uid: str, locks: Iterable[LockName], now: float) -> LockView:
        """What a plan of a workflow reads. locks: all that its tasks may wait for."""
        holders = self._roster.of(key, uid)
        granted = {
            tenure.holder.task: tenure.attempt or 0
            for holder in holders
            if (tenure := self._tenures.get(holder)) is not None and tenure.may_create(now, self._patience)
        }
        return view_of(holders, locks, self._tenures, granted, self._line, self._supply)

    # What the cluster shows

    def seen(self, held: Held, now: float) -> None:
        """A Lease of ours is there, or was changed."""
        self._seen(held, now)
        self._serving.wake_to_read()

    def _seen(self, held: Held, now: float) -> None:
        if held.uid in self._gone:
            return
        others_until = now + self._patience.for_others
        slot = self._supply.at(held.place)
        if slot is not None and slot.holder == held.holder:
            if slot.held is None or slot.held.version < held.version:
                slot.held = held
                self._tenures[held.holder].seen(held, others_until)
            return
        if slot is not None and not self._is_replaced(slot, held):
            return  # the call that takes the place will say that another has it
        tenure = self._tenures.get(held.holder)
        if tenure is None:
            tenure = self._tenures[held.holder] = Tenure(held.holder, State.FOUND)
            self._roster.add(held.holder)
            self._line.remove(held.holder)
        tenure.kinds = tenure.kinds or held.kinds
        tenure.slots.append(self._supply.put(Slot(held.place, held.holder, held, is_sent=True)))
        tenure.seen(held, others_until)
        if tenure.state in (State.TAKING, State.HELD):
            tenure.mark_extra(tenure.locks)
            self._serving.repair(tenure, now)
        self._serving.wake.add(held.holder.key)
        self._serving.step(tenure, now)

    def lost(self, held: Held, now: float) -> None:
        """A Lease of ours is not there any more, as it was seen."""
        self._gone.add(held.uid)
        slot = self._supply.at(held.place)
        if slot is None or slot.held is None or slot.held.uid != held.uid:
            return
        tenure = self._tenures[slot.holder]
        if tenure.state in (State.GIVING, State.DOUBTED) or slot.is_extra:
            self._serving.drop(tenure, slot)
        else:
            # Somebody deleted it by hand. Where the job goes on, the place is taken again.
            slot.held, slot.is_acknowledged, slot.is_sent, slot.is_unsure = None, False, False, False
            if tenure.state is State.FOUND:
                self._serving.wake.add(held.holder.key)  # its workflow says whether it needs it
            else:
                self._serving.repair(tenure, now)
        self._serving.step(tenure, now)
        self._serving.advance([held.place.lock], now)
        self._serving.wake_to_read()

    def answered(self, call: LockCall, answer: CallAnswer, now: float) -> None:
        """What became of a call."""
        if isinstance(call, ReadLimits):
            if isinstance(answer, Limits | Failed):
                self._read(call.config_map, answer, now)
                self._serving.wake_to_read()
            return
        tenure = self._tenures.get(call.holder)
        if tenure is None or tenure.in_flight is not call:
            return
        tenure.in_flight = None
        if isinstance(answer, Failed):
            self._failed(tenure, call, answer, now)
        else:
            tenure.tries = 0
            if isinstance(call, LookForJobs):
                tenure.list_answered(answer.uids if isinstance(answer, JobsFound) else frozenset())
            else:
                self._written(tenure, call, answer, now)
        self._serving.step(tenure, now)
        if not isinstance(call, LookForJobs):
            self._serving.advance([call.place.lock], now)
        self._serving.wake_to_read()

    def tick(self, now: float) -> None:
        """What is due now: calls that failed, ConfigMaps, Leases that are none of ours or were refused."""
        self._serving.retry_due(now)
        touched = self._supply.due(now)
        if self._serving.expected and self._expect_until <= now:
            self._serving.expected.clear()
            touched += self._line.locks()
        self._serving.calls += [ReadLimits(name) for name in self._supply.readings.due(self._line.locks(), now)]
        self._supply.readings.forget_stale(self._line.locks(), now)
        self._serving.advance([found for lock in touched for found in self._serving.shut_or_open(lock)], now)
        self._serving.wake_to_read()

    def next_at(self) -> float | None:
        """When `tick` is due; None if nothing is."""
        times = self._serving.retries()
        if self._serving.expected:
            times.append(self._expect_until)
        if (supply := self._supply.next_at(self._line.locks())) is not None:
            times.append(supply)
        return min(times, default=None)

    # For those who count

    @property
    def is_idle(self) -> bool:
        """Whether nobody holds or waits for anything."""
        return not (self._roster or self._serving.expected) and self._supply.next_at(()) is None

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
        expected = self._serving.expected
        if key not in expected:
            return []
        expected.discard(key)
        return [] if expected else list(self._line.locks())

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
        self._supply.touch(touched)
        return touched

    def _want(self, tenure: Tenure, waiter: Waiter, *, is_kept: bool, now: float) -> None:
        """A holder wants its locks for an attempt. It may have them, from before this term or for an earlier one."""
        is_same = tenure.attempt == waiter.attempt
        match tenure.state:
            case State.GIVING:
                tenure.then = waiter
            case State.TAKING:
                tenure.attempt, tenure.waiter = waiter.attempt, waiter
            case State.HELD if tenure.misses(waiter) and not is_kept:
                self._serving.give_back(tenure, waiter, now)
            case State.HELD if is_same or is_kept:
                tenure.attempt, tenure.waiter = waiter.attempt, waiter
                if not tenure.may_create(now, self._patience):
                    tenure.ask_again()
                    self._serving.step(tenure, now)
                elif not is_same:
                    self._serving.wake.add(tenure.holder.key)
            case State.HELD:
                self._serving.give_back(tenure, waiter, now)
            case State.FOUND | State.KEPT | State.DOUBTED:
                self._serving.take_again(tenure, waiter, now)

    def _is_replaced(self, slot: Slot, held: Held) -> bool:
        """Whether another holder has a place than was known; not while a call of the one who was known is under way."""
        tenure = self._tenures[slot.holder]
        if slot.held is None or slot.held.version >= held.version or tenure.in_flight is not None:
            return False
        self._serving.drop(tenure, slot)
        return True

    def _written(self, tenure: Tenure, call: LeaseCall, answer: CallAnswer, now: float) -> None:
        """A Lease was written or deleted, or another holder has it."""
        slot = tenure.slot_at(call.place)
        others_until = now + self._patience.for_others
        match answer:
            case Taken(held, is_shared) if slot is not None:
                slot.held, slot.is_acknowledged, slot.acknowledged_at = held, True, tenure.called_at
                slot.is_unsure = False
                tenure.acknowledged(held, is_shared=is_shared, until=others_until)
                self._allowed(call.place)
            case TakenByOther():
                self._refused(tenure, call, answer, now)
            case Rewritten(held) if slot is not None:
                slot.held = held
                tenure.doubt(others_until)
            case GivenBack() if slot is not None:
                if slot.held is not None:
                    self._gone.add(slot.held.uid)
                self._serving.drop(tenure, slot)

    def _allowed(self, place: Place) -> None:
        """The API server has shown that it lets this controller write Leases of a lock."""
        if self._supply.allowed(place):
            self._serving.shut_or_open(place.lock)

    def _failed(self, tenure: Tenure, call: HolderCall, failed: Failed, now: float) -> None:
        """A call failed: it is made again later. Where the API server refuses a Lease, all else is given back."""
        is_refused = isinstance(call, Take) and not failed.may_have_worked and tenure.state is State.TAKING
        slot = tenure.slot_at(call.place) if isinstance(call, Take) else None
        if slot is not None and failed.may_have_worked:
            slot.is_unsure = True
        if not is_refused or tenure.is_repair or slot is None or isinstance(call, LookForJobs):
            self._serving.retry(tenure, now + tenure.delay())
            return
        slot.is_sent = slot.is_unsure  # this try did not create it
        self._supply.refuse(call.place.lock, failed.answer, now)
        freed = self._serving.shut_or_open(call.place.lock)
        self._serving.give_back(tenure, tenure.waiter, now)
        self._serving.advance(freed, now)

    def _refused(self, tenure: Tenure, call: LeaseCall, answer: TakenByOther, now: float) -> None:
        """Another has the place that this holder was to take: it gives back the others, and stands in line again."""
        if isinstance(call, Take):
            self._allowed(call.place)  # that a name is taken is found out last
        if (slot := tenure.slot_at(call.place)) is not None:
            if slot.held is not None:
                self._gone.add(slot.held.uid)
            self._serving.drop(tenure, slot)
        if answer.held is not None:
            self._gone.discard(answer.held.uid)  # a GET has shown it, which is newer than what was known
            self._seen(answer.held, now)
        elif answer.is_stranger:
            self._supply.stranger(call.place, now)
        if tenure.state is State.TAKING and tenure.is_repair:
            tenure.locks = tuple(lock for lock in tenure.locks if tenure.slot_of(lock) is not None)
            self._serving.wake.add(call.holder.key)  # whose job goes on without; else it waits again
        elif tenure.state is State.TAKING:
            self._serving.give_back(tenure, tenure.waiter, now)

    def _read(self, name: str, answer: Limits | Failed, now: float) -> None:
        """A ConfigMap was read."""
        locks = [lock for lock in self._line.locks() if lock.kind is LockKind.SEMAPHORE and lock.config_map == name]
        self._supply.readings.answered(name, answer, now)
        self._serving.advance([found for lock in locks for found in self._serving.shut_or_open(lock)], now)
        self._supply.touch(locks)
