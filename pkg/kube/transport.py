"""Sends requests over a pool of connections: rate limit, deadlines, retries, shutdown.

Every error of the lower layers becomes one of `pkg.kube.errors` here.
"""

from __future__ import annotations

import errno
import ssl
import threading
import time
from collections.abc import Callable

from pkg.apis.structs import Frozen
from pkg.kube.config import ClientConfig, ConfigError
from pkg.kube.errors import KubeError, Stopped, Transient, Unauthorized, translate
from pkg.kube.framing import BodyTooLarge, FramingError, Head
from pkg.kube.limiter import TokenBucket
from pkg.kube.pool import Pool
from pkg.kube.wire import Connection, header_lines

_CONNECT_SECONDS = 5.0
MAX_BODY = 256 * 1024 * 1024
"""Bytes of a response that are accepted unless the request says otherwise."""

Observer = Callable[[str, str, int, float], None]
"""(verb, resource, HTTP status or 0 without an answer, seconds)."""


class Request(Frozen, frozen=True):
    """One HTTP request. `verb` and `resource` label it in metrics; a response above `max_body` bytes is an error.

    `on_warning` is called with the value of the `Warning` header of the response, if there is one, also of an error.
    """

    verb: str
    resource: str
    method: str
    path: str
    query: str = ""
    body: bytes = b""
    content_type: str = "application/json"
    accept: str = "application/json"
    max_body: int = MAX_BODY
    on_warning: Callable[[str], None] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Transport:
    """Sends requests from any number of threads; one deadline covers a whole call.

    It keeps at most `pool_size` idle connections. If the server has closed an idle connection, or is silent on it while
    it has another address, the call is repeated once on a new one, provided no byte of a response came. That is safe
    for our writes: names are deterministic, and updates carry the resourceVersion that they were computed from.
    """

    def __init__(
        self, config: ClientConfig, *, user_agent: str, pool_size: int, timeout: float, qps: float, burst: int
    ) -> None:
        self._config = config
        self._endpoint = config.endpoint()
        self._pool = Pool(self._endpoint, size=pool_size, patience=timeout / 2)
        self._base = config.base_path
        self._timeout = timeout
        default_port = 443 if self._endpoint.tls else 80
        host = f"[{self._endpoint.host}]" if ":" in self._endpoint.host else self._endpoint.host
        authority = host if self._endpoint.port == default_port else f"{host}:{self._endpoint.port}"
        self._fixed = header_lines([("Host", authority), ("User-Agent", user_agent), *config.headers])
        self._bucket = TokenBucket(qps, burst or max(1, round(qps))) if qps > 0 else None
        self._observers: tuple[Observer, ...] = ()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)  # notified while `drain` waits, as a call ends
        self._in_flight = 0
        self._stopping = threading.Event()
        self._may_write: Callable[[], bool] = lambda: True

    def guard(self, may_write: Callable[[], bool]) -> None:
        """Call this right before each write, repeated ones too; the write raises Stopped if it returns False."""
        self._may_write = may_write

    @property
    def server(self) -> str:
        """The server's URL, for messages."""
        return self._config.shown_server

    def add_observer(self, observer: Observer) -> None:
        """Report each finished call to `observer`, in the thread of the caller; it must not raise."""
        self._observers = (*self._observers, observer)

    def call(self, request: Request, timeout: float | None = None) -> bytes:
        """The body of a successful response; KubeError otherwise."""
        self._begin()
        started = time.monotonic()
        code = 0
        try:
            limit = timeout or self._timeout
            head, body = self._attempts(request, started + limit, limit)
            code = head.status
        except KubeError as error:
            code = error.status or 0
            raise
        finally:
            self._end()
            elapsed = time.monotonic() - started
            for observer in self._observers:
                observer(request.verb, request.resource, code, elapsed)
        if request.on_warning is not None and (warning := head.headers.get("warning")):
            request.on_warning(warning)
        if 200 <= code < 300:
            return body
        raise translate(code, body, head.headers)

    def stream(self, request: Request) -> tuple[Connection, Head]:
        """Open a stream: a connection of its own, and the head of a successful response; KubeError otherwise.

        The caller reads the body and ends the stream with `release`. `drain` does not wait for streams.
        """
        self._begin()
        started = time.monotonic()
        code = 0
        try:
            connection, head = self._open_stream(request, started + self._timeout)
            code = head.status
        except KubeError as error:
            code = error.status or 0
            raise
        finally:
            self._end()
            elapsed = time.monotonic() - started
            for observer in self._observers:
                observer(request.verb, request.resource, code, elapsed)
        return connection, head

    def release(self, connection: Connection) -> None:
        """End the connection of a stream."""
        self._pool.end_stream(connection)

    def drain(self, seconds: float) -> None:
        """Start no new call; wait at most `seconds` for calls in flight, then cut them. Streams end at once."""
        deadline = time.monotonic() + seconds
        with self._lock:
            self._stopping.set()
        self._pool.stop()
        with self._lock:
            while self._in_flight and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
        self.abort()

    def abort(self) -> None:
        """Start no new call, and cut the calls in flight at once."""
        with self._lock:
            self._stopping.set()
        self._pool.abort()

    @property
    def is_stopping(self) -> bool:
        """Whether `drain` or `abort` was called."""
        return self._stopping.is_set()

    @property
    def connection_lost_at(self) -> float:
        """When a connection last failed or broke, in seconds of `time.monotonic`; -inf if never."""
        return self._pool.connection_lost_at

    def note_lost(self) -> None:
        """The connection of a stream broke."""
        self._pool.note_lost()

    def _begin(self) -> None:
        if self._bucket is not None and (wait := self._bucket.reserve(time.monotonic())) > 0:
            self._stopping.wait(wait)
        with self._lock:
            if self._stopping.is_set():
                raise Stopped("not sent: the client is shutting down", reason="Stopped")
            self._in_flight += 1

    def _end(self) -> None:
        with self._lock:
            self._in_flight -= 1
            if self._stopping.is_set():
                self._changed.notify_all()

    def _attempts(self, request: Request, deadline: float, limit: float) -> tuple[Head, bytes]:
        try:
            sent = self._config.credentials.authorization()
            is_write = request.method != "GET"
            connection, head, body = self._exchange(self._encode(request, sent), deadline, is_write, request.max_body)
            if _is_unauthorized(head, body) and self._renew(sent, connection):
                fresh = self._config.credentials.authorization()
                connection = self._pool.new()
                head, body = self._use(connection, self._encode(request, fresh), deadline, is_write, request.max_body)
        except (OSError, FramingError, BodyTooLarge, ConfigError) as error:
            raise self._translated(request, error, limit, self._pool.is_aborted) from error
        return head, body

    def _renew(self, sent: str, connection: Connection) -> bool:
        """Renew the credentials that the server refused; whether another try has a chance."""
        credentials, tls = self._config.credentials, self._endpoint.tls
        if credentials.authorization() == sent:  # else another thread has renewed them already
            credentials.invalidate()
        has_certificate = False
        if tls is not None:
            tls.refresh()
            tls.identity()
            has_certificate = tls.has_certificate
        if has_certificate:
            # The server judges the certificate of a connection anew for each request.
            self._pool.forget()
        is_fresh = credentials.authorization() != sent or self._pool.identity() != connection.identity
        return is_fresh or (has_certificate and connection.is_kept)

    def _exchange(self, data: bytes, deadline: float, is_write: bool, max_body: int) -> tuple[Connection, Head, bytes]:
        kept = self._pool.take()
        if kept is not None:
            now = time.monotonic()
            begin_by = now + (deadline - now) / 2 if self._pool.has_others(kept) else deadline
            try:
                return kept, *self._use(kept, data, deadline, is_write, max_body, begin_by)
            except OSError as error:
                is_over = _is_deadline(error) and begin_by == deadline
                if kept.answered or self._pool.is_aborted or is_over:
                    raise
                self._pool.note_lost()
                if not isinstance(error, TimeoutError):
                    self._pool.forget()
        fresh = self._pool.new()
        return fresh, *self._use(fresh, data, deadline, is_write, max_body)

    def _use(
        self,
        connection: Connection,
        data: bytes,
        deadline: float,
        is_write: bool,
        max_body: int,
        begin_by: float | None = None,
    ) -> tuple[Head, bytes]:
        """One exchange on a connection that is registered as busy; afterwards it is idle or closed.

        The response must begin until `begin_by` and be complete at the deadline.
        """
        started = time.monotonic()
        keep = False
        try:
            if not connection.is_kept:
                connection.open(min(deadline, started + _CONNECT_SECONDS))
            if is_write and not self._may_write():
                keep = connection.is_kept  # nothing was sent on it
                raise Stopped("not sent: this process may not write now", reason="Stopped")
            head = connection.start(data, begin_by or deadline)
            body = connection.finish(head, deadline, max_body)
            keep = connection.reusable and head.status != 401
        except TimeoutError:
            self._pool.fell_silent(connection, started)
            raise
        finally:
            self._pool.give_back(connection, keep=keep)
        return head, body

    def _encode(self, request: Request, authorization: str) -> bytes:
        query = f"?{request.query}" if request.query else ""
        head = f"{request.method} {self._base}{request.path}{query} HTTP/1.1\r\nAccept: {request.accept}\r\n"
        if authorization:
            head += f"Authorization: {authorization}\r\n"
        if request.body:
            head += f"Content-Type: {request.content_type}\r\nContent-Length: {len(request.body)}\r\n"
        elif request.method not in {"GET", "HEAD"}:
            head += "Content-Length: 0\r\n"
        return b"".join((head.encode("latin-1", "replace"), self._fixed, b"\r\n", request.body))

    def _open_stream(self, request: Request, deadline: float) -> tuple[Connection, Head]:
        try:
            sent = self._config.credentials.authorization()
            connection, head, body = self._start_stream(request, sent, deadline)
            if _is_unauthorized(head, body) and self._renew(sent, connection):
                fresh = self._config.credentials.authorization()
                connection, head, body = self._start_stream(request, fresh, deadline)
        except (OSError, FramingError, BodyTooLarge, ConfigError) as error:
            raise self._translated(request, error, self._timeout, self._stopping.is_set()) from error
        if not 200 <= head.status < 300:
            raise translate(head.status, body, head.headers)
        return connection, head

    def _start_stream(self, request: Request, authorization: str, deadline: float) -> tuple[Connection, Head, bytes]:
        """A new connection, the head of the response, and its body if it is an error; the connection is closed then."""
        started = time.monotonic()
        connection = self._pool.new_stream()
        is_open = False
        try:
            connection.open(min(deadline, started + _CONNECT_SECONDS))
            head = connection.start(self._encode(request, authorization), deadline)
            is_open = 200 <= head.status < 300
            return connection, head, b"" if is_open else connection.body(head, deadline, MAX_BODY)
        except TimeoutError:
            self._pool.fell_silent(connection, started)
            raise
        finally:
            if not is_open:
                self.release(connection)
                connection.close()

    def _translated(self, request: Request, error: Exception, timeout: float, was_cut: bool) -> KubeError:
        if was_cut:
            return Stopped(f"{request} was cut: the client is shutting down", reason="Stopped")
        where = f"{request} at {self.server}"
        if isinstance(error, ConfigError):
            return Unauthorized(f"{where}: {error}", reason="Credentials")
        if isinstance(error, BodyTooLarge):
            return Transient(f"{where}: the response is too large", reason="TooLarge")
        self._pool.note_lost()
        if isinstance(error, FramingError):
            return Transient(f"{where}: the response is not HTTP: {error}", reason="Malformed")
        if _is_deadline(error):
            return Transient(f"{where}: no answer within {timeout:g} s", reason="Timeout")
        if isinstance(error, ssl.SSLError):
            return Transient(f"{where}: TLS failed: {error}", reason="TLS")
        return Transient(f"{where}: {getattr(error, 'strerror', None) or error}", reason="Network")


def _is_unauthorized(head: Head, body: bytes) -> bool:
    """Whether the credentials were refused: an admission webhook or policy may deny with 401, too."""
    return head.status == 401 and isinstance(translate(401, body, head.headers), Unauthorized)


def _is_deadline(error: Exception) -> bool:
    """Whether the time of the call is up. The kernel's own time-out is another: the peer acknowledges nothing."""
    return isinstance(error, TimeoutError) and error.errno != errno.ETIMEDOUT
