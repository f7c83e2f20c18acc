"""The interfaces that a reflector uses: the client's LIST and WATCH, and metrics."""

# ruff: noqa: A002 - the parameter that says what to decode into is best called `type`.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

import msgspec

from pkg.apis.meta import GVR


class PageLike(Protocol):
    """A page of a list; `continue_` is empty on the last."""

    @property
    def items(self) -> Sequence[msgspec.Raw]: ...

    @property
    def resource_version(self) -> str: ...

    @property
    def continue_(self) -> str: ...


class WatchLike(Protocol):
    """An open watch: its lines, one event each. `close` may come from another thread and ends the iteration."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class ListWatch(Protocol):
    """The two calls of the client that a reflector makes; both raise KubeError."""

    def list_page(
        self,
        gvr: GVR,
        namespace: str | None,
        type: type[msgspec.Raw],
        *,
        label_selector: str = "",
        limit: int = 500,
        continue_: str = "",
        resource_version: str | None = None,
    ) -> PageLike: ...

    def watch(
        self,
        gvr: GVR,
        namespace: str | None,
        *,
        label_selector: str = "",
        resource_version: str,
        timeout_seconds: int,
        read_timeout: float,
    ) -> WatchLike: ...


class ReflectorMetrics(Protocol):
    """What a reflector counts; called in its own thread."""

    def listed(self, gvr: GVR, objects: int, seconds: float) -> None:
        """A complete list was taken in."""

    def failed(self, gvr: GVR, verb: str) -> None:
        """A LIST failed, or a WATCH broke off; `verb` is list or watch."""

    def relisted(self, gvr: GVR, reason: str) -> None:
        """A watch could not be resumed; `reason` is gone, absent, refused or stuck."""

    def watched(self, gvr: GVR) -> None:
        """A watch was opened."""

    def received(self, gvr: GVR, event: str) -> None:
        """A line was received: Added, Modified, Deleted, Bookmark, Failure or Unreadable."""


class NoReflectorMetrics:
    """Counts nothing."""

    def listed(self, gvr: GVR, objects: int, seconds: float) -> None:
        """Nothing to count."""

    def failed(self, gvr: GVR, verb: str) -> None:
        """Nothing to count."""

    def relisted(self, gvr: GVR, reason: str) -> None:
        """Nothing to count."""

    def watched(self, gvr: GVR) -> None:
        """Nothing to count."""

    def received(self, gvr: GVR, event: str) -> None:
        """Nothing to count."""
