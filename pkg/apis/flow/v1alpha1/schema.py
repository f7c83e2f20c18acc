"""Which type a place in an object has, by the OpenAPI schema of its kind, reduced to types and names of fields.

A schema is a small tree. A place is found by the keys that lead to it from the root of the object. A part that occurs
in several places, or inside itself, has a name, and is looked up when a place below it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

Key = str | int


class Type(StrEnum):
    """The type of a place, in the words of messages."""

    #: No schema says what may stand there.
    ANY = "anything"
    STRING = "a string"
    INTEGER = "an integer"
    INTEGER_32 = "an integer of 32 bits"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    INT_OR_STRING = "an integer or a string"
    OBJECT = "an object"
    ARRAY = "a list"


class Node(msgspec.Struct, frozen=True):
    """One part of a schema.

    `fields`: the fields of an object; `others`: the items of a list, or the values of a map. Both have nodes or names
    of parts. What is in neither may have any type; `is_closed`: it does not exist, and the API server drops it.
    """

    type: Type = Type.ANY
    fields: Mapping[str, Node | str] = {}
    others: Node | str | None = None
    is_closed: bool = False


# So many places of a kind are remembered with their type. Templates ask for the same ones for each job.
_MAX_SEEN: Final = 1_000


@dataclass(frozen=True, slots=True)
class Schema:
    """The places of one kind. `root` is the whole object, `parts` are the named parts; has_status: the object has a
    `.status`. Without arguments: no schema.
    """

    root: Node = Node()  # noqa: RUF009 - frozen
    parts: Mapping[str, Node] = field(default_factory=dict)
    has_status: bool = True
    _seen: dict[tuple[Key, ...], Type] = field(default_factory=dict, init=False, repr=False, compare=False)

    def type_at(self, keys: Iterable[Key]) -> Type:
        """The type at the end of a path of keys; digits and `-` are positions in lists, as in a JSON pointer."""
        path = tuple(keys)
        found = self._seen.get(path)
        if found is None:
            found = self._type_at(path)
            if len(self._seen) < _MAX_SEEN:
                self._seen[path] = found
        return found

    def _type_at(self, path: tuple[Key, ...]) -> Type:
        node = self.root
        for key in path:
            found = self.below(node, key)
            if found is None:
                return Type.ANY
            node = found
        return node.type

    def keeps(self, keys: Iterable[Key]) -> bool:
        """Whether the API server keeps what stands at the end of a path of keys; True where no schema tells."""
        node = self.root
        for key in keys:
            found = self.below(node, key)
            if found is None:
                return not node.is_closed
            node = found
        return True

    def below(self, node: Node, key: Key) -> Node | None:
        """The node of one key below a node; None if the schema has none."""
        below: Node | str | None
        if node.type is Type.ARRAY:
            is_position = isinstance(key, int) or key == "-" or key.isdigit()
            below = node.others if is_position else None
        else:
            below = node.fields.get(key, node.others) if isinstance(key, str) else None
        return self.parts.get(below) if isinstance(below, str) else below


#: No schema is served for the kind.
NO_SCHEMA: Final = Schema()
