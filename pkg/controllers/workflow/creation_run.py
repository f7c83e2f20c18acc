"""The job creations of one reconcile while they are in flight, so that no worker has to wait for slow answers.

They start slowly: one at first, or as many as have succeeded in the workflow's last run, and each answer lets two more
begin; so they double. None begins after a temporary failure, not even one that waits for its turn already. The thread
that gets an answer submits the next ones. Where nothing else is to be done, the worker makes the only first one itself.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Final

from pkg.apis.meta import Job
from pkg.apis.structs import Frozen
from pkg.controllers.engine.waiters import Waiters
from pkg.controllers.workflow.planner.actions import CreateJob
from pkg.controllers.workflow.planner.snapshot import CreateFault, Trouble

#: So many creations of a run begin at once, at most: a quota may be used up meanwhile, and then all of them fail.
MAX_FIRST: Final = 16


class Created(Frozen, frozen=True):
    """The result of one creation: the job (created now or earlier by us), or the fault.

    warnings: what the API server said about a job that it created.
    """

    action: CreateJob
    job: Job | None
    fault: CreateFault | None
    warnings: tuple[str, ...] = ()


class CreationRun:
    """create(action) makes one call; submit(call) runs a call in another thread; run_here(call) runs it in this one, or
    does nothing and returns False; first: how many begin at once.

    on_done() is called from that thread after the last answer; then on_late(), if `wait` had given up by then.
    """

    def __init__(
        self,
        actions: Sequence[CreateJob],
        create: Callable[[CreateJob], Created],
        submit: Callable[[Callable[[], None]], object],
        *,
        first: int = 1,
        run_here: Callable[[Callable[[], None]], bool] = lambda _call: False,
        on_done: Callable[[], None] = lambda: None,
        on_late: Callable[[], None],
    ) -> None:
        self._actions = actions
        self._create = create
        self._submit = submit
        self._first = min(first, len(actions))
        self._run_here = run_here
        self._on_done = on_done
        self._on_late = on_late
        self._lock = threading.Lock()
        self._finished = Waiters(self._lock)
        self._answers: dict[int, Created | Exception] = {}
        self._submitted = 0
        self._left_out = 0  # submitted, but not made
        self._is_stopped = False
        self._is_done = False
        self._is_late = False

    def start(self) -> None:
        """Submits the first creations, or makes the only first one here."""
        self._submitted = self._first
        if self._first == 1 and self._run_here(functools.partial(self._run, 0)):
            return
        for number in range(self._first):
            self._submit(functools.partial(self._run, number))

    def wait(self, seconds: float) -> bool:
        """Waits for the last answer; False if it did not come in time: then `on_late` is called when it comes."""
        with self._lock:
            if not self._is_done and seconds > 0:
                self._finished.wait(seconds)
            self._is_late = not self._is_done
            return self._is_done

    @property
    def is_done(self) -> bool:
        """Whether all answers are there and no other creation follows."""
        with self._lock:
            return self._is_done

    def results(self) -> list[Created]:
        """The answers of a run that is done, in the order of the actions; fewer than these if it stopped early."""
        answers = (self._answers[number] for number in sorted(self._answers))
        return [answer for answer in answers if isinstance(answer, Created)]

    @property
    def error(self) -> Exception | None:
        """Why the run was broken off (NotLeader, Stopped), None if it was not."""
        return next((answer for answer in self._answers.values() if isinstance(answer, Exception)), None)

    @property
    def next_first(self) -> int:
        """How many creations of the workflow's next run may begin at once: as many as have succeeded in this one, which
        is done; one after a temporary failure.
        """
        made = sum(isinstance(answer, Created) and answer.fault is None for answer in self._answers.values())
        return 1 if self._is_stopped else min(MAX_FIRST, max(1, made))

    def _run(self, number: int) -> None:
        with self._lock:
            is_left_out = self._is_stopped
        answer: Created | Exception | None = None
        if not is_left_out:
            try:
                answer = self._create(self._actions[number])
            except Exception as error:
                answer = error
        with self._lock:
            if answer is None:
                self._left_out += 1
            else:
                self._answers[number] = answer
                self._is_stopped = self._is_stopped or _stops(answer)
            begin = self._submitted
            if not self._is_stopped:
                self._submitted = min(begin + 2, len(self._actions))
            more = range(begin, self._submitted)
            is_over = len(self._answers) + self._left_out == self._submitted
            self._is_done = is_over
            is_late = self._is_late
            if is_over:
                self._finished.notify_all()
        for following in more:
            self._submit(functools.partial(self._run, following))
        if not is_over:
            return
        self._on_done()
        if is_late:
            self._on_late()


def _stops(answer: Created | Exception) -> bool:
    """Whether nothing more is to be created after this answer."""
    return isinstance(answer, Exception) or (answer.fault is not None and answer.fault.trouble is Trouble.RETRY)
