"""The two calls that a probe makes: open a TCP connection, or send one HTTP GET; and why one of them failed."""

from __future__ import annotations

import asyncio
import functools
import ssl

from pkg.apis.flow.v1alpha1.types import HTTPGet, Scheme
from pkg.kube.framing import parse_status_line

MAX_STATUS_LINE = 4096
_MAX_WHY = 100


class Unready(Exception):
    """The pod answered, and the answer does not pass; the text says what it answered."""


async def connect(port: int, address: str) -> None:
    """Returns once a connection is open; raises an exception if none can be opened."""
    _, writer = await asyncio.open_connection(address, port)
    writer.close()


async def get(what: HTTPGet, address: str) -> None:
    """One GET; raises Unready if the status is not 200-399. Redirects are not followed, certificates not verified."""
    context = unverified() if what.scheme is Scheme.HTTPS else None
    reader, writer = await asyncio.open_connection(address, what.port, ssl=context, limit=MAX_STATUS_LINE)
    try:
        host = f"[{address}]" if ":" in address else address
        path = what.path if what.path.startswith("/") else f"/{what.path}"
        headers = {
            "Host": f"{host}:{what.port}",
            "User-Agent": "work-flow-probe",
            "Accept": "*/*",
            "Connection": "close",
        }
        if what.http_header is not None:
            headers = {name: value for name, value in headers.items() if name.lower() != what.http_header.name.lower()}
            headers[what.http_header.name] = what.http_header.value
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if any("\r" in line or "\n" in line for line in lines) or " " in path:
            raise ValueError("path and headers must be single lines, and the path without blanks")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await writer.drain()
        _, status = parse_status_line((await reader.readuntil(b"\n")).rstrip(b"\r\n"))
        if not 200 <= status < 400:
            raise Unready(f"HTTP {status}")
    finally:
        # Not `close`, which waits for the other side to end TLS.
        writer.transport.abort()


def why(error: Exception, timeout: float) -> str:
    """What a user reads about a call that failed: one line, the same for the same cause. timeout: in seconds."""
    match error:
        case TimeoutError():
            return f"no answer within {timeout:g}s"
        case ConnectionRefusedError():
            return "connection refused"
        case asyncio.IncompleteReadError() | ConnectionResetError() | BrokenPipeError():
            return "the connection was closed without an answer"
        case ssl.SSLError():
            return f"TLS: {error.reason or 'the handshake failed'}"
        case OSError(strerror=str(text)) if text:
            return text[:_MAX_WHY]
        case _:
            return (" ".join(str(error).split()) or type(error).__name__)[:_MAX_WHY]


@functools.cache
def unverified() -> ssl.SSLContext:
    """A context without the system's certificates: loading them takes longer than the probe."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
