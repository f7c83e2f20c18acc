"""Which type a value gets that stands alone in a string: the type of its place, or the one that is asked for.

A value is text. `{{x | int}}` and the like say outright what it becomes. Else the schema of the kind decides, and where
that says nothing, the value: it becomes an integer or boolean if it is written as one, except in places where people
write text (`is_text`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import raw
from pkg.apis.flow.v1alpha1.schema import Key, Type

#: The words after `|` in a variable.
CONVERSIONS: Final = ("string", "int", "bool", "json")
_TEXT_KEYS: Final = frozenset({"command", "args", "labels", "annotations", "nodeSelector", "matchLabels"})
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
_BOOLEANS: Final = {"true": True, "false": False}
# What a JSON integer may be on its way through the API server.
_INT64: Final = range(-(2**63), 2**63)
_INT32: Final = range(-(2**31), 2**31)
# Every 64-bit integer has at most 20 characters.
_MAX_DIGITS: Final = 20
_MAX_SHOWN: Final = 80
# Places that take what JSON text stands for, if it is of this type.
_DECODED: Final[dict[Type, type]] = {Type.ANY: object, Type.OBJECT: dict, Type.ARRAY: list}


class Json(str):
    """The JSON text of a value that is no string: it stands for that value where no schema asks for something else."""

    __slots__ = ()


class ConversionError(ValueError):
    """A value cannot have the type of its place; the message says so in words that follow the name of the variable."""


def is_text(keys: Sequence[Key]) -> bool:
    """Whether people write text at a place, so that no number or boolean is made of it where no schema is known.

    These are places below command, args, labels, annotations, nodeSelector and matchLabels, and `env[].value`.
    """
    if any(key in _TEXT_KEYS for key in keys):
        return True
    return any(
        key == "env" and keys[at + 2] == "value" and _is_position(keys[at + 1]) for at, key in enumerate(keys[:-2])
    )


def _is_position(key: Key) -> bool:
    return isinstance(key, int) or key == "-" or key.isdigit()


def by_word(value: str, word: str) -> Any:
    """The value as one of CONVERSIONS. Raises ConversionError."""
    match word:
        case "int":
            return _integer(value, Type.INTEGER, "| int")
        case "bool":
            return _boolean(value, "| bool")
        case "json":
            return _json(value)
        case _:
            return str(value)


def by_type(value: str, wanted: Type) -> Any:
    """The value as the schema has the place. Raises ConversionError."""
    if isinstance(value, Json) and wanted in _DECODED:
        found = _json(value)
        if wanted is Type.ANY or isinstance(found, _DECODED[wanted]):
            return found
    match wanted:
        case Type.STRING:
            return str(value)
        case Type.INTEGER | Type.INTEGER_32:
            return _integer(value, wanted, "this place")
        case Type.NUMBER:
            return _number(value)
        case Type.BOOLEAN:
            return _boolean(value, "this place")
        case Type.INT_OR_STRING:
            found = _canonical_integer(value)
            return str(value) if found is None else found
        case Type.OBJECT | Type.ARRAY:
            raise _error(value, "this place", f'{wanted}; write "| json" after the name to put JSON in')
        case Type.ANY:
            return by_form(value)


def by_form(value: str) -> str | int | bool:
    """The integer (of 64 bits) or boolean whose canonical form the value is, else the value itself."""
    if value in _BOOLEANS:
        return _BOOLEANS[value]
    found = _canonical_integer(value)
    return value if found is None else found


def _canonical_integer(value: str) -> int | None:
    if len(value) > _MAX_DIGITS or not _INTEGER.match(value):
        return None
    number = int(value)
    return number if number in _INT64 else None


def _integer(value: str, wanted: Type, who: str) -> int:
    found = _canonical_integer(value)
    if found is None or (wanted is Type.INTEGER_32 and found not in _INT32):
        raise _error(value, who, wanted.value)
    return found


def _number(value: str) -> int | float:
    found = _canonical_integer(value)
    if found is not None:
        return found
    if len(value) <= _MAX_SHOWN and _NUMBER.match(value):
        number = float(value)
        if abs(number) != float("inf"):
            return number
    raise _error(value, "this place", Type.NUMBER.value)


def _boolean(value: str, who: str) -> bool:
    if value not in _BOOLEANS:
        raise _error(value, who, Type.BOOLEAN.value)
    return _BOOLEANS[value]


def _json(value: str) -> Any:
    try:
        found = msgspec.json.decode(str(value))  # msgspec takes no other class than str
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise _error(value, "| json", f"JSON ({error})") from error
    except RecursionError as error:
        raise _error(value, "| json", f"JSON of at most {raw.MAX_DEPTH} levels") from error
    return found


def _error(value: str, who: str, wanted: str) -> ConversionError:
    shown = value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}..."
    return ConversionError(f'is "{shown}", and {who} takes {wanted}')
