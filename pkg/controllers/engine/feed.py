"""Changes one store and announces what changed to the event handlers, one change at a time.

Several threads read objects of one resource. Between the change of the store and its announcement no other change may
be announced: else the deletion of an object could come before the object, and whoever is told keeps it for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Generic, TypeVar

import structlog

from pkg.apis.meta import GVR
from pkg.controllers.engine.deltas import Delta, KubeObject, WatchEvent
from pkg.controllers.engine.reflector_options import EventHandlers
from pkg.controllers.engine.store import Store, version_of

T = TypeVar("T", bound=KubeObject)

_log = structlog.get_logger(__name__)


class Feed(Generic[T]):
    """Of the objects of `gvr`. Methods that take objects raise ValueError for a resourceVersion that is no number."""

    def __init__(self, gvr: GVR, store: Store[T], handlers: EventHandlers[T]) -> None:
        self.handlers = handlers
        self._gvr = gvr
        self._store = store
        self._lock = threading.Lock()
        self._log = _log.bind(resource=str(gvr))
        self._reached = -1
        self._generation = 0

    @property
    def reached(self) -> int:
        """The version up to which list and watch have told everything and it was announced; -1 before a list."""
        return self._reached

    @property
    def generation(self) -> int:
        """Grows when what was read before counts no more: the kind went, or the server's history was set back."""
        return self._generation

    def replace(self, items: Iterable[T], version: int, undecodable: Collection[str]) -> bool:
        """Takes in a complete list, see Store. Returns whether it is older than what is known: the server's history was
        set back.
        """
        with self._lock:
            is_set_back = version < self._reached
            self._generation += is_set_back
            self._announce(self._store.replace(items, version, undecodable=undecodable))
        self._reached = version
        return is_set_back

    def apply(self, event: WatchEvent[T]) -> None:
        """Takes in an event of the watch."""
        with self._lock:
            delta = self._store.apply(event)
            self._announce((delta,) if delta is not None else ())
        self._reached = max(self._reached, version_of(event.obj.metadata.resource_version))

    def bury(self, key: str, uid: str, version: int) -> None:
        """Takes in the deletion of an object of which only this could be read."""
        with self._lock:
            delta = self._store.bury(key, uid, version)
            self._announce((delta,) if delta is not None else ())
        self._reached = max(self._reached, version)

    def advance(self, version: int) -> None:
        """A bookmark: the watch has sent everything up to `version`."""
        self._store.advance(version)
        self._reached = max(self._reached, version)

    def absorb(self, items: Iterable[T], generation: int) -> bool:
        """Takes in objects that were read by themselves; a list or an event may have told more by now. Returns False
        and does nothing if they do not count any more. generation: of the moment before they were asked for.
        """
        with self._lock:
            if generation != self._generation:
                return False
            self._announce([delta for one in items if (delta := self._store.absorb(one)) is not None])
            return True

    def clear(self, reason: str) -> None:
        """The kind is not served any more: everything is deleted, for that reason."""
        with self._lock:
            self._generation += 1
            self._announce(self._store.clear(reason))

    def call(self, handler: Callable[[GVR], None]) -> None:
        """Calls an event handler; one that raises is logged."""
        try:
            handler(self._gvr)
        except Exception:
            self._log.exception("event handler failed unexpectedly, the reflector continues")

    def _announce(self, deltas: Sequence[Delta[T]]) -> None:
        if deltas:
            self.call(lambda gvr: self.handlers.on_deltas(gvr, deltas))
