"""Keeps one store like the cluster: LIST once, then WATCH, and go on from where the watch broke off.

A broken connection costs a reconnect, never a list; only an answer of 410, or a watch that the server cannot serve
from where we stand, costs a new one. A kind that is not served is asked for again and again, quietly and cheaply.
"""

# ruff: noqa: A002 - the parameter that says what to decode into is best called `type`.

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec
import structlog

from pkg.apis.meta import GVR
from pkg.controllers.engine.backoff import Backoff
from pkg.controllers.engine.events import Bookmark, EventDecoder, Failure, Unreadable
from pkg.controllers.engine.listwatch import ListWatch, NoReflectorMetrics, ReflectorMetrics, WatchLike
from pkg.controllers.engine.store import Delta, KubeObject, Store, version_of
from pkg.kube.errors import Gone, KubeError, NotFound, Refused, Stopped, Throttled

T = TypeVar("T", bound=KubeObject)

FAILING = Backoff(base=0.2, cap=30.0, jitter=0.5)
"""Between tries while the API server fails or cannot be reached."""
WAITING = Backoff(base=0.25, cap=3.0, jitter=0.3)
"""Between tries while the kind is not served: a CRD that comes is picked up within 3 seconds."""
READ_TIMEOUT = 80.0
"""Seconds without a line after which a watch is opened anew. The API server sends a bookmark about every minute, but
none as long as it has seen no event of the kind itself: such a watch costs one request in this time."""
_WATCH_SECONDS = (300, 600)
_GONE_TRIES = 2
_GONE_SECONDS = 1.0
_STUCK_TRIES = 3
_SETTLED_SECONDS = 5.0
# A list that fails now and then is nobody's business; one that fails this often in a row is told.
_TROUBLE_TRIES = 3

_log = structlog.get_logger(__name__)


def is_initializing(error: KubeError) -> bool:
    """Whether the server is still setting up the storage of a kind, as it does for a moment after a CRD came."""
    return isinstance(error, Throttled) and "(re)initializing" in error.message


def relist_reason(error: KubeError) -> str | None:
    """Why a watch that ended with `error` cannot be resumed and the list must be read anew; None if it can be."""
    match error:
        case Gone():
            return "gone"
        case NotFound():
            return "absent"
        case Refused():
            return "refused"
        case _ if "Too large resource version" in error.message:
            return "refused"
        case _:
            return None


