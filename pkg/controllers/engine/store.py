"""The cache of one resource, with indexes.

Three sources feed a store - lists, watch events and the responses of our own writes - and they arrive in any order.
The newer version wins: resourceVersions of one resource are compared as integers. A copy that is older than the cached
one, or than the deletion of the same object, changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Generic, TypeAlias, TypeVar

from pkg.controllers.engine.deltas import Deleted, Delta, KubeObject, WatchEvent
from pkg.controllers.engine.tombstones import Tombstones

T = TypeVar("T", bound=KubeObject)
Indexers: TypeAlias = Mapping[str, Callable[[T], Iterable[str]]]


#: The reason of a deletion that a list shows.
_RELIST: Final = "relist"


def version_of(text: str) -> int:
    """A resourceVersion as a number. Raises ValueError if it is none, as an aggregated API server may use."""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"metadata.resourceVersion: a whole number is needed to order events, not {text!r}")
    return int(text)


class Store(Generic[T]):
    """Thread-safe cache by `namespace/name`, with named indexes.

    Of one version, an object decoded into a subclass has more fields and replaces the other.

    An index is a pure function from an object to the values it is found under. Every method that changes the cache
    returns what changed, for the caller to announce; readers see the change by then. Objects are shared, never copied:
    treat them as frozen. Methods that take objects raise ValueError for a resourceVersion that is not a number.
    """

    def __init__(
        self,
        indexers: Indexers[T] | None = None,
        *,
        share: Callable[[T, T], T] = lambda _old, new: new,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """share(old, new): an object equal to `new`, which may have parts of `old` so that it takes less memory."""
        self._lock = threading.Lock()
        self._share = share
        self._indexers = dict(indexers or {})
        self._clock = clock
        self._objects: dict[str, T] = {}
        self._indexes: dict[str, dict[str, dict[str, T]]] = {name: {} for name in self._indexers}
        self._tombstones = Tombstones(clock)
        self._undecodable: set[str] = set()
        self._synced = False
        self._synced_rv = 0
        self._list_rv = 0
        self._is_cleared = False
        self._revision = 0

    # Reading

    @property
    def revision(self) -> int:
        """A number that grows with every change of the cache. Whoever reads it before objects notices later changes."""
        return self._revision

    @property
    def synced(self) -> bool:
        """Whether a complete list has been taken in."""
        return self._synced

    @property
    def synced_rv(self) -> int:
        """The version up to which the cache is known to be complete; 0 before the first list."""
        return self._synced_rv

    def get(self, key: str) -> T | None:
        """The object cached under `namespace/name`."""
        return self._objects.get(key)

    def is_undecodable(self, key: str) -> bool:
        """Whether the last list had an object under this key that could not be decoded, and no later event could."""
        return key in self._undecodable

    def by_index(self, name: str, value: str) -> tuple[T, ...]:
        """The objects that index `name` finds under `value`, in the order they came. KeyError for an unknown index."""
        with self._lock:
            return tuple(self._indexes[name].get(value, {}).values())

    def count(self, name: str, value: str) -> int:
        """How many objects index `name` finds under `value`."""
        with self._lock:
            return len(self._indexes[name].get(value, {}))

    def keys(self) -> tuple[str, ...]:
        """Every key, as of now."""
        with self._lock:
            return tuple(self._objects)

    def values(self) -> tuple[T, ...]:
        """Every object, as of now."""
        with self._lock:
            return tuple(self._objects.values())

    def __len__(self) -> int:
        return len(self._objects)

    # Writing

    def apply(self, event: WatchEvent[T]) -> Delta[T] | None:
        """Take in an event of the watch; None if it changes nothing."""
        obj = event.obj if isinstance(event, Deleted) else self._shared(event.obj)
        version = version_of(obj.metadata.resource_version)
        with self._lock:
            delta = self._remove(obj, version) if isinstance(event, Deleted) else self._put(obj, version)
            # Last, because readers take no lock: a reader that sees the version sees the object.
            self._synced_rv = max(self._synced_rv, version)
            return delta

    def bury(self, key: str, uid: str, version: int) -> Delta[T] | None:
        """Take in the deletion of an object of which only this could be read; None if it changes nothing."""
        with self._lock:
            self._undecodable.discard(key)
            held = self._objects.get(key)
            self._synced_rv = max(self._synced_rv, version)
            if held is None or held.metadata.uid != uid or version < _version(held):
                return None
            return self._bury(key, held, version, reason="unreadable")

    def absorb(self, obj: T) -> Delta[T] | None:
        """Take in the response to our own write, ahead of its watch event; None if it changes nothing.

        A response may come after a list that was read later. What such a list lacks was deleted in between: no event
        will follow, so the delta says it, as that of a list does.
        """
        obj = self._shared(obj)
        meta, version = obj.metadata, version_of(obj.metadata.resource_version)
        with self._lock:
            if self._is_cleared:
                return None
            is_known = meta.key in self._objects or meta.key in self._undecodable or self._tombstones.get(meta.uid)
            if version <= self._list_rv and not is_known:
                self._tombstones.put(meta.uid, self._list_rv, is_announced=False)
                return Delta(meta.key, obj, None, None, _RELIST)
            return self._put(obj, version)

    def advance(self, version: int) -> None:
        """A bookmark: the watch has sent everything up to `version`."""
        with self._lock:
            self._synced_rv = max(self._synced_rv, version)

    def replace(self, items: Iterable[T], list_rv: int, *, undecodable: Collection[str] = ()) -> list[Delta[T]]:
        """Take in a complete list that was read at version `list_rv`; returns deletions first.

        What the list lacks is deleted, unless it is cached with a version newer than the list's, or its key is in
        `undecodable`: the list had it, but it could not be decoded. A list older than the cache means that the server's
        history was set back (a restored backup). Versions cannot be compared then, and the list is taken as it is.
        """
        fresh = {obj.metadata.key: (obj, version_of(obj.metadata.resource_version)) for obj in items}
        with self._lock:
            is_set_back = list_rv < self._synced_rv
            if is_set_back:
                self._tombstones.clear()
            deltas: list[Delta[T]] = []
            for key, there in list(self._objects.items()):
                if key not in fresh and key not in undecodable and (_version(there) <= list_rv or is_set_back):
                    deltas.append(self._bury(key, there, list_rv, reason=_RELIST))
            for key, (obj, version) in fresh.items():
                held = self._objects.get(key)
                if is_set_back and held is not None and held != obj:
                    self._swap(key, held, obj)
                    deltas.append(Delta(key, held, obj))
                elif delta := self._put(obj, version):
                    deltas.append(delta)
            self._undecodable = {key for key in undecodable if key not in self._objects}
            self._synced_rv = self._list_rv = list_rv
            self._synced = True
            self._is_cleared = False
            return deltas

    def clear(self, reason: str) -> list[Delta[T]]:
        """Delete everything, as when the kind is no longer served; the deltas carry `reason`.

        Leaves no tombstones: an object that the next list still has comes back. Until then `absorb` changes nothing.
        """
        with self._lock:
            objects = list(self._objects.items())
            for key, obj in objects:
                self._drop(key, obj)
            self._tombstones.clear()
            self._is_cleared = True
            return [Delta(key, obj, None, None, reason) for key, obj in objects]

    def insert(self, obj: T) -> Delta[T] | None:
        """Take in an object that was read by itself, and that lists may have left out; None if it changes nothing."""
        obj = self._shared(obj)
        with self._lock:
            return self._put(obj, version_of(obj.metadata.resource_version))

    def forget(self, key: str) -> None:
        """Drop an object that nobody asks for any more. It is not deleted, so a later copy of it is taken in as new."""
        with self._lock:
            held = self._objects.get(key)
            if held is not None:
                self._drop(key, held)

    def sweep(self) -> None:
        """Forget deletions that are too old to matter; call it now and then."""
        with self._lock:
            self._tombstones.sweep()

    def _shared(self, obj: T) -> T:
        """Takes no lock, because a comparison of large objects takes its time."""
        held = self._objects.get(obj.metadata.key)
        return obj if held is None else self._share(held, obj)

    def _put(self, obj: T, version: int) -> Delta[T] | None:
        meta = obj.metadata
        stone = self._tombstones.get(meta.uid)
        if stone and version <= stone.version:
            return None
        key = meta.key
        held = self._objects.get(key)
        if held is None:
            self._swap(key, None, obj)
            return Delta(key, None, obj)
        has_more_fields = obj.__class__ is not held.__class__ and isinstance(obj, type(held))
        before = _version(held)
        if version < before or (version == before and not has_more_fields):
            return None
        if held.metadata.uid != meta.uid:
            self._tombstones.put(held.metadata.uid, version, is_announced=False)
        self._swap(key, held, obj)
        return Delta(key, held, obj)

    def _remove(self, obj: T, version: int) -> Delta[T] | None:
        meta = obj.metadata
        key = meta.key
        self._undecodable.discard(key)
        stone = self._tombstones.get(meta.uid)
        if stone and version <= stone.version:
            if stone.is_announced:
                return None
            self._tombstones.put(meta.uid, stone.version, is_announced=True)
            return Delta(key, None, None, obj)
        held = self._objects.get(key)
        if held is None or held.metadata.uid != meta.uid:
            self._tombstones.put(meta.uid, version, is_announced=True)
            return Delta(key, None, None, obj)
        if version < _version(held):
            return None
        self._tombstones.put(meta.uid, version, is_announced=True)
        self._drop(key, held)
        return Delta(key, held, None, obj)

    def _bury(self, key: str, held: T, version: int, reason: str) -> Delta[T]:
        self._tombstones.put(held.metadata.uid, version, is_announced=False)
        self._drop(key, held)
        return Delta(key, held, None, None, reason)

    def _swap(self, key: str, old: T | None, new: T) -> None:
        self._objects[key] = new
        self._revision += 1
        self._undecodable.discard(key)
        for name, values_of in self._indexers.items():
            index = self._indexes[name]
            values = set(values_of(new))
            for value in values:
                index.setdefault(value, {})[key] = new
            if old is not None:
                for value in set(values_of(old)) - values:
                    _unindex(index, value, key)

    def _drop(self, key: str, old: T) -> None:
        del self._objects[key]
        self._revision += 1
        for name, values_of in self._indexers.items():
            for value in set(values_of(old)):
                _unindex(self._indexes[name], value, key)


def _version(obj: KubeObject) -> int:
    return version_of(obj.metadata.resource_version)


def _unindex(index: dict[str, dict[str, T]], value: str, key: str) -> None:
    bucket = index[value]
    del bucket[key]
    if not bucket:
        del index[value]
