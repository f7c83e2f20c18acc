"""An HTTPS proxy in front of the API server that lies: foreign answers, cuts before and after a write, delays, silence.

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
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import yaml

from hack.faults import answers
from hack.faults.access import Access, Everybody
from hack.faults.certificate import Certificate, self_signed
from hack.faults.messages import HEAD_LIMIT, Request, read_answer, read_request

_LATE = 11.0
"""Seconds by which an answer is delayed: longer than the controller waits for one."""
_LIES = {
    "429": 0.06,
    "500": 0.06,
    "cut before": 0.04,
    "lost": 0.06,
    "torn": 0.03,
    "late": 0.006,
    "404 in HTML": 0.03,
    "404 as Status": 0.03,
    "400 in HTML": 0.03,
    "422 in HTML": 0.03,
    "200 with an empty object": 0.03,
    "200 in HTML": 0.03,
    "slow": 0.10,
}
"""Probability of each lie about an ordinary request, while the proxy lies."""
_ANSWERS = {
    "429": answers.THROTTLED,
    "500": answers.FAILED,
    "404 in HTML": answers.NO_PAGE,
    "404 as Status": answers.NOT_SERVED,
    "400 in HTML": answers.BAD_REQUEST,
    "422 in HTML": answers.UNPROCESSABLE,
    "200 with an empty object": answers.EMPTY_OBJECT,
    "200 in HTML": answers.WELCOME,
}
_ABSENT = ("404 in HTML", "404 as Status")
_NO_WATCH = (*_ABSENT, "200 with an empty object", "200 in HTML")
_REFUSED = 0.05
"""Probability that a new connection is closed at once."""
_REFUSED_WATCHES = 0.2
"""Probability that a new watch is answered 404."""


class _Cut(Exception):
    """Cut this connection on both sides."""


class DeadListener:
    """An address that drops every SYN, like a host that is down: the backlog of its listener is full."""

    def __init__(self, address: str, port: int) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        self._sockets = [listener]
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((address, port))
            self._sockets.append(filler)

    def close(self) -> None:
        for found in self._sockets:
            found.close()


class Proxy:
    """Listens on `addresses` within its `with` block. It lies from `start_lying` to `stop_lying`.

    `access` decides whom it lets in, whether it lies or not. `host` is the name of the proxy in the kubeconfig.
    kubeconfig: file for the controller; lies: how often each kind of lie happened.
    """

    def __init__(
        self,
        kubeconfig: Path,
        folder: Path,
        *,
        seed: int,
        mutes: bool = True,
        access: Access | None = None,
        addresses: tuple[str, ...] = ("127.0.0.1",),
        host: str = "127.0.0.1",
        ca: Path | None = None,
    ) -> None:
        """`ca`: the CA file in the kubeconfig, for whoever calls `use`; None: the proxy makes a certificate itself."""
        self._upstream, self._upstream_tls = _upstream(kubeconfig)
        self._folder = folder
        self._dice = Random(seed)
        self._mutes = mutes
        self._access = access or Everybody()
        self._addresses = addresses
        self._host = host
        self._ca = ca
        self._lying = False
        self._misrouted = False
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lying proxy", daemon=True)
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._servers: dict[str, asyncio.Server] = {}
        self._dropped: dict[str, DeadListener] = {}
        self._port = 0
        self.lies: Counter[str] = Counter()
        self.kubeconfig = folder / "kubeconfig"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._ca is None:
            self.use(Certificate(*self_signed(self._folder)))
        if self._access.client_ca is not None:
            self._tls.load_verify_locations(self._access.client_ca)
            self._tls.verify_mode = ssl.CERT_REQUIRED
        self._thread.start()
        for address in self._addresses:
            self._do(self._listen(address))
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "clusters": [
                {
                    "name": "proxy",
                    "cluster": {
                        "server": f"https://{self._host}:{self._port}",
                        "certificate-authority": str(self._ca or self._folder / "cert.pem"),
                    },
                }
            ],
            "users": [{"name": "nobody", "user": self._access.user}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def start_lying(self) -> None:
        """Lies from now on."""
        self._lying = True

    def stop_lying(self) -> None:
        """Forwards everything from now on; watches that fell silent stay silent."""
        self._lying = self._misrouted = False

    def use(self, certificate: Certificate) -> None:
        """Presents that certificate to new connections."""
        self._tls.load_cert_chain(certificate.cert, certificate.key)

    def misroute(self) -> None:
        """Cuts all connections and answers every request with 404 until `stop_lying`, as a proxy without its routes."""
        self._misrouted = True
        self._do(self._cut_all())

    def drop(self, address: str) -> None:
        """Lets one address fall silent: it accepts no connection, and those that it has get no byte any more."""
        self._do(self._drop(address))

    def restore(self, address: str) -> None:
        """Lets the address work again; connections that fell silent are cut."""
        self._do(self._restore(address))

    def _do(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result(10)

    async def _listen(self, address: str) -> None:
        server = await asyncio.start_server(self._accept, address, self._port, ssl=self._tls, limit=HEAD_LIMIT)
        self._port = server.sockets[0].getsockname()[1]
        self._servers[address] = server

    async def _drop(self, address: str) -> None:
        self._servers.pop(address).close()
        self._dropped[address] = DeadListener(address, self._port)
        self.lies["addresses dropped"] += 1

    async def _restore(self, address: str) -> None:
        self._dropped.pop(address).close()
        await self._cut_all(address)
        await self._listen(address)

    async def _cut_all(self, address: str = "") -> None:
        """Cuts the connections to that address, or all."""
        tasks = [task for task, own in self._tasks.items() if not address or own == address]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stop(self) -> None:
        for dead in self._dropped.values():
            dead.close()
        for server in self._servers.values():
            server.close()
        await self._cut_all()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        address = writer.get_extra_info("sockname")[0]
        self._tasks[task] = address
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            if self._lying and self._dice.random() < _REFUSED:
                self.lies["connections refused"] += 1
                return
            while (request := await read_request(reader)) is not None:
                await self._wait_if_dropped(address)
                if self._answers_itself(request, writer):
                    await writer.drain()
                    continue
                if upstream is None:
                    upstream = await asyncio.open_connection(*self._upstream, ssl=self._upstream_tls, limit=HEAD_LIMIT)
                if request.is_watch:
                    await self._relay_watch(request, upstream, writer, address)
                    return
                await self._relay(request, upstream, writer, address)
        except asyncio.CancelledError:
            pass  # the end of the proxy, or of this connection; asyncio would print it
        except (_Cut, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # an error on one side cuts the other side too
        finally:
            self._tasks.pop(task, None)
            writer.transport.abort()
            if upstream is not None:
                upstream[1].transport.abort()

    async def _wait_if_dropped(self, address: str) -> None:
        """Never returns if the address fell silent; its connections are cut when it works again."""
        if address in self._dropped:
            self.lies["requests on a silent address"] += 1
            await asyncio.sleep(3600)

    def _answers_itself(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answers without the API server, if the request may not pass or the proxy has lost its routes."""
        peer = writer.get_extra_info("peercert") or {}
        names = [value for part in peer.get("subject", ()) for key, value in part if key == "commonName"]
        if not self._access.admits(request.header("authorization"), "".join(names)):
            self.lies["answers 401"] += 1
            writer.write(answers.UNAUTHORIZED)
            return True
        is_refused = self._lying and request.is_watch and self._dice.random() < _REFUSED_WATCHES
        if self._misrouted or is_refused:
            lie = self._dice.choice(_ABSENT if self._misrouted else _NO_WATCH)
            self.lies[f"answers {lie}"] += 1
            writer.write(_ANSWERS[lie])
            return True
        return False

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
        request: Request,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        writer: asyncio.StreamWriter,
        address: str,
    ) -> None:
        lie = self._lie()
        if lie in _ANSWERS:
            self.lies[f"answers {lie}"] += 1
            writer.write(_ANSWERS[lie])
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
        answer = await read_answer(upstream[0])
        if lie in ("lost", "torn", "late"):
            self.lies["answers lost after a write" if request.is_write else "answers lost"] += 1
            if lie == "late":
                await asyncio.sleep(_LATE)
            if lie == "torn":
                writer.write(answer[: len(answer) // 2])
                await writer.drain()
            raise _Cut
        await self._wait_if_dropped(address)
        writer.write(answer)
        await writer.drain()

    async def _relay_watch(
        self,
        request: Request,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        writer: asyncio.StreamWriter,
        address: str,
    ) -> None:
        """Forwards a stream until it ends, or until it is cut some seconds after the proxy began to lie."""
        upstream[1].write(request.raw)
        await upstream[1].drain()
        doom = None
        coming = asyncio.ensure_future(upstream[0].read(HEAD_LIMIT))
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
                    await self._wait_if_dropped(address)
                    writer.write(data)
                    await writer.drain()
                    coming = asyncio.ensure_future(upstream[0].read(HEAD_LIMIT))
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


def _upstream(kubeconfig: Path) -> tuple[tuple[str, int], ssl.SSLContext]:
    """Address of the API server, and TLS with the administrator's certificate."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    url = urlsplit(cluster["server"])
    tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
    tls.load_cert_chain(user["client-certificate"], user["client-key"])
    return (url.hostname or "127.0.0.1", url.port or 443), tls
