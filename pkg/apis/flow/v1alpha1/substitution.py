"""Puts values in the places of variables, each with the type that its place takes."""

from __future__ import annotations

import re
from typing import Any, Final, Protocol

import msgspec

from pkg.apis.flow.v1alpha1 import conversion
from pkg.apis.flow.v1alpha1.conversion import ConversionError
from pkg.apis.flow.v1alpha1.items import ItemError
from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Key, Node, Schema, Type
from pkg.apis.flow.v1alpha1.variables import (
    ITEM,
    NO_SCHEDULED_TIME,
    SCHEDULED_TIME,
    TOKEN,
    Foreign,
    Known,
    Trail,
    UnknownItem,
    UnknownUnderOurs,
    VariableError,
    classify,
    cut,
    keys_of,
    show,
    unknown_message,
)

# The API server takes at most 1.5 MiB in one object. A tree may not grow by more than this.
MAX_GROWTH: Final = 2_000_000
_SCALARS: Final = frozenset({bool, int, float, type(None)})


class SchemaNeeded(Exception):
    """The type of a place is needed, and the schema of the kind is not known yet."""


class Values(Protocol):
    """The values of variables, by name (`index`, `params.epochs`, `flows.a.podIP`)."""

    def get(self, name: str, /) -> str | None:
        """The value, or None. Raises VariableError if the value of a parameter cannot be made, and ItemError."""

    def hint(self, known: Known, /) -> str:
        """Why a variable that exists has no value, in words that follow its name."""


class Plain(dict[str, str]):
    """Values that are all known from the start."""

    def hint(self, known: Known, /) -> str:
        return no_value(known)


class Places(msgspec.Struct, frozen=True):
    """Where a tree goes in an object of a kind.

    `schema`: None if it is not known yet; `above`: the keys that lead from the object to the root of the tree;
    `is_merge_patch`: the tree is one, in which `spec.jobSpec` means `spec`, and other keys than metadata and spec are
    keys of spec.
    """

    schema: Schema | None = NO_SCHEMA
    above: tuple[Key, ...] = ()
    is_merge_patch: bool = False

    def type_at(self, trail: Trail) -> Type:
        """The type of a place; ANY if no schema tells and people write no text there. Raises SchemaNeeded."""
        if self.schema is None:
            raise SchemaNeeded
        keys = keys_of(trail)
        if self.is_merge_patch:
            keys = _aligned(keys)
        elif self.above:
            keys[:0] = self.above
        found = self.schema.type_at(keys)
        return Type.STRING if found is Type.ANY and conversion.is_text(keys) else found


def _aligned(keys: list[Key]) -> list[Key]:
    if keys and keys[0] not in ("metadata", "spec"):
        return ["spec", *keys]
    return ["spec", *keys[2:]] if keys[:2] == ["spec", "jobSpec"] else keys


#: Every place takes a string.
_STRINGS: Final = Node(Type.STRING, others="text")
TEXT: Final = Places(Schema(_STRINGS, {"text": _STRINGS}))
ANYWHERE: Final = Places()


def substitute(tree: Any, values: Values, path: str = "", places: Places = ANYWHERE) -> Any:
    """A deep copy of a JSON tree with its variables replaced by their values.

    A string that is one variable alone gets the type of its place. Variables in values stay.
    Raises VariableError, with a place below `path`, for a name under one of OURS that has no value, for a value that
    cannot have the type of its place, and when the values add up to more than MAX_GROWTH characters; SchemaNeeded; and
    RecursionError for a tree that is nested far beyond raw.MAX_DEPTH.
    """
    return _Filler(values, places).walk(tree, (None, path))


def fill_text(text: str, values: Values, path: str) -> str:
    """A string with its variables replaced. Raises VariableError as `substitute` does."""
    return _Filler(values, TEXT).text(text, (None, path))


