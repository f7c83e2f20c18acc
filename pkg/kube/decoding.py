"""JSON decoders, built one after the other.

msgspec works out a type's layout when the first decoder needs it, and keeps it on the type. Two threads that do so at
once for types that share a part can meet a half-built layout, which ends the process (SIGSEGV, msgspec 0.22). A decoder
that has been built is safe in every thread.
"""

# ruff: noqa: A002 - the parameter that says what to decode into is best called `type`.
from __future__ import annotations

import threading
from typing import TypeVar

import msgspec

T = TypeVar("T")

_building = threading.Lock()


def build_decoder(type: type[T]) -> msgspec.json.Decoder[T]:
    """A new decoder; the way to make one wherever another thread might be making one, too."""
    with _building:
        return msgspec.json.Decoder(type)
