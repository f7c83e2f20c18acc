"""The input, field by field, with what became of each: the account from which nothing is dropped in silence.

A converter asks for the fields that it knows. What nobody asked for is lost, and the account says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pkg.views.manifests.documents import Document
from pkg.views.manifests.nodes import Mapping, Node, Position, Scalar, Sequence, entries_of, followed, value_of

_UNKNOWN = "convert does not know this field"


class Fate(StrEnum):
    """What became of a field."""

    CONVERTED = "converted"
    CHANGED = "changed"  # converted, but somebody should look at it
    LOST = "lost"
    MEANINGLESS = "meaningless"  # it says nothing that would be missing


@dataclass(frozen=True, slots=True)
class Finding:
    """A field that is lost, or that somebody should look at. path: from the root of its object."""

    file: str
    at: Position
    title: str
    path: str
    message: str
    is_lost: bool = True

    def __str__(self) -> str:
        word = "lost" if self.is_lost else "check"
        where = f"{self.title}: {self.path}" if self.path else self.title
        return f"{self.file}:{self.at}: {word}: {where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of the input and what became of it."""

    path: str
    value: Any
    fate: Fate
    message: str


class Account:
    """What became of the fields of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.marks: dict[str, tuple[Fate, str]] = {}
        #: Fields that were looked into: what is inside is accounted for by itself.
        self.opened: set[str] = set()

    def mark(self, path: str, fate: Fate, message: str = "") -> None:
        """Says what became of a field. What is lost stays lost, and what is to be looked at stays so."""
        known = self.marks.get(path)
        if known is None or _RANK[fate] > _RANK[known[0]]:
            self.marks[path] = (fate, message)

    def leaves(self) -> list[Leaf]:
        """Every value of the document. An empty object or list counts as a value."""
        return list(self._leaves(self.document.node, "", None))

    def _leaves(self, node: Node, path: str, above: tuple[Fate, str] | None) -> Iterator[Leaf]:
        own = self.marks.get(path, above)
        if above is not None and above[0] in _WHOLE and (own is None or _RANK[own[0]] < _RANK[above[0]]):
            own = above
        children = list(_children(node, path))
        if not children:
            fate, message = own or (Fate.LOST, _UNKNOWN)
            yield Leaf(path, value_of(node), fate, message)
        for child_path, child, _ in children:
            yield from self._leaves(child, child_path, own)

    def findings(self) -> list[Finding]:
        """What is lost or changed, at the outermost field of which that is true as a whole."""
        return list(self._findings(self.document.node, "", self.document.node.at, None))

    def _findings(self, node: Node, path: str, at: Position, above: tuple[Fate, str] | None) -> Iterator[Finding]:
        own = self.marks.get(path)
        if own is not None and own[0] in (Fate.LOST, Fate.CHANGED):
            yield Finding(self.document.file, at, self.document.title, path, own[1], is_lost=own[0] is Fate.LOST)
        if own is not None and own[0] is Fate.LOST:
            return
        below = own or above
        children = list(_children(node, path))
        is_unknown = below is None and path not in self.opened
        if is_unknown or (below is None and not children):
            yield Finding(self.document.file, at, self.document.title, path, _UNKNOWN)
            return
        for child_path, child, child_at in children:
            yield from self._findings(child, child_path, child_at, below)


#: What is so as a whole is so with all that is in it.
_WHOLE = (Fate.LOST, Fate.MEANINGLESS)
_RANK = {Fate.CONVERTED: 0, Fate.MEANINGLESS: 1, Fate.CHANGED: 2, Fate.LOST: 3}


def _children(node: Node, path: str) -> Iterator[tuple[str, Node, Position]]:
    target = followed(node)
    if isinstance(target, Mapping):
        for key, value in entries_of(target):
            yield _joined(path, str(key.value)), value, key.at
    elif isinstance(target, Sequence):
        for at, item in enumerate(target.items):
            yield f"{path}[{at}]", item, item.at


def _joined(path: str, key: str) -> str:
    if any(character in key for character in ".[]"):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


class Source:
    """One value of the input. Asking for a field opens the object around it."""

    def __init__(self, account: Account, node: Node, path: str, key: str = "") -> None:
        self.account = account
        self.node = node
        self.path = path
        self.key = key

    @classmethod
    def of(cls, document: Document) -> Source:
        """The root of a document, with a new account."""
        return cls(Account(document), document.node, "")

    def root(self) -> Source:
        """The whole document that it is in."""
        return Source(self.account, self.account.document.node, "")

    def get(self, key: str) -> Source | None:
        """A field; None if it is absent or null. Other fields stay unaccounted for."""
        self.account.opened.add(self.path)
        target = followed(self.node)
        if not isinstance(target, Mapping):
            return None
        for name, value in entries_of(target):
            if name.value == key:
                found = Source(self.account, value, _joined(self.path, key), key)
                if found.is_null:
                    found.skip("null is no value")
                    return None
                return found
        return None

    def fields(self) -> list[Source]:
        """All fields of an object; none of anything else."""
        self.account.opened.add(self.path)
        target = followed(self.node)
        if not isinstance(target, Mapping):
            return []
        return [
            Source(self.account, value, _joined(self.path, str(name.value)), str(name.value))
            for name, value in entries_of(target)
        ]

    def items(self) -> list[Source]:
        """The items of a list; none of anything else. An empty list counts as converted."""
        self.account.opened.add(self.path)
        target = followed(self.node)
        if not isinstance(target, Sequence):
            return []
        if not target.items:
            self.account.mark(self.path, Fate.CONVERTED)
        return [Source(self.account, item, f"{self.path}[{at}]") for at, item in enumerate(target.items)]

    def list_of(self, key: str) -> list[Source]:
        """The items of a field that is a list."""
        found = self.get(key)
        return [] if found is None else found.items()

    @property
    def is_null(self) -> bool:
        target = followed(self.node)
        return isinstance(target, Scalar) and target.value is None

    @property
    def is_object(self) -> bool:
        return isinstance(followed(self.node), Mapping)

    @property
    def is_list(self) -> bool:
        return isinstance(followed(self.node), Sequence)

    def peek(self) -> Any:
        """The value as JSON has it; says nothing about what became of it."""
        return value_of(self.node)

    def word(self) -> str:
        """The value if it is text or a number, as text, else nothing; says nothing about what became of it."""
        return "" if self.is_object or self.is_list else text_of(self.peek())

    def raw(self) -> dict[str, Any]:
        """The value if it is an object, else an empty one; says nothing about what became of it."""
        found = self.peek()
        return found if isinstance(found, dict) else {}

    def peek_text(self, key: str) -> str:
        """A field as text, empty if it is absent; says nothing about what became of it."""
        target = followed(self.node)
        if isinstance(target, Mapping):
            for name, value in entries_of(target):
                if name.value == key and isinstance(followed(value), Scalar):
                    return text_of(value_of(value))
        return ""

    def plain(self) -> Any:
        """The value, which is converted as it is."""
        self.account.mark(self.path, Fate.CONVERTED)
        return self.peek()

    def text(self) -> str:
        """The value as text, which is converted. An object or a list is lost: it cannot stand there."""
        if self.is_object or self.is_list:
            self.lose("a text must stand here")
            return ""
        return text_of(self.plain())

    def lose(self, message: str) -> None:
        """Says that the value is lost, and what to do instead."""
        self.account.mark(self.path, Fate.LOST, message)

    def check(self, message: str) -> None:
        """Says that the value is converted to something that somebody should look at."""
        self.account.mark(self.path, Fate.CHANGED, message)

    def skip(self, why: str) -> None:
        """Says that the value means nothing here."""
        self.account.mark(self.path, Fate.MEANINGLESS, why)

    def lose_fields(self, messages: dict[str, str]) -> None:
        """Says which of its fields are lost, where it has them."""
        for key, message in messages.items():
            if (found := self.get(key)) is not None:
                found.lose(message)

    def skip_fields(self, *keys: str, why: str) -> None:
        """Says which of its fields mean nothing, where it has them."""
        for key in keys:
            if (found := self.get(key)) is not None:
                found.skip(why)


def objects_in(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, of a value as JSON has it; none of anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def object_in(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text_of(value: Any) -> str:
    """A value of YAML as text: true, 3 and 1.5 as they are written in JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return str(value)
