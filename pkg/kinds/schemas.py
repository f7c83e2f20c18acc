"""Reads the schemas of kinds in the background, one document per kind, so that neither workers nor discovery wait.

A kind has no schema until its first answer. If there is none within some seconds (the server does not serve OpenAPI,
refuses it or is silent), the kind is used without, and the server is asked again, ever more slowly. A schema is read
anew after a change of the CRD, and now and then.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec
import structlog

from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Schema
from pkg.apis.meta import GVR
from pkg.apis.openapi import Described, DocumentError, read
from pkg.kube.discovery import Discovery
from pkg.kube.errors import KubeError, Stopped

_log = structlog.get_logger("workflow.schemas")


class SchemaTiming(msgspec.Struct, frozen=True):
    """How long to wait for what, in seconds."""

    patience: float = 5.0
    """A kind whose schema did not come for so long is used without."""
    retry: float = 0.5
    """Between two tries within that time."""
    slow_retry: float = 30.0
    """Before the first try after it. Each further delay is twice as long, up to `renew`."""
    renew: float = 900.0
    """A known schema is read anew after so long."""
    after_change: tuple[float, ...] = (0.0, 3.0, 10.0)
    """When a schema is read after its CRD changed: the API server publishes the new one a little later."""
    threads: int = 4
    """So many documents are read at once."""
    max_entries: int = 1_000_000
    """Entries of all schemas together, about 100 bytes each. Kinds after that are used without a schema."""


class Known(msgspec.Struct, frozen=True):
    """What is known of a kind: its schema, and whether its objects have a `.spec`; None for what is not known yet."""

    schema: Schema | None = None
    has_spec: bool | None = None


_NOT_YET = Known()
_GIVEN_UP = Known(NO_SCHEMA)


@dataclass(slots=True)
class _Entry:
    gvr: GVR
    kind: str
    since: float
    known: Known = _NOT_YET
    entries: int = 0
    digest: bytes = b""
    tries: int = 0
    is_busy: bool = False
    due: list[float] = field(default_factory=list)


class Schemas:
    """The schemas of the kinds that were asked for. Thread-safe.

    on_change(gvr): there is an answer for the kind, or a new one, or it is used without. It runs in a thread of this
    object.
    """

    def __init__(
        self, discovery: Discovery, on_change: Callable[[GVR], None], timing: SchemaTiming | None = None
    ) -> None:
        self._discovery = discovery
        self._on_change = on_change
        self._timing = timing or SchemaTiming()
        self._lock = threading.Condition()
        self._entries: dict[GVR, _Entry] = {}
        self._is_stopping = False
        self._pool = ThreadPoolExecutor(self._timing.threads, thread_name_prefix="schema")
        self._thread = threading.Thread(target=self._run, name="schemas", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._lock:
            self._is_stopping = True
            self._lock.notify_all()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def get(self, gvr: GVR, kind: str) -> Known:
        """What is known of a kind. The first call makes the schema be read. Never waits."""
        with self._lock:
            entry = self._entries.get(gvr)
            if entry is None or entry.kind != kind:
                now = time.monotonic()
                entry = self._entries[gvr] = _Entry(gvr, kind, now, due=[now])
                self._lock.notify_all()
            return entry.known

    def refresh(self, gvr: GVR) -> None:
        """The CRD of a kind changed."""
        with self._lock:
            entry = self._entries.get(gvr)
            if entry is not None:
                now = time.monotonic()
                entry.due = sorted({now + after for after in self._timing.after_change})
                self._lock.notify_all()

    def forget(self, gvr: GVR) -> None:
        with self._lock:
            self._entries.pop(gvr, None)

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._is_stopping:
                    return
                now = time.monotonic()
                late = [entry for entry in self._entries.values() if self._is_late(entry, now)]
                for entry in late:
                    entry.known = _GIVEN_UP
                for entry in self._entries.values():
                    if not entry.is_busy and entry.due and entry.due[0] <= now:
                        entry.due = [at for at in entry.due if at > now]
                        entry.is_busy = True
                        self._pool.submit(self._read, entry)
                if not late:
                    self._lock.wait(self._pause(now))
            for entry in late:
                _log.warning("the schema of a kind did not come, so the kind is used without it", gvr=str(entry.gvr))
                self._changed(entry.gvr)

    def _is_late(self, entry: _Entry, now: float) -> bool:
        return entry.known.schema is None and now - entry.since >= self._timing.patience

    def _pause(self, now: float) -> float | None:
        """Seconds until something is due; None: until something happens. Call with the lock held."""
        times = [entry.due[0] for entry in self._entries.values() if entry.due and not entry.is_busy]
        times += [entry.since + self._timing.patience for entry in self._entries.values() if entry.known.schema is None]
        return max(0.0, min(times) - now) if times else None

    def _read(self, entry: _Entry) -> None:
        try:
            document = self._discovery.openapi(entry.gvr)
            digest = hashlib.sha256(document).digest() if document is not None else b""
            found: Described | None = None
            if document is not None and digest != entry.digest:
                gvr = entry.gvr
                found = read(document, group=gvr.group, version=gvr.version, kind=entry.kind)
        except Stopped:
            return
        except (KubeError, DocumentError) as error:
            if entry.tries in (0, 5):
                _log.warning(
                    "the schema of a kind cannot be read, it is tried again", gvr=str(entry.gvr), error=str(error)
                )
            self._take(entry, None, b"")
        except Exception:
            _log.exception("reading the schema of a kind failed unexpectedly, it is tried again", gvr=str(entry.gvr))
            self._take(entry, None, b"")
        else:
            self._take(entry, found, digest)

    def _take(self, entry: _Entry, found: Described | None, digest: bytes) -> None:
        """What a try found; the digest of a document that was read before means that nothing changed."""
        with self._lock:
            now, before = time.monotonic(), entry.known
            entry.is_busy = False
            if found is not None:
                entry.known = Known(self._fitting(entry, found), found.has_spec)
                entry.digest = digest
            if found is not None or (digest and digest == entry.digest):
                entry.tries, delay = 0, self._timing.renew
            else:
                entry.tries += 1
                delay = self._delay(entry, now)
            entry.due = sorted([*entry.due, now + delay])
            is_news = entry.known != before and self._entries.get(entry.gvr) is entry
            self._lock.notify_all()
        if is_news:
            self._changed(entry.gvr)

    def _delay(self, entry: _Entry, now: float) -> float:
        if now - entry.since < self._timing.patience:
            return self._timing.retry
        return min(self._timing.slow_retry * 2.0 ** min(entry.tries, 10), self._timing.renew)

    def _fitting(self, entry: _Entry, found: Described) -> Schema:
        """The schema, or none if there is no room for it. Call with the lock held."""
        entry.entries = 0
        room = self._timing.max_entries - sum(other.entries for other in self._entries.values())
        if found.is_too_large or found.entries > room:
            _log.warning("the schema of a kind is too large, so the kind is used without it", gvr=str(entry.gvr))
            return NO_SCHEMA
        entry.entries = found.entries
        return found.schema

    def _changed(self, gvr: GVR) -> None:
        try:
            self._on_change(gvr)
        except Exception:
            _log.exception("a change of a schema was not passed on", gvr=str(gvr))
