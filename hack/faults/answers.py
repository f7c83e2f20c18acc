"""The answers that the lying proxy gives by itself, as bytes: some in the words of the API server, some in its own."""

from __future__ import annotations

import json

_PAGE = b"<html><head><title>no such page</title></head><body>a proxy is being redeployed</body></html>\n"


def _answer(status: str, body: bytes, content_type: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _status(code: int, phrase: str, reason: str, message: str) -> bytes:
    """As the API server writes it."""
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": {},
        "code": code,
    }
    return _answer(f"{code} {phrase}", json.dumps(document).encode(), "application/json")


def _html(code: int, phrase: str) -> bytes:
    return _answer(f"{code} {phrase}", _PAGE, "text/html")


THROTTLED = _answer("429 Too Many Requests", b"too many requests\n", "text/plain", "Retry-After: 1")
FAILED = _status(500, "Internal Server Error", "InternalError", "a lie")
NOT_SERVED = _status(404, "Not Found", "NotFound", "the server could not find the requested resource")
NO_PAGE = _html(404, "Not Found")
BAD_REQUEST = _html(400, "Bad Request")
UNPROCESSABLE = _html(422, "Unprocessable Entity")
UNAUTHORIZED = _status(401, "Unauthorized", "Unauthorized", "Unauthorized")
EMPTY_OBJECT = _answer("200 OK", b"{}", "application/json")
WELCOME = _html(200, "OK")
