"""Decodes the lines of a watch and the items of a list, without I/O.

The type of an event is read first, from the line's first bytes, so that the object after it is decoded once and
straight into its type. What cannot be decoded becomes a value too: one odd object must not end a watch.
"""

# ruff: noqa: A002 - the parameter that says what to decode into is best called `type`.

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

import msgspec

from pkg.apis.meta import PartialObject
from pkg.apis.structs import Frozen
from pkg.controllers.engine.deltas import Added, Deleted, KubeObject, Modified, Typed, Untyped, WatchEvent
from pkg.controllers.engine.store import version_of
from pkg.kube.decoding import build_decoder
from pkg.kube.errors import KubeError, Status, from_status
from pkg.kube.json_depth import READABLE_LEVELS, pruned

T = TypeVar("T", bound=KubeObject)


class Bookmark(Frozen, frozen=True):
    """The watch has sent everything up to this resourceVersion."""

    resource_version: str


class Failure(Frozen, frozen=True):
    """The ERROR event: the server ends the watch and says why."""

    error: KubeError


class Unreadable(Frozen, frozen=True):
    """Something that could not be decoded; key, version and uid are empty where not even they could be read.

    is_deleted: it is the DELETED event of an object.
    """

    key: str
    resource_version: str
    error: str
    uid: str = ""
    is_deleted: bool = False


Line: TypeAlias = WatchEvent[T] | Bookmark | Failure | Unreadable


_START = b'{"type":"'
_UNTYPED = msgspec.json.Decoder(Untyped)
_PARTIAL = msgspec.json.Decoder(PartialObject)
_STATUS = msgspec.json.Decoder(Status)


class ObjectDecoder(Generic[T]):
    """Decodes the objects of one resource into `type`.

    An object with too many levels is read without them, so that its user learns what is wrong with it, and so that it
    is seen to end and to be deleted. `on_part` is called with its key.
    """

    def __init__(self, type: type[T], on_part: Callable[[str], None] = lambda key: None) -> None:
        self._on_part = on_part
        self._item: msgspec.json.Decoder[T] = build_decoder(type)
        self._typed: msgspec.json.Decoder[Typed[T]] = build_decoder(Typed[type])  # type: ignore[valid-type]

    def line(self, line: bytes) -> Line[T]:
        """One line of a watch."""
        if line.startswith(_START):
            kind = line[len(_START) : line.find(b'"', len(_START))]
            try:
                if kind == b"MODIFIED":
                    return Modified(self._typed.decode(line).object)
                if kind == b"ADDED":
                    return Added(self._typed.decode(line).object)
                if kind == b"DELETED":
                    return Deleted(self._typed.decode(line).object)
            except (msgspec.DecodeError, RecursionError):
                pass  # decoded again below, slowly, to find out what it was
        is_whole = True
        try:
            try:
                event = _UNTYPED.decode(line)
            except RecursionError:
                is_whole = False
                event = _UNTYPED.decode(pruned(line, READABLE_LEVELS + 1))
        except (msgspec.DecodeError, RecursionError) as error:
            return Unreadable("", "", f"not a watch event: {error}")
        found = self._slowly(event)
        if not is_whole and isinstance(found, Added | Modified | Deleted):
            self._on_part(found.obj.metadata.key)
        return found

    def item(self, raw: bytes | msgspec.Raw) -> T | Unreadable:
        """One item of a list."""
        try:
            return self._decode(raw)
        except RecursionError:
            raw = pruned(bytes(raw), READABLE_LEVELS)
        except (msgspec.DecodeError, ValueError) as error:
            return _unreadable(raw, error)
        try:
            obj = self._decode(raw)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            return _unreadable(raw, error)
        self._on_part(obj.metadata.key)
        return obj

    def _decode(self, raw: bytes | msgspec.Raw) -> T:
        obj = self._item.decode(raw)
        version_of(obj.metadata.resource_version)
        return obj

    def _slowly(self, event: Untyped) -> Line[T]:
        match event.type:
            case "BOOKMARK":
                try:
                    meta = _PARTIAL.decode(event.object).metadata
                    version_of(meta.resource_version)
                except (msgspec.DecodeError, ValueError, RecursionError) as error:
                    return _unreadable(event.object, error)
                return Bookmark(meta.resource_version)
            case "ERROR":
                try:
                    return Failure(from_status(_STATUS.decode(event.object)))
                except (msgspec.DecodeError, RecursionError) as error:
                    return Failure(KubeError(f"the watch ended with an error that cannot be read: {error}"))
            case "ADDED" | "MODIFIED" | "DELETED":
                found = self.item(event.object)
                if isinstance(found, Unreadable):
                    return msgspec.structs.replace(found, is_deleted=event.type == "DELETED")
                if event.type == "DELETED":
                    return Deleted(found)
                return Added(found) if event.type == "ADDED" else Modified(found)
            case _:
                return Unreadable("", "", f"unknown type of watch event: {event.type[:40]!r}")


def _unreadable(raw: bytes | msgspec.Raw, error: Exception) -> Unreadable:
    try:
        meta = _PARTIAL.decode(raw).metadata
        version_of(meta.resource_version)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Unreadable("", "", str(error))
    return Unreadable(meta.key, meta.resource_version, str(error), meta.uid)
