"""The bodies of requests, which are small."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from pkg.dashboard.site.services import Fault

_MAX_BODY: Final = 256 * 1024


async def body_of(request: Request) -> bytes:
    """The body of a small request. Raises Fault."""
    parts = b""
    async for part in request.stream():
        parts += part
        if len(parts) > _MAX_BODY:
            raise Fault(413, f"the body must have at most {_MAX_BODY} bytes")
    return parts
