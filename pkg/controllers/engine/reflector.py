"""Keeps one store up to date: LIST once, then WATCH, and resume where the watch broke off.

A broken connection costs a reconnect and no list. Only an answer of 410, or a watch that the server cannot resume,
costs a new list. A kind that is not served is listed again and again, with growing pauses.
"""

# ruff: noqa: A002 - the parameter that says what to decode into is best called `type`.

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

import structlog

from pkg.controllers.engine import catch_up
from pkg.controllers.engine.deltas import KubeObject
from pkg.controllers.engine.feed import Feed
from pkg.controllers.engine.listwatch import ListWatch, NoReflectorMetrics, ReflectorMetrics, WatchLike
from pkg.controllers.engine.owner_reads import OwnerReads
from pkg.controllers.engine.pager import Listing, PageSize, read_list
from pkg.controllers.engine.reflector_failures import Failures
from pkg.controllers.engine.reflector_options import EventHandlers, Source, Timing
from pkg.controllers.engine.relist import is_initializing, relist_reason
from pkg.controllers.engine.store import Store, version_of
from pkg.controllers.engine.watch_events import Bookmark, Failure, ObjectDecoder, Unreadable
from pkg.kube.errors import KubeError, NotFound, Stopped, may_mean_not_served

T = TypeVar("T", bound=KubeObject)

