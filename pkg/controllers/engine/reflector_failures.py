"""What a reflector does about tries that fail in a row: how long it waits, what it logs, and what it announces."""

from __future__ import annotations

from typing import Final

import structlog

from pkg.controllers.engine.reflector_options import Timing
from pkg.kube.errors import KubeError, gist

# Tries that find the kind not served, and seconds since the first of them, after which it may be gone for good.
_GONE_TRIES: Final = 2
_GONE_SECONDS: Final = 1.0
# So many watches in a row that the server ends with an ERROR event cannot be resumed.
_STUCK_TRIES: Final = 3
# A list that fails this often in a row is announced.
_TROUBLE_TRIES: Final = 3


class Failures:
    """Of one reflector. Its thread alone calls the methods; any thread may read `trouble`."""

    def __init__(self, timing: Timing, log: structlog.typing.FilteringBoundLogger) -> None:
        #: The error of lists that keep failing, as it was announced last; empty once one worked.
        self.trouble = ""
        self._timing = timing
        self._log = log
        self._announced = self._last_gist = ""  # the gist of the trouble, and that of the last failure
        self._logged = ""  # the failure that was logged last, until the kind can be read again
        self._failed = 0  # tries that failed without progress
        self._missed = 0  # tries that found the kind not served
        self._stalled = 0  # watches that the server ended with an ERROR event, without progress
        self._absent_since: float | None = None

    # What happened. Those that return a number return the seconds to wait before the next try.

    def failed(self, error: KubeError | None = None) -> float:
        """A try has failed. One that the server wants to come later waits as long as it says, within the limit."""
        pause = self._timing.failing.delay(self._failed, self._timing.rng.random())
        self._failed += 1
        asked = error.retry_after if error is not None else None
        return max(pause, min(asked or 0.0, self._timing.failing.cap))

    def missed(self) -> float:
        """The kind cannot be read yet."""
        pause = self._timing.waiting.delay(self._missed, self._timing.rng.random())
        self._missed += 1
        return pause

    def absent(self) -> float:
        """The server says that it does not serve the kind."""
        if self._absent_since is None:
            self._absent_since, self._missed = self._timing.clock(), 0
        return self.missed()

    def present(self) -> None:
        """The server serves the kind, or has said nothing of that."""
        self._absent_since = None

    def listed(self) -> None:
        """A list was read."""
        self._missed, self._logged, self.trouble = 0, "", ""

    def watched(self) -> None:
        """A watch has sent something."""
        self._failed = self._missed = self._stalled = 0
        self._logged = ""

    def settled(self) -> None:
        """A watch has worked for a while."""
        self._failed = 0

    def stalled(self) -> None:
        """The server has ended a watch with an ERROR event."""
        self._stalled += 1

    def relists(self) -> None:
        """The watch is given up."""
        self._stalled = 0

    # What follows from it.

    @property
    def is_trouble(self) -> bool:
        """Whether the tries fail for long enough to announce it."""
        return self._failed >= _TROUBLE_TRIES

    @property
    def is_stuck(self) -> bool:
        """Whether a new list has to help: no watch can be resumed."""
        return self._stalled >= _STUCK_TRIES

    @property
    def is_gone(self) -> bool:
        """Whether the kind was absent for long enough to ask whether it is gone."""
        since = self._absent_since
        return since is not None and self._missed >= _GONE_TRIES and self._timing.clock() - since > _GONE_SECONDS

    def takes(self, error: KubeError) -> bool:
        """Whether this error of lists that keep failing is to be announced; then it is the trouble from now on. Another
        one counts once it has come twice in a row: of two that alternate the first alone is announced.
        """
        found, before = gist(error), self._last_gist
        self._last_gist = found
        if self.trouble and (found != before or found == self._announced):
            return False
        self.trouble, self._announced = str(error), found
        return True

    def log_once(self, text: str, error: KubeError) -> None:
        """WARNING for a new failure, DEBUG for each repetition of it."""
        is_new, self._logged = self._logged != str(error), str(error)
        (self._log.warning if is_new else self._log.debug)(text, error=str(error))
