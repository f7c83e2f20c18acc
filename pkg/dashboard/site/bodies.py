"""The bodies of requests, which are small."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from pkg.dashboard.site.services import Fault

T = TypeVar("T")
_MAX_BODY: Final = 256 * 1024


async def body_as(request: Request, type: type[T]) -> T:  # noqa: A002 - as msgspec calls it
    """The body of a small request, decoded from JSON; an empty one is an empty object. Raises Fault."""
    body = await _body_of(request)
    try:
        return msgspec.json.decode(body or b"{}", type=type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Fault(400, f"the body cannot be read: {error}") from error
    except RecursionError as error:
        raise Fault(400, "the body cannot be read: its objects are nested too deeply") from error


async def _body_of(request: Request) -> bytes:
    parts = b""
    try:
        async for part in request.stream():
            parts += part
            if len(parts) > _MAX_BODY:
                raise Fault(413, f"the body must have at most {_MAX_BODY} bytes")
    except ClientDisconnect as error:
        raise Fault(400, "the connection ended before the body did") from error
    return parts
