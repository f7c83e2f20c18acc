"""The job creations of one reconcile while they are in flight, so that no worker has to wait for slow answers.

They start slowly: 1 at first, then 2, 4 ... in parallel. No batch follows one with a temporary failure. The
thread that gets the last answer of a batch submits the next one. Where nothing else is to be done, the worker makes
the first call itself.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pkg.apis.meta import Job
from pkg.controllers.workflow.planner.actions import CreateJob
from pkg.controllers.workflow.planner.snapshot import CreateFault, Trouble


@dataclass(frozen=True, slots=True)
class Created:
    """The result of one creation: the job (created now or earlier by us), or the fault.

    warnings: what the API server said about a job that it created.
    """

    action: CreateJob
    job: Job | None
    fault: CreateFault | None
    warnings: tuple[str, ...] = ()


class CreationRun:
    """create(action) makes one call; submit(call) runs a call in another thread; run_here(call) runs it in this one, or
    does nothing and returns False.

    on_done() is called from that thread after the last answer; then on_late(), if `wait` had given up by then.
    """

    def __init__(
        self,
        actions: Sequence[CreateJob],
        create: Callable[[CreateJob], Created],
        submit: Callable[[Callable[[], None]], object],
        *,
        run_here: Callable[[Callable[[], None]], bool] = lambda _call: False,
        on_done: Callable[[], None] = lambda: None,
        on_late: Callable[[], None],
    ) -> None:
        self._actions = actions
        self._create = create
        self._submit = submit
        self._run_here = run_here
        self._on_done = on_done
        self._on_late = on_late
        self._lock = threading.Lock()
        self._finished = threading.Condition(self._lock)
        self._answers: dict[int, Created | Exception] = {}
        self._submitted = 0
        self._is_done = False
        self._is_late = False

    def start(self) -> None:
        """Makes the first creation here, or submits it."""
        self._submitted = 1
        first = functools.partial(self._run, 0, range(1))
        if not self._run_here(first):
            self._submit(first)

    def wait(self, seconds: float) -> bool:
        """Waits for the last answer; False if it did not come in time: then `on_late` is called when it comes."""
        with self._lock:
            self._is_late = not self._finished.wait_for(lambda: self._is_done, seconds)
            return not self._is_late

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

    def _submit_batch(self, size: int) -> None:
        first = self._submitted
        numbers = range(first, min(first + size, len(self._actions)))
        self._submitted = numbers.stop
        for number in numbers:
            self._submit(functools.partial(self._run, number, numbers))

    def _run(self, number: int, batch: range) -> None:
        answer: Created | Exception
        try:
            answer = self._create(self._actions[number])
        except Exception as error:
            answer = error
        with self._lock:
            self._answers[number] = answer
            if any(other not in self._answers for other in batch):
                return
            is_over = self._submitted >= len(self._actions) or any(_stops(self._answers[other]) for other in batch)
            self._is_done = is_over
            is_late = self._is_late
            if is_over:
                self._finished.notify_all()
        if not is_over:
            self._submit_batch(2 * len(batch))
            return
        self._on_done()
        if is_late:
            self._on_late()


def _stops(answer: Created | Exception) -> bool:
    """Whether nothing more is to be created after this answer."""
    return isinstance(answer, Exception) or (answer.fault is not None and answer.fault.trouble is Trouble.RETRY)
