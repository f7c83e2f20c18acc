"""The streams that are open, by the person they are for: nobody has too many, and they end with the login."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from pkg.dashboard.access.people import Person


class Stream(StrEnum):
    """What is streamed."""

    LIST = "list"
    WORKFLOW = "workflow"
    LOG = "log"


class Taker(Protocol):
    """What a stream takes its events from."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing comes any more."""

    def close(self) -> None:
        """No more events."""

    async def take(self) -> bytes | None:
        """The next bytes, or None after the last."""


#: Logs that are followed at once: each has a thread and a connection.
MAX_LOGS: Final = 200
#: Streams of one person, by what is streamed. A browser has one per tab that is in sight.
MAX_EACH: Final = {Stream.LIST: 40, Stream.WORKFLOW: 40, Stream.LOG: 20}


class TooMany(Exception):
    """No other stream is opened; the message says why."""


@dataclass(frozen=True, eq=False)
class Visit:
    """One stream."""

    person: Person
    kind: Stream
    taker: Taker


class Visits:
    """Belongs to the thread of the event loop. is_shared: everybody is the same person, so nobody is bounded alone."""

    def __init__(self, *, is_shared: bool) -> None:
        self._is_shared = is_shared
        self._open: set[Visit] = set()
        self._counts: Counter[tuple[str, Stream]] = Counter()

    def check(self, person: Person, kind: Stream) -> None:
        """Raises TooMany if this person can have no other stream of this kind now."""
        if kind is Stream.LOG and self.count(Stream.LOG) >= MAX_LOGS:
            raise TooMany(f"{MAX_LOGS} logs are followed at the same time, and more are not; try again later")
        if not self._is_shared and self._counts[person.key, kind] >= MAX_EACH[kind]:
            raise TooMany(
                f"you have {MAX_EACH[kind]} streams of this kind, and one person gets no more; close some tabs"
            )

    def enter(self, person: Person, kind: Stream, taker: Taker) -> Visit:
        """A stream begins. Raises TooMany."""
        self.check(person, kind)
        visit = Visit(person, kind, taker)
        self._open.add(visit)
        self._counts[person.key, kind] += 1
        return visit

    def leave(self, visit: Visit) -> None:
        """It has ended."""
        if visit in self._open:
            self._open.discard(visit)
            self._counts[visit.person.key, visit.kind] -= 1
            self._counts += Counter()  # without those that are zero

    def end(self, person: Person) -> None:
        """Ends the streams of somebody: browsers that may still see something connect anew."""
        for visit in self._open:
            if visit.person.key == person.key:
                visit.taker.close()

    def close(self) -> None:
        """Ends all."""
        for visit in self._open:
            visit.taker.close()

    def count(self, kind: Stream) -> int:
        """How many of a kind are open."""
        return sum(visit.kind is kind for visit in list(self._open))
