"""Records Kubernetes Events about objects, from a thread of its own.

Three limits keep Events from slowing down the work: the queue, a token bucket per object, and one for all objects. A
repetition within ten minutes raises the count of the Event instead of creating another.
"""

from __future__ import annotations

import contextlib
import queue
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import msgspec
import structlog

from pkg.apis.meta import GVR, timestamp
from pkg.kube.client import MERGE_PATCH, Client
from pkg.kube.errors import Exists, KubeError, NotFound, Stopped, Throttled, Transient
from pkg.kube.limiter import TokenBucket

EVENTS = GVR("", "v1", "events")

_QUEUE_SIZE = 1000
_OBJECT_BURST = 25
_OBJECT_RATE = 1 / 300
_TOTAL_BURST = 200
_TOTAL_RATE = 20.0
_REPEAT_WINDOW_SECONDS = 600.0
_REMEMBERED = 4096
_MAX_MESSAGE = 1024
_NOT_A_NAME = re.compile(r"[^a-z0-9.-]+")
_log = structlog.get_logger("kube.event_recorder")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ObjectReference(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The object that an Event is about."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class NewEvent(msgspec.Struct, frozen=True):
    """An event to record; `type` is Normal or Warning, `at` is in epoch seconds."""

    regarding: ObjectReference
    type: str
    reason: str
    message: str
    at: float


class Posted(msgspec.Struct, frozen=True):
    """An Event object in the cluster whose count can be raised; `at` is in seconds of a steady clock."""

    name: str
    count: int
    at: float


class Correlator:
    """Decides which events are posted, and which repeat an earlier one. `now` is in seconds of a steady clock.

    `admit` is called from many threads, the other methods only from the posting thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: _Recent[tuple[str, str, str], TokenBucket] = _Recent(_REMEMBERED)
        self._posted: _Recent[tuple[object, ...], Posted] = _Recent(_REMEMBERED)
        self._total = TokenBucket(_TOTAL_RATE, _TOTAL_BURST)

    def admit(self, event: NewEvent, now: float) -> bool:
        """Whether the limits allow the event; takes a token of each limit."""
        regarding = event.regarding
        with self._lock:
            key = (regarding.uid, regarding.namespace, regarding.name)
            bucket = self._objects.get(key)
            if bucket is None:
                bucket = TokenBucket(_OBJECT_RATE, _OBJECT_BURST)
                self._objects.put(key, bucket)
            return bucket.take(now) and self._total.take(now)

    def repeated(self, event: NewEvent, now: float) -> Posted | None:
        """The Event object with the same content that was written within the last ten minutes, or None."""
        posted = self._posted.get(_identity(event))
        return posted if posted is not None and now - posted.at < _REPEAT_WINDOW_SECONDS else None

    def remember(self, event: NewEvent, posted: Posted) -> None:
        """Remember which Event object was written for the event."""
        self._posted.put(_identity(event), posted)


class EventRecorder:
    """Posts Events from a thread of its own; `emit` never blocks and never raises.

    For each event, one of `on_emitted` and `on_dropped` is called once (metrics).
    """

    def __init__(
        self,
        client: Client,
        component: str,
        instance: str,
        *,
        on_emitted: Callable[[], None] = lambda: None,
        on_dropped: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._component = component
        self._instance = instance
        self._on_emitted = on_emitted
        self._on_dropped = on_dropped
        self._clock = clock
        self._wall_clock = wall_clock
        self._correlator = Correlator()
        self._queue: queue.Queue[NewEvent | None] = queue.Queue(_QUEUE_SIZE)
        self._stopped = threading.Event()
        self._give_up = threading.Event()
        self._serial = 0
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    @property
    def thread(self) -> threading.Thread:
        """The thread that posts, for a health check."""
        return self._thread

    def start(self) -> None:
        """Start the posting thread."""
        self._thread.start()

    def emit(self, regarding: ObjectReference, type: str, reason: str, message: str) -> None:  # noqa: A002
        """Queue an event about an object; it is dropped and counted when a limit is reached."""
        event = NewEvent(regarding, type, reason, _cut(message), self._wall_clock())
        if self._stopped.is_set() or not self._correlator.admit(event, self._clock()):
            self._on_dropped()
            return
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._on_dropped()

    def stop(self, seconds: float) -> None:
        """Accept no more events, post the queued ones for at most `seconds`, and drop the others."""
        self._stopped.set()
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            self._give_up.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        self._give_up.set()

    def _run(self) -> None:
        while (event := self._queue.get()) is not None:
            if not self._give_up.is_set() and self._post(event):
                self._on_emitted()
            else:
                self._on_dropped()
            if self._give_up.is_set() and self._queue.empty():
                return

    def _post(self, event: NewEvent) -> bool:
        """Write the event, and repeat once after a transient failure; whether it was written."""
        for last in (False, True):
            try:
                self._write(event)
            except (Transient, Throttled) as error:
                if last or self._stopped.wait(min(error.retry_after or 1.0, 5.0)):
                    return self._lost(event, error)
            except Stopped:
                return False
            except KubeError as error:
                return self._lost(event, error)
            else:
                return True
        return False

    def _lost(self, event: NewEvent, error: KubeError) -> bool:
        _log.debug("event not posted", reason=event.reason, regarding=event.regarding.name, error=str(error))
        return False

    def _write(self, event: NewEvent) -> None:
        now = self._clock()
        namespace = event.regarding.namespace or "default"
        if (posted := self._correlator.repeated(event, now)) is not None:
            patch = {"count": posted.count + 1, "lastTimestamp": _whole_seconds(event.at)}
            try:
                self._client.patch(
                    EVENTS, namespace, posted.name, msgspec.json.encode(patch), content_type=MERGE_PATCH, type=bytes
                )
            except NotFound:
                pass  # Events expire after an hour, and people delete them: create a new one
            else:
                self._correlator.remember(event, Posted(posted.name, posted.count + 1, now))
                return
        name = self._name(event)
        with contextlib.suppress(Exists):  # our own: the POST was repeated
            self._client.create(EVENTS, namespace, self._body(event, name, namespace), bytes)
        self._correlator.remember(event, Posted(name, 1, now))

    def _name(self, event: NewEvent) -> str:
        self._serial += 1
        base = _NOT_A_NAME.sub("-", event.regarding.name.lower())[:200].strip("-.") or "event"
        return f"{base}.{int(event.at * 1_000_000):x}{self._serial & 0xFFFF:04x}"

    def _body(self, event: NewEvent, name: str, namespace: str) -> dict[str, Any]:
        at = _whole_seconds(event.at)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": msgspec.to_builtins(event.regarding),
            "type": event.type,
            "reason": event.reason,
            "message": event.message,
            "count": 1,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
        }


class _Recent(Generic[K, V]):
    """A dictionary of bounded size that evicts the least recently used entry."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        if key in self._items:
            self._items.move_to_end(key)
        return self._items.get(key)

    def put(self, key: K, value: V) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._size:
            self._items.popitem(last=False)


def _identity(event: NewEvent) -> tuple[object, ...]:
    regarding = event.regarding
    return regarding.uid, regarding.namespace, regarding.kind, regarding.name, event.type, event.reason, event.message


def _cut(message: str) -> str:
    """The message within the 1024 bytes that the API server accepts."""
    raw = message.encode()
    return message if len(raw) <= _MAX_MESSAGE else raw[: _MAX_MESSAGE - 3].decode("utf-8", "ignore") + "..."


def _whole_seconds(at: float) -> str:
    """The time as metav1.Time, which has no fractions."""
    return timestamp(at)[:19] + "Z"
