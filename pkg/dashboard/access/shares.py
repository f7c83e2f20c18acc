"""How much one person may ask: so that nobody takes the threads, or floods the API server, for all others."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pkg.dashboard.access.people import Person

#: Requests of one person that are answered at the same time: half of the threads.
AT_ONCE: Final = 16
#: Requests of one person in a second, and for how many seconds they may come together, as when many tabs are opened.
PER_SECOND: Final = 20.0
BURST_SECONDS: Final = 5.0
_MAX_PEOPLE: Final = 2_000


class Busy(Exception):
    """The person asks too much; the message says why. after: whole seconds until they may ask again."""

    def __init__(self, text: str, after: int) -> None:
        super().__init__(f"{text}; ask again in {after} s")
        self.after = after


@dataclass(slots=True)
class _Share:
    left: float
    at: float
    running: int = 0


class Shares:
    """Belongs to the thread of the event loop. per_second: 0 for no bound; is_shared: everybody is the same person, so
    nobody is bounded alone.
    """

    def __init__(self, per_second: float, *, is_shared: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second * BURST_SECONDS)
        self._is_shared = is_shared
        self._clock = clock
        self._shares: OrderedDict[str, _Share] = OrderedDict()

    @contextmanager
    def use(self, person: Person) -> Iterator[None]:
        """While one request of somebody is answered. Raises Busy."""
        if self._is_shared:
            yield
            return
        share = self._share(person.key)
        if share.running >= AT_ONCE:
            raise Busy(f"{AT_ONCE} of your requests are being answered, and one person gets no more at a time", 1)
        if self._per_second:
            if share.left < 1.0:
                after = math.ceil((1.0 - share.left) / self._per_second)
                raise Busy(f"one person may ask {self._per_second:g} times a second", after)
            share.left -= 1.0
        share.running += 1
        try:
            yield
        finally:
            share.running -= 1

    def _share(self, key: str) -> _Share:
        now = self._clock()
        share = self._shares.setdefault(key, _Share(self._burst, now))
        self._shares.move_to_end(key)
        if len(self._shares) > _MAX_PEOPLE:
            self._shares.popitem(last=False)
        share.left = min(self._burst, share.left + (now - share.at) * self._per_second)
        share.at = now
        return share
