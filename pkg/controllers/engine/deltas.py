"""What the events of a watch say, and what each of them changed in a cache.

A struct that is compiled loses its parameter and the types of its fields, which its decoder needs. So these are apart
from the code that uses them.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeAlias, TypeVar

import msgspec

from pkg.apis.meta import ObjectMeta


class KubeObject(Protocol):
    """Anything with standard metadata."""

    @property
    def metadata(self) -> ObjectMeta: ...


T = TypeVar("T", bound=KubeObject)


class Added(msgspec.Struct, Generic[T], frozen=True):
    """A watch event: the object was created, or began to match."""

    obj: T


class Modified(msgspec.Struct, Generic[T], frozen=True):
    """A watch event: the object changed."""

    obj: T


class Deleted(msgspec.Struct, Generic[T], frozen=True):
    """A watch event: the object is gone, or matches no longer; `obj` is its last state."""

    obj: T


WatchEvent: TypeAlias = Added[T] | Modified[T] | Deleted[T]


class Delta(msgspec.Struct, Generic[T], frozen=True):
    """What one event changed in the cache.

    `old` and `new` are what the key held before and holds after. For an object that was deleted, `final` is its last
    state as the DELETED event carried it (None when a list showed the deletion): it may be newer than `old`, and is
    there even if the object was never cached. With old and new None the event concerns an earlier object of the name,
    and not what the key holds now. `reason` is empty but for deletions that no event reported.
    """

    key: str
    old: T | None = None
    new: T | None = None
    final: T | None = None
    reason: str = ""

    @property
    def objects(self) -> tuple[T, ...]:
        """Every state in the delta, oldest first. The owners of each are to be requeued."""
        return tuple(obj for obj in (self.old, self.final, self.new) if obj is not None)


class Typed(msgspec.Struct, Generic[T], frozen=True):
    """The line of a watch, of which the type is known already."""

    object: T


class Untyped(msgspec.Struct, frozen=True):
    """The line of a watch, with its object as it came."""

    type: str
    object: msgspec.Raw = msgspec.Raw(b"{}")
