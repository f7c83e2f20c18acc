"""What a client may use of the server. All times are in seconds, all sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """body_bytes: of one request; an AdmissionReview holds the old object and the new one, each at most 1.5 MiB;
    header_bytes: the request line and the headers; buffered_bytes: the bodies of all requests together;
    requests: bodies that are judged or wait for a thread; threads: judged at the same time; connections: at once.

    handshake_seconds: until TLS is set up; request_seconds: from the first byte of a request, or from the opening of a
    connection, to the last byte of the body; answer_seconds: until the answer is made and taken, infinite for an
    application that bounds its own answers; idle_seconds: between two requests. The API server drops a connection that
    was idle for 90 s; this side waits longer, so that it never closes one that the API server is about to use.
    """

    body_bytes: int = 4 * MIB
    header_bytes: int = 64 * 1024
    buffered_bytes: int = 64 * MIB
    requests: int = 64
    threads: int = 12
    connections: int = 1_000
    handshake_seconds: float = 10.0
    request_seconds: float = 10.0
    answer_seconds: float = 30.0
    idle_seconds: float = 150.0