class _Filler:
    __slots__ = ("found", "left", "places", "values")

    def __init__(self, values: Values, places: Places) -> None:
        self.values = values
        self.places = places
        self.left = MAX_GROWTH
        #: Variables that occurred before, by what is written between the braces: the conversion and the value.
        self.found: dict[str, tuple[str, str]] = {}

    def walk(self, node: Any, trail: Trail) -> Any:
        kind = type(node)
        if kind is dict:
            return self.walk_object(node, trail)
        if kind is list or kind is tuple:
            filled = []
            for at, value in enumerate(node):  # a comprehension would take one more stack frame per level
                filled.append(self.walk(value, (trail, at)))
            return filled
        if kind is str and "{{" in node:
            return self.fill(node, trail)
        return node

    def walk_object(self, node: dict[str, Any], trail: Trail) -> dict[str, Any]:
        filled: dict[str, Any] = {}
        for key, value in node.items():
            if "{{" in key:
                written, key = key, self.text(key, trail)
                if key in filled or (key != written and key in node):
                    raise VariableError(show(trail), key, f"two keys become {cut(key)!r}")
            # Most values have no variable. Leaving them out here halves the time of a rendering.
            if type(value) in _SCALARS or (type(value) is str and "{{" not in value):
                filled[key] = value
            elif type(value) is dict:
                filled[key] = self.walk_object(value, (trail, key))
            else:
                filled[key] = self.walk(value, (trail, key))
        return filled

    def fill(self, text: str, trail: Trail) -> Any:
        alone = TOKEN.fullmatch(text)
        inner = alone[2] if alone is not None else None
        if inner is None:
            return self.text(text, trail)
        found = self.find(inner, text, trail)
        if found is None:
            return text
        word, value = found
        try:
            if word:
                return conversion.by_word(value, word)
            wanted = self.places.type_at(trail)
            return conversion.by_type(value, wanted)
        except ConversionError as error:
            raise VariableError(show(trail), text, f"{cut(text)} {error}") from error

    def text(self, text: str, trail: Trail) -> str:
        def put(match: re.Match[str]) -> str:
            literal, inner = match.groups()
            if literal is not None:
                return f"{{{{{literal}}}}}"
            found = self.find(inner, match[0], trail)
            if found is None:
                return match[0]
            word, value = found
            try:
                if word:
                    conversion.by_word(value, word)
            except ConversionError as error:
                raise VariableError(show(trail), match[0], f"{cut(match[0])} {error}") from error
            return value

        return TOKEN.sub(put, text)

    def find(self, inner: str, text: str, trail: Trail) -> tuple[str, str] | None:
        """The conversion and the value of a variable; None for braces that are not ours."""
        found = self.found.get(inner)
        if found is None:
            match classify(inner):
                case Foreign():
                    return None
                case UnknownItem() if self.values.get(ITEM) is None:
                    return None
                case UnknownUnderOurs(name) | UnknownItem(name):
                    raise VariableError(show(trail), text, unknown_message(name))
                case Known() as known:
                    try:
                        value = self.values.get(known.name)
                    except ItemError as error:
                        raise VariableError(show(trail), text, f"{{{{{cut(known.name)}}}}} {error}") from error
                    if value is None and known.is_item:
                        return None  # a flow without items
                    if value is None:
                        raise VariableError(show(trail), text, f"{{{{{cut(known.name)}}}}} {self.values.hint(known)}")
                    found = self.found[inner] = (known.conversion, value)
        self.left -= len(found[1])
        if self.left < 0:
            raise VariableError(show(trail), text, f"the values put in exceed {MAX_GROWTH:,} characters")
        return found


def no_value(known: Known) -> str:
    """Why a variable has no value, in words that follow its name."""
    if known.parameter is not None:
        return "names no parameter of the flow, the workflow or the template"
    if known.pod_ip_of is not None:
        return "has no pod address to stand for; name a flow of this workflow whose jobs have pods"
    if known.output is not None:
        return "has no value: the flow has ended without it"
    if known.is_of_end:
        return f"is known in finally flows only; write {{{{{{{{{known.name}}}}}}}}} for the plain text"
    return NO_SCHEDULED_TIME if known.name == SCHEDULED_TIME else "has no value here"
