"""Manifests as Python values, to and from the types of the API: through JSON, as the API server sends them."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def decoded(raw: object, kind: type[T]) -> T:
    """The object of a manifest. `msgspec.convert` cannot make one: some fields stay JSON text."""
    return msgspec.json.decode(msgspec.json.encode(raw), type=kind)


def plain(value: object) -> Any:
    """Maps, lists and scalars of an object of the API."""
    return msgspec.json.decode(msgspec.json.encode(value))
