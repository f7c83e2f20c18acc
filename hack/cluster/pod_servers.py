"""Runs real servers for simulated pods, as their annotation `sim.workflow.sh/serve` says.

It is a process beside the control plane. A thread watches the pods, and an asyncio loop listens on podIP:port while a
pod is Running, so that a probe connects to a real socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import msgspec

from hack.cluster.annotations import SERVE
from hack.cluster.api import Api, ApiStatusError
from hack.cluster.serve_spec import Listener, parse_serve

_PAGE = 500
# A watch with bookmarks sends a line about once a minute; a longer silence means a dead connection.
_SILENCE_SECONDS = 150.0
_REQUEST_SECONDS = 30.0


class _Meta(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    annotations: dict[str, str] | None = None


class _Status(msgspec.Struct, frozen=True):
    phase: str = ""
    podIP: str = ""


class Pod(msgspec.Struct, frozen=True):
    """The fields of a pod that matter here."""

    metadata: _Meta = _Meta()
    status: _Status = _Status()

    @property
    def serves(self) -> str:
        """The annotation's value while the pod is Running and has an address, else nothing."""
        notes = self.metadata.annotations or {}
        return notes.get(SERVE, "") if self.status.phase == "Running" and self.status.podIP else ""


class _ListMeta(msgspec.Struct, frozen=True):
    resourceVersion: str = ""
    cont: str = msgspec.field(default="", name="continue")


class _PodList(msgspec.Struct, frozen=True):
    metadata: _ListMeta = _ListMeta()
    items: list[Pod] = []


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


Gone = str
"""The uid of a pod that is gone."""


def follow_pods(api: Api, handle: Callable[[Pod | Gone], None]) -> None:
    """Calls `handle` with every pod that has the annotation, and with the UID of each that is gone. Never returns;
    goes on after a restart of the API server."""
    known: set[Gone] = set()
    while True:
        try:
            version, pods = _list(api)
            present = {pod.metadata.uid for pod in pods}
            for uid in known - present:
                handle(uid)
            known = present
            for pod in pods:
                handle(pod)
            for kind, pod in _watch(api, version):
                if kind == "DELETED":
                    known.discard(pod.metadata.uid)
                    handle(pod.metadata.uid)
                else:
                    known.add(pod.metadata.uid)
                    handle(pod)
        except (OSError, ApiStatusError, msgspec.DecodeError) as error:
            _log(f"watch of pods ended, beginning again: {error}")
            time.sleep(0.2)


def _list(api: Api) -> tuple[str, list[Pod]]:
    found: list[Pod] = []
    more = ""
    while True:
        page = msgspec.json.decode(api.request("GET", f"/api/v1/pods?limit={_PAGE}{more}"), type=_PodList)
        found += [pod for pod in page.items if SERVE in (pod.metadata.annotations or {})]
        if not page.metadata.cont:
            return page.metadata.resourceVersion, found
        more = f"&continue={page.metadata.cont}"


def _watch(api: Api, version: str) -> Iterator[tuple[str, Pod]]:
    path = f"/api/v1/pods?watch=1&allowWatchBookmarks=true&resourceVersion={version}"
    for line in api.watch(path, _SILENCE_SECONDS):
        # Most pods of a benchmark serve nothing. Their bytes show that without decoding.
        if SERVE.encode() not in line and b'"ERROR"' not in line[:40]:
            continue
        event = msgspec.json.decode(line, type=_Event)
        if event.type == "ERROR":
            raise OSError(f"the watch is too old: {bytes(event.object)[:200]!r}")
        yield event.type, msgspec.json.decode(event.object, type=Pod)


class PodServers:
    """The listeners of all pods. Lives in one asyncio loop."""

    def __init__(self, complain: Callable[[Pod, str], object]) -> None:
        self._complain = complain
        self._open: dict[str, list[asyncio.Server]] = {}
        self._connections: dict[str, set[asyncio.StreamWriter]] = {}

    async def apply(self, news: Pod | Gone) -> None:
        """Opens or closes the listeners of the pod that `news` is about."""
        uid = news if isinstance(news, str) else news.metadata.uid
        if isinstance(news, str) or not news.serves:
            await self._close(uid)
        elif uid not in self._open:
            await self._listen(news)

    async def _listen(self, pod: Pod) -> None:
        servers: list[asyncio.Server] = []
        uid = pod.metadata.uid
        self._open[uid] = servers
        self._connections[uid] = set()
        try:
            for listener in parse_serve(pod.serves):
                handle = self._handler(uid, listener)
                servers.append(
                    await asyncio.start_server(handle, pod.status.podIP, listener.port, reuse_address=True, backlog=256)
                )
        except (OSError, ValueError) as error:
            self._complain(pod, f"cannot serve on {pod.status.podIP}: {error}")

    async def _close(self, uid: str) -> None:
        for server in self._open.pop(uid, []):
            server.close()
        for writer in self._connections.pop(uid, set()):
            writer.transport.abort()

    def _handler(
        self, uid: str, listener: Listener
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], asyncio.Future[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            open_now = self._connections.get(uid)
            if open_now is None:
                writer.transport.abort()
                return
            open_now.add(writer)
            try:
                async with asyncio.timeout(_REQUEST_SECONDS):
                    if listener.http:
                        await _answer(reader, writer, listener)
                    else:
                        while await reader.read(65536):
                            pass
            except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                pass  # a client that closes its connection early is no fault
            finally:
                open_now.discard(writer)
                with contextlib.suppress(OSError):
                    writer.close()

        return lambda reader, writer: asyncio.ensure_future(serve(reader, writer))


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener: Listener) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    method, path, _ = head.split("\r\n", 1)[0].split(" ", 2)
    code = listener.status(path)
    phrase = HTTPStatus(code).phrase if code in HTTPStatus._value2member_map_ else "Status"
    body = b"ok" if code < 400 else phrase.encode()
    location = "Location: /\r\n" if 300 <= code < 400 else ""
    writer.write(
        f"HTTP/1.1 {code} {phrase}\r\n{location}Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n".encode()
        + (b"" if method == "HEAD" else body)
    )
    await writer.drain()


def _log(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def complain_by_event(api: Api, pod: Pod, message: str) -> None:
    """Sends a Warning event about the pod, and logs it."""
    _log(f"{pod.metadata.namespace}/{pod.metadata.name} {message}")
    meta = pod.metadata
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    event = {
        "metadata": {"generateName": "pod-servers-", "namespace": meta.namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
        },
        "type": "Warning",
        "reason": "FailedServe",
        "message": message,
        "source": {"component": "pod-servers"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    with contextlib.suppress(OSError, ApiStatusError):
        api.request("POST", f"/api/v1/namespaces/{meta.namespace}/events", event)


async def serve(kubeconfig: Path) -> None:
    """Runs until it is killed."""
    api = Api.from_kubeconfig(kubeconfig)
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[Pod | Gone] = asyncio.Queue()

    def handle(item: Pod | Gone) -> None:
        loop.call_soon_threadsafe(news.put_nowait, item)

    threading.Thread(target=follow_pods, args=(api, handle), daemon=True, name="watch").start()
    servers = PodServers(lambda pod, message: loop.run_in_executor(None, complain_by_event, api, pod, message))
    while True:
        await servers.apply(await news.get())


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Path(sys.argv[1])))
