"""Reads an OpenAPI v3 document of the API server and reduces one kind of it to a `Schema`.

A document has up to a few megabytes, most of it descriptions. The parts that the kind leads to are decoded, each once.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Node, Schema, Type

#: Fields and parts of one kind; equal parts count once. A Job or a RayJob has about 700, and takes less than 100 KiB.
MAX_ENTRIES: Final = 100_000
# A part that is only the name of another part. A chain of them ends, or it is no schema.
_MAX_CHAIN: Final = 8
_ANYTHING: Final = Node()
_REF: Final = "#/components/schemas/"


class DocumentError(ValueError):
    """The bytes are no OpenAPI v3 document of an API server, or a part of it cannot be read; the message says which."""


class Described(msgspec.Struct, frozen=True):
    """What the document says of a kind: whether its objects have a `.spec`, and the types of their places.

    `entries`: the size of the schema. Above MAX_ENTRIES the schema is left out, and `is_too_large` is True.
    """

    has_spec: bool
    schema: Schema
    entries: int = 0
    is_too_large: bool = False


class _Head(msgspec.Struct, frozen=True):
    """The parts of a schema that say which kind it is."""

    kinds: tuple[dict[str, str], ...] = msgspec.field(default=(), name="x-kubernetes-group-version-kind")


class _Components(msgspec.Struct, frozen=True):
    schemas: dict[str, msgspec.Raw] = {}


class _Document(msgspec.Struct, frozen=True):
    openapi: str = ""
    components: _Components = _Components()


class _Source(msgspec.Struct, frozen=True):
    """A schema as the document has it, without what is of no interest here."""

    ref: str = msgspec.field(default="", name="$ref")
    type: Any = ""
    format: Any = ""
    properties: dict[str, _Source] = {}
    items: _Source | None = None
    values: _Source | bool | None = msgspec.field(default=None, name="additionalProperties")
    all_of: tuple[_Source, ...] = msgspec.field(default=(), name="allOf")
    any_of: tuple[_Source, ...] = msgspec.field(default=(), name="anyOf")
    one_of: tuple[_Source, ...] = msgspec.field(default=(), name="oneOf")
    int_or_string: bool = msgspec.field(default=False, name="x-kubernetes-int-or-string")
    is_open: bool = msgspec.field(default=False, name="x-kubernetes-preserve-unknown-fields")


_document: Final = msgspec.json.Decoder(_Document)
_head: Final = msgspec.json.Decoder(_Head)
_source: Final = msgspec.json.Decoder(_Source)


def read(document: bytes, *, group: str, version: str, kind: str) -> Described | None:
    """What a document says of a kind; None if it does not have the kind. Raises DocumentError."""
    try:
        found = _document.decode(document)
        if not found.openapi:
            raise DocumentError("the response is no OpenAPI document")
        schemas = found.components.schemas
        wanted, name = {"group": group, "version": version, "kind": kind}, f'"{kind}"'.encode()
        for raw in schemas.values():
            if name in bytes(raw) and wanted in _head.decode(raw).kinds:
                return _Reader(schemas).read(_source.decode(raw))
    except (msgspec.DecodeError, RecursionError) as error:
        raise DocumentError(f"the schema of {kind} cannot be read: {error}") from error
    return None


class _TooLarge(Exception):
    pass


class _Reader:
    """Reduces one kind. Equal parts become one node; parts with a name are read when they are first named."""

    def __init__(self, schemas: dict[str, msgspec.Raw]) -> None:
        self._schemas = schemas
        self._nodes: dict[tuple[Any, ...], Node] = {}
        self._parts: dict[str, Node | str] = {}
        self._left: list[str] = []
        self._entries = 0
        # In the spec of a custom resource, which names no parts, an object that lists no fields takes none.
        self._prunes = False

    def read(self, root: _Source) -> Described:
        has_spec = "spec" in root.properties or root.is_open
        fields = {name: source for name, source in root.properties.items() if name in ("metadata", "spec")}
        if not has_spec:  # a template gives its own fields
            own = root.properties.keys() - {"apiVersion", "kind", "status"}
            fields = {name: source for name, source in root.properties.items() if name in own}
        has_status = "status" in root.properties or root.is_open or not root.properties
        spec = root.properties.get("spec")
        self._prunes = spec is not None and not spec.ref and not spec.all_of
        try:
            node = self._reduced(msgspec.structs.replace(root, properties=fields))
            self._prunes = False
            while self._left:
                name = self._left.pop()
                raw = self._schemas.get(name)
                self._parts[name] = Node() if raw is None else self._reduced(_source.decode(raw))
        except _TooLarge:
            return Described(has_spec, NO_SCHEMA, is_too_large=True)
        parts = {name: self._resolved(part) for name, part in self._parts.items()}
        return Described(has_spec, Schema(self._resolved(node), parts, has_status=has_status), self._entries)

    def _resolved(self, part: Node | str) -> Node:
        """The node of a part that may only be the name of another one."""
        for _ in range(_MAX_CHAIN):
            if isinstance(part, Node):
                return part
            part = self._parts.get(part, _ANYTHING)
        return _ANYTHING

    def _reduced(self, source: _Source) -> Node | str:
        if source.ref:
            return self._named(source.ref)
        kind = _type(source)
        if kind is Type.ANY and len(source.all_of) == 1 and not source.properties:
            return self._reduced(source.all_of[0])
        fields = {sys.intern(name): self._reduced(inner) for name, inner in source.properties.items()}
        others: Node | str | None = None
        if kind is Type.ARRAY and source.items is not None:
            others = self._reduced(source.items)
        elif isinstance(source.values, _Source):
            others = self._reduced(source.values)
        takes_no_other = kind is Type.OBJECT and not source.is_open and source.values in (None, False)
        # Elsewhere an object that lists no fields is one that takes any.
        is_closed = takes_no_other and (bool(fields) or self._prunes)
        return self._shared(kind, fields, others, is_closed)

    def _named(self, ref: str) -> str:
        name = sys.intern(ref.removeprefix(_REF))
        if name not in self._parts:
            self._parts[name] = Node()  # until it is read
            self._left.append(name)
            self._count(1)
        return name

    def _shared(self, kind: Type, fields: dict[str, Node | str], others: Node | str | None, is_closed: bool) -> Node:
        """The one node of this content. Parts of it are shared already, so their identity stands for their content."""
        key = (kind, is_closed, *((name, _identity(node)) for name, node in fields.items()), _identity(others))
        node = self._nodes.get(key)
        if node is None:
            self._count(1 + len(fields))
            node = self._nodes[key] = Node(kind, fields, others, is_closed)
        return node

    def _count(self, entries: int) -> None:
        self._entries += entries
        if self._entries > MAX_ENTRIES:
            raise _TooLarge


def _identity(node: Node | str | None) -> str | int | None:
    return id(node) if isinstance(node, Node) else node


def _type(source: _Source) -> Type:
    if source.int_or_string or source.format == "int-or-string":
        return Type.INT_OR_STRING
    either = {inner.type for inner in (*source.any_of, *source.one_of) if inner.type}
    if "string" in either and not source.type:
        # A quantity is a string or a number: text is right for both.
        return Type.INT_OR_STRING if "integer" in either else Type.STRING
    if source.type == "integer":
        return Type.INTEGER_32 if source.format == "int32" else Type.INTEGER
    return _TYPES.get(source.type, Type.ANY) if isinstance(source.type, str) else Type.ANY


_TYPES: Final = {
    "string": Type.STRING,
    "number": Type.NUMBER,
    "boolean": Type.BOOLEAN,
    "object": Type.OBJECT,
    "array": Type.ARRAY,
}
