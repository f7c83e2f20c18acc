"""The part of an object that CEL expressions read: only that part is given to the library, only its size counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from pkg.apis.meta import Job, WholeJob
from pkg.workloads.model import RuleFault

TEXT_UNIT: Final = 64
"""Bytes of text that count as much as one value."""
MAX_WEIGHT: Final = 20_000
"""Most values, keys and units of text of what the expressions of a template read of one object."""
MAX_DEPTH: Final = 64
"""Levels of maps and lists in it; the library follows them by recursion."""

KEPT_META: Final = (
    *("name", "namespace", "uid", "generation", "labels", "annotations"),
    *("creationTimestamp", "deletionTimestamp", "finalizers"),
)
"""The fields of metadata that every cached job has."""


class Read(NamedTuple):
    """A chain of fields below `object` that an expression reads; with `is_test` it only asks whether it is there."""

    path: tuple[str, ...]
    is_test: bool = False


class Size(NamedTuple):
    """Weight of a value, its longest text (in units of 64 bytes), and the items of its longest list or map."""

    weight: int
    text: int
    items: int


def needs_whole(reads: Iterable[Read]) -> bool:
    """Whether a read leads to a part of the object that is not in every cached job."""
    return any(not _is_kept(read.path) for read in reads)


def _is_kept(path: tuple[str, ...]) -> bool:
    match path:
        case ("status" | "apiVersion" | "kind", *_):
            return True
        case ("metadata", name, *_):
            return name in KEPT_META
        case _:
            return False


@dataclass(slots=True)
class _Branch:
    """A map of which only some keys are read; `is_whole`: everything below is."""

    is_whole: bool = False
    keys: dict[str, _Branch] = field(default_factory=dict)

    def add(self, read: Read) -> None:
        branch = self
        for key in read.path:
            branch = branch.keys.setdefault(key, _Branch())
        branch.is_whole = branch.is_whole or not read.is_test

    def cut(self, value: Any) -> Any:
        if self.is_whole or not isinstance(value, dict):
            return value
        return {
            # A key that is only asked for needs no value.
            key: branch.cut(value[key]) if branch.is_whole or branch.keys else True
            for key, branch in self.keys.items()
            if key in value
        }


class Projection:
    """The union of what the expressions of a template read."""

    def __init__(self, reads: Iterable[Read]) -> None:
        found = frozenset(reads)
        self._root = _Branch()
        for read in found:
            self._root.add(read)
        self._needs_whole = needs_whole(found)
        self._has_meta = any(read.path[:1] in ((), ("metadata",)) for read in found)
        self._names = sorted(".".join(("object", *read.path)) for read in found if not read.is_test)

    def of(self, job: Job) -> tuple[dict[str, Any], Size]:
        """The part of the object, and its size. Raises RuleFault if it is too large, or the job not read in full."""
        everything: dict[str, Any] = {"apiVersion": job.api_version, "kind": job.kind, "status": job.status}
        if self._needs_whole:
            if not isinstance(job, WholeJob):
                raise RuleFault("")  # evaluated as soon as the object has been read in full
            everything["spec"] = job.document
        if self._has_meta:
            # As JSON has it: the library knows no tuples.
            everything["metadata"] = msgspec.json.decode(msgspec.json.encode(job.metadata))
        part = self._root.cut(everything)
        return part, self._measure(part)

    def _measure(self, part: dict[str, Any]) -> Size:
        size = measure(part)
        if size is not None:
            return size
        names = ", ".join(self._names[:3]) + (", ..." if len(self._names) > 3 else "")
        raise RuleFault(
            f"cel reads {names}: over {MAX_WEIGHT:,} values, or more than {MAX_DEPTH} levels, in this object;"
            " read less of it, or use path predicates"
        )


def measure(value: Any, limit: int = MAX_WEIGHT, depth: int = MAX_DEPTH) -> Size | None:
    """The size of a JSON value; None if its weight is above the limit, or its levels are.

    Takes time for at most `limit` values.
    """
    weight = text = items = 0
    level: list[Any] = [value]
    while level:
        weight += len(level)
        if weight > limit or depth < 0:
            return None
        depth -= 1
        following: list[Any] = []
        for one in level:
            match one:
                case str():
                    units = _units(one)
                    weight += units
                    text = max(text, units)
                case dict():
                    items = max(items, len(one))
                    weight += len(one)
                    if weight > limit:
                        return None
                    weight += sum(map(_units, one))
                    text = max(text, *map(_units, one)) if one else text
                    following.extend(one.values())
                case list():
                    items = max(items, len(one))
                    if weight + len(following) + len(one) > limit:
                        return None
                    following.extend(one)
        level = following
    return Size(weight, text, items) if weight <= limit else None


def _units(text: str) -> int:
    """Full units of 64 bytes, at most; a character has up to four bytes."""
    return (len(text) if text.isascii() else 4 * len(text)) // TEXT_UNIT
