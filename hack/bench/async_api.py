"""An asynchronous HTTP/1.1 client of the API server, for the sides of a measurement that must not be its bottleneck.

It repeats nothing and recovers from nothing: a fault ends the measurement.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable

import httptools
import msgspec

from pkg.kube.config import load_config

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
# The API server closes a connection that was idle for 90 s.
_IDLE_SECONDS = 60.0


class ApiError(Exception):
    """An answer that is no success; the message has its code and the begin of its body."""


class _Exchange(asyncio.Protocol):
    """One connection. With `on_line`, each line of a body is handed over as soon as it has arrived."""

    def __init__(self, on_line: Callable[[bytes], None] | None = None) -> None:
        self._on_line = on_line
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._parts: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self.idle_since = 0.0

    def is_fresh(self, now: float) -> bool:
        """Whether it may be used again: what is sent on a connection that the server has closed is never answered."""
        return not self._transport.is_closing() and now - self.idle_since < _IDLE_SECONDS

    def send(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Sends a request; the future has the code and the body. ConnectionError if the connection was closed."""
        if self._transport.is_closing():
            raise ConnectionError("the connection was closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"the connection was closed: {error}"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        if self._on_line is None:
            self._parts.append(body)
            return
        *lines, rest = (b"".join(self._parts) + body).split(b"\n")
        self._parts = [rest]
        for line in lines:
            self._on_line(line)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        body, self._parts = b"".join(self._parts), []
        code = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((code, body))


class AsyncApi:
    """At most `connections` calls are in flight; the others wait. To be used within one event loop."""

    def __init__(self, kubeconfig: str, agent: str, connections: int = 64) -> None:
        config = load_config(kubeconfig)
        endpoint = config.endpoint({})
        assert endpoint.tls is not None
        self._address = (endpoint.host, endpoint.port)
        self._tls: ssl.SSLContext = endpoint.tls()
        self._head = f"Host: {endpoint.host}:{endpoint.port}\r\nUser-Agent: {agent}\r\nAccept: application/json\r\n"
        self._head += "".join(f"{name}: {value}\r\n" for name, value in config.headers)
        self._left = connections
        self._idle: list[_Exchange] = []
        self._waiting: deque[asyncio.Future[_Exchange]] = deque()
        self._all: list[_Exchange] = []
        self._is_closed = False
        self._watches: set[asyncio.Future[None]] = set()

    async def call(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
        """The body of the answer. ApiError if its code is not 2xx."""
        exchange = await self._take()
        try:
            code, answer = await exchange.send(self._request(method, path, body, content_type))
        except asyncio.CancelledError:
            exchange.close()  # its answer may still come
            raise
        finally:
            self._give_back(exchange)
        if not 200 <= code < 300:
            raise ApiError(f"{method} {path}: {code} {answer[:300]!r}")
        return answer

    async def follow(self, path: str, take: Callable[[str, bytes], None]) -> None:
        """Lists a collection, and watches it from there on: take(type, object as JSON) is called for each change."""
        page = msgspec.json.decode(await self.call("GET", f"{path}?limit=1"), type=_Page)
        await self._watch(path, page.metadata.resource_version, take)

    async def _watch(self, path: str, seen: str, take: Callable[[str, bytes], None]) -> None:
        """Watches from a resource version on. The API server ends the watch of a client that reads too slowly, so a
        watch that ends goes on with another where it stopped.
        """

        def on_line(line: bytes) -> None:
            nonlocal seen
            event = msgspec.json.decode(line, type=_Event)
            if event.type not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"):
                self._fail(f"the watch of {path} ended: {bytes(event.object)[:300]!r}")
                return
            seen = msgspec.json.decode(event.object, type=_Page).metadata.resource_version
            if event.type != "BOOKMARK":
                take(event.type, bytes(event.object))

        def on_end(done: asyncio.Future[tuple[int, bytes]]) -> None:
            error = done.exception()
            if self._is_closed:
                return
            if error is None and not 200 <= done.result()[0] < 300:
                self._fail(f"the watch of {path} ended: {done.result()}")
                return
            again = asyncio.ensure_future(self._watch(path, seen, take))
            self._watches.add(again)
            again.add_done_callback(self._watches.discard)

        exchange = await self._connect(on_line)
        query = f"watch=1&resourceVersion={seen}&timeoutSeconds=3600&allowWatchBookmarks=true"
        ended = exchange.send(self._request("GET", f"{path}?{query}", b"", "application/json"))
        ended.add_done_callback(on_end)

    def _fail(self, message: str) -> None:
        """What follows would be no measurement."""
        if not self._is_closed:
            asyncio.get_running_loop().call_exception_handler({"message": message})

    def close(self) -> None:
        """Closes all connections."""
        self._is_closed = True
        for exchange in self._all:
            exchange.close()

    def _request(self, method: str, path: str, body: bytes, content_type: str) -> bytes:
        length = f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n" if body else ""
        return f"{method} {path} HTTP/1.1\r\n{self._head}{length}\r\n".encode() + body

    async def _take(self) -> _Exchange:
        while self._idle:
            exchange = self._idle.pop()
            if exchange.is_fresh(asyncio.get_running_loop().time()):
                return exchange
            exchange.close()
            self._all.remove(exchange)
            self._left += 1
        if self._left:
            self._left -= 1
            return await self._connect(None)
        waiting: asyncio.Future[_Exchange] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return await waiting

    def _give_back(self, exchange: _Exchange) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():  # else nobody waits any more
                waiting.set_result(exchange)
                return
        exchange.idle_since = asyncio.get_running_loop().time()
        self._idle.append(exchange)

    async def _connect(self, on_line: Callable[[bytes], None] | None) -> _Exchange:
        loop = asyncio.get_running_loop()
        _, exchange = await loop.create_connection(lambda: _Exchange(on_line), *self._address, ssl=self._tls)
        self._all.append(exchange)
        return exchange


class _Meta(msgspec.Struct, rename="camel"):
    resource_version: str = ""


class _Page(msgspec.Struct):
    metadata: _Meta


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw
