"""JSON decoders, built by one thread at a time.

msgspec computes the layout of a type for its first decoder and caches it on the type. Two threads that do so at once
for types with a common part can read a half-built layout, which crashes the process (SIGSEGV, msgspec 0.22). A finished
decoder is thread-safe.
"""

# ruff: noqa: A002 - the parameter that says what to decode into is best called `type`.
from __future__ import annotations

import threading
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

_building = threading.Lock()


def build_decoder(type: type[T]) -> msgspec.json.Decoder[T]:
    """A new decoder. Use this wherever another thread may build a decoder at the same time."""
    with _building:
        return msgspec.json.Decoder(type)


class _Meta(msgspec.Struct, frozen=True):
    name: str = ""


class Named(msgspec.Struct, frozen=True):
    """What every object has, and the two fields of the `Status` that answers a deletion."""

    kind: str = ""
    metadata: _Meta = _Meta()
    status: msgspec.Raw = msgspec.Raw(b"")


NAMED: Final = msgspec.json.Decoder(Named)
