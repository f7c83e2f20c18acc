"""A slow interpreter of CEL's syntax trees that counts what an evaluation really does, to check the estimate against.

It knows the functions that the tests' expressions use. Its results are compared with the library's, so that it counts
the work of the real evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pkg.workloads.cel_tree import Call, Const, Loop, MakeList, MakeMap, Name, Node, Select
from pkg.workloads.projection import measure


class EvaluationError(Exception):
    """What CEL calls an error: a missing key, a wrong type."""


class Counter:
    """Evaluates one tree on one object; `steps` grows with each node that is visited and each value that is touched."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.steps = 0.0
        self._variables: dict[str, Any] = {"object": root}

    def evaluate(self, node: Node) -> Any:
        """The value of a node. Raises EvaluationError."""
        self.steps += 1
        match node:
            case Const():
                return node.value
            case Name():
                value = self._variables.get(node.name, _Type(node.name))
                if isinstance(value, EvaluationError):
                    raise value
                return value
            case Select():
                return self._select(node)
            case MakeList():
                return [self.evaluate(item) for item in node.items]
            case MakeMap():
                values = [self.evaluate(entry) for entry in node.entries]
                return dict(zip(values[::2], values[1::2], strict=True))
            case Loop():
                return self._loop(node)
            case Call():
                return self._call(node)

    def _select(self, node: Select) -> Any:
        holder = self.evaluate(node.operand)
        if not isinstance(holder, dict):
            raise EvaluationError
        if node.is_test:
            return node.field in holder
        if node.field not in holder:
            raise EvaluationError
        return holder[node.field]

    def _loop(self, node: Loop) -> Any:
        over = self.evaluate(node.over)
        if not isinstance(over, list | dict):
            raise EvaluationError
        outer = self._variables
        result = _attempt(lambda: self.evaluate(node.start))
        for item in over:
            self._variables = {**outer, node.variable: item, "@result": result}
            if not self.evaluate(node.condition):
                break
            result = _attempt(lambda: self.evaluate(node.step))
        self._variables = {**outer, "@result": result}
        value = self.evaluate(node.result)
        self._variables = outer
        return value

    def _call(self, node: Call) -> Any:
        match node.function:
            case "_&&_":
                return self._logic(node, decides=False)
            case "_||_":
                return self._logic(node, decides=True)
            case "_?_:_":
                return self.evaluate(node.arguments[1 if _boolean(self.evaluate(node.arguments[0])) else 2])
            case "@not_strictly_false":
                try:
                    return self.evaluate(node.arguments[0]) is not False
                except EvaluationError:
                    return True
        values = [self.evaluate(argument) for argument in node.arguments]
        return self._function(node.function, values)

    def _logic(self, node: Call, *, decides: bool) -> bool:
        """`&&` and `||`: a side that decides outweighs an error of the other."""
        failed = False
        for argument in node.arguments:
            try:
                if _boolean(self.evaluate(argument)) is decides:
                    return decides
            except EvaluationError:
                failed = True
        if failed:
            raise EvaluationError
        return not decides

    def _function(self, name: str, values: list[Any]) -> Any:
        self.steps += _work(name, values)
        return FUNCTIONS[name](*values)


def _attempt(make: Callable[[], Any]) -> Any:
    """The value, or the error as a value: a loop goes on with either."""
    try:
        return make()
    except EvaluationError as error:
        return error


class _Type:
    def __init__(self, name: str) -> None:
        self.name = name


def weight(value: Any) -> int:
    size = measure(value, limit=10**9, depth=1000)
    assert size is not None
    return size.weight


def _units(value: Any) -> float:
    return len(value.encode()) / 64 if isinstance(value, str) else 0


def _work(name: str, values: list[Any]) -> float:
    """The values and the texts that a function goes through."""
    match name:
        case "_==_" | "_!=_":
            return min(weight(values[0]), weight(values[1]))
        case "@in" if isinstance(values[1], list):
            return sum(1 + min(weight(values[0]), weight(item)) for item in values[1])
        case "_+_" if isinstance(values[0], list) and isinstance(values[1], list):
            return weight(values)
        case "_+_":
            return _units(values[0]) + _units(values[-1])
        case "matches":
            return _units(values[0]) * len(values[1])
        case "contains" | "size":
            return _units(values[0])
        case "startsWith" | "_<_" | "_>_":
            return min(map(_units, values))
        case _:
            return 0


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise EvaluationError


def _kind(value: Any) -> str:
    names = {bool: "bool", int: "int", float: "double", str: "string", list: "list", dict: "map", _Type: "type"}
    return names.get(type(value), "null_type")


def _equal(one: Any, other: Any) -> bool:
    kinds = {_kind(one), _kind(other)}
    if kinds == {"int", "double"}:
        return bool(one == other)
    if len(kinds) > 1:
        return False
    match one:
        case list():
            return len(one) == len(other) and all(map(_equal, one, other))
        case dict():
            return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
        case _Type():
            return bool(one.name == other.name)
        case _:
            return bool(one == other)


def _same_kind(*allowed: str) -> Callable[[Any, Any], None]:
    def check(one: Any, other: Any) -> None:
        kinds = {_kind(one), _kind(other)}
        if not (kinds <= set(allowed) and (len(kinds) == 1 or (kinds == {"int", "double"} and "mixed" in allowed))):
            raise EvaluationError

    return check


def _ordered(one: Any, other: Any) -> None:
    _same_kind("bool", "int", "double", "string", "mixed")(one, other)


def _less(one: Any, other: Any) -> bool:
    _ordered(one, other)
    return bool(one < other)


def _greater(one: Any, other: Any) -> bool:
    _ordered(one, other)
    return bool(one > other)


def _add(one: Any, other: Any) -> Any:
    _same_kind("int", "double", "string", "list")(one, other)
    return one + other


def _multiply(one: Any, other: Any) -> Any:
    _same_kind("int", "double")(one, other)
    return one * other


def _in(one: Any, other: Any) -> bool:
    if isinstance(other, list):
        return any(_equal(one, item) for item in other)
    if isinstance(other, dict) and _kind(one) in ("string", "int", "bool", "double"):
        return isinstance(one, str) and one in other
    raise EvaluationError


def _index(holder: Any, key: Any) -> Any:
    if isinstance(holder, dict) and isinstance(key, str) and key in holder:
        return holder[key]
    if isinstance(holder, list) and _kind(key) == "int" and 0 <= key < len(holder):
        return holder[key]
    raise EvaluationError


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise EvaluationError


def _size(value: Any) -> int:
    if isinstance(value, str | list | dict):
        return len(value)
    raise EvaluationError


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_==_": _equal,
    "_!=_": lambda one, other: not _equal(one, other),
    "_<_": _less,
    "_>_": _greater,
    "_+_": _add,
    "_*_": _multiply,
    "!_": lambda value: not _boolean(value),
    "@in": _in,
    "_[_]": _index,
    "size": _size,
    "contains": lambda one, other: _text(other) in _text(one),
    "startsWith": lambda one, other: _text(one).startswith(_text(other)),
    "matches": lambda one, other: re.search(other, _text(one)) is not None,
    "dyn": lambda value: value,
    "type": lambda value: _Type(_kind(value)),
}
