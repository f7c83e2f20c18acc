"""The log of a container: its lines, as the kubelet has them, until the end or as they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

import msgspec

from pkg.apis.meta import GVR
from pkg.kube.errors import Stopped, Transient
from pkg.kube.framing import Dechunker, FramingError, Head
from pkg.kube.request_parts import path_of
from pkg.kube.transport import Request, Transport
from pkg.kube.wire import Connection

PODS: Final = GVR(version="v1", resource="pods")
#: Bytes after which a line is cut: what has no line ends must not fill the memory.
MAX_LINE: Final = 1024 * 1024
_SILENCE_SECONDS: Final = 4 * 3600.0


class LogOptions(msgspec.Struct, frozen=True):
    """Which part of a log. previous: of the instance of the container before its last restart; tail: lines, None: all;
    since: seconds, None: from the beginning.
    """

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: float | None = None

    def query(self) -> str:
        """As the API server takes it."""
        fields = {
            "container": self.container,
            "follow": "true" if self.follow else "",
            "previous": "true" if self.previous else "",
            "timestamps": "true" if self.timestamps else "",
            "tailLines": "" if self.tail is None else str(self.tail),
            "sinceSeconds": "" if self.since is None else str(max(1, round(self.since))),
        }
        return urlencode({name: value for name, value in fields.items() if value})


class PodLog:
    """Iterates over the lines of a log, without line ends; any thread may call `close`.

    It ends with the log. It raises Transient if the connection broke, and Stopped if the client is shutting down.
    """

    def __init__(self, transport: Transport, connection: Connection, head: Head) -> None:
        self._transport = transport
        self._connection = connection
        self._chunks = Dechunker() if head.chunked else None
        self._left = head.length
        self._closed = threading.Event()
        self._is_read = False

    def __iter__(self) -> Iterator[bytes]:
        self._is_read = True
        tail = b""
        try:
            for data in self._parts():
                *lines, tail = (tail + data).split(b"\n")
                yield from lines
                while len(tail) > MAX_LINE:
                    yield tail[:MAX_LINE]
                    tail = tail[MAX_LINE:]
            if tail:
                yield tail
        finally:
            self.close()
            self._connection.close()

    def close(self) -> None:
        """End the iteration at once."""
        self._closed.set()
        self._transport.release(self._connection)
        if not self._is_read:  # else the thread that iterates closes it: it may be about to wait for its socket
            self._connection.close()

    def _parts(self) -> Iterator[bytes]:
        while not self._closed.is_set() and self._left != 0:
            try:
                data = self._connection.receive(time.monotonic() + _SILENCE_SECONDS)
                if self._left is not None:
                    self._left -= len(data)
                if not data:
                    if self._chunks is None and not self._left:
                        return
                    raise ConnectionResetError("the connection ended in the middle of the log")
                if self._chunks is not None:
                    data = self._chunks.feed(data)
                yield data
                if self._chunks is not None and self._chunks.done:
                    return
            except (OSError, FramingError) as error:
                if self._closed.is_set():
                    return
                if self._transport.is_stopping:
                    raise Stopped("the log was cut: the client is shutting down", reason="Stopped") from error
                raise Transient(f"the log broke off: {error}", reason="Network") from error


def open_log(transport: Transport, namespace: str, pod: str, options: LogOptions) -> PodLog:
    """Asks for a log. Raises KubeError: Refused while the container has not started."""
    request = Request("get", "pods/log", "GET", path_of(PODS, namespace, pod, "log"), options.query(), accept="*/*")
    connection, head = transport.stream(request)
    return PodLog(transport, connection, head)
