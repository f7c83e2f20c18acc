"""The ASGI application: reads an AdmissionReview, has it judged in a thread, and sends the answer.

Whatever is in the body, the answer is an AdmissionReview with the verdict. HTTP errors are left for what is no review
at all (404, 405, 413, 415), and for too many requests at once (503).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import msgspec
import structlog

from pkg.serving.limits import Limits
from pkg.webhooks.review import Answer, BadReview, Request, decode, encode

Handler = Callable[[Request], Answer]
"""Judges one request. It is called in several threads at once, and does not raise on a user's input."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Message], Any]

OTHER_PATH: Final = "other"
"""How metrics name every path without a handler: clients choose paths, and must not choose labels."""
_RETRY_AFTER_SECONDS: Final = 1
_log = structlog.get_logger("webhook")


class Observer(Protocol):
    """Counts requests."""

    def answered(self, path: str, *, allowed: bool, code: int, seconds: float) -> None:
        """A request was answered after `seconds`; `code` is that of the verdict, or the HTTP status of an error."""


class _Uid(msgspec.Struct, frozen=True):
    uid: str = ""


class _Envelope(msgspec.Struct, frozen=True):
    request: _Uid = _Uid()


_envelope: Final = msgspec.json.Decoder(_Envelope)


class _HttpError(Exception):
    """The request is answered with an HTTP status and a sentence."""

    def __init__(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


class Application:
    """One handler per path. `is_draining` makes every answer ask the client to connect anew, elsewhere."""

    def __init__(self, handlers: Mapping[str, Handler], limits: Limits, observer: Observer) -> None:
        self._handlers = dict(handlers)
        self._limits = limits
        self._observer = observer
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="judge")
        self._buffered = 0
        self._running = 0
        self.is_draining = False

    @property
    def running(self) -> int:
        """How many bodies are judged, or wait for a thread."""
        return self._running

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        began = time.monotonic()
        path = scope["path"] if scope["path"] in self._handlers else OTHER_PATH
        body = _Body(receive, self)
        status, close = 200, False
        headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)
        try:
            handler = self._check(scope)
            if await body.read(_content_length(scope)) is None:
                return  # the client has gone
            answer, text = await self._judged(path, handler, body)
        except _HttpError as error:
            _log.warning("request refused", path=scope["path"][:200], code=error.status, reason=str(error))
            answer, text = Answer(allowed=False, code=error.status), f"{error}\n".encode()
            status, close = error.status, True
            headers = (*error.headers, (b"content-type", b"text/plain; charset=utf-8"))
        finally:
            body.release()
        # Before it is sent: whoever has the answer finds it counted.
        self._observer.answered(path, allowed=answer.allowed, code=answer.code, seconds=time.monotonic() - began)
        await self._send(send, status, text, headers, close=close or self.is_draining)

    def _check(self, scope: Scope) -> Handler:
        """The handler of a request whose header is as it should be. Raises _HttpError."""
        handler = self._handlers.get(scope["path"])
        if handler is None:
            raise _HttpError(404, f"not found; there is {' and '.join(sorted(self._handlers))}")
        if scope["method"] != "POST":
            raise _HttpError(405, "the method must be POST", (b"allow", b"POST"))
        media_type = _header(scope, b"content-type").split(b";")[0].strip().lower()
        if media_type != b"application/json":
            raise _HttpError(415, "the Content-Type must be application/json")
        return handler

    async def _judged(self, path: str, handler: Handler, body: _Body) -> tuple[Answer, bytes]:
        if self._running >= self._limits.requests:
            raise _overload(f"{self._running} requests are being judged")
        self._running += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, _judge, path, handler, body.take())
        finally:
            self._running -= 1

    async def _send(
        self, send: Send, status: int, text: bytes, headers: tuple[tuple[bytes, bytes], ...], *, close: bool
    ) -> None:
        length = (b"content-length", str(len(text)).encode())
        ending = ((b"connection", b"close"),) if close else ()
        await send({"type": "http.response.start", "status": status, "headers": [*headers, length, *ending]})
        await send({"type": "http.response.body", "body": text})


class _Body:
    """The body of one request, bounded by itself and together with all others."""

    def __init__(self, receive: Receive, app: Application) -> None:
        self._receive = receive
        self._app = app
        self._parts: list[bytes] = []
        self._size = 0

    async def read(self, announced: int) -> bool | None:
        """True when it is complete, None if the client went away. Raises _HttpError.

        What is refused is read on for a while and dropped: a client that is still sending does not see an answer.
        """
        limit, size = self._app._limits.body_bytes, 0
        refusal = _too_large(limit) if announced > limit else None
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                return None
            size += len(message["body"])
            refusal = refusal or self._keep(message["body"])
            if refusal is not None:
                self.release()
                if size > 2 * limit or announced > 2 * limit or not message["more_body"]:
                    raise refusal
            elif not message["more_body"]:
                return True

    def take(self) -> bytes:
        """The whole of it."""
        whole = b"".join(self._parts)
        self._parts.clear()
        return whole

    def release(self) -> None:
        """Forget it, and give back its room."""
        self._app._buffered -= self._size
        self._size = 0
        self._parts.clear()

    def _keep(self, part: bytes) -> _HttpError | None:
        """Takes a part, or says why not."""
        limits = self._app._limits
        if self._size + len(part) > limits.body_bytes:
            return _too_large(limits.body_bytes)
        if self._app._buffered + len(part) > limits.buffered_bytes:
            return _overload("the bodies of all requests exceed the memory for them")
        self._app._buffered += len(part)
        self._size += len(part)
        self._parts.append(part)
        return None


def _judge(path: str, handler: Handler, body: bytes) -> tuple[Answer, bytes]:
    """The verdict, and the body that carries it; never raises."""
    try:
        request = decode(body)
    except BadReview as error:
        _log.warning("request is no AdmissionReview", path=path, reason=str(error))
        answer = Answer(allowed=False, message=f"the request is no AdmissionReview of this webhook: {error}", code=400)
        return answer, encode(_uid(body), answer)
    try:
        answer = handler(request)
        return answer, encode(request.uid, answer)
    except Exception as error:
        where = {"kind": request.kind, "namespace": request.namespace, "name": request.name}
        _log.exception("handler failed", path=path, operation=str(request.operation), uid=request.uid, **where)
        message = f"the webhook failed ({type(error).__name__}); this is a fault of the webhook, and its log says more"
        answer = Answer(allowed=False, message=message, code=500)
        return answer, encode(request.uid, answer)


def _uid(body: bytes) -> str:
    """The uid that an answer has to repeat, if it can be found."""
    try:
        return _envelope.decode(body).request.uid[:256]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _too_large(limit: int) -> _HttpError:
    return _HttpError(413, f"the body must have at most {limit} bytes")


def _overload(reason: str) -> _HttpError:
    retry_after = (b"retry-after", str(_RETRY_AFTER_SECONDS).encode())
    return _HttpError(503, f"too many requests at once: {reason}; try again", retry_after)


def _header(scope: Scope, name: bytes) -> bytes:
    return next((bytes(value) for key, value in scope["headers"] if key == name), b"")


def _content_length(scope: Scope) -> int:
    """The announced size; 0 if it is not announced. The parser has checked that it is a number."""
    text = _header(scope, b"content-length")
    return int(text) if text.isdigit() else 0
