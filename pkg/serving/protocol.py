"""uvicorn's HTTP protocol with the deadlines that it lacks: a silent or slow client is cut off.

One timer per connection. It is set for what the client has to do next, and it aborts the connection when it fires: a
connection that is only closed would wait until the client has read what was written.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from pkg.serving.limits import Limits

OnCut = Callable[[str], None]
"""Is given why a connection was cut off: a constant word for metrics."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        on_cut: OnCut,
        handshakes: set[LimitedProtocol],
    ) -> None:
        """Made when a connection is accepted, and in `handshakes` until TLS is set up, or has failed."""
        super().__init__(config, state, {}, loop)
        self._limits = limits
        self._on_cut = on_cut
        self._timer: asyncio.TimerHandle | None = None
        self._is_receiving = False
        self._in_header = False
        self._header_bytes = 0
        self._handshakes = handshakes
        handshakes.add(self)
        # A handshake that fails is reported to nobody.
        self._end_of_handshake = loop.call_later(limits.handshake_seconds, handshakes.discard, self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        self._end_of_handshake.cancel()
        self._handshakes.discard(self)
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._cut("TooManyConnections")
        else:
            self._set_timer(self._limits.request_seconds, "NoRequest")

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        # Counted after parsing, because the same bytes may hold the end of the header and a part of the body.
        if self._in_header:
            self._header_bytes += len(data)
            if self._header_bytes > self._limits.header_bytes:
                self._cut("HeaderTooLarge")
        elif not self._is_receiving and self.transport.is_closing():
            self._set_timer(self._limits.request_seconds, "NotTaken")

    def on_message_begin(self) -> None:
        self._is_receiving = self._in_header = True
        self._header_bytes = 0
        self._set_timer(self._limits.request_seconds, "SlowRequest")
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_header = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_receiving = False
        if not self.cycle.response_complete:
            self._set_timer(self._limits.answer_seconds, "SlowAnswer")
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            # Closing waits until the client has read everything, which a client may never do.
            self._set_timer(self._limits.request_seconds, "NotTaken")
        elif not self.cycle.response_complete:
            self._set_timer(self._limits.answer_seconds, "SlowAnswer")
        elif not self._is_receiving:
            self._clear_timer()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._set_timer(self._limits.request_seconds, "NotTaken")

    def shutdown(self) -> None:
        """The server ends: close the connection now if it is idle, else after the answer.

        A request that is still arriving is answered too; the application then asks to close the connection.
        """
        if self._is_receiving:
            return
        super().shutdown()
        if self.transport.is_closing():
            self._set_timer(self._limits.request_seconds, "NotTaken")

    def _set_timer(self, seconds: float, reason: str) -> None:
        self._clear_timer()
        if seconds != math.inf:
            self._timer = self.loop.call_later(seconds, self._cut, reason)

    def _clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self, reason: str) -> None:
        self._clear_timer()
        self._on_cut(reason)
        self.transport.abort()


def protocol_config(app: Any, limits: Limits) -> Config:
    """uvicorn's configuration for the protocol; only what the protocol itself reads matters."""
    return Config(
        app,
        http=LimitedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=limits.idle_seconds,  # type: ignore[arg-type]  # any number of seconds is right
    )
