"""The tree of one document of a file: every key and value with its line and column, and the plain value of the whole.

YAML and JSON become the same nodes. An alias stays a node of its own, so that a list of aliases has a position for each
item, while what is inside an alias is found where its anchor is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

#: So many objects, lists, keys and values may one document have once its aliases are followed.
MAX_VALUES: Final = 1_000_000
MERGE: Final = "<<"


class Position(NamedTuple):
    """A place in a file. Both count from 1, the column in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


class ManifestError(Exception):
    """A text that is no YAML and no JSON, with the place where that shows."""

    def __init__(self, at: Position, message: str) -> None:
        super().__init__(f"{at}: {message}")
        self.at = at
        self.message = message


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A text, a number, true, false or null."""

    at: Position
    value: Any
    is_merge: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """An object: keys with their values, in the order of the file."""

    at: Position
    entries: list[tuple[Scalar, Node]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """A list."""

    at: Position
    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Alias:
    """`*name`: the node of the anchor `&name`, once more."""

    at: Position
    target: Scalar | Mapping | Sequence


Node = Scalar | Mapping | Sequence | Alias


def followed(node: Node) -> Scalar | Mapping | Sequence:
    """The node that an alias stands for; any other node is itself."""
    return node.target if isinstance(node, Alias) else node


def entries_of(mapping: Mapping) -> list[tuple[Scalar, Node]]:
    """The keys of an object with their values. Those that `<<` brings come last, where the object itself lacks them."""
    own = [entry for entry in mapping.entries if not entry[0].is_merge]
    if len(own) == len(mapping.entries):
        return own
    seen = {key.value for key, _ in own}
    for key, value in mapping.entries:
        if not key.is_merge:
            continue
        source = followed(value)
        for one in source.items if isinstance(source, Sequence) else [source]:
            merged = followed(one)
            if not isinstance(merged, Mapping):
                raise ManifestError(key.at, "<< takes an object, or a list of objects, to merge into this one")
            for entry in entries_of(merged):
                if entry[0].value not in seen:
                    seen.add(entry[0].value)
                    own.append(entry)
    return own


class _Builder:
    """Makes the plain value. An anchor is built once, so that many aliases of it cost nothing."""

    def __init__(self) -> None:
        self._built: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()

    def build(self, node: Node) -> tuple[Any, int]:
        """The value, and of how many values it consists once aliases are followed."""
        target = followed(node)
        if isinstance(target, Scalar):
            return target.value, 1
        known = self._built.get(id(target))
        if known is not None:
            return known
        if id(target) in self._open:
            raise ManifestError(node.at, "this alias is inside its own anchor, so it never ends")
        self._open.add(id(target))
        built = self._mapping(target) if isinstance(target, Mapping) else self._sequence(target)
        self._open.discard(id(target))
        self._built[id(target)] = built
        return built

    def _mapping(self, mapping: Mapping) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        size = 1
        for key, _ in mapping.entries:
            if not key.is_merge:
                if key.value in found:
                    raise ManifestError(key.at, f'the key "{key.value}" occurs twice')
                found[key.value] = None
        self._refuse_own_merge(mapping)
        for key, value in entries_of(mapping):
            found[key.value], inner = self.build(value)
            size += 1 + inner
            _refuse_many(size, key.at)
        return found, size

    def _sequence(self, sequence: Sequence) -> tuple[list[Any], int]:
        found: list[Any] = []
        size = 1
        for item in sequence.items:
            value, inner = self.build(item)
            found.append(value)
            size += inner
            _refuse_many(size, item.at)
        return found, size

    def _refuse_own_merge(self, mapping: Mapping) -> None:
        """`<<` with an object that is not complete yet would be merged into itself for ever."""
        for key, value in mapping.entries:
            if key.is_merge:
                source = followed(value)
                for one in source.items if isinstance(source, Sequence) else [source]:
                    if id(followed(one)) in self._open:
                        raise ManifestError(key.at, "<< merges an object into itself")
                    self.build(one)


def _refuse_many(size: int, at: Position) -> None:
    if size > MAX_VALUES:
        raise ManifestError(at, f"with its aliases this document has more than {MAX_VALUES:,} values")


def value_of(node: Node) -> Any:
    """The document as JSON has it: dicts with text as keys, lists, text, numbers, true, false and None.

    Values that aliases bring are the same object each time: change none of them in place. Raises ManifestError.
    """
    return _Builder().build(node)[0]
