"""Parses HTTP/1.1 responses, without I/O.

CPU per request is what limits the controller. General HTTP clients parse headers as e-mail and copy bodies several
times; the responses of an API server need far less.
"""

from __future__ import annotations

import re

from pkg.apis.structs import Frozen

MAX_HEAD = 64 * 1024
_MAX_LINE = 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: .*)?")
_HEX = re.compile(rb"[0-9a-fA-F]{1,15}")
_DIGITS = re.compile(r"[0-9]{1,15}")


class FramingError(Exception):
    """The bytes on the connection are not an HTTP/1.1 response."""


class BodyTooLarge(Exception):
    """The body of a response is larger than the caller accepts."""


class Head(Frozen, frozen=True):
    """Status and headers of a response; header names are in lower case. Of several headers of one name the last counts;
    `warning` has all of them, joined by commas.

    `length` is the size of the body in bytes; None if the body is chunked or ends with the connection.
    """

    status: int
    headers: dict[str, str]
    length: int | None
    chunked: bool
    keep_alive: bool


def parse_status_line(line: bytes) -> tuple[int, int]:
    """Minor version (0 or 1) and status code of the first line, given without its line end; or FramingError."""
    matched = _STATUS_LINE.fullmatch(line)
    if matched is None:
        raise FramingError(f"not an HTTP/1.1 status line: {line[:80]!r}")
    return int(matched[1]), int(matched[2])


def parse_head(raw: bytes) -> Head:
    """Status and headers of `raw`, the bytes before the blank line; FramingError if it is malformed."""
    lines = raw.split(b"\r\n")
    minor, status = parse_status_line(lines[0])
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or name[:1] in {b" ", b"\t"}:
            raise FramingError(f"not a header line: {line[:80]!r}")
        key, text = name.decode("latin-1").lower(), value.strip().decode("latin-1")
        if key == "content-length" and headers.get(key, text) != text:
            raise FramingError("two different Content-Length headers")
        headers[key] = f"{headers[key]}, {text}" if key == "warning" and key in headers else text
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    if not chunked and "transfer-encoding" in headers:
        raise FramingError(f"unknown Transfer-Encoding {headers['transfer-encoding']!r}")
    length = None
    if status in {204, 304}:
        length, chunked = 0, False
    elif not chunked and "content-length" in headers:
        if _DIGITS.fullmatch(headers["content-length"]) is None:
            raise FramingError(f"not a Content-Length: {headers['content-length']!r}")
        length = int(headers["content-length"])
    connection = headers.get("connection", "").lower()
    # A body without chunks or length ends with the connection, so the connection cannot be reused.
    keep = connection == "keep-alive" if minor == 0 else connection != "close"
    return Head(status, headers, length, chunked, keep and (chunked or length is not None))


class Dechunker:
    """Decodes a chunked body from pieces of any size.

    `done` is set after the last chunk and its trailers; `rest` then holds the bytes behind them (normally none).
    """

    __slots__ = ("_after_data", "_left", "_trailers", "done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._left = 0
        self._after_data = False
        self._trailers = False

    def feed(self, data: bytes) -> bytes:
        """The payload bytes completed by `data`; FramingError if the chunks are malformed."""
        if self.rest:
            data = self.rest + data
        out: list[bytes] = []
        pos, end = 0, len(data)
        while not self.done:
            if self._left:
                taken = data[pos : pos + self._left]
                out.append(taken)
                pos += len(taken)
                self._left -= len(taken)
                if self._left:
                    break
                self._after_data = True
            if self._after_data:
                if end - pos < 2:
                    break
                if data[pos : pos + 2] != b"\r\n":
                    raise FramingError("a chunk is longer than its size says")
                pos += 2
                self._after_data = False
            line_end = data.find(b"\r\n", pos)
            if line_end < 0:
                if end - pos > _MAX_LINE:
                    raise FramingError("a chunk size line without end")
                break
            self._line(data[pos:line_end])
            pos = line_end + 2
        self.rest = data[pos:]
        return out[0] if len(out) == 1 else b"".join(out)

    def _line(self, line: bytes) -> None:
        if self._trailers:
            self.done = not line
            return
        size = line.partition(b";")[0].strip()
        if _HEX.fullmatch(size) is None:
            raise FramingError(f"not a chunk size: {line[:40]!r}")
        self._left = int(size, 16)
        self._trailers = self._left == 0
