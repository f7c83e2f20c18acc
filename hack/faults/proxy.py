"""An HTTPS proxy in front of the API server that lies: 429, 500, cuts before and after the write, delays, silence.

It ends TLS with a certificate of its own, which the kubeconfig it writes trusts, and talks to the API server with the
administrator's client certificate. One asyncio loop in one thread; everything read is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import yaml

from hack.faults.certificate import self_signed

_HEAD_LIMIT = 64 * 1024
_BODY_LIMIT = 64 * 1024 * 1024
_LATE = 11.0
"""Seconds by which an answer is delayed: longer than the controller waits for one."""
_WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})
_LIES = {
    "429": 0.06,
    "500": 0.06,
    "cut before": 0.04,
    "lost": 0.06,
    "torn": 0.03,
    "late": 0.006,
    "slow": 0.10,
}
"""Probability of each lie about an ordinary request, while the proxy lies."""
_REFUSED = 0.05
"""Probability that a new connection is closed at once."""
_THROTTLED = (
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 18\r\n\r\ntoo many requests\n"
)
_FAILED_BODY = (
    b'{"kind":"Status","apiVersion":"v1","status":"Failure","message":"a lie","reason":"InternalError","code":500}'
)
_FAILED = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    + f"Content-Length: {len(_FAILED_BODY)}\r\n\r\n".encode()
    + _FAILED_BODY
)


@dataclass(frozen=True, slots=True)
class _Request:
    """One request of the controller, as it came."""

    method: str
    target: str
    raw: bytes

    @property
    def is_watch(self) -> bool:
        return "watch=1" in self.target

    @property
    def is_write(self) -> bool:
        return self.method in _WRITES


class _Cut(Exception):
    """Cut this connection on both sides."""


class Proxy:
    """Listens on 127.0.0.1 within its `with` block. It lies from `start_lying` to `stop_lying`.

    kubeconfig: file for the controller; lies: how often each kind of lie happened.
    """

    def __init__(self, kubeconfig: Path, folder: Path, *, seed: int, mutes: bool = True) -> None:
        self._upstream, self._upstream_tls = _upstream(kubeconfig)
        self._folder = folder
        self._dice = Random(seed)
        self._mutes = mutes
        self._lying = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lying proxy", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.lies: Counter[str] = Counter()
        self.kubeconfig = folder / "kubeconfig"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*self_signed(self._folder))
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._listen(tls), self._loop).result(10)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "clusters": [
                {
                    "name": "proxy",
                    "cluster": {
                        "server": f"https://127.0.0.1:{port}",
                        "certificate-authority": str(self._folder / "cert.pem"),
                    },
                }
            ],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def start_lying(self) -> None:
        """Lies from now on."""
        self._lying = True

    def stop_lying(self) -> None:
        """Forwards everything from now on; watches that fell silent stay silent."""
        self._lying = False

    async def _listen(self, tls: ssl.SSLContext) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=tls, limit=_HEAD_LIMIT)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            if self._lying and self._dice.random() < _REFUSED:
                self.lies["connections refused"] += 1
                return
            while (request := await _read_request(reader)) is not None:
                if upstream is None:
                    upstream = await asyncio.open_connection(*self._upstream, ssl=self._upstream_tls, limit=_HEAD_LIMIT)
                if request.is_watch:
                    await self._relay_watch(request, upstream, writer)
                    return
                await self._relay(request, upstream, writer)
        except asyncio.CancelledError:
            pass  # the end of the proxy; asyncio would print it
        except (_Cut, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # an error on one side cuts the other side too
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
            if upstream is not None:
                upstream[1].transport.abort()

    def _lie(self) -> str:
        """The lie about the next ordinary request; empty for none."""
        if not self._lying:
            return ""
        roll = self._dice.random()
        for lie, share in _LIES.items():
            roll -= share
            if roll < 0:
                return lie
        return ""

    async def _relay(
        self,
        request: _Request,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        writer: asyncio.StreamWriter,
    ) -> None:
        lie = self._lie()
        if lie in ("429", "500"):
            self.lies[f"answers {lie}"] += 1
            writer.write(_THROTTLED if lie == "429" else _FAILED)
            await writer.drain()
            return
        if lie == "cut before":
            self.lies["requests cut"] += 1
            raise _Cut
        if lie == "slow":
            self.lies["delays"] += 1
            await asyncio.sleep(self._dice.uniform(0.1, 1.5))
        upstream[1].write(request.raw)
        await upstream[1].drain()
        answer = await _read_answer(upstream[0])
        if lie in ("lost", "torn", "late"):
            self.lies["answers lost after a write" if request.is_write else "answers lost"] += 1
            if lie == "late":
                await asyncio.sleep(_LATE)
            if lie == "torn":
                writer.write(answer[: len(answer) // 2])
                await writer.drain()
            raise _Cut
        writer.write(answer)
        await writer.drain()

    async def _relay_watch(
        self,
        request: _Request,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        writer: asyncio.StreamWriter,
    ) -> None:
        """Forwards a stream until it ends, or until it is cut some seconds after the proxy began to lie."""
        upstream[1].write(request.raw)
        await upstream[1].drain()
        doom = None
        coming = asyncio.ensure_future(upstream[0].read(_HEAD_LIMIT))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=0.2)
                if not self._lying:
                    doom = None
                elif doom is None:
                    doom = time.monotonic() + self._dice.uniform(0.5, 8.0)
                is_doomed = doom is not None and time.monotonic() > doom
                data = coming.result() if done else b""
                if is_doomed:
                    await self._end_watch(data, writer)
                    return
                if done:
                    if not data:
                        return
                    writer.write(data)
                    await writer.drain()
                    coming = asyncio.ensure_future(upstream[0].read(_HEAD_LIMIT))
        finally:
            coming.cancel()

    async def _end_watch(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        end = self._dice.choice(("cut", "cut", "half-close", "torn", "mute" if self._mutes else "cut"))
        if end == "mute":
            self.lies["watches silenced"] += 1
            await asyncio.sleep(3600)
        elif end == "half-close":
            self.lies["watches half-closed"] += 1
            found = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_WR)
            await asyncio.sleep(3600)
        else:
            self.lies["watches cut"] += 1
            if end == "torn" and data:
                writer.write(data[: len(data) // 2])
                await writer.drain()
            raise _Cut


async def _read_request(reader: asyncio.StreamReader) -> _Request | None:
    """The next request of a connection; None once it has ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    body = await reader.readexactly(_length(head) or 0)
    method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
    return _Request(method, target, head + body)


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    """A whole answer as it came: head, then a body of known length or in chunks."""
    head = await reader.readuntil(b"\r\n\r\n")
    if (length := _length(head)) is not None:
        return head + await reader.readexactly(length)
    if b"transfer-encoding: chunked" not in head.lower():
        return head
    parts, size = [head], 0
    while True:
        line = await reader.readuntil(b"\r\n")
        chunk = int(line.split(b";")[0], 16)
        size += chunk
        if size > _BODY_LIMIT:
            raise ValueError("the answer is too long")
        parts += [line, await reader.readexactly(chunk + 2)]
        if not chunk:
            return b"".join(parts)


def _length(head: bytes) -> int | None:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
            if not 0 <= length <= _BODY_LIMIT:
                raise ValueError("the body is too long")
            return length
    return None


def _upstream(kubeconfig: Path) -> tuple[tuple[str, int], ssl.SSLContext]:
    """Address of the API server, and TLS with the administrator's certificate."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    url = urlsplit(cluster["server"])
    tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
    tls.load_cert_chain(user["client-certificate"], user["client-key"])
    return (url.hostname or "127.0.0.1", url.port or 443), tls
