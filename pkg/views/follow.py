"""Follows Workflows: their state now, and each change of it, across broken connections and expired versions."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from pkg.apis.flow.v1alpha1.types import WORKFLOWS
from pkg.kube.client import Client
from pkg.kube.errors import (
    Gone,
    KubeError,
    NotFound,
    Status,
    Stopped,
    Throttled,
    Transient,
    Unauthorized,
    from_status,
    may_mean_not_served,
)
from pkg.kube.watch import Watch
from pkg.views.durations import seconds_of

T = TypeVar("T")
#: Seconds of one watch; the API server sends a bookmark about every minute.
_WATCH_SECONDS: Final = 300
_PAUSE_SECONDS: Final = 1.0
_MAX_PAUSE: Final = 10.0


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Named(msgspec.Struct, frozen=True):
    metadata: _Meta = _Meta()


_EVENT: Final = msgspec.json.Decoder(_Event)
_NAMED: Final = msgspec.json.Decoder(_Named)
_FAULT: Final = msgspec.json.Decoder(Status)


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """One object as it is now; `found` is None if it was deleted."""

    namespace: str
    name: str
    found: T | None


class Follower(Generic[T]):
    """Yields each object that the selectors choose as it is now, then each change, until `deadline`.

    type: what to decode each object into; deadline: seconds of `time.monotonic`; on_lost: called with the error each
    time the API server cannot be reached, before it is tried again; on_back: called once it answers again after that;
    on_listed: called after each whole list, when all that it holds was yielded; must_be_served: a first answer that may
    mean that the CRDs are not installed is raised, and not waited out. Iteration raises KubeError for what does not
    pass.
    """

    def __init__(
        self,
        client: Client,
        namespace: str | None,
        type: type[T],  # noqa: A002 - as the client calls it
        *,
        name: str = "",
        label_selector: str = "",
        deadline: float = math.inf,
        on_lost: Callable[[KubeError], None] = lambda _: None,
        on_back: Callable[[], None] = lambda: None,
        on_listed: Callable[[], None] = lambda: None,
        must_be_served: bool = False,
    ) -> None:
        self._client = client
        self._must_be_served = must_be_served
        self._namespace = namespace
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type)
        self._fields = f"metadata.name={name}" if name else ""
        self._labels = label_selector
        self._deadline = deadline
        self._on_lost = on_lost
        self._on_back = on_back
        self._on_listed = on_listed
        self._is_lost = False
        self.is_listing = False
        """Whether what is yielded comes from a list; else it is a change."""
        self._known: dict[tuple[str, str], str] = {}
        self._version = ""
        self._pause = _PAUSE_SECONDS
        self._closed = threading.Event()
        self._current: Watch | None = None

    def close(self) -> None:
        """End the iteration, from another thread: at once, or after the list that is being read."""
        self._closed.set()
        if (current := self._current) is not None:
            current.close()

    def __iter__(self) -> Iterator[Seen[T]]:
        while time.monotonic() < self._deadline and not self._closed.is_set():
            try:
                if not self._version:
                    self.is_listing = True
                    yield from self._list()
                    self.is_listing = False
                    self._on_listed()
                yield from self._watch()
                self._pause = _PAUSE_SECONDS
            except Gone:
                self._version = ""
            except (Stopped, Unauthorized):
                raise
            except (Transient, Throttled) as error:
                if self._must_be_served and may_mean_not_served(error):
                    raise
                if error.reason == "Timeout" and time.monotonic() >= self._deadline:
                    return
                self._is_lost = True
                self._on_lost(error)
                self._closed.wait(max(0.0, min(self._pause, self._deadline - time.monotonic())))
                self._pause = min(_MAX_PAUSE, self._pause * 2)

    def _answered(self) -> None:
        self._must_be_served = False
        if self._is_lost:
            self._is_lost = False
            self._on_back()

    def _list(self) -> Iterator[Seen[T]]:
        """The objects as they are now, and those that were there before and are gone."""
        seen: dict[tuple[str, str], str] = {}
        token = ""
        while True:
            page = self._client.list_page(
                WORKFLOWS,
                self._namespace,
                msgspec.Raw,
                label_selector=self._labels,
                field_selector=self._fields,
                continue_=token,
            )
            self._answered()
            for raw in page.items:
                meta = _NAMED.decode(raw).metadata
                seen[meta.namespace, meta.name] = meta.uid
                yield Seen(meta.namespace, meta.name, self._decoder.decode(raw))
            token = page.continue_
            if not token:
                break
        for key in self._known.keys() - seen.keys():
            yield Seen(*key, None)
        self._known = seen
        self._version = page.resource_version

    def _watch(self) -> Iterator[Seen[T]]:
        left = self._deadline - time.monotonic()
        if left <= 0:
            return
        watch = self._client.watch(
            WORKFLOWS,
            self._namespace,
            label_selector=self._labels,
            field_selector=self._fields,
            resource_version=self._version,
            timeout_seconds=max(1, min(_WATCH_SECONDS, math.ceil(min(left, _WATCH_SECONDS)))),
            read_timeout=min(left, 90.0),
        )
        self._answered()
        self._current = watch
        if self._closed.is_set():
            watch.close()  # closed while it was opened
        with watch:
            for text in watch:
                event = _EVENT.decode(text)
                if event.type == "ERROR":
                    raise from_status(_FAULT.decode(event.object))
                meta = _NAMED.decode(event.object).metadata
                self._version = meta.resource_version
                if event.type == "BOOKMARK":
                    continue
                key = (meta.namespace, meta.name)
                if event.type == "DELETED":
                    self._known.pop(key, None)
                    yield Seen(*key, None)
                else:
                    self._known[key] = meta.uid
                    yield Seen(*key, self._decoder.decode(event.object))
                self._pause = _PAUSE_SECONDS


class _End(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    reason: str = ""
    message: str = ""
    start_time: str = ""
    completion_time: str = ""


class _Ending(msgspec.Struct, frozen=True):
    status: _End = _End()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a Workflow ended. phase: Succeeded or Failed; seconds: from its start to its end, None if not known."""

    phase: str
    reason: str
    message: str
    seconds: float | None


def wait_for_end(
    client: Client,
    namespace: str,
    name: str,
    deadline: float = math.inf,
    on_lost: Callable[[KubeError], None] = lambda _: None,
) -> Ending | None:
    """How the Workflow ended; None if the deadline (of `time.monotonic`) came first.

    It is asked once even if the deadline is over, so that what has ended before is known. Raises KubeError; NotFound
    if there is no such Workflow, or if it was deleted before its end.
    """
    if (ending := _ending_of(_asked(client, namespace, name))) is not None:
        return ending
    is_known = False
    follower = Follower(client, namespace, _Ending, name=name, deadline=deadline, on_lost=on_lost)
    for seen in follower:
        if seen.found is None:
            said = "was deleted before it ended" if is_known else "not found"
            raise NotFound(f'workflows.flow.workflow.sh "{name}" {said}', status=404, reason="NotFound")
        is_known = True
        if (ending := _ending_of(seen.found)) is not None:
            return ending
    return None


def _ending_of(found: _Ending) -> Ending | None:
    status = found.status
    if status.phase not in ("Succeeded", "Failed"):
        return None
    start, end = seconds_of(status.start_time), seconds_of(status.completion_time)
    took = end - start if start is not None and end is not None else None
    return Ending(status.phase, status.reason, status.message, took)


def _asked(client: Client, namespace: str, name: str) -> _Ending:
    try:
        return client.get(WORKFLOWS, namespace, name, _Ending)
    except NotFound as error:
        said = f'workflows.flow.workflow.sh "{name}" not found'
        raise NotFound(said, status=404, reason="NotFound") from error
