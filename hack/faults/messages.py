"""Reads HTTP/1.1 requests and answers from streams, as bytes to pass on. Everything read is bounded."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

HEAD_LIMIT = 64 * 1024
_BODY_LIMIT = 64 * 1024 * 1024
_WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the controller, as it came."""

    method: str
    target: str
    raw: bytes

    def header(self, name: str) -> str:
        """The value of a header, by its name in lower case; empty if it is missing."""
        for line in self.raw.split(b"\r\n\r\n", 1)[0].split(b"\r\n")[1:]:
            key, _, value = line.decode("latin-1").partition(":")
            if key.lower() == name:
                return value.strip()
        return ""

    @property
    def is_watch(self) -> bool:
        return "watch=1" in self.target

    @property
    def is_write(self) -> bool:
        return self.method in _WRITES


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None once it has ended."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    body = await reader.readexactly(_length(head) or 0)
    method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
    return Request(method, target, head + body)


async def read_answer(reader: asyncio.StreamReader) -> bytes:
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
