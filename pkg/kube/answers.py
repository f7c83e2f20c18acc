"""Reads the answer to a request: decodes it, and checks that the API server can have written it.

It runs for each call, so it is compiled; the client, in whose place tests put others, is not.
"""

# ruff: noqa: A002 - the parameter that says what to decode into is best called `type`.
from __future__ import annotations

from typing import Any, Final, TypeVar, cast

import msgspec

from pkg.apis.meta import ObjectMeta
from pkg.kube.decoding import NAMED, build_decoder
from pkg.kube.errors import Transient, Unrecognized
from pkg.kube.json_depth import READABLE_LEVELS, pruned
from pkg.kube.transport import Request

T = TypeVar("T")

_DECODERS: Final[dict[object, msgspec.json.Decoder[Any]]] = {}


def object_of(body: bytes, type: type[T], request: Request, name: str = "") -> T:
    """The object that answers a request; `name` is how it has to be called, where that is known."""
    found = document_of(body, type, request)
    meta = getattr(found, "metadata", None)
    named = meta.name if isinstance(meta, ObjectMeta) else decoded(body, NAMED, request).metadata.name
    if not named or (name and named != name):
        raise unrecognized(request, f"not the object {name!r}" if name else "no object with a name")
    return found


def document_of(body: bytes, type: type[T], request: Request) -> T:
    """The answer, whatever it is; of the type `bytes` as it came."""
    if type is bytes:
        return cast("T", body)
    decoder = _DECODERS.get(type)
    if decoder is None:
        decoder = _DECODERS[type] = build_decoder(type)
    return cast("T", decoded(body, decoder, request))


def decoded(body: bytes, decoder: msgspec.json.Decoder[T], request: Request) -> T:
    """The decoded body. Of an object that is nested too deep, what is too deep is read as empty."""
    try:
        try:
            return decoder.decode(body)
        except RecursionError:
            return decoder.decode(pruned(body, READABLE_LEVELS))
    except RecursionError as error:
        raise Transient(f"{request}: the response is nested too deep to be decoded", reason="TooDeep") from error
    except msgspec.DecodeError as error:
        raise Transient(f"{request}: the response cannot be decoded: {error}", reason="Undecodable") from error


def unrecognized(request: Request, what: str) -> Unrecognized:
    """The error for a 2xx that the API server cannot have written. It does not prove that the call was done, or not."""
    return Unrecognized(f"{request}: the response is {what} of the API server", reason="Unrecognized")
