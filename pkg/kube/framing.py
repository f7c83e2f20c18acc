"""HTTP/1.1 answers, taken apart without any I/O.

The controller's CPU is mostly spent per request, and general clients parse headers as e-mail and copy bodies several
times; what an API server sends needs far less. Being pure, every odd frame is a row in a table test.
"""

from __future__ import annotations

import re

import msgspec

MAX_HEAD = 64 * 1024
_MAX_LINE = 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: .*)?")
_HEX = re.compile(rb"[0-9a-fA-F]{1,15}")
_DIGITS = re.compile(r"[0-9]{1,15}")


class FramingError(Exception):
    """What came over the connection is not an HTTP/1.1 answer."""


class Head(msgspec.Struct, frozen=True):
    """Status and headers of an answer; header names in lower case.

    `length` is the body's size in bytes, None if chunked or delimited by the end of the connection.
    """

    status: int
    headers: dict[str, str]
    length: int | None
    chunked: bool
    keep_alive: bool


def parse_status_line(line: bytes) -> tuple[int, int]:
    """Minor version (0 or 1) and status of an answer's first line, without its line end; FramingError if malformed."""
    matched = _STATUS_LINE.fullmatch(line)
    if matched is None:
        raise FramingError(f"not an HTTP/1.1 status line: {line[:80]!r}")
    return int(matched[1]), int(matched[2])


def parse_head(raw: bytes) -> Head:
    """Read status line and headers, `raw` being everything before the blank line; FramingError if it is malformed."""
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
        headers[key] = text
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
    # Without chunks or a length the body ends with the connection, which then cannot be used again.
    keep = connection == "keep-alive" if minor == 0 else connection != "close"
    return Head(status, headers, length, chunked, keep and (chunked or length is not None))


class Dechunker:
    """Turns the bytes of a chunked body, cut anywhere, into the body's own bytes.

    `done` is set once the last chunk and its trailers came; `rest` then holds what followed (normally nothing).
    """

    __slots__ = ("_after_data", "_left", "_trailers", "done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._left = 0
        self._after_data = False
        self._trailers = False

    def feed(self, data: bytes) -> bytes:
        """The payload that can be told by now; FramingError if the chunking is broken."""
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
