"""Reads the objects of single owners, apart from the list of all.

A process that begins wants the objects of few owners before a long list is complete. A process that takes over has a
complete list, but its watch may be behind what another process has made and recorded in the owner's status. What such
an owner lacks in the cache may exist, so its objects are read as of the version of that record.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec
import structlog

from pkg.controllers.engine.deltas import KubeObject
from pkg.controllers.engine.feed import Feed
from pkg.controllers.engine.listwatch import ListWatch
from pkg.controllers.engine.owner_batches import batches
from pkg.controllers.engine.pager import Listing, PageSize, decoded, read_list
from pkg.controllers.engine.reflector_options import Owners, Source, Timing
from pkg.controllers.engine.relist import relist_reason
from pkg.controllers.engine.store import version_of
from pkg.controllers.engine.watch_events import ObjectDecoder
from pkg.kube.errors import KubeError, Stopped

T = TypeVar("T", bound=KubeObject)

# Reads that fail this often in a row are reported.
_TROUBLE_TRIES: Final = 3

_log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """Whose objects are asked for (`namespace/name`), as of which version, and about how many there are."""

    key: str
    since: int
    count: int


class OwnerReads(Generic[T]):
    """Of the objects of a source with `by_owner`, which go into `feed`.

    decoder(): the one to use now. reached(): the version up to which list and watch have told everything; -1 before the
    list. Once `knows` says so, on_owners of the feed's handlers is called, in the thread that reads. `stop` ends
    everything.
    """

    def __init__(
        self,
        client: ListWatch,
        source: Source,
        feed: Feed[T],
        decoder: Callable[[], ObjectDecoder[T]],
        *,
        timing: Timing,
        stop: threading.Event,
        reached: Callable[[], int],
    ) -> None:
        self._client = client
        self._source = source
        self._feed = feed
        self._decoder = decoder
        self._timing = timing
        self._stop = stop
        self._reached = reached
        self._log = _log.bind(resource=str(source.gvr))
        self._lock = threading.Lock()
        # By UID: the version as of which the objects of an owner were taken in, if the watch has not come so far.
        self._known: dict[str, int] = {}
        # By UID: those whose objects are asked for.
        self._asked: dict[str, _Asked] = {}
        self._trouble = ""
        self._has_read_first = False
        self._reader: threading.Thread | None = None

    def knows(self, owner: str, since: int) -> bool:
        """Whether the objects of an owner (a UID) are known as of version `since`: by the watch, or because they were
        read by themselves.
        """
        return self._reached() >= since or self._known.get(owner, -1) >= since

    def forget(self) -> None:
        """What was read or asked for counts no more: whoever needs it is requeued, and asks again."""
        with self._lock:
            self._known, self._asked = {}, {}

    @property
    def trouble(self) -> str:
        """Why what was asked for cannot be read, after several tries; empty if it can."""
        return self._trouble

    def read_first(self) -> None:
        """Reads what the source wants before the list, at the first call alone. What cannot be read is left to the
        list. Raises Stopped.
        """
        if self._has_read_first or self._source.by_owner is None:
            return
        self._has_read_first = True
        for owners in self._source.by_owner.first(self._source.gvr, self._stop.is_set):
            if self._stop.is_set():
                return
            generation = self._feed.generation
            try:
                found = self._read_at_once(owners)
            except Stopped:
                raise
            except KubeError as error:
                self._log.debug("objects not read before the others", error=str(error))
                return
            if found is not None and not found.undecodable:
                self._take(found, owners, version_of(found.resource_version), generation)
            else:
                self._log.debug("some objects cannot be read before the others")

    def ask(self, owner: str, key: str, since: int, count: int) -> bool:
        """Whether the objects of an owner are known as of version `since`. If not they are read in another thread, and
        on_owners is called. Never waits. key: its `namespace/name`; count: how many objects it may have.
        """
        with self._lock:
            if self.knows(owner, since):
                return True
            asked = self._asked.get(owner)
            self._asked[owner] = _Asked(key, since if asked is None else max(since, asked.since), count)
            if self._reader is None and not self._stop.is_set():
                name = f"owner-reads-{self._source.gvr}"
                reader = threading.Thread(target=self._read_asked, name=name, daemon=True)
                reader.start()
                self._reader = reader
        return False

    def join(self, timeout: float | None) -> bool:
        """Wait until nothing is read any more; False if it still is after `timeout` seconds."""
        reader = self._reader
        if reader is not None:
            reader.join(timeout)
        return reader is None or not reader.is_alive()

    def _read_asked(self) -> None:
        failures = 0
        while (chosen := self._next()) is not None:
            generation = self._feed.generation
            owners = Owners({uid: asked.key for uid, asked in chosen.items()}, max(a.since for a in chosen.values()))
            try:
                found = self._read_as_of(owners, sum(asked.count for asked in chosen.values()))
                failures, self._trouble = 0, ""
                # A list of this moment is as good, even if the server's history was set back since the record.
                self._take(found, owners, max(owners.since, version_of(found.resource_version)), generation)
            except Stopped:
                return
            except Exception as error:
                failures += 1
                self._report(error, owners, failures)
                self._put_last(owners)
                self._stop.wait(self._timing.failing.delay(failures - 1, self._timing.rng.random()))

    def _report(self, error: Exception, owners: Owners, failures: int) -> None:
        text = "objects of some owners cannot be read, it is tried again"
        if not isinstance(error, KubeError):
            self._log.exception(text)
        else:
            (self._log.warning if failures == _TROUBLE_TRIES else self._log.debug)(text, error=str(error))
        if failures == _TROUBLE_TRIES:
            self._trouble = str(error)
            self._tell(owners)

    def let_go(self) -> None:
        """The watch has told more: those go on of whom it has told everything."""
        if not self._asked:
            return
        with self._lock:
            reached = self._reached()
            told = {uid: asked.key for uid, asked in self._asked.items() if reached >= asked.since}
            self._asked = {uid: asked for uid, asked in self._asked.items() if uid not in told}
        if told:
            self._tell(Owners(told, reached))

    def _next(self) -> dict[str, _Asked] | None:
        """Those whose objects are read next: one of them, and others as long as a request has room. None ends the
        thread.
        """
        self.let_go()
        with self._lock:
            counts = ((uid, asked.count) for uid, asked in self._asked.items())
            batch = next(batches(counts, self._source.page_limit), None)
            if batch is None or self._stop.is_set():
                self._reader = None
                return None
            return {uid: self._asked[uid] for uid in batch}

    def _put_last(self, owners: Owners) -> None:
        """Others are read before these."""
        with self._lock:
            again = {uid: self._asked.pop(uid) for uid in owners.keys if uid in self._asked}
            self._asked |= again

    def _read_as_of(self, owners: Owners, count: int) -> Listing[T]:
        """The objects of these owners, about so many, as of the version that is asked for or of this moment. Raises
        KubeError.
        """
        if count <= self._source.page_limit:
            try:
                found = self._read_at_once(owners)
            except KubeError as error:
                if relist_reason(error) is None:
                    raise
                found = None  # the cache of the API server has not reached this version, and may never do so
            if found is not None:
                return found
        source = dataclasses.replace(self._source, label_selector=self._selector(owners))
        page_size = PageSize(source.page_limit)
        return read_list(self._client, source, self._decoder(), page_size, self._stop.is_set)

    def _read_at_once(self, owners: Owners) -> Listing[T] | None:
        """The objects of these owners in one answer of the API server's cache; None if they are more than one has.
        Raises KubeError.
        """
        page = self._client.list_page(
            self._source.gvr,
            self._source.namespace,
            msgspec.Raw,
            label_selector=self._selector(owners),
            # Without a limit the version is the oldest one that will do, so that the server answers from its cache.
            limit=0,
            resource_version=str(owners.since),
        )
        if page.continue_:
            return None
        return Listing(*decoded(page, self._decoder()), page.resource_version)

    def _selector(self, owners: Owners) -> str:
        if self._source.by_owner is None:
            raise RuntimeError(f"objects of {self._source.gvr} are not read by their owners")
        return f"{self._source.by_owner.label} in ({','.join(owners.keys)})"

    def _take(self, found: Listing[T], owners: Owners, version: int, generation: int) -> None:
        """Takes in what was read, unless it counts no more."""
        if self._stop.is_set() or not self._feed.absorb(found.items, generation):
            return
        with self._lock:
            if generation != self._feed.generation:
                return
            reached = self._reached()
            known = {**self._known, **dict.fromkeys(owners.keys, version)}
            self._known = {uid: at for uid, at in known.items() if at > reached}
            for uid in owners.keys:
                if uid in self._asked and self.knows(uid, self._asked[uid].since):
                    del self._asked[uid]
        self._tell(owners)

    def _tell(self, owners: Owners) -> None:
        self._feed.call(lambda gvr: self._feed.handlers.on_owners(gvr, owners))