_WATCH_SECONDS = (300, 600)
_SETTLED_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Reflector(Generic[T]):
    """One thread that feeds `store` with the objects of `source`, decoded as `type`, and calls `handlers`."""

    def __init__(
        self,
        client: ListWatch,
        source: Source,
        type: type[T],
        store: Store[T],
        handlers: EventHandlers[T],
        *,
        timing: Timing | None = None,
        metrics: ReflectorMetrics | None = None,
    ) -> None:
        self.gvr = source.gvr
        self.store = store
        self._client = client
        self._source = source
        self._page_size = PageSize(source.page_limit)
        self._decoder = ObjectDecoder(type, self._report_part)
        self._feed = Feed(source.gvr, store, handlers)
        self._timing = timing or Timing()
        self._clock = self._timing.clock
        self._rng = self._timing.rng
        self._metrics: ReflectorMetrics = metrics or NoReflectorMetrics()
        self._log = _log.bind(resource=str(self.gvr))
        self._failures = Failures(self._timing, self._log)
        self._lock = threading.Lock()
        self._watch: WatchLike | None = None
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._synced = threading.Event()
        self._resume = ""  # the version to watch from; empty: list first
        self._rereads = False  # `reread` was called: list again even if the watch could resume
        self._served: bool | None = None
        self._gone = False
        self._is_open = False  # whether the present watch was opened
        self._received = False  # whether the present watch has sent a line
        self._progressed = True  # whether the watch has sent anything since the last list
        self._catch_up = catch_up.CatchUp(client, source)
        self._reads = OwnerReads(
            client,
            source,
            self._feed,
            lambda: self._decoder,
            timing=self._timing,
            stop=self._stop,
            reached=lambda: self._feed.reached if self._synced.is_set() else -1,
        )
        self._runner = threading.Thread(target=self._run, name=f"reflector-{self.gvr}", daemon=True)

    def start(self) -> None:
        self._runner.start()

    def stop(self) -> None:
        """End the watch and then the thread. Returns at once; a list in flight ends with the client's own timeout."""
        with self._lock:
            self._stop.set()
            watch = self._watch
        if watch is not None:
            watch.close()
        self._woken.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the threads have ended; False if one still runs after `timeout` seconds."""
        end = time.monotonic() + (timeout or 0.0)
        if self._runner.ident is not None:
            self._runner.join(timeout)
        left = max(0.0, end - time.monotonic()) if timeout is not None else None
        return self._reads.join(left) and not self._runner.is_alive()

    def retry_now(self) -> None:
        """End the wait for the next try, if there is one: the caller knows that the kind has come."""
        self._woken.set()

    def reread(self, type: type[T]) -> None:
        """Decode into `type` from now on, and list again, so that what is cached is read that way too."""
        self._decoder = ObjectDecoder(type, self._report_part)
        self._rereads = True
        with self._lock:
            watch = self._watch
        if watch is not None:
            watch.close()
        self._woken.set()

    def wait_synced(self, timeout: float | None = None) -> bool:
        """Wait until a first complete list has been taken in and announced, with what happened while it was read."""
        return self._synced.wait(timeout)

    def knows(self, owner: str, since: int) -> bool:
        """Whether every object of this owner (a UID) was taken in and announced, as of version `since` or later. Before
        the first list they may have been read by themselves; until it is there nobody sees what becomes of them.
        """
        return self._reads.knows(owner, since)

    def ask(self, owner: str, key: str, since: int, count: int) -> bool:
        """As `knows`, for an owner with that `namespace/name` and about so many objects. Never waits. If they are not
        known they are read by themselves, and on_owners is called; before the first list on_synced, once it is there.
        """
        return self.knows(owner, since) or (self._synced.is_set() and self._reads.ask(owner, key, since, count))

    @property
    def is_started(self) -> bool:
        return self._runner.ident is not None

    @property
    def is_alive(self) -> bool:
        return self._runner.is_alive()

    @property
    def served(self) -> bool | None:
        """Whether the server serves the kind, by its last answer; None before there was one."""
        return self._served

    @property
    def is_gone(self) -> bool:
        """Whether it is certain that the kind is not served, and not only for a moment."""
        return self._gone

    @property
    def trouble(self) -> str:
        """The error of lists that keep failing, as it was announced last; empty once one worked, or while the kind is
        not served.
        """
        return self._failures.trouble

    @property
    def owners_trouble(self) -> str:
        """Why objects that owners have asked for cannot be read; empty if they can."""
        return self._reads.trouble

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._rereads:
                    self._rereads, self._resume = False, ""
                pause = self._list() if not self._resume else self._follow()
            except Stopped:
                return
            except Exception:
                self._log.exception("reflector failed unexpectedly, it lists again")
                self._resume = ""
                pause = self._failures.failed()
            if pause > 0 and not self._stop.is_set():
                self._woken.wait(pause)
                self._woken.clear()

    # Each of these returns the seconds to wait before going on.

    def _list(self) -> float:
        started = self._clock()
        try:
            listing = read_list(
                self._client,
                self._source,
                self._decoder,
                self._page_size,
                self._stop.is_set,
                before_more=self._before_more,
            )
        except Stopped:
            raise
        except KubeError as error:
            if isinstance(error, NotFound) or may_mean_not_served(error):
                return self._absent(error)
            return self._list_failed(error)
        if self._stop.is_set():
            return 0.0
        self._failures.present()
        if not listing.resource_version.strip("0"):
            return self._failures.missed()  # the storage of the kind is being set up
        self._take_list(listing, started)
        return 0.0

    def _before_more(self) -> None:
        """The list has more pages than one."""
        if not self._synced.is_set():
            self._catch_up.begin()
            self._reads.read_first()

    def _list_failed(self, error: KubeError) -> float:
        self._failures.present()
        if is_initializing(error):
            return self._failures.missed()
        self._metrics.failed(self.gvr, "list")
        self._failures.log_once("list failed, it is tried again", error)
        pause = self._failures.failed(error)
        if self._failures.is_trouble:
            if not self._synced.is_set():
                self._reads.forget()  # what becomes of these objects may not be seen for long
            self._announce(error)
        return pause

    def _announce(self, error: KubeError) -> None:
        """Lists keep failing."""
        if self._failures.takes(error):
            self._feed.call(self._feed.handlers.on_trouble)

    def _take_list(self, listing: Listing[T], started: float) -> None:
        for found in listing.undecodable:
            self._skip(found)
        undecodable = {found.key for found in listing.undecodable}
        if self._source.keeps is not None:
            # Named while the list was read: it is there, and whoever named it has read it.
            undecodable |= {key for key in listing.left_out if self._source.keeps(key)}
        version = version_of(listing.resource_version)
        self._resume, self._served, self._gone = listing.resource_version, True, False
        self._failures.listed()
        if self._feed.replace(listing.items, version, undecodable):
            self._reads.forget()  # versions of before say nothing any more
        self._metrics.listed(self.gvr, len(listing.items), self._clock() - started)
        if not self._catch_up.is_needed:
            self._complete()

    def _complete(self) -> None:
        """The list counts as complete."""
        self._failures.trouble = ""
        self._catch_up.end()
        self._synced.set()
        self._feed.call(self._feed.handlers.on_synced)

    def _absent(self, error: KubeError) -> float:
        if self._served is not False:
            self._log.info("kind is not served, waiting for it")
        self._served = False
        pause = self._failures.absent()
        if self._gone or not self._failures.is_gone:
            return pause
        if self._is_absence_confirmed():
            self._gone, self._failures.trouble = True, ""
            self._feed.clear("kind gone")
            self._reads.forget()  # last: from then on no answer of before is taken in
            self._feed.call(self._feed.handlers.on_gone)
        else:
            self._announce(error)
        return pause

    def _is_absence_confirmed(self) -> bool:
        try:
            return self._feed.handlers.is_absent(self.gvr)
        except KubeError as error:
            self._log.warning("discovery failed, so it is not certain that the kind is gone", error=str(error))
            return False

    def _follow(self) -> float:
        try:
            self._catch_up.ask()
        except Stopped:
            raise
        except KubeError as error:
            if relist_reason(error) is not None:
                self._resume = ""  # a list finds out whether the kind is gone
            return self._list_failed(error)
        if self._catch_up.is_done(self._feed.reached):
            self._complete()
        started = self._clock()
        self._received = self._is_open = False
        try:
            self._read_watch()
        except Stopped:
            raise
        except KubeError as error:
            if self._must_leave():
                return 0.0
            self._settle(started)
            if self._is_open and error.status is None and error.reason == "Timeout":
                # Normal for a kind without changes, and the only sign of a half-open connection.
                self._log.debug("watch was silent, it is opened again", seconds=self._clock() - started)
                self._silent(has_ended=False)
                return 0.0
            return self._broken(error)
        finally:
            with self._lock:
                self._watch = None
        if self._must_leave():
            return 0.0
        has_settled = self._settle(started)
        if not self._received and self._clock() - started >= catch_up.WATCH_SECONDS / 2:
            has_settled |= self._silent(has_ended=True)
        # A server that ends every watch at once is not asked in a tight loop.
        return 0.0 if has_settled else self._failures.failed()

    def _silent(self, *, has_ended: bool) -> bool:
        """A watch had nothing to tell. Returns whether the first list is complete by that."""
        is_complete = not self._received and self._catch_up.is_silent(has_ended=has_ended)
        if is_complete:
            self._complete()
        return is_complete

    def _read_watch(self) -> None:
        """One watch, from its start to its end."""
        is_short = self._catch_up.is_needed
        with self._client.watch(
            self.gvr,
            self._source.namespace,
            label_selector=self._source.label_selector,
            resource_version=self._resume,
            timeout_seconds=catch_up.WATCH_SECONDS if is_short else self._rng.randint(*_WATCH_SECONDS),
            read_timeout=catch_up.SILENCE if is_short else self._timing.read_timeout,
        ) as watch:
            with self._lock:
                self._watch = watch
                if self._must_leave():
                    return
            self._is_open = True
            self._metrics.watched(self.gvr)
            for line in watch:
                if self._stop.is_set():
                    return
                self._take(line)
                if self._catch_up.is_done(self._feed.reached):
                    self._complete()
                self._reads.let_go()
                if not self._received:
                    self._received = self._progressed = True
                    self._failures.watched()

    def _must_leave(self) -> bool:
        """Whether the watch is to end although the server did not end it."""
        return self._stop.is_set() or self._rereads

    def _settle(self, started: float) -> bool:
        """Whether the watch worked; then earlier failures count no more."""
        worked = self._received or self._clock() - started > _SETTLED_SECONDS
        if worked:
            self._failures.settled()
        return worked

    def _take(self, line: bytes) -> None:
        event = self._decoder.line(line)
        self._metrics.received(self.gvr, type(event).__name__)
        match event:
            case Bookmark(resource_version):
                self._feed.advance(version_of(resource_version))
                self._resume = resource_version
            case Failure(error):
                self._failures.stalled()
                raise error
            case Unreadable():
                self._skip(event)
                self._resume = event.resource_version or self._resume
                if event.is_deleted and event.key:
                    self._feed.bury(event.key, event.uid, version_of(event.resource_version))
            case _:
                keeps = self._source.keeps
                if keeps is not None and not keeps(event.obj.metadata.key):
                    self._resume = event.obj.metadata.resource_version
                    return
                try:
                    self._feed.apply(event)
                except ValueError as error:
                    self._skip(Unreadable(event.obj.metadata.key, "", str(error)))
                    return
                self._resume = event.obj.metadata.resource_version

    def _broken(self, error: KubeError) -> float:
        reason = relist_reason(error)
        if reason is None and self._failures.is_stuck:
            reason = "stuck"
        if reason is not None:
            self._log.info("watch cannot be resumed, listing again", reason=reason, error=str(error))
            self._metrics.relisted(self.gvr, reason)
            self._catch_up.give_up()
            self._resume = ""
            self._failures.relists()
            was_fruitful, self._progressed = self._progressed, False
            return 0.0 if was_fruitful else self._failures.failed(error)
        if is_initializing(error):
            return self._failures.missed()
        self._metrics.failed(self.gvr, "watch")
        self._failures.log_once("watch broke off, it is resumed", error)
        return self._failures.failed(error)

    def _report_part(self, key: str) -> None:
        self._log.warning("object cannot be decoded whole, it is nested too deeply", object=key)

    def _skip(self, found: Unreadable) -> None:
        self._log.warning("object cannot be decoded, it is skipped", object=found.key, error=found.error)
