"""Server-sent events as an ASGI response.

Server-sent events and not WebSockets: everything goes one way, a browser connects anew by itself, every proxy passes
them, the cookies and headers of the page go with them, and one encoded event serves all viewers, where a WebSocket
frames it for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from pkg.dashboard.live.encoding import HEARTBEAT
from pkg.dashboard.site.visits import Taker
from pkg.kube.errors import Forbidden, KubeError, Unauthorized

#: Seconds between two signs of life, and seconds after which a viewer that takes nothing is cut off.
_BEAT_SECONDS: Final = 15.0
_STALL_SECONDS: Final = 60.0
#: Seconds after which it is asked again whether the viewer may still see what it sees.
RECHECK_SECONDS: Final = 60.0
_START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-store, no-transform"),
        (b"x-accel-buffering", b"no"),
    ],
}


class EventStream:
    """Sends what a viewer is given, until either side ends. on_end: called after the last byte.

    recheck: called every recheck_seconds (default RECHECK_SECONDS). The stream ends if it returns False, or if the API
    server refuses the viewer, as when a right was taken away or a token has expired. on_sent: is given the bytes of
    each part; on_cut: is given why the dashboard ended it, Stalled or Refused.
    """

    def __init__(
        self,
        viewer: Taker,
        on_end: Callable[[], None],
        recheck: Callable[[], Any] | None = None,
        recheck_seconds: float | None = None,
        on_sent: Callable[[int], None] = lambda _: None,
        on_cut: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._viewer = viewer
        self._on_end = on_end
        self._recheck = recheck
        self._on_sent = on_sent
        self._on_cut = on_cut
        self._recheck_seconds = RECHECK_SECONDS if recheck_seconds is None else recheck_seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        helpers = [asyncio.ensure_future(self._until_gone(receive))]
        if self._recheck is not None:
            helpers.append(asyncio.ensure_future(self._check()))
        try:
            await send(dict(_START))
            if scope.get("method") == "HEAD":
                self._viewer.close()  # the headers are all that is wanted
            await self._pump(send)
        except TimeoutError:
            self._on_cut("Stalled")  # the viewer takes nothing; its browser connects anew if it is there
        except OSError:
            pass  # it has gone
        finally:
            for helper in helpers:
                helper.cancel()
            self._on_end()

    async def _pump(self, send: Any) -> None:
        data: bytes | None = b"retry: 2000\n\n"
        while data is not None:
            async with asyncio.timeout(_STALL_SECONDS):
                await send({"type": "http.response.body", "body": data, "more_body": True})
            self._on_sent(len(data))
            try:
                async with asyncio.timeout(_BEAT_SECONDS):
                    data = await self._viewer.take()
            except TimeoutError:
                data = HEARTBEAT
        async with asyncio.timeout(_STALL_SECONDS):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _until_gone(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._viewer.close()

    async def _check(self) -> None:
        assert self._recheck is not None
        while True:
            await asyncio.sleep(self._recheck_seconds)
            try:
                may_still = await self._recheck()
            except (Forbidden, Unauthorized):
                may_still = False
            except KubeError:
                continue  # the API server cannot be asked now; it is asked again
            if not may_still:
                self._on_cut("Refused")
                self._viewer.close()
                return
