"""An open watch: an iterator of JSON lines that another thread can close."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

from pkg.kube.errors import Stopped, Transient
from pkg.kube.framing import Dechunker, FramingError, Head
from pkg.kube.transport import Transport
from pkg.kube.wire import Connection

_MAX_LINE = 64 * 1024 * 1024
"""Bytes of one event; an object in etcd has 1.5 MiB at most, and several times that when it is escaped."""


class Watch:
    """Iterates over the raw JSON lines of a watch, without line ends.

    Iteration ends when the server ends the watch or `close` is called. It raises Transient if the connection broke or
    sent nothing for `read_timeout` seconds, and Stopped if the client is shutting down. One thread iterates; any thread
    may call `close`.
    """

    def __init__(self, transport: Transport, connection: Connection, head: Head, read_timeout: float) -> None:
        self._transport = transport
        self._connection = connection
        self._read_timeout = read_timeout
        self._chunks = Dechunker() if head.chunked else None
        self._lines: deque[bytes] = deque()
        self._tail: list[bytes] = []
        self._tail_size = 0
        self._ended = False
        self._closed = threading.Event()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        while not self._lines:
            if self._ended or self._closed.is_set():
                self._finish()
                raise StopIteration
            try:
                self._receive()
            except (OSError, FramingError) as error:
                self._finish()
                if self._closed.is_set():
                    break
                raise self._translated(error) from error
        if self._closed.is_set():
            raise StopIteration
        return self._lines.popleft()

    def close(self) -> None:
        """End the iteration at once; lines already received are dropped."""
        self._closed.set()
        self._transport.release(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._connection.close()

    def _finish(self) -> None:
        self._transport.release(self._connection)
        self._connection.close()

    def _receive(self) -> None:
        data = self._connection.receive(time.monotonic() + self._read_timeout)
        if not data:
            if self._chunks is None and not self._closed.is_set():
                self._ended = True
                return
            raise ConnectionResetError("the connection ended in the middle of the watch")
        if self._chunks is not None:
            data = self._chunks.feed(data)
            self._ended = self._chunks.done
        first, *more = data.split(b"\n")
        self._tail_size += len(first)
        if self._tail_size > _MAX_LINE:
            raise FramingError(f"a line of more than {_MAX_LINE} bytes")
        if not more:
            self._tail.append(first)
            return
        # Joined once at the line end: an object of a megabyte must not be copied for each of its packets.
        self._add(b"".join((*self._tail, first)))
        for line in more[:-1]:
            self._add(line)
        self._tail = [more[-1]] if more[-1] else []
        self._tail_size = len(more[-1])

    def _add(self, line: bytes) -> None:
        if line:
            self._lines.append(line)

    def _translated(self, error: Exception) -> Stopped | Transient:
        if self._transport.is_stopping:
            return Stopped("the watch was cut: the client is shutting down", reason="Stopped")
        if isinstance(error, TimeoutError):
            # Not counted as a lost connection: a watch of a kind without events is silent for that long.
            return Transient(f"the watch received nothing for {self._read_timeout:g} s", reason="Timeout")
        self._transport.note_lost()
        return Transient(f"the watch broke: {error}", reason="Network")
