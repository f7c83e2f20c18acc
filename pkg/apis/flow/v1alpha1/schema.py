"""Which type a place in an object has, by the OpenAPI schema of its kind, reduced to types and names of fields.

A schema is a small tree. A place is found by the keys that lead to it from the root of the object. A part that occurs
in several places, or inside itself, has a name, and is looked up when a place below it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    of parts. What is in neither may have any type.
    """

    type: Type = Type.ANY
    fields: Mapping[str, Node | str] = {}
    others: Node | str | None = None


# A part that is only the name of another part. A chain of them ends, or it is no schema.
_MAX_CHAIN: Final = 8


class Schema(msgspec.Struct, frozen=True):
    """The places of one kind. `root` is the whole object, `parts` are the named parts. Without arguments: no schema."""

    root: Node | str = Node()
    parts: Mapping[str, Node | str] = {}

    def type_at(self, keys: Iterable[Key]) -> Type:
        """The type at the end of a path of keys; digits and `-` are positions in lists, as in a JSON pointer."""
        node = self._find(self.root)
        for key in keys:
            if node is None:
                return Type.ANY
            node = self._find(_below(node, key))
        return Type.ANY if node is None else node.type

    def _find(self, node: Node | str | None) -> Node | None:
        for _ in range(_MAX_CHAIN):
            if not isinstance(node, str):
                return node
            node = self.parts.get(node)
        return None


def _below(node: Node, key: Key) -> Node | str | None:
    if node.type is Type.ARRAY:
        is_position = isinstance(key, int) or key == "-" or key.isdigit()
        return node.others if is_position else None
    return node.fields.get(key, node.others) if isinstance(key, str) else None


#: No schema is served for the kind.
NO_SCHEMA: Final = Schema()
