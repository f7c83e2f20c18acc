"""Asks for rights in threads of its own, so that no worker waits for an answer, and keeps the answers.

`look` never waits. A question that has no answer, or an old one, is queued once, and namespaces take turns. A missing
right that somebody watches is asked for again and again, and only another answer is announced. While the API server
does not answer, a question is repeated ever more slowly.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from pkg.apis.flow.v1alpha1.people import Question
from pkg.controllers.engine.access_cache import AccessCache, Known
from pkg.controllers.engine.leadership import steady_clock
from pkg.controllers.engine.rotation import Rotation
from pkg.kube.errors import KubeError, Stopped, gist

_log = structlog.get_logger("access")
THREADS: Final = 4
MAX_WAITING: Final = 64
"""So many callers of `answers` wait at once; others get what is known."""
MIN_RETRY: Final = 0.5
MAX_RETRY: Final = 30.0


@dataclass(slots=True)
class _Open:
    """A question that is queued, is being asked, or has failed."""

    tries: int = 0
    error: KubeError | None = None
    is_busy: bool = True


class AccessReviews:
    """Thread-safe. ask(question): the API call, which raises KubeError; on_asked(result): allowed, denied or error,
    after every call.
    """

    def __init__(
        self,
        ask: Callable[[Question], bool],
        *,
        cache: AccessCache | None = None,
        clock: Callable[[], float] = steady_clock,
        on_asked: Callable[[str], None] = lambda result: None,
    ) -> None:
        self._ask = ask
        self._on_answer: Callable[[Question], None] = lambda question: None
        self._on_asked = on_asked
        self._cache = cache if cache is not None else AccessCache()  # an empty one is false
        self._clock = clock
        lock = threading.RLock()
        self._lock = threading.Condition(lock)
        self._answered = threading.Condition(lock)
        self._open: dict[Question, _Open] = {}
        self._queued: Rotation[Question] = Rotation()
        self._timers: list[tuple[float, int, Question]] = []
        self._watched: set[Question] = set()
        self._order = itertools.count()
        self._waiting = 0
        self._is_stopping = False
        self.threads = [
            threading.Thread(target=self._run, name=f"access-{number}", daemon=True) for number in range(THREADS)
        ]

    def start(self, on_answer: Callable[[Question], None] = lambda question: None) -> None:
        """on_answer(question): there is another answer, or none any more; it runs in a thread of this object."""
        self._on_answer = on_answer
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        with self._lock:
            self._is_stopping = True
            self._lock.notify_all()
            self._answered.notify_all()

    def look(self, question: Question) -> Known | None:
        """What is known now; None if nothing is. Makes the question be asked where it is due. Never waits."""
        now = self._clock()
        if self._cache.is_due(question, now) and question not in self._open:
            with self._lock:
                self._enqueue(question)
        return self._cache.get(question, now)

    def trouble(self, question: Question) -> KubeError | None:
        """Why the question has no answer, if the API server was asked in vain."""
        found = self._open.get(question)
        return found.error if found is not None else None

    def watch(self, questions: Iterable[Question]) -> None:
        """Somebody waits for these rights: they are asked for again while they are missing, or have no answer."""
        with self._lock:
            new = [question for question in questions if question not in self._watched]
            self._watched.update(new)
            for question in new:
                self._arm(question)

    def unwatch(self, questions: Iterable[Question]) -> None:
        with self._lock:
            self._watched.difference_update(questions)

    def answers(self, questions: Iterable[Question], seconds: float) -> Mapping[Question, bool | None]:
        """Up to date answers, as many as come within that time; None for the others."""
        asked = list(dict.fromkeys(questions))
        deadline = self._clock() + seconds
        for question in asked:
            self.look(question)
        with self._lock:
            if self._waiting < MAX_WAITING:
                self._waiting += 1
                try:
                    while not all(self._fresh(question) is not None for question in asked) and not self._is_stopping:
                        left = deadline - self._clock()
                        if left <= 0 or not self._answered.wait(left):
                            break
                finally:
                    self._waiting -= 1
        return {question: self._fresh(question) for question in asked}

    def _fresh(self, question: Question) -> bool | None:
        now = self._clock()
        known = self._cache.get(question, now)
        if known is None or (not known.is_allowed and self._cache.is_due(question, now)):
            return None
        return known.is_allowed

    def _enqueue(self, question: Question) -> None:
        """Call with the lock held."""
        if question not in self._open:
            self._open[question] = _Open()
            self._queued.add(question.namespace, question)
            self._lock.notify()

    def _arm(self, question: Question) -> None:
        """Asks for a watched missing right when it is due. Call with the lock held."""
        now = self._clock()
        known = self._cache.get(question, now)
        if known is None or known.is_allowed or question not in self._watched:
            return
        self._at(known.asked_at + self._cache.denied_pause(len(self._watched)), question)

    def _at(self, when: float, question: Question) -> None:
        heapq.heappush(self._timers, (when, next(self._order), question))
        self._lock.notify()

    def _run(self) -> None:
        while True:
            with self._lock:
                question = self._next()
            if question is None:
                return
            self._answer(question)

    def _next(self) -> Question | None:
        """The next question to ask; waits for one. None once this object stops. Call with the lock held."""
        while not self._is_stopping:
            now = self._clock()
            while self._timers and self._timers[0][0] <= now:
                self._due(heapq.heappop(self._timers)[2], now)
            if self._queued:
                return self._queued.take()
            self._lock.wait(self._timers[0][0] - now if self._timers else None)
        return None

    def _due(self, question: Question, now: float) -> None:
        """A timer of the question is over. Call with the lock held."""
        found = self._open.get(question)
        if found is None:
            if question in self._watched and self._cache.is_due(question, now):
                self._enqueue(question)
        elif not found.is_busy and question not in self._watched:
            del self._open[question]  # nobody waits for it any more
        elif not found.is_busy:
            found.is_busy = True
            self._queued.add(question.namespace, question)

    def _answer(self, question: Question) -> None:
        asked_at = self._clock()
        try:
            known = Known(self._ask(question), asked_at)
        except Stopped:
            with self._lock:
                self._open.pop(question, None)  # asked again by whoever looks next
            return
        except KubeError as error:
            self._on_asked("error")
            is_news = self._failed(question, error)
        except Exception:
            _log.exception("asking for a right failed unexpectedly, it is tried again")
            is_news = self._failed(question, KubeError("asking for a right failed unexpectedly; see the log"))
        else:
            self._on_asked("allowed" if known.is_allowed else "denied")
            is_news = self._take(question, known)
        if is_news:
            try:
                self._on_answer(question)
            except Exception:
                _log.exception("an answer about a right was not passed on")

    def _take(self, question: Question, known: Known) -> bool:
        with self._lock:
            now = self._clock()
            before = self._cache.get(question, now)
            was_failing = self._open.pop(question, _Open()).error is not None
            self._cache.put(question, known, now)
            self._arm(question)
            self._answered.notify_all()
        return was_failing or before is None or before.is_allowed != known.is_allowed

    def _failed(self, question: Question, error: KubeError) -> bool:
        with self._lock:
            found = self._open.setdefault(question, _Open())
            is_news = found.error is None or gist(found.error) != gist(error)
            if is_news:
                found.error = error  # else what was announced stays
            found.tries, found.is_busy = found.tries + 1, False
            self._at(self._clock() + min(MAX_RETRY, MIN_RETRY * 2 ** min(found.tries - 1, 10)), question)
        if is_news:
            _log.warning(
                "a right could not be asked for, it is tried again",
                user=question.person.shown,
                resource=question.group_resource,
                namespace=question.namespace,
                error=str(error),
            )
        return is_news
