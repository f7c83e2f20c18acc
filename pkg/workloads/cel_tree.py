"""The syntax tree of a compiled CEL expression, as values that the cost estimate walks.

The library has no tree in Python, but `Expression.serialize()` returns one: a protobuf message `cel.expr.CheckedExpr`
inside an `Any`. Only the fields that are used are decoded. Macros such as `exists` are already expanded in it to
comprehensions (loops), and each call names the overloads that the type checker found for it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

Literal = bool | int | float | str | bytes | None


@dataclass(frozen=True, slots=True)
class Const:
    """A literal."""

    id: int
    value: Literal


@dataclass(frozen=True, slots=True)
class Name:
    """A variable or the name of a type."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`, or with `is_test` the macro `has(operand.field)`."""

    id: int
    operand: Node
    field: str
    is_test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an operator (`_+_`); the receiver of a method is the first argument."""

    id: int
    function: str
    arguments: tuple[Node, ...]
    overloads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MakeList:
    """`[a, b]`."""

    id: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MakeMap:
    """`{a: b}`; `message` is the name of a protobuf message if the expression names one."""

    id: int
    message: str
    entries: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """A macro: `step` computes the next value of `result` for each item of `over`, while `condition` holds."""

    id: int
    variable: str
    second_variable: str
    over: Node
    start: Node
    condition: Node
    step: Node
    result: Node


Node = Const | Name | Select | Call | MakeList | MakeMap | Loop
_Fields = dict[int, list[int | bytes]]


@dataclass(frozen=True)
class Tree:
    """The root of a tree; `source` is the library's table of places in the text, in its wire format."""

    root: Node
    source: bytes

    @cached_property
    def offsets(self) -> Mapping[int, int]:
        """The offset of each node in the text, in characters, by the node's id. Only messages need it."""
        entries = map(_message, _all_bytes(_message(self.source), 4))
        return {_int(entry, 1): _int(entry, 2) for entry in entries}


def decode(serialized: bytes) -> Tree:
    """Decode what `Expression.serialize()` returned. Raises ValueError if it has another form."""
    checked = _message(_bytes(_message(serialized), 2))
    overloads: dict[int, tuple[str, ...]] = {}
    for entry in map(_message, _all_bytes(checked, 2)):
        reference = _message(_bytes(entry, 2))
        overloads[_int(entry, 1)] = tuple(_texts(reference, 3))
    return Tree(_node(_bytes(checked, 4), overloads), _bytes(checked, 5))


def _node(data: bytes, overloads: Mapping[int, tuple[str, ...]]) -> Node:
    """One `cel.expr.Expr`: its id is field 2, and one of the fields 3 to 9 says what it is."""
    fields = _message(data)
    number = _int(fields, 2)
    form = next((field for field in fields if 3 <= field <= 9), 0)
    inner = _message(_bytes(fields, form))

    def child(field: int) -> Node:
        return _node(_bytes(inner, field), overloads)

    def children(field: int) -> tuple[Node, ...]:
        return tuple(_node(one, overloads) for one in _all_bytes(inner, field))

    match form:
        case 3:
            return Const(number, _literal(inner))
        case 4:
            return Name(number, _text(inner, 1))
        case 5:
            return Select(number, child(1), _text(inner, 2), bool(_int(inner, 3)))
        case 6:
            return Call(number, _text(inner, 2), (*children(1), *children(3)), overloads.get(number, ()))
        case 7:
            return MakeList(number, children(1))
        case 8:
            entries = [_message(one) for one in _all_bytes(inner, 2)]
            parts = [_bytes(entry, field) for entry in entries for field in (3, 4) if field in entry]
            return MakeMap(number, _text(inner, 1), tuple(_node(part, overloads) for part in parts))
        case 9:
            return Loop(number, _text(inner, 1), _text(inner, 8), child(2), child(4), child(5), child(6), child(7))
    raise ValueError(f"no known kind of node in {sorted(fields)}")


def _literal(fields: _Fields) -> Literal:
    """One `cel.expr.Constant`."""
    for field, values in fields.items():
        value = values[-1]
        match field, value:
            case 2, int():
                return bool(value)
            case 3, int():
                return value - (1 << 64) if value >> 63 else value
            case 4, int():
                return value
            case 5, bytes():
                return float(struct.unpack("<d", value)[0])
            case 6, bytes():
                return value.decode("utf-8", "replace")
            case 7, bytes():
                return value
    return None


def _message(data: bytes) -> _Fields:
    """The fields of a protobuf message by number, in wire format: varints as int, all else as bytes."""
    fields: _Fields = {}
    for number, value in _wire(data):
        fields.setdefault(number, []).append(value)
    return fields


def _wire(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        form = tag & 7
        if form == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if form == 2:
            size, at = _varint(data, at)
        elif form in (1, 5):
            size = 8 if form == 1 else 4
        else:
            raise ValueError(f"wire type {form} at byte {at}")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    if at < len(data) and data[at] < 0x80:
        return data[at], at + 1
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("the message ends inside a number")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _int(fields: _Fields, number: int) -> int:
    value = fields.get(number, [0])[-1]
    if isinstance(value, int):
        return value
    raise ValueError(f"field {number} is no number")


def _all_bytes(fields: _Fields, number: int) -> Iterator[bytes]:
    for value in fields.get(number, ()):
        if not isinstance(value, bytes):
            raise ValueError(f"field {number} is a number")  # noqa: TRY004 - the data is wrong, not a type
        yield value


def _bytes(fields: _Fields, number: int) -> bytes:
    found = list(_all_bytes(fields, number))
    return found[-1] if found else b""


def _texts(fields: _Fields, number: int) -> Iterator[str]:
    return (value.decode("utf-8", "replace") for value in _all_bytes(fields, number))


def _text(fields: _Fields, number: int) -> str:
    return _bytes(fields, number).decode("utf-8", "replace")
