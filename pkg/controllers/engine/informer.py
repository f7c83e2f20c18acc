"""Informers by resource: one reflector and one store each, started on first use.

Users name kinds in templates, so a kind may not be served. Its informer then waits in its own thread and blocks no
other.
"""

# ruff: noqa: A002 - the parameter that says what to decode into is best called `type`.

from __future__ import annotations

import builtins
import functools
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from pkg.apis.meta import GVR
from pkg.controllers.engine.deltas import KubeObject
from pkg.controllers.engine.listwatch import ListWatch, ReflectorMetrics
from pkg.controllers.engine.reflector import Reflector
from pkg.controllers.engine.reflector_options import ByOwner, EventHandlers, Source, Timing
from pkg.controllers.engine.store import Indexers, Store

T = TypeVar("T", bound=KubeObject)


class InformerSet(Generic[T]):
    """Informers of many resources whose objects are decoded as one type, under one selector and with one set of
    indexes; `handlers` are called in the thread of the gvr's reflector; `share` is as in Store. keeps(gvr,
    `namespace/name`): which objects are cached, None for all.
    """

    def __init__(
        self,
        client: ListWatch,
        namespace: str | None,
        type: type[T],
        handlers: EventHandlers[T],
        *,
        label_selector: str = "",
        keeps: Callable[[GVR, str], bool] | None = None,
        by_owner: ByOwner | None = None,
        indexers: Indexers[T] | None = None,
        share: Callable[[T, T], T] = lambda _old, new: new,
        metrics: ReflectorMetrics | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._type = type
        self._handlers = handlers
        self._selector = label_selector
        self._keeps = keeps
        self._by_owner = by_owner
        self._indexers = dict(indexers or {})
        self._share = share
        self._metrics = metrics
        self._timing = timing or Timing()
        self._lock = threading.Lock()
        self._reflectors: dict[GVR, Reflector[T]] = {}
        self._types: dict[GVR, builtins.type[T]] = {}  # of those that are not decoded as `type`
        self._stopped = False

    def ensure(self, gvr: GVR) -> Store[T]:
        """The store of `gvr`; its informer is started by the first call. Never waits.

        After `stop` nothing is started any more, and the store of an unknown gvr stays empty and unsynced.
        """
        known = self._reflectors.get(gvr)
        if known is not None and known.is_started:
            return known.store
        with self._lock:
            reflector = self._prepare(gvr)
            if not self._stopped and not reflector.is_started:
                reflector.start()
            return reflector.store

    def prepare(self, gvr: GVR) -> Store[T]:
        """The store of `gvr`, which stays empty until `ensure` starts its informer."""
        with self._lock:
            return self._prepare(gvr).store

    def _prepare(self, gvr: GVR) -> Reflector[T]:
        """Call with the lock held."""
        known = self._reflectors.get(gvr)
        if known is not None:
            return known
        reflector = self._make(gvr)
        if not self._stopped:
            self._reflectors[gvr] = reflector
        return reflector

    def decode_as(self, gvr: GVR, type: type[T]) -> None:
        """Decode objects of `gvr` as `type`, a subclass that keeps more; a running informer relists. Never waits."""
        with self._lock:
            if self._types.get(gvr) is type:
                return
            self._types[gvr] = type
            found = self._reflectors.get(gvr)
        if found is not None:
            found.reread(type)

    def get(self, gvr: GVR) -> Store[T] | None:
        """The store of `gvr`, None if it has no informer."""
        found = self._reflectors.get(gvr)
        return found.store if found else None

    def is_synced(self, gvr: GVR) -> bool:
        """Whether the store of `gvr` has taken in a complete list since its informer was started, and the event
        handlers have run for it. An object that was made since may be missing until the watch tells of it.
        """
        found = self._reflectors.get(gvr)
        return found is not None and found.wait_synced(0)

    def ask(self, gvr: GVR, owner: str, key: str, since: int, count: int) -> bool:
        """Whether every object of an owner (UID, `namespace/name`; about so many) was taken in as of version `since` or
        later. If not they are read by themselves, and `on_owners` is called; if the store is not synced, `on_synced`
        once it is. Never waits.
        """
        found = self._reflectors.get(gvr)
        return found is not None and found.ask(owner, key, since, count)

    def owners_trouble(self, gvr: GVR) -> str:
        """Why objects of `gvr` cannot be read that owners have asked for; empty if they can."""
        found = self._reflectors.get(gvr)
        return found.owners_trouble if found else ""

    def is_gone(self, gvr: GVR) -> bool:
        """Whether it is certain that `gvr` is not served now."""
        found = self._reflectors.get(gvr)
        return found is not None and found.is_gone

    def trouble(self, gvr: GVR) -> str:
        """The error of lists of `gvr` that keep failing; empty if they work."""
        found = self._reflectors.get(gvr)
        return found.trouble if found else ""

    def wait_synced(self, gvr: GVR, timeout: float) -> bool:
        """Start the informer of `gvr` if need be and wait until it is synced; False after `timeout` seconds."""
        self.ensure(gvr)
        found = self._reflectors.get(gvr)
        return found is not None and found.wait_synced(timeout)

    def retry_now(self, gvr: GVR) -> None:
        """Let the informer of `gvr`, if it waits for the kind or the server, try again now."""
        found = self._reflectors.get(gvr)
        if found is not None:
            found.retry_now()

    def release(self, gvr: GVR) -> None:
        """Stop the informer of `gvr` and forget its store, and what its objects are decoded as; returns at once."""
        with self._lock:
            found = self._reflectors.pop(gvr, None)
            self._types.pop(gvr, None)
        if found is not None:
            found.stop()

    def gvrs(self) -> tuple[GVR, ...]:
        """The resources that have an informer."""
        with self._lock:
            return tuple(self._reflectors)

    def sweep(self) -> None:
        """Forget what no store needs any more; call it now and then."""
        with self._lock:
            reflectors = tuple(self._reflectors.values())
        for reflector in reflectors:
            reflector.store.sweep()

    def dead(self) -> tuple[GVR, ...]:
        """Resources whose thread has ended without `stop`: for a health check."""
        with self._lock:
            if self._stopped:
                return ()
            return tuple(gvr for gvr, found in self._reflectors.items() if found.is_started and not found.is_alive)

    def stop(self) -> None:
        """Stop every informer; returns at once."""
        with self._lock:
            self._stopped = True
            for reflector in self._reflectors.values():
                reflector.stop()

    def join(self, timeout: float) -> bool:
        """Wait until all threads have ended; False if one still runs after `timeout` seconds."""
        end = time.monotonic() + timeout
        with self._lock:
            reflectors = tuple(self._reflectors.values())
        return all(reflector.join(max(end - time.monotonic(), 0.0)) for reflector in reflectors)

    def _make(self, gvr: GVR) -> Reflector[T]:
        return Reflector(
            self._client,
            Source(
                gvr,
                self._namespace,
                self._selector,
                keeps=functools.partial(self._keeps, gvr) if self._keeps is not None else None,
                by_owner=self._by_owner,
            ),
            self._types.get(gvr, self._type),
            Store(self._indexers, share=self._share, clock=self._timing.clock),
            self._handlers,
            timing=self._timing,
            metrics=self._metrics,
        )
