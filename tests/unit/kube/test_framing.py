"""Responses as servers and proxies frame them, and malformed ones."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.kube.framing import Dechunker, FramingError, parse_head

HEADS: dict[str, tuple[bytes, tuple[int, int | None, bool, bool]]] = {
    "a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 12", (200, 12, False, True)),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", (200, None, True, True)),
    "chunks beat a length": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: Chunked",
        (200, None, True, True),
    ),
    "neither ends with the connection": (b"HTTP/1.1 200 OK", (200, None, False, False)),
    "no content": (b"HTTP/1.1 204 No Content", (204, 0, False, True)),
    "a server that closes": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0", (200, 0, False, False)),
    "HTTP/1.0 closes by itself": (b"HTTP/1.0 200 OK\r\nContent-Length: 0", (200, 0, False, False)),
    "HTTP/1.0 may keep": (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive", (200, 0, False, True)),
    "no reason phrase": (b"HTTP/1.1 200\r\nContent-Length: 0", (200, 0, False, True)),
    "the same length twice": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5", (200, 5, False, True)),
    "no space after the colon": (b"HTTP/1.1 200 OK\r\nContent-Length:7", (200, 7, False, True)),
}


@pytest.mark.parametrize(("raw", "expected"), HEADS.values(), ids=HEADS.keys())
def test_a_head(raw: bytes, expected: tuple[int, int | None, bool, bool]) -> None:
    head = parse_head(raw)
    assert (head.status, head.length, head.chunked, head.keep_alive) == expected


def test_several_warnings_are_all_kept_and_of_other_headers_the_last_counts() -> None:
    raw = b'HTTP/1.1 201 Created\r\nWarning: 299 - "a"\r\nX: 1\r\nwarning: 299 - "b"\r\nX: 2\r\nContent-Length: 0'
    headers = parse_head(raw).headers
    assert (headers["warning"], headers["x"]) == ('299 - "a", 299 - "b"', "2")


BROKEN_HEADS = {
    "not HTTP": b"SSH-2.0-OpenSSH",
    "HTTP/2": b"HTTP/2 200",
    "a status that is none": b"HTTP/1.1 999 OK",
    "a header without a colon": b"HTTP/1.1 200 OK\r\nnonsense",
    "a folded header": b"HTTP/1.1 200 OK\r\nA: b\r\n c: d",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: -5",
    "an encoding nobody asked for": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
}


@pytest.mark.parametrize("raw", BROKEN_HEADS.values(), ids=BROKEN_HEADS.keys())
def test_a_broken_head(raw: bytes) -> None:
    with pytest.raises(FramingError):
        parse_head(raw)


def chunked(parts: list[bytes], extra: bytes = b"") -> bytes:
    return b"".join(b"%x%b\r\n%b\r\n" % (len(part), extra, part) for part in parts) + b"0\r\n"


@given(
    parts=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    extra=st.sampled_from([b"", b";name=value", b" "]),
    trailer=st.sampled_from([b"", b"A: b\r\n"]),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_chunks_cut_anywhere_give_the_body(parts: list[bytes], extra: bytes, trailer: bytes, cuts: list[int]) -> None:
    wire = chunked(parts, extra) + trailer + b"\r\nNEXT"
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    chunks = Dechunker()
    body = b"".join(chunks.feed(wire[a:b]) for a, b in itertools.pairwise(edges))
    assert (body, chunks.done, chunks.rest) == (b"".join(parts), True, b"NEXT")


BROKEN_CHUNKS = {
    "a size that is none": b"xyz\r\n",
    "a negative size": b"-5\r\n",
    "a size with an underscore": b"1_0\r\n",
    "an endless size line": b"1;" + b"a" * 2000,
    "a chunk longer than its size": b"1\r\nabc\r\n",
}


@pytest.mark.parametrize("raw", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS.keys())
def test_broken_chunks(raw: bytes) -> None:
    with pytest.raises(FramingError):
        Dechunker().feed(raw)
