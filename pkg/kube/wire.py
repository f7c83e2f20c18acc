"""One keep-alive connection to the API server.

Sockets that do not block, with usually one `send`, one `poll` and one `recv` per call: this measured cheaper than
general HTTP clients. Each system call lets another thread run, which then has to be waited for. Every wait has a
deadline, and another thread can `cut` it.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterable
from ssl import SSLContext, SSLWantReadError, SSLWantWriteError

from pkg.apis.structs import Frozen
from pkg.kube.dialing import Dialer, Race
from pkg.kube.framing import MAX_HEAD, BodyTooLarge, Dechunker, FramingError, Head, parse_head
from pkg.kube.resolving import Address
from pkg.kube.tls import TlsContexts

_READABLE = select.POLLIN | getattr(select, "POLLRDHUP", 0)
_RECV = 16 * 1024
"""The size of a TLS record."""
_WOULD_BLOCK = (BlockingIOError, SSLWantReadError, SSLWantWriteError)


class Endpoint(Frozen, frozen=True):
    """The address of the API server and the way to it.

    `tls` holds the context for a new connection (None: plain HTTP); each connection asks for it, because certificates
    rotate. `proxy` is (host, port, extra headers) of an HTTP proxy that accepts CONNECT.
    """

    host: str
    port: int
    server_name: str
    tls: TlsContexts | None
    proxy: tuple[str, int, bytes] | None = None

    def dialer(self) -> Dialer:
        """A new dialer of the server, or of the proxy in front of it."""
        host, port = (self.host, self.port) if self.proxy is None else self.proxy[:2]
        return Dialer(host, port)


class Connection:
    """A connection for one thread at a time; only `cut` may be called from another."""

    def __init__(self, endpoint: Endpoint, dialer: Dialer | None = None, patience: float = 0.0) -> None:
        """`patience`: seconds for the other side's kernel to acknowledge what was sent; 0: as the system has it."""
        self._endpoint = endpoint
        self._patience = patience
        self._dialer = dialer or endpoint.dialer()
        self._sock: socket.socket | None = None
        self._poll: select.poll | None = None
        self._dialing: list[socket.socket] = []
        self._lock = threading.Lock()
        self._buffer = b""
        self._is_cut = False
        self.answered = False
        """Whether any byte of the response to the current request came."""
        self.reusable = False
        self.idle_since = 0.0
        self.received_at = 0.0
        """When it last received anything, in seconds of `time.monotonic`."""
        self.address: Address | None = None
        """The address that it is connected to."""
        self.identity = 0
        """The identity of the TLS context that it was made with; 0 for plain HTTP."""
        self.is_kept = False
        """Whether it has served a call before the current one."""

    def open(self, deadline: float) -> None:
        """Connect, through the proxy if there is one, and do the TLS handshake; OSError on failure, TLS included.

        Of several addresses the next one is tried when one fails or is silent for its share of the time.
        """
        try:
            self._open(deadline)
        except BaseException as error:
            self.close()
            if isinstance(error, ValueError) and not isinstance(error, OSError):
                # A host name that is impossible in a certificate.
                raise OSError(f"cannot connect to {self._dialer.host!r}: {error}") from error
            raise

    def _open(self, deadline: float) -> None:
        context = None
        if self._endpoint.tls is not None:
            context, self.identity = self._endpoint.tls.current()
        left = self._dialer.addresses(deadline, lambda: self._is_cut)
        while True:
            sock, address, left = self._connect(left, deadline)
            now = time.monotonic()
            try:
                self._set_up(sock, context, now + (deadline - now) / (len(left) + 1))
            except BaseException as error:
                self.close()
                self._dialer.failed(address)
                if self._is_cut or not left or not isinstance(error, OSError | FramingError):
                    raise
            else:
                self._dialer.worked(address)
                self.address = address
                return

    def _connect(self, addresses: list[Address], deadline: float) -> tuple[socket.socket, Address, list[Address]]:
        """A connected socket, its address, and the addresses that may be tried if it turns out to be useless."""
        race = Race(addresses, deadline, self._track)
        try:
            sock, address = race.run()
        finally:
            with self._lock:
                self._dialing.clear()
        for loser in (*race.failed, *race.slow):
            self._dialer.failed(loser)
        self._adopt(sock)
        out = {address, *race.failed, *race.slow}
        return sock, address, [other for other in addresses if other not in out] + race.slow

    def _set_up(self, sock: socket.socket, context: SSLContext | None, deadline: float) -> None:
        """Everything between the TCP connection and the first request."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _keep_alive(sock, self._patience)
        if self._endpoint.proxy is not None:
            self._tunnel(sock, self._endpoint.proxy[2], deadline)
        if context is not None:
            sock.settimeout(_left(deadline))
            # Wrapping moves the socket into a new object; `cut` must know it before the handshake blocks.
            secure = context.wrap_socket(
                sock, server_hostname=self._endpoint.server_name, do_handshake_on_connect=False
            )
            self._adopt(secure)
            secure.do_handshake()
        self._go_on_without_blocking()

    def _go_on_without_blocking(self) -> None:
        sock = self._require()
        sock.settimeout(0)
        self._poll = select.poll()
        self._poll.register(sock, _READABLE)

    def start(self, request: bytes, deadline: float) -> Head:
        """Send a request and read the head of the response; read its body with `finish`, `body` or `receive`."""
        self.answered = self.reusable = False
        failed: OSError | None = None
        try:
            self._send(request, deadline)
        except TimeoutError:
            raise
        except OSError as error:
            # A server that refuses a large body responds before it has read all of it, so a response may be there.
            failed = error
        try:
            head = self._read_head(deadline)
            while head.status < 200:
                head = self._read_head(deadline)
        except OSError as error:
            if failed is None:
                raise
            raise failed from error
        return head

    def finish(self, head: Head, deadline: float, max_body: int) -> bytes:
        """The body of the response whose head `start` returned; the connection may be used again if it is `reusable`.

        OSError or FramingError if the connection failed, BodyTooLarge if the body has more than `max_body` bytes.
        """
        body = self.body(head, deadline, max_body)
        self.reusable = head.keep_alive and not self._buffer and not self._is_cut
        return body

    def body(self, head: Head, deadline: float, max_size: int) -> bytes:
        """The whole body of the response whose head was just read; BodyTooLarge above `max_size` bytes."""
        if head.chunked:
            return self._read_chunks(deadline, max_size)
        if head.length is None:
            return self._read_to_end(deadline, max_size)
        if head.length > max_size:
            raise BodyTooLarge
        return self._read_length(head.length, deadline)

    def receive(self, deadline: float) -> bytes:
        """The next bytes of the response, empty at the end of the connection; TimeoutError at the deadline."""
        if self._buffer:
            taken, self._buffer = self._buffer, b""
            return taken
        data = self._recv(deadline)
        self.received_at = time.monotonic()
        return data

    def is_stale(self) -> bool:
        """Whether an idle connection is unusable: closed by the server, or with unexpected bytes to read."""
        return self._sock is None or self._poll is None or self._is_cut or bool(self._poll.poll(0))

    def cut(self) -> None:
        """Interrupt the connection from any thread; the thread that uses it gets an OSError at once."""
        with self._lock:
            self._is_cut = True
            for sock in (*self._dialing, *(() if self._sock is None else (self._sock,))):
                # Not SSLSocket.shutdown: it discards the TLS state that the reading thread still uses.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket; the connection cannot be used again."""
        with self._lock:
            sock, self._sock = self._sock, None
            self._poll = None
            self._buffer = b""
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()

    def _track(self, sock: socket.socket) -> None:
        with self._lock:
            if self._is_cut:
                raise ConnectionAbortedError("the connection was cut")
            self._dialing.append(sock)

    def _adopt(self, sock: socket.socket) -> None:
        with self._lock:
            self._sock = sock
            if self._is_cut:
                raise ConnectionAbortedError("the connection was cut")

    def _tunnel(self, sock: socket.socket, extra: bytes, deadline: float) -> None:
        host = f"[{self._endpoint.host}]" if ":" in self._endpoint.host else self._endpoint.host
        authority = f"{host}:{self._endpoint.port}".encode("latin-1")
        sock.settimeout(_left(deadline))
        sock.sendall(b"CONNECT " + authority + b" HTTP/1.1\r\nHost: " + authority + b"\r\n" + extra + b"\r\n")
        head = self._read_head(deadline)
        if not 200 <= head.status < 300:
            raise ConnectionRefusedError(f"the proxy answered CONNECT with {head.status}")
        if self._buffer:
            raise FramingError("the proxy sent more than the answer to CONNECT")

    def _require(self) -> socket.socket:
        if self._sock is None or self._is_cut:
            raise ConnectionAbortedError("the connection was cut")
        return self._sock

    def _send(self, data: bytes, deadline: float) -> None:
        """All of it; TimeoutError at the deadline."""
        left = memoryview(data)
        while True:
            _left(deadline)
            try:
                count = self._require().send(left)
            except _WOULD_BLOCK as error:
                self._wait(_awaited(error, select.POLLOUT), deadline)
                continue
            if count == len(left):
                return
            left = left[count:]

    def _recv(self, deadline: float) -> bytes:
        """What comes next, empty at the end of the connection; TimeoutError at the deadline."""
        awaited = _READABLE
        while True:
            # Nothing waits in the TLS layer: a `recv` takes at least a whole record, and no other is read ahead.
            self._wait(awaited, deadline)
            try:
                return self._require().recv(_RECV)
            except _WOULD_BLOCK as error:
                awaited = _awaited(error, _READABLE)

    def _wait(self, awaited: int, deadline: float) -> None:
        """Waits until the socket can be read or written; TimeoutError at the deadline."""
        sock, poll = self._require(), self._poll
        if poll is None or awaited != _READABLE:
            poll = select.poll()
            try:
                poll.register(sock, awaited)
            except ValueError as error:
                raise ConnectionAbortedError("the connection was closed") from error
        if not poll.poll(1000 * _left(deadline)):
            raise TimeoutError("the deadline of the call has passed")

    def _more(self, deadline: float) -> None:
        data = self._recv(deadline)
        if not data:
            raise ConnectionResetError("the server closed the connection before its answer was complete")
        self.answered = True
        self.received_at = time.monotonic()
        self._buffer = self._buffer + data if self._buffer else data

    def _read_head(self, deadline: float) -> Head:
        if not self._buffer:
            self._more(deadline)
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > MAX_HEAD:
                raise FramingError(f"an answer's head of more than {MAX_HEAD} bytes")
            self._more(deadline)
        raw, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return parse_head(raw)

    def _read_length(self, length: int, deadline: float) -> bytes:
        if len(self._buffer) >= length:
            body, self._buffer = self._buffer[:length], self._buffer[length:]
            return body
        # Received in place: a list of megabytes must not be copied piece by piece.
        body_buffer = bytearray(length)
        view = memoryview(body_buffer)
        filled = len(self._buffer)
        view[:filled] = self._buffer
        self._buffer = b""
        while filled < length:
            # Read before it is waited for: less than a whole record may have been taken.
            _left(deadline)
            try:
                count = self._require().recv_into(view[filled:])
            except _WOULD_BLOCK as error:
                self._wait(_awaited(error, _READABLE), deadline)
                continue
            if not count:
                raise ConnectionResetError("the server closed the connection in the middle of a body")
            filled += count
        return bytes(body_buffer)

    def _read_chunks(self, deadline: float, max_size: int) -> bytes:
        chunks = Dechunker()
        parts: list[bytes] = []
        size = 0
        while not chunks.done:
            if not self._buffer:
                self._more(deadline)
            data, self._buffer = self._buffer, b""
            parts.append(chunks.feed(data))
            size += len(parts[-1])
            if size > max_size:
                raise BodyTooLarge
        self._buffer = chunks.rest
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_to_end(self, deadline: float, max_size: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while data := self.receive(deadline):
            parts.append(data)
            size += len(data)
            if size > max_size:
                raise BodyTooLarge
        return b"".join(parts)


def header_lines(headers: Iterable[tuple[str, str]]) -> bytes:
    """Encoded header lines; ValueError if a name or value contains a line break."""
    lines = []
    for name, value in headers:
        if any(char in name + value for char in "\r\n\0"):
            raise ValueError(f"header {name} contains a line break")
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines).encode("latin-1")


def _awaited(error: OSError, usual: int) -> int:
    """What to wait for after an operation that would have blocked: TLS may have to read in order to write."""
    if isinstance(error, SSLWantReadError):
        return _READABLE
    return select.POLLOUT if isinstance(error, SSLWantWriteError) else usual


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline of the call has passed")
    return left


def _keep_alive(sock: socket.socket, patience: float) -> None:
    """Detect a dead peer: at once when it does not acknowledge a request, else within about a minute."""
    if patience and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(patience * 1000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
