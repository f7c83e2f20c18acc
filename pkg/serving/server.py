"""The server: one thread with an event loop, a listening socket, and a certificate that can be replaced at any time."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Protocol, TypeVar

import structlog
from uvicorn.server import ServerState

from pkg.serving.limits import Limits
from pkg.serving.protocol import LimitedProtocol, OnCut, protocol_config
from pkg.serving.tls import load, new_context
from pkg.telemetry.health import BindError

T = TypeVar("T")

_BACKLOG = 1024
_SHUTDOWN_SECONDS = 5.0
_ALIVE_SECONDS = 2.0
_HANDSHAKE_SECONDS = 1.0
_TURNS = 3
_TICK = 0.02
_log = structlog.get_logger("server")


class Application(Protocol):
    """An ASGI application. Once `is_draining` is set, it ends each connection after its answer, and streams at once."""

    is_draining: bool

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request."""

    def close(self) -> None:
        """Take no more work."""


class Server:
    """Serves `app`: over TLS once `use` was given a first certificate, or without it once `serve_plain` was called.

    name: of its thread; headers: sent with every answer, also to what is no HTTP and never reaches `app`.
    """

    def __init__(
        self, app: Application, limits: Limits, on_cut: OnCut, name: str, headers: Collection[tuple[str, str]] = ()
    ) -> None:
        self._app = app
        self._limits = limits
        self._context = new_context()
        self._state = ServerState()
        self._state.default_headers = [(key.encode(), value.encode()) for key, value in headers]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        config = protocol_config(app, limits)
        config.load()
        self._handshakes: set[LimitedProtocol] = set()
        self._make_protocol = lambda: LimitedProtocol(config, self._state, self._loop, limits, on_cut, self._handshakes)

    def start(self, host: str, port: int) -> int:
        """Reserves the address, and returns the port (a free one for 0). Raises BindError.

        `host` empty: all interfaces. Until there is a certificate, connections wait.
        """
        self._socket = bound = _bind(host, port)
        self._thread.start()
        return int(bound.getsockname()[1])

    def use(self, certificate: bytes, key: bytes) -> None:
        """New connections use this certificate and key (PEM).

        Raises `tls.BadCertificate`; the previous one then stays.
        """
        self._run(self._use(certificate, key))

    def serve_plain(self) -> None:
        """Serve HTTP without TLS, from now on."""
        self._run(self._listen(None))

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the application runs in."""
        return self._loop

    @property
    def is_serving(self) -> bool:
        return self._server is not None and self._server.is_serving()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._state.connections)

    def hangs(self) -> str | None:
        """None while the event loop works, else what is wrong: a health check."""
        turned = threading.Event()
        self._loop.call_soon_threadsafe(turned.set)
        if turned.wait(_ALIVE_SECONDS):
            return None
        return f"the event loop has not turned for {_ALIVE_SECONDS:.0f} s"

    def drain(self) -> None:
        """Go on serving, and ask each client to connect anew after its next answer."""
        self._loop.call_soon_threadsafe(setattr, self._app, "is_draining", True)

    def stop(self, seconds: float) -> None:
        """Takes no more connections, answers what has begun for at most `seconds`, and ends."""
        if self._loop.is_closed():
            return
        left = self._run(self._stop(seconds))
        if left:
            _log.warning("connections were cut off", connections=left)
        self._app.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SHUTDOWN_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    async def _use(self, certificate: bytes, key: bytes) -> None:
        # A method of the event loop's thread: no handshake runs meanwhile.
        load(self._context, certificate, key)
        await self._listen(self._context)

    async def _listen(self, tls: ssl.SSLContext | None) -> None:
        if self._server is None and self._socket is not None:
            self._server = await self._loop.create_server(
                self._make_protocol,
                sock=self._socket,
                backlog=_BACKLOG,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else self._limits.handshake_seconds,
                ssl_shutdown_timeout=None if tls is None else _SHUTDOWN_SECONDS,
            )

    async def _stop(self, seconds: float) -> int:
        self._app.is_draining = True
        if self._server is not None:
            # What asyncio has accepted needs a turn to become a connection. Closed before that, it would be forgotten,
            # and its client would wait for ever.
            for listening in self._server.sockets:
                self._loop.remove_reader(listening.fileno())
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            self._server.close()
        elif self._socket is not None:
            self._socket.close()
        # Whoever was accepted a moment ago will send a request as soon as the handshake is done.
        await _wait_until(lambda: not self._handshakes, _HANDSHAKE_SECONDS)
        for connection in list(self._state.connections):
            connection.shutdown()
        await _wait_until(lambda: not self._state.connections and not self._state.tasks, seconds)
        left = list(self._state.connections)
        for connection in left:
            connection.transport.abort()
        return len(left)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _wait_until(is_so: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        await asyncio.sleep(_TICK)


def _bind(host: str, port: int) -> socket.socket:
    is_dual = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if is_dual or ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only then; without it each answer takes 40 ms more.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if is_dual else 1)
        made.bind((host, port))
        # At once: until a socket listens, another process could take the same port.
        made.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        made.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise BindError(
            f"cannot listen on {host or '*'}:{port} ({reason}); give another port with --port, or another address of "
            "this machine with --bind-address"
        ) from error
    return made


Serve = Callable[[bytes, bytes], None]
"""Takes a certificate and its key (PEM) into use; raises `tls.BadCertificate`."""