class Reflector(Generic[T]):
    """One thread that feeds `store` with the objects of `gvr` in `namespace` (None: all) that match the selector.

    All callbacks run in the reflector's thread, after the store has changed. `on_deltas` hears of every change,
    `on_synced` of every complete list, `on_gone` once the server has said repeatedly that it does not serve the kind
    (and `is_absent(gvr)`, if given, agrees; it may raise KubeError for "cannot tell"): what was cached is then told
    as deletions with reason "kind gone". `on_trouble` hears when lists keep failing; `trouble` says with what.
    """

    def __init__(
        self,
        client: ListWatch,
        gvr: GVR,
        namespace: str | None,
        type: type[T],
        store: Store[T],
        *,
        label_selector: str = "",
        on_deltas: Callable[[Sequence[Delta[T]]], None],
        on_synced: Callable[[], None] | None = None,
        on_gone: Callable[[], None] | None = None,
        on_trouble: Callable[[], None] | None = None,
        is_absent: Callable[[GVR], bool] | None = None,
        metrics: ReflectorMetrics | None = None,
        page_limit: int = 500,
        read_timeout: float = READ_TIMEOUT,
        failing: Backoff = FAILING,
        waiting: Backoff = WAITING,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.gvr = gvr
        self.store = store
        self._client = client
        self._namespace = namespace
        self._selector = label_selector
        self._decoder = EventDecoder(type)
        self._on_deltas = on_deltas
        self._on_synced = on_synced
        self._on_gone = on_gone
        self._on_trouble = on_trouble
        self._is_absent = is_absent
        self._metrics: ReflectorMetrics = metrics or NoReflectorMetrics()
        self._page_limit = page_limit
        self._read_timeout = read_timeout
        self._failing = failing
        self._waiting = waiting
        self._clock = clock
        self._rng = rng or random.Random()
        self._log = _log.bind(resource=str(gvr))
        self._lock = threading.Lock()
        self._watch: WatchLike | None = None
        self._stop = threading.Event()
        self._nudged = threading.Event()
        self._synced = threading.Event()
        self._resume = ""  # the version to watch from; empty: list first
        self._rereads = False  # asked to list again, whatever the watch could resume from
        self._served: bool | None = None
        self._gone = False
        self._trouble = ""
        self._absent_since: float | None = None
        self._misses = 0  # tries in a row that found the kind not served
        self._failures = 0  # tries in a row that failed without progress
        self._stalls = 0  # watches in a row that the server ended with an ERROR event, without progress
        self._progressed = True  # whether the watch has told anything since the last list
        self._thread = threading.Thread(target=self._run, name=f"reflector-{gvr}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the watch and then the thread. Returns at once; a list in flight ends with the client's own timeout."""
        with self._lock:
            self._stop.set()
            watch = self._watch
        if watch is not None:
            watch.close()
        self._nudged.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the thread has ended; False if it still runs after `timeout` seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def nudge(self) -> None:
        """Try again now, if waiting to: whoever knows that a kind has come, or that the server is back, may say so."""
        self._nudged.set()

    def reread(self, type: type[T]) -> None:
        """Decode into `type` from now on, and list again, so that what is cached is read that way too."""
        self._decoder = EventDecoder(type)
        self._rereads = True
        with self._lock:
            watch = self._watch
        if watch is not None:
            watch.close()
        self._nudged.set()

    def wait_synced(self, timeout: float | None = None) -> bool:
        """Wait until a first complete list has been taken in and announced."""
        return self._synced.wait(timeout)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

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
        """What the server answers to lists that keep failing; empty once one worked, or the kind is not served."""
        return self._trouble

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
                pause = self._failed()
            if pause > 0 and not self._stop.is_set():
                self._nudged.wait(pause)
                self._nudged.clear()

    # Each of these returns the seconds to wait before going on.

    def _list(self) -> float:
        started = self._clock()
        try:
            items, unread, resource_version = self._pages()
        except Stopped:
            raise
        except NotFound:
            self._trouble = ""
            return self._absent()
        except KubeError as error:
            self._absent_since = None
            if is_initializing(error):
                return self._wait()
            self._log.warning("list failed, it is tried again", error=str(error))
            pause = self._failed(error)
            if self._failures >= _TROUBLE_TRIES:
                is_news, self._trouble = not self._trouble, str(error)
                self._tell(self._on_trouble if is_news else None)
            return pause
        if self._stop.is_set():
            return 0.0
        self._absent_since = None
        if not resource_version.strip("0"):
            return self._wait()  # the storage of the kind is being set up
        deltas = self.store.replace(items, version_of(resource_version), unread=unread)
        self._resume, self._served, self._gone, self._trouble = resource_version, True, False, ""
        self._misses = 0
        self._metrics.listed(self.gvr, len(items), self._clock() - started)
        self._announce(deltas)
        self._synced.set()
        self._tell(self._on_synced)
        return 0.0

    def _pages(self) -> tuple[list[T], set[str], str]:
        items: list[T] = []
        unread: set[str] = set()
        limit, token = self._page_limit, ""
        while True:
            try:
                page = self._client.list_page(
                    self.gvr,
                    self._namespace,
                    msgspec.Raw,
                    label_selector=self._selector,
                    limit=limit,
                    continue_=token,
                )
            except Gone:
                if not token:
                    raise
                # Reading took longer than the server keeps history: all in one answer then.
                items, unread, limit, token = [], set(), 0, ""
                continue
            for raw in page.items:
                found = self._decoder.item(raw)
                if isinstance(found, Unreadable):
                    self._skip(found)
                    unread.add(found.key)
                else:
                    items.append(found)
            token = page.continue_
            if not token or self._stop.is_set():
                return items, unread, page.resource_version

    def _absent(self) -> float:
        now = self._clock()
        if self._served is not False:
            self._log.info("kind is not served, waiting for it")
        self._served = False
        if self._absent_since is None:
            self._absent_since, self._misses = now, 0
        pause = self._wait()
        is_settled = self._misses >= _GONE_TRIES and now - self._absent_since > _GONE_SECONDS
        if is_settled and not self._gone and self._is_absence_confirmed():
            self._gone = True
            self._announce(self.store.clear("kind gone"))
            self._tell(self._on_gone)
        return pause

    def _is_absence_confirmed(self) -> bool:
        if self._is_absent is None:
            return True
        try:
            return self._is_absent(self.gvr)
        except KubeError as error:
            self._log.warning("discovery cannot tell whether the kind is served", error=str(error))
            return False

    def _follow(self) -> float:
        started = self._clock()
        is_open = is_fruitful = False
        try:
            with self._client.watch(
                self.gvr,
                self._namespace,
                label_selector=self._selector,
                resource_version=self._resume,
                timeout_seconds=self._rng.randint(*_WATCH_SECONDS),
                read_timeout=self._read_timeout,
            ) as watch:
                with self._lock:
                    self._watch = watch
                    if self._stop.is_set() or self._rereads:
                        return 0.0
                is_open = True
                self._metrics.watched(self.gvr)
                for line in watch:
                    if self._stop.is_set():
                        break
                    self._take(line)
                    if not is_fruitful:
                        is_fruitful = self._progressed = True
                        self._failures = self._misses = self._stalls = 0
        except Stopped:
            raise
        except KubeError as error:
            if self._stop.is_set() or self._rereads:
                return 0.0
            if is_fruitful or self._clock() - started > _SETTLED_SECONDS:
                self._failures = 0
            if is_open and error.status is None and error.reason == "Timeout":
                # Normal for a kind in which nothing happens, and the only sign of a connection that is half open.
                self._log.debug("watch said nothing, it is opened anew", seconds=self._read_timeout)
                return 0.0
            return self._broken(error)
        finally:
            with self._lock:
                self._watch = None
        if self._stop.is_set() or self._rereads:
            return 0.0
        if is_fruitful or self._clock() - started > _SETTLED_SECONDS:
            self._failures = 0
            return 0.0
        return self._failed()  # a server that ends every watch at once is not asked in a circle

    def _take(self, line: bytes) -> None:
        event = self._decoder.line(line)
        self._metrics.received(self.gvr, type(event).__name__)
        match event:
            case Bookmark(resource_version):
                self.store.advance(version_of(resource_version))
                self._resume = resource_version
            case Failure(error):
                self._stalls += 1
                raise error
            case Unreadable():
                self._skip(event)
                self._resume = event.resource_version or self._resume
            case _:
                try:
                    delta = self.store.apply(event)
                except ValueError as error:
                    self._skip(Unreadable(event.obj.metadata.key, "", str(error)))
                    return
                self._resume = event.obj.metadata.resource_version
                if delta is not None:
                    self._announce((delta,))

    def _broken(self, error: KubeError) -> float:
        reason = relist_reason(error)
        if reason is None and self._stalls >= _STUCK_TRIES:
            reason = "stuck"
        if reason is not None:
            self._log.info("watch cannot be resumed, listing again", reason=reason, error=str(error))
            self._metrics.relisted(self.gvr, reason)
            self._resume, self._stalls = "", 0
            was_fruitful, self._progressed = self._progressed, False
            return 0.0 if was_fruitful else self._failed(error)
        if is_initializing(error):
            return self._wait()
        self._log.info("watch broke off, it is resumed", error=str(error))
        return self._failed(error)

    def _failed(self, error: KubeError | None = None) -> float:
        pause = self._failing.delay(self._failures, self._rng.random())
        self._failures += 1
        asked = error.retry_after if error is not None else None
        return max(pause, min(asked or 0.0, self._failing.cap))

    def _wait(self) -> float:
        pause = self._waiting.delay(self._misses, self._rng.random())
        self._misses += 1
        return pause

    def _announce(self, deltas: Sequence[Delta[T]]) -> None:
        if deltas:
            self._tell(lambda: self._on_deltas(deltas))

    def _tell(self, callback: Callable[[], None] | None) -> None:
        if callback is None:
            return
        try:
            callback()
        except Exception:
            self._log.exception("callback of the reflector failed unexpectedly, the reflector goes on")

    def _skip(self, found: Unreadable) -> None:
        self._log.warning("object cannot be decoded, it is skipped", object=found.key, error=found.error)
