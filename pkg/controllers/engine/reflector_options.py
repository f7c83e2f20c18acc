"""The configuration of a reflector: which objects, which handlers to call, and how long to wait."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pkg.apis.meta import GVR
from pkg.controllers.engine.backoff import Backoff
from pkg.controllers.engine.deltas import Delta, KubeObject

T = TypeVar("T", bound=KubeObject)

FAILING = Backoff(base=0.2, cap=30.0, jitter=0.5)
"""Between tries while the API server fails or cannot be reached."""
WAITING = Backoff(base=0.25, cap=3.0, jitter=0.3)
"""Between tries while the kind is not served: a CRD that comes is picked up within 3 seconds."""
READ_TIMEOUT = 80.0
"""Seconds without a line after which a watch is opened again. The API server sends a bookmark about every minute, but
none as long as it has seen no event of the kind itself: such a watch costs one request in this time."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Owners of objects, by UID the `namespace/name` of each (`keys`). Their objects are read by themselves, as of
    version `since` or later.
    """

    keys: Mapping[str, str]
    since: int


@dataclass(frozen=True, slots=True)
class ByOwner:
    """Objects that have owners, for whom an object that is not there is news.

    A first list of several pages counts as complete once the watch has told what happened while it was read. label: has
    the UID of the owner. first(gvr, is_stopped): whose objects are read before such a list is complete; it may wait
    until that is known.
    """

    label: str
    first: Callable[[GVR, Callable[[], bool]], Sequence[Owners]] = lambda _gvr, _is_stopped: ()


@dataclass(frozen=True, slots=True)
class Source:
    """The objects of `gvr` in `namespace` (None: all) that match the selector, listed `page_limit` at a time.

    Only those are cached for which `keeps` (`namespace/name`) is true: None for all.
    """

    gvr: GVR
    namespace: str | None = None
    label_selector: str = ""
    page_limit: int = 500
    keeps: Callable[[str], bool] | None = None
    by_owner: ByOwner | None = None


def _ignore(_gvr: GVR) -> None:
    """Nothing to do."""


@dataclass(frozen=True, slots=True)
class EventHandlers(Generic[T]):
    """Called after the store has changed, in the thread of the reflector or in that of its `OwnerReads`; one that
    raises is logged, and nothing else.

    `on_deltas` gets every change, `on_synced` is called whenever a list counts as complete. `on_gone` is called once
    lists have been answered repeatedly with 404, and `is_absent(gvr)` says that this is no fault on the way to the
    server; it may raise KubeError for "cannot tell", and without it no kind ever counts as gone. What was cached is
    then announced as deleted, with reason "kind gone". `on_trouble` is called when lists keep failing, and when they do
    so for another reason. `on_owners(gvr, owners)` is called once the objects of these owners were read by themselves.
    """

    on_deltas: Callable[[GVR, Sequence[Delta[T]]], None]
    on_synced: Callable[[GVR], None] = _ignore
    on_owners: Callable[[GVR, Owners], None] = lambda _gvr, _owners: None
    on_gone: Callable[[GVR], None] = _ignore
    on_trouble: Callable[[GVR], None] = _ignore
    is_absent: Callable[[GVR], bool] = lambda _gvr: False


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a reflector waits, in seconds of `clock`, which must be monotonic."""

    read_timeout: float = READ_TIMEOUT
    failing: Backoff = FAILING
    waiting: Backoff = WAITING
    clock: Callable[[], float] = time.monotonic
    rng: random.Random = field(default_factory=random.Random)
