"""One Workflow and all who look at it: one watch, and each change computed and encoded once.

The watch has a thread of its own, which computes; what it finds is handed to the thread of the event loop, to which the
rest belongs.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from pkg.apis.flow.v1alpha1.raw import RawError
from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.dashboard.live.encoding import encode, event
from pkg.dashboard.live.links import LinkReader
from pkg.dashboard.live.viewer import Viewer
from pkg.dashboard.model.frames import frame
from pkg.dashboard.model.moves import Incoming
from pkg.dashboard.model.scene import Links, incoming_of, scene_of
from pkg.dashboard.model.state import Seen, State, flow_names, state_of
from pkg.kube.client import Client
from pkg.kube.errors import KubeError
from pkg.views import follow

_log = structlog.get_logger("dashboard")


class Unreadable(Exception):
    """The Workflow cannot be drawn; the message says why."""


@dataclass(frozen=True, slots=True)
class _Now:
    """The newest state, with its number."""

    workflow: Workflow
    links: Links
    state: State
    number: int


class Room:
    """The viewers of one Workflow. `on_end`: called once its watch has ended by itself."""

    def __init__(
        self, client: Client, namespace: str, name: str, loop: asyncio.AbstractEventLoop, on_end: Callable[[], None]
    ) -> None:
        self.key = (namespace, name)
        self.viewers: set[Viewer] = set()
        self._loop = loop
        self._on_end = on_end
        self._follower = follow.Follower(
            client, namespace, Workflow, name=name, on_lost=self._lost, on_back=self._back, on_listed=self._listed
        )
        self._links = LinkReader(client)
        self._now: _Now | None = None
        self._encoded: tuple[int, bytes] = (-1, b"")
        self._first = asyncio.Event()
        self._trouble = ""
        self._scene: tuple[str, bytes] = ("", b"")
        self._scene_lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name=f"watch-{namespace}/{name}", daemon=True)
        self._thread.start()

    async def ready(self, seconds: float) -> bool:
        """Waits for the first state; whether it has come."""
        try:
            async with asyncio.timeout(seconds):
                await self._first.wait()
        except TimeoutError:
            return False
        return self._now is not None

    @property
    def state(self) -> State | None:
        """The newest; None if the Workflow is gone."""
        return self._now.state if self._now is not None else None

    @property
    def is_gone(self) -> bool:
        """Whether there is no such Workflow, or not any more."""
        return self._first.is_set() and self._now is None and not self._trouble

    @property
    def trouble(self) -> str:
        """What the API server said when it could not be reached last; empty if it can."""
        return self._trouble

    def join(self) -> Viewer:
        """A new viewer, which is given the whole state first."""
        viewer = Viewer(self.everything)
        viewer.put(self.everything())
        self.viewers.add(viewer)
        return viewer

    def everything(self) -> bytes:
        """The events that say everything as it is now. Encoded once per state."""
        now = self._now
        if now is None:
            return event("gone", {})
        if self._encoded[0] != now.number:
            content = {"at": time.time(), "number": now.number, "state": now.state}
            self._encoded = (now.number, event("state", content))
        data = self._encoded[1]
        return data + event("lost", {"message": self._trouble}) if self._trouble else data

    def scene(self) -> tuple[str, bytes]:
        """The shape and the encoded scene; laid out once per shape. Takes time: not for the event loop.

        Raises Unreadable.
        """
        with self._scene_lock:
            now = self._now
            if now is None:
                raise Unreadable("the workflow is gone")
            if self._scene[0] != now.state.head.shape:
                try:
                    made = scene_of(now.workflow, now.links)
                except (RawError, ValueError) as error:
                    raise Unreadable(f"the workflow cannot be drawn: {error}") from error
                self._scene = (made.shape, encode(made))
            return self._scene

    def close(self) -> None:
        """End the watch and all viewers."""
        self._follower.close()
        for viewer in self.viewers:
            viewer.close()

    def _watch(self) -> None:
        before: Seen | None = None
        incoming: Sequence[Sequence[Incoming]] = ()
        number = 0
        try:
            for seen in self._follower:
                number += 1
                if seen.found is None:
                    before = None
                    self._call(self._gone)
                    continue
                if before is not None and before.state.head.uid != seen.found.metadata.uid:
                    before = None  # deleted and made anew while nothing was watched
                links = self._links.of(seen.found)
                state = state_of(seen.found, before, links.mark)
                if before is not None and before.state.head.shape == state.head.shape:
                    made = frame(before.state, state, incoming, time.time(), number)
                    data = None if made is None else event("frame", made)
                else:
                    incoming = incoming_of(flow_names(seen.found), links.arrows)
                    data = b""
                before = Seen(seen.found, state)
                self._call(self._publish, _Now(seen.found, links, state, number), data)
        except KubeError as error:
            self._call(self._failed, error.message)
        except Exception:
            _log.exception("watch failed", namespace=self.key[0], name=self.key[1])
            self._call(self._failed, "the dashboard failed; its log says more")

    def _listed(self) -> None:
        """After a list: if it held nothing, the Workflow is gone."""
        self._call(self._check_first)

    def _check_first(self) -> None:
        if not self._first.is_set():
            self._gone()

    def _call(self, what: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *arguments)
        except RuntimeError:
            self._follower.close()  # the event loop has ended

    def _publish(self, now: _Now, data: bytes | None) -> None:
        """data: of the frame, None if nothing changed, empty if the whole state is to be sent."""
        self._now = now
        self._first.set()
        if data is None:
            return
        self._put(data or self.everything())

    def _gone(self) -> None:
        self._now = None
        self._first.set()
        self._put(event("gone", {}))

    def _put(self, data: bytes) -> None:
        for viewer in self.viewers:
            viewer.put(data)

    def _lost(self, error: KubeError) -> None:
        self._call(self._troubled, error.message)

    def _back(self) -> None:
        self._call(self._troubled, "")

    def _troubled(self, message: str) -> None:
        """An empty message: the API server answers again."""
        if message != self._trouble:
            self._trouble = message
            self._put(event("lost", {"message": message}) if message else event("back", {}))

    def _failed(self, message: str) -> None:
        self._trouble = message
        self._first.set()
        self._put(event("failed", {"message": message}))
        for viewer in self.viewers:
            viewer.close()
        self._on_end()
