"""All Workflows as lines, by one watch for everybody. Of each object only what a line needs is decoded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable
from typing import Final

import structlog

from pkg.dashboard.live.encoding import event
from pkg.dashboard.live.viewer import Viewer
from pkg.dashboard.model.lines import ListLine, list_line
from pkg.kube.client import Client
from pkg.kube.errors import Forbidden, KubeError
from pkg.views.follow import Follower
from pkg.views.workflow_list import Listed

Key = tuple[str, str]
#: Changes of this long are sent together.
_GATHER_SECONDS: Final = 0.2
_AGAIN_SECONDS: Final = 5.0
#: Lines of a list that are handed over together.
_BATCH: Final = 500
_log = structlog.get_logger("dashboard")


class Listing:
    """The lines of a namespace, or of all (None). Everything but `start` and `namespaces` belongs to the thread of the
    event loop.

    again_seconds: between an error that ended the watch and the next one.
    """

    def __init__(self, client: Client, namespace: str | None, again_seconds: float = _AGAIN_SECONDS) -> None:
        self.namespace = namespace
        self.lines: dict[Key, ListLine] = {}
        self.trouble = ""
        """What the API server said when it could not be read last; empty if it can."""
        self.is_forbidden = False
        """Whether that is that the dashboard has no right to."""
        self._client = client
        self._again_seconds = again_seconds
        self._viewers: dict[Viewer, Collection[str] | None] = {}
        self._changed: dict[Key, ListLine | None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._first = asyncio.Event()
        self._answered = asyncio.Event()
        self._closed = threading.Event()
        self._follower: Follower[Listed] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch; `loop` is the event loop that it belongs to."""
        self._loop = loop
        threading.Thread(target=self._watch, name="watch-list", daemon=True).start()

    def close(self) -> None:
        """End the watch and all viewers."""
        self._closed.set()
        if self._follower is not None:
            self._follower.close()
        for viewer in self._viewers:
            viewer.close()

    @property
    def is_read(self) -> bool:
        """Whether all Workflows have been listed once."""
        return self._first.is_set()

    async def ready(self, seconds: float) -> bool:
        """Waits for the first lines, unless there is no right to them; whether they have come."""
        try:
            async with asyncio.timeout(seconds):
                await self._answered.wait()
        except TimeoutError:
            return False
        return self.is_read

    def namespaces(self) -> list[str]:
        """Those that have Workflows. Thread-safe."""
        return sorted({namespace for namespace, _ in tuple(self.lines)})  # the copy is taken at one moment

    def join(self, visible: Collection[str] | None) -> Viewer:
        """A new viewer of the changes in these namespaces, or in all."""
        viewer = Viewer(lambda: event("again", {}))
        self._viewers[viewer] = visible
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """It gets nothing more."""
        self._viewers.pop(viewer, None)

    def _watch(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow()
            except KubeError as error:
                self._lost(error)
            except Exception:
                _log.exception("watch failed")
                self._call(self._trouble, "the dashboard failed; its log says more", False)
            self._closed.wait(self._again_seconds)

    def _follow(self) -> None:
        """One watch, until it ends with an error. The next one begins with a list of its own."""
        batch: dict[Key, ListLine | None] = {}
        listed: set[Key] = set()

        def flush() -> None:
            self._call(self._take, dict(batch))
            batch.clear()

        def end_of_list() -> None:
            flush()
            # Also what went while nothing was watched: a new watch does not know what the last one knew.
            self._call(self._keep, frozenset(listed))
            listed.clear()

        follower = Follower(
            self._client, self.namespace, Listed, on_lost=self._lost, on_back=self._back, on_listed=end_of_list
        )
        self._follower = follower
        if self._closed.is_set():
            return
        for seen in follower:
            key = (seen.namespace, seen.name)
            batch[key] = None if seen.found is None else list_line(seen.found)
            if follower.is_listing and seen.found is not None:
                listed.add(key)
            if not follower.is_listing or len(batch) >= _BATCH:
                flush()

    def _call(self, what: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(what, *arguments)
        except RuntimeError:
            self._closed.set()  # the event loop has ended

    def _lost(self, error: KubeError) -> None:
        self._call(self._trouble, error.message, isinstance(error, Forbidden))

    def _back(self) -> None:
        self._call(self._trouble, "", False)

    def _trouble(self, message: str, is_forbidden: bool) -> None:
        """Tells the viewers, unless they know; an empty message: there is no trouble any more."""
        self.is_forbidden = is_forbidden
        if is_forbidden:
            self._answered.set()
        if message == self.trouble:
            return
        self.trouble = message
        data = event("lost", {"message": message}) if message else event("back", {})
        for viewer in self._viewers:
            viewer.put(data)

    def _take(self, batch: dict[Key, ListLine | None]) -> None:
        before = len(self._changed)
        for key, found in batch.items():
            if found is None:
                if self.lines.pop(key, None) is not None:
                    self._changed[key] = None
            elif self.lines.get(key) != found:
                self.lines[key] = found
                self._changed[key] = found
        if not before and self._changed and self._loop is not None:
            self._loop.call_later(_GATHER_SECONDS, self._send)

    def _keep(self, listed: frozenset[Key]) -> None:
        """After a whole list: what it does not hold is gone."""
        self._trouble("", is_forbidden=False)
        self._take(dict.fromkeys(self.lines.keys() - listed))
        self._first.set()
        self._answered.set()

    def _send(self) -> None:
        """Sends what has changed; the changes of a namespace are encoded once."""
        changed, self._changed = self._changed, {}
        if not changed or not self._viewers:
            return
        whole: bytes | None = None
        by_namespace: dict[str, bytes] = {}
        for viewer, visible in self._viewers.items():
            if visible is None:
                whole = whole or _encoded(changed.items())
                viewer.put(whole)
                continue
            for namespace in {namespace for namespace, _ in changed} & set(visible):
                if namespace not in by_namespace:
                    own = ((key, found) for key, found in changed.items() if key[0] == namespace)
                    by_namespace[namespace] = _encoded(own)
                viewer.put(by_namespace[namespace])


def _encoded(changed: Iterable[tuple[Key, ListLine | None]]) -> bytes:
    lines: list[ListLine] = []
    gone: list[Key] = []
    for key, found in changed:
        if found is None:
            gone.append(key)
        else:
            lines.append(found)
    return event("lines", {"lines": lines, "gone": gone})
