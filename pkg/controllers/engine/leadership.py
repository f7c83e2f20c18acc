"""What the rest of the controller asks of leadership, what an elector asks of the API client, and its clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from pkg.apis.meta import GVR
from pkg.controllers.engine.activity import Activity

Lease = dict[str, Any]
"""A whole Lease object: fields that are not ours (labels, newer fields) are written back unchanged."""


class LeaseApi(Protocol):
    """The part of `pkg.kube.client.Client` that an elector uses."""

    def get(self, gvr: GVR, namespace: str | None, name: str, type: type[Lease]) -> Lease:  # noqa: A002
        """Read the Lease."""

    def create(self, gvr: GVR, namespace: str | None, body: Lease, type: type[Lease]) -> Lease:  # noqa: A002
        """Make the Lease."""

    def replace(self, gvr: GVR, namespace: str | None, name: str, body: Lease, type: type[Lease]) -> Lease:  # noqa: A002
        """Write the Lease, if it has not changed."""

    def abort(self) -> None:
        """Cut the calls in flight."""


class LeaseChanges(Protocol):
    """Says when the Lease changes: a `LeaseWatch`."""

    def start(self, on_change: Callable[[Lease | None], None]) -> None:
        """Call `on_change` with each new state; None: it is not known, or the Lease is gone."""

    def stop(self) -> None:
        """Call it no more."""


class Leadership(Protocol):
    """Whether this process may act: an Elector, an Unelected, or an AlwaysLeader."""

    def start(self) -> None:
        """Begin."""

    def stop(self, *, release: bool = True, timeout: float = 1.0) -> None:
        """End, within `timeout` seconds, releasing the Lease if `release`."""

    @property
    def activities(self) -> tuple[Activity, ...]:
        """What its threads do; empty if it has none."""

    def is_leader(self) -> bool:
        """Whether this process may act now."""

    def renewal_age(self) -> float | None:
        """Seconds since the last renewal began; None while this process does not lead."""

    def wait_leader(self, timeout: float | None = None) -> bool:
        """Wait until this process leads, `timeout` seconds at most; whether it does."""


def steady_clock() -> float:
    """A monotonic clock in seconds that also counts while the machine sleeps, where the system has one."""
    return time.clock_gettime(_CLOCK) if _CLOCK is not None else time.monotonic()


_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)
