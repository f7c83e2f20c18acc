"""How long an answer about a right counts. Pure: the time is an argument.

A right that was there counts for five minutes, so that one that is taken away is noticed by then. A right that was
missing is asked for again soon. Until there is another answer it stays missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pkg.apis.flow.v1alpha1.people import Question


class Authorize(StrEnum):
    """What a missing right means for the controller, and for the webhook."""

    ENFORCE = "enforce"  # no job; the request is refused
    WARN = "warn"  # a job, an Event and a line in the log; a warning
    OFF = "off"  # nothing; nobody is asked


@dataclass(frozen=True, slots=True)
class AccessTiming:
    """In seconds. Answers count from the moment of the question."""

    allowed: float = 280.0
    """A look at a workflow counts for 5 s, and a creation may be in flight for 15 s: together the five minutes that
    the documents promise."""
    renew: float = 0.8
    """An answer that is used is asked for again after this share of its time, so that nobody waits for it."""
    denied: float = 30.0
    denied_per_second: float = 20.0
    """With more missing rights than fit into `denied` at this rate, each is asked for less often."""


@dataclass(frozen=True, slots=True)
class Known:
    """An answer. asked_at: when the question was sent."""

    is_allowed: bool
    asked_at: float


class AccessCache:
    """Answers by question, at most `max_entries`. Not thread-safe for writes; reads need no lock."""

    def __init__(self, timing: AccessTiming | None = None, max_entries: int = 20_000) -> None:
        self.timing = timing or AccessTiming()
        self._max_entries = max_entries
        self._known: dict[Question, Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, question: Question, now: float) -> Known | None:
        """The answer that counts now; None if there is none, or it is too old. The answer no never becomes too old."""
        known = self._known.get(question)
        if known is None or (known.is_allowed and now - known.asked_at >= self.timing.allowed):
            return None
        return known

    def is_due(self, question: Question, now: float) -> bool:
        """Whether the question is to be asked (again)."""
        known = self._known.get(question)
        if known is None:
            return True
        seconds = self.timing.allowed * self.timing.renew if known.is_allowed else self.timing.denied
        return now - known.asked_at >= seconds

    def denied_pause(self, denied: int) -> float:
        """After how many seconds a missing right is asked for again, if there are so many of them."""
        return max(self.timing.denied, denied / self.timing.denied_per_second)

    def put(self, question: Question, known: Known, now: float) -> None:
        """Takes an answer. Makes room by dropping first what counts no more, then the oldest answers."""
        self._known.pop(question, None)
        if len(self._known) >= self._max_entries:
            self._make_room(now)
        self._known[question] = known

    def _make_room(self, now: float) -> None:
        """Drops at least a quarter, so that this is done seldom."""
        keep = self._max_entries * 3 // 4
        fresh = {question: known for question, known in self._known.items() if self.get(question, now) is not None}
        newest = sorted(fresh, key=lambda question: fresh[question].asked_at)[max(0, len(fresh) - keep) :]
        self._known = {question: fresh[question] for question in newest}
