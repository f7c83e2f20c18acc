"""The connections of a client: idle ones to use again, busy ones, and streams.

An idle connection is used again only while it can be trusted: it is open, made with the current certificates, and its
address has not fallen silent meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from pkg.kube.wire import Connection, Endpoint

_IDLE_SECONDS = 55.0
"""Idle connections are closed after this time, before the API server or a proxy closes them (60 s or later)."""


class Pool:
    """Keeps at most `size` idle connections to `endpoint`. Thread-safe.

    `patience` is how long, in seconds, the server's kernel may take to acknowledge what was sent.
    """

    def __init__(self, endpoint: Endpoint, *, size: int, patience: float) -> None:
        self._endpoint = endpoint
        self._dialer = endpoint.dialer()
        self._size = size
        self._patience = patience
        self._lock = threading.Lock()
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()
        self._streams: set[Connection] = set()
        self._is_stopping = False
        self._is_aborted = False
        self.connection_lost_at = float("-inf")
        """When a connection last failed or broke, in seconds of `time.monotonic`."""

    @property
    def is_stopping(self) -> bool:
        """Whether no new stream may be opened, and no connection is kept any more."""
        return self._is_stopping

    @property
    def is_aborted(self) -> bool:
        """Whether all connections were cut, and no new one may be made."""
        return self._is_aborted

    def identity(self) -> int:
        """The identity of the current certificates; 0 for plain HTTP."""
        return 0 if self._endpoint.tls is None else self._endpoint.tls.identity()

    def new(self) -> Connection:
        """A connection, not yet open, that is registered as busy; ConnectionAbortedError after `abort`."""
        connection = Connection(self._endpoint, self._dialer, self._patience)
        with self._lock:
            if self._is_aborted:
                raise ConnectionAbortedError("the client was stopped")
            self._busy.add(connection)
        return connection

    def new_stream(self) -> Connection:
        """A connection, not yet open, for a stream; ConnectionAbortedError while the client is shutting down."""
        connection = Connection(self._endpoint, self._dialer, self._patience)
        with self._lock:
            if self._is_stopping:
                raise ConnectionAbortedError("the client was stopped")
            self._streams.add(connection)
        return connection

    def take(self) -> Connection | None:
        """The most recently used idle connection that is still good, now registered as busy; None if there is none."""
        identity = self.identity()
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
                self._busy.add(connection)
                connection.is_kept = True
            if connection.identity != identity:
                self.forget(lambda idle: idle.identity != identity)
            elif time.monotonic() - connection.idle_since < _IDLE_SECONDS:
                if not connection.is_stale():
                    return connection
                self.note_lost()
            self.give_back(connection, keep=False)

    def give_back(self, connection: Connection, *, keep: bool) -> None:
        """A busy connection is not used any more; it becomes idle if `keep` and there is room, and is closed if not."""
        with self._lock:
            self._busy.discard(connection)
            keep = keep and not self._is_stopping and len(self._idle) < self._size
            if keep:
                connection.idle_since = time.monotonic()
                self._idle.append(connection)
        if not keep:
            connection.close()

    def end_stream(self, connection: Connection) -> None:
        """End the connection of a stream."""
        connection.cut()
        with self._lock:
            self._streams.discard(connection)

    def forget(self, is_dead: Callable[[Connection], bool] = lambda _: True) -> None:
        """Close idle connections, by default all: a server that dropped one has most likely restarted."""
        with self._lock:
            dropped = [connection for connection in self._idle if is_dead(connection)]
            self._idle = deque(connection for connection in self._idle if connection not in dropped)
        for connection in dropped:
            connection.close()

    def fell_silent(self, connection: Connection, since: float) -> None:
        """Avoid the address of a connection that got no response, and drop what may be as dead as this connection.

        A connection that has received something since then has shown that it is alive. Streams are cut only where there
        is another address to turn to.
        """
        address = connection.address
        if address is None:
            return
        self._dialer.failed(address)
        self.forget(lambda idle: idle.address == address and idle.received_at < since)
        if self._dialer.has_others(address):
            with self._lock:
                doomed = [stream for stream in self._streams if stream.address == address]
            for stream in doomed:
                if stream.received_at < since:
                    stream.cut()

    def has_others(self, connection: Connection) -> bool:
        """Whether the server has another address than that of the connection."""
        return connection.address is not None and self._dialer.has_others(connection.address)

    def note_lost(self) -> None:
        """A connection failed, or broke, before its response was complete or while it was idle."""
        if not self._is_stopping:
            self.connection_lost_at = time.monotonic()

    def stop(self) -> None:
        """Keep no connection any more and cut the streams."""
        with self._lock:
            self._is_stopping = True
            streams = tuple(self._streams)
        for stream in streams:
            stream.cut()

    def abort(self) -> None:
        """Cut all connections and make no new one."""
        with self._lock:
            self._is_stopping = self._is_aborted = True
            to_cut = (*self._busy, *self._streams)
            to_close = tuple(self._idle)
            self._idle.clear()
        for connection in to_cut:
            connection.cut()
        for connection in to_close:
            connection.close()
