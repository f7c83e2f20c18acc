"""Requests that ask the same of the same pods share one poll: its answers, and when it is made again.

No clock and no network here: the prober passes in times (seconds of one steady clock) and answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pkg.apis.flow.v1alpha1.types import HTTPGet, PodChoice, TCPSocket
from pkg.controllers.workflow.planner.actions import ProbeRequest
from pkg.controllers.workflow.planner.progress import TaskKey

# Differences of times below this are rounding.
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and of which pods. How often, and how many answers count, is up to each request."""

    asked: TaskKey
    attempt: int
    what: HTTPGet | TCPSocket
    role: str
    pods: PodChoice
    gvr: str

    @classmethod
    def of(cls, request: ProbeRequest) -> Question:
        return cls(request.asked, request.attempt, request.what, request.role, request.pods, request.gvr)


class Answer(NamedTuple):
    """One try at one address. seconds: how long it took; is_timeout: nothing came for that long; why: it failed."""

    is_passed: bool
    seconds: float
    is_timeout: bool = False
    why: str = ""


class Failing(NamedTuple):
    """Polls in a row that did not pass: the last answer, of which address, how many, and since when."""

    why: str
    address: str
    polls: int
    since: float


@dataclass(slots=True)
class _Count:
    """How many answers in a row a request has counted as passed, and when it counted the last one."""

    in_a_row: int = 0
    counted_at: float | None = None


@dataclass(slots=True)
class Poll:
    """The requests of one question, and the last answers to it: one for each address."""

    requests: dict[ProbeRequest, _Count] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()
    polled_at: float | None = None
    #: How long the last poll waited for an answer.
    patience: float = 0.0
    failing: Failing | None = None

    def add(self, request: ProbeRequest, now: float) -> bool:
        """Adds a request; the last answers count for it while they are fresh. Returns whether it passes with them."""
        self.requests[request] = _Count()
        if self.polled_at is None or now - self.polled_at >= request.period:
            return False
        if self.patience < request.timeout and any(answer.is_timeout for answer in self.answers):
            return False  # this request would have waited longer
        return self._count(request, self.polled_at)

    def look_at(self, addresses: tuple[str, ...]) -> None:
        """These are the addresses now. Answers of others do not count for them."""
        if addresses != self.addresses:
            self.addresses, self.answers, self.polled_at, self.failing = addresses, (), None, None
            for request in self.requests:
                self.requests[request] = _Count()

    def due_at(self, now: float) -> float:
        """When the next poll is due: at once for new addresses, else after the shortest period."""
        return now if self.polled_at is None else self.polled_at + self.period

    @property
    def period(self) -> float:
        return min(request.period for request in self.requests)

    @property
    def timeout(self) -> float:
        """How long a poll waits for an answer: as long as the most patient request."""
        return max(request.timeout for request in self.requests)

    @property
    def is_silent(self) -> bool:
        """Whether the last poll got no answer from some address."""
        return any(answer.is_timeout for answer in self.answers)

    def take(self, answers: Sequence[Answer], now: float, patience: float) -> list[ProbeRequest]:
        """Counts the answers for every request whose period is over; returns the requests that pass."""
        self.answers, self.polled_at, self.patience = tuple(answers), now, patience
        bad = next((at for at, answer in enumerate(answers) if not answer.is_passed), None)
        if bad is None:
            self.failing = None
        else:
            polls, since = (self.failing.polls, self.failing.since) if self.failing is not None else (0, now)
            self.failing = Failing(answers[bad].why, self.addresses[bad], polls + 1, since)
        return [request for request in list(self.requests) if self._count(request, now)]

    def _count(self, request: ProbeRequest, at: float) -> bool:
        count = self.requests[request]
        if count.counted_at is not None and at - count.counted_at < request.period - _EPSILON:
            return False
        passed = [answer.is_passed and answer.seconds <= request.timeout for answer in self.answers]
        is_passed = any(passed) if request.pods is PodChoice.ANY else bool(passed) and all(passed)
        count.in_a_row = count.in_a_row + 1 if is_passed else 0
        count.counted_at = at
        return count.in_a_row >= request.threshold
