"""Leadership without an election: this process acts from start to stop, and lets other controllers notice it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from pkg.controllers.engine.activity import Activity
from pkg.controllers.engine.claim import Rival
from pkg.controllers.engine.elector import Elector
from pkg.controllers.engine.lease import Acquire, Renew, Wait
from pkg.kube.errors import Forbidden, NotFound

#: Appended to the name of the Lease, so that it is not taken for one of an election.
SUFFIX = "-unelected"
_log = structlog.get_logger("engine.unelected")


class Unelected(Elector):
    """Renews a Lease of its own, so that a second controller stays out. Once it acts it does so until it is stopped,
    however late a renewal is; unless another process takes the Lease meanwhile.

    Without the permission to write the Lease it acts without it.
    """

    _is_unnoticed = False

    def is_leader(self) -> bool:
        """Whether this process has begun to act and was not stopped."""
        return self._leading and not self._stopping.is_set()

    def _try(self, *, again: bool = True) -> Acquire | Renew | Wait | Rival | None:
        if self._is_unnoticed:
            return self._find_rival() or Renew()
        try:
            return super()._try(again=again)
        except (Forbidden, NotFound) as error:
            self._is_unnoticed = True
            _log.warning(
                "other controllers cannot notice this one, because it may not write its Lease",
                lease=f"{self._options.namespace}/{self._options.name}",
                error=str(error),
                advice="allow create and update of leases there, or use --leader-elect",
            )
            return self._find_rival() or Renew()


class AlwaysLeader:
    """The answer for `--leader-elect=false --exclusive=false`: this process leads from start to stop, unnoticed."""

    def __init__(
        self,
        on_started: Callable[[], None],
        on_stopped: Callable[[], None],
        *,
        on_leading: Callable[[str, bool], None] = lambda name, leading: None,
        name: str = "none",
    ) -> None:
        self._on_started = on_started
        self._on_stopped = on_stopped
        self._on_leading = on_leading
        self._name = name
        self._started = threading.Event()
        self._stopped = False

    def start(self) -> None:
        """Lead."""
        self._on_leading(self._name, True)
        self._started.set()
        self._on_started()

    def stop(self, *, release: bool = True, timeout: float = 1.0) -> None:
        """Stop leading; there is no Lease to release."""
        if self._started.is_set() and not self._stopped:
            self._stopped = True
            self._on_leading(self._name, False)
            self._on_stopped()

    @property
    def activities(self) -> tuple[Activity, ...]:
        """It has no threads."""
        return ()

    def renewal_age(self) -> float | None:
        """None: there is no Lease."""
        return None

    def is_leader(self) -> bool:
        """Whether it was started and not stopped."""
        return self._started.is_set() and not self._stopped

    def wait_leader(self, timeout: float | None = None) -> bool:
        """Wait until `start` was called, `timeout` seconds at most."""
        self._started.wait(timeout)
        return self.is_leader()
