"""How much one person may ask: so that nobody takes the threads, or floods the API server, for all others.

Anybody can make up tokens, as many as they like. So a token has a share of its own only once the API server has
accepted it. Until then it asks from one share that is common to all new tokens and to all logins: a flood of them holds
up those who come anew, and nobody else.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pkg.dashboard.access.people import Person
from pkg.kube.errors import Forbidden, NotFound

#: Requests of one share that are answered at the same time: half of the threads.
AT_ONCE: Final = 16
#: Requests of one share in a second, and for how many seconds they may come together, as when many tabs are opened.
PER_SECOND: Final = 20.0
BURST_SECONDS: Final = 5.0
_MAX_PEOPLE: Final = 2_000
_COMMON: Final = "all who log in or are new here together"


class Busy(Exception):
    """Too much is asked; the message says why. after: whole seconds until they may ask again."""

    def __init__(self, text: str, after: int) -> None:
        super().__init__(f"{text}; ask again in {after} s")
        self.after = after


@dataclass(slots=True)
class _Share:
    left: float
    at: float
    is_common: bool = False
    running: int = 0


class Shares:
    """Belongs to the thread of the event loop. per_second: 0 for no bound at all; is_shared: everybody is the same
    person, so nobody is bounded alone.
    """

    def __init__(self, per_second: float, *, is_shared: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second * BURST_SECONDS)
        self._is_bounded = per_second > 0 and not is_shared
        self._clock = clock
        self._common = _Share(self._burst, clock(), is_common=True)
        # Of the tokens that the API server has accepted.
        self._shares: OrderedDict[str, _Share] = OrderedDict()

    @contextmanager
    def use(self, person: Person | None) -> Iterator[None]:
        """While one request of somebody is answered, which asks the API server; None: of somebody who logs in. Raises
        Busy. Whoever is answered by the API server gets a share of their own.
        """
        with self.place(person):
            self.count(person)
            yield

    def count(self, person: Person | None) -> None:
        """One request of somebody. Raises Busy."""
        if not self._is_bounded:
            return
        share = self._of(person)
        now = self._clock()
        share.left = min(self._burst, share.left + (now - share.at) * self._per_second)
        share.at = now
        if share.left < 1.0:
            after = math.ceil((1.0 - share.left) / self._per_second)
            who = f"{_COMMON} may ask" if share.is_common else "one person may ask"
            raise Busy(f"{who} {self._per_second:g} times a second", after)
        share.left -= 1.0

    @contextmanager
    def place(self, person: Person | None) -> Iterator[None]:
        """While an answer for somebody is in the making, as `use` has it, but their request is not counted. Raises
        Busy.
        """
        if not self._is_bounded:
            yield
            return
        share = self._of(person)
        if share.running >= AT_ONCE:
            whose, rest = (_COMMON, "there are") if share.is_common else ("one person", "they get")
            raise Busy(f"{AT_ONCE} requests of {whose} are being answered, and {rest} no more at a time", 1)
        share.running += 1
        try:
            yield
        except (Forbidden, NotFound):
            self.accept(person)  # who has no right, or finds nothing, is known
            raise
        finally:
            share.running -= 1
        self.accept(person)

    def accept(self, person: Person | None) -> None:
        """The API server has accepted the token of somebody, who has a share of their own from now on."""
        if person is None or person.key in self._shares or not self._is_bounded:
            return
        self._shares[person.key] = _Share(self._burst, self._clock())
        if len(self._shares) > _MAX_PEOPLE:
            self._shares.popitem(last=False)

    def _of(self, person: Person | None) -> _Share:
        share = self._shares.get(person.key) if person is not None else None
        if person is None or share is None:
            return self._common
        self._shares.move_to_end(person.key)
        return share
