"""The static cost estimate of a CEL expression: an upper bound in steps, before anything is evaluated.

The library cannot stop an evaluation, and during one no other thread of the process runs. So an expression is refused
unless its cost has a bound. The bound is a linear function of three sizes of the object that it reads: its *weight*
(every value and every key counts 1, and every 64 bytes of text count 1), the length of its longest *text* (in units of
64 bytes), and the *items* of its longest list or map. One step is about 40 ns; `python -m hack.bench rules` measures.
Only functions in the tables below are available, so a function of a later library version is refused until its cost is
known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pkg.workloads.cel_tree import Call, Const, Loop, MakeList, MakeMap, Name, Node, Select, Tree
from pkg.workloads.extents import (
    OBJECT,
    OF_OBJECT,
    OF_VARIABLE,
    ONE,
    SMALL,
    Extent,
    Growth,
    Variables,
    least,
    most,
    widest,
)
from pkg.workloads.model import RuleError
from pkg.workloads.projection import TEXT_UNIT, Read

MAX_STEPS: Final = 300_000
"""Most steps of one look at a job, with all rules of a template."""
MAX_PATTERN: Final = 128
"""Characters of one pattern of `matches`."""


_KINDS: Final = ("bool", "bytes", "double", "duration", "int64", "string", "timestamp", "uint64")
_ORDERS: Final = frozenset(
    f"{order}_{kind}" for order in ("less", "less_equals", "greater", "greater_equals") for kind in _KINDS
)
_PARTS: Final = (
    *("year", "month", "day_of_year", "day_of_month", "day_of_month_1_based", "day_of_week"),
    *("hours", "minutes", "seconds", "milliseconds"),
)
_STEPS: Final[dict[str, int]] = {
    **dict.fromkeys(("logical_and", "logical_or", "logical_not", "not_strictly_false", "type"), 1),
    **dict.fromkeys((f"negate_{kind}" for kind in ("int64", "double")), 1),
    **dict.fromkeys(
        (
            f"{name}_{kind}"
            for name in ("add", "subtract", "multiply", "divide", "modulo")
            for kind in ("int64", "uint64", "double")
        ),
        1,
    ),
    **dict.fromkeys(("add_duration_duration", "add_duration_timestamp", "add_timestamp_duration"), 2),
    **dict.fromkeys(("subtract_duration_duration", "subtract_timestamp_duration", "subtract_timestamp_timestamp"), 2),
    **dict.fromkeys(("size_list", "list_size", "size_map", "map_size"), 1),
    **dict.fromkeys((f"timestamp_to_{part}" for part in _PARTS), 5),
    **dict.fromkeys((f"duration_to_{part}" for part in _PARTS[-4:]), 2),
    **dict.fromkeys(
        (
            f"{source}_to_{target}"
            for source in ("int64", "uint64", "double", "bool", "duration", "timestamp")
            for target in ("int64", "uint64", "double", "bool", "duration", "timestamp")
        ),
        2,
    ),
    **dict.fromkeys((f"{source}_to_string" for source in ("int64", "uint64", "double", "bool", "duration")), 6),
    "timestamp_to_string": 12,
}
"""Functions of fixed cost, by overload, with a result of fixed size."""
_TEXT_STEPS: Final[dict[str, tuple[int, int]]] = {
    **dict.fromkeys(("size_string", "string_size", "size_bytes", "bytes_size"), (1, 1)),
    **dict.fromkeys(("string_to_int64", "string_to_uint64", "string_to_double", "string_to_bool"), (4, 2)),
    "string_to_timestamp": (8, 3),
    "string_to_duration": (8, 16),  # "1.5s1.5s1.5s"
}
"""The same, and the steps for each unit of text."""
_SEARCH_STEPS: Final = 8
"""Steps of `contains` for each unit of text: a short text that nearly matches at every byte."""
_RESULT: Final = "@result"
"""The variable in which the library's macros keep their result."""
_TYPES: Final = frozenset(
    (
        *("bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"),
        *("google.protobuf.Duration", "google.protobuf.Timestamp"),
    )
)
_COPIES: Final = frozenset(("string_to_string", "string_to_bytes", "bytes_to_string", "bytes_to_bytes"))
_MACRO: Final = re.compile(r"(\w+)\s*$")
# `{3}` multiplies the states of a pattern; a class of Unicode takes a millisecond to compile.
_DEAR: Final = re.compile(r"\{\d|\\[pP]")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an expression may cost, what of the object it reads, the nodes of its tree, and its costliest node's id."""

    steps: Growth
    reads: frozenset[Read]
    nodes: int
    costliest: int


def estimate(tree: Tree, text: str, of: Variables = OBJECT) -> Estimate:
    """Estimate an expression by its tree and its text. Raises RuleError if it uses what is not available."""
    walk = _Walk(tree, text, of)
    steps, _ = walk.visit(tree.root)
    part = max(walk.parts, key=lambda part: part[0], default=(0.0, tree.root.id))
    return Estimate(steps, frozenset(walk.reads), walk.nodes, part[1])


def snippet(tree: Tree, text: str, number: int) -> str:
    """The text around a node, by its id: of a call or a macro from its name on."""
    at = tree.offsets.get(number, 0)
    name = _MACRO.search(text[:at])
    start = name.start() if name else max(0, at - 20)
    return text[start : at + 30].strip()


@dataclass(slots=True)
class _Walk:
    """One pass over a tree."""

    tree: Tree
    text: str
    of: Variables
    reads: set[Read] = field(default_factory=set)
    parts: list[tuple[float, int]] = field(default_factory=list)
    nodes: int = 0
    macro: Loop | None = None
    variables: dict[str, Extent] = field(default_factory=dict)

    def visit(self, node: Node) -> tuple[Growth, Extent]:
        """The steps of a node with everything below it, and the extent of its value."""
        self.nodes += 1
        if read := _read(node, self.of):
            extent = SMALL if read.is_test else self.of.small.get(read.path, OF_OBJECT)
            if self.macro and extent is OF_OBJECT:
                raise RuleError(
                    f"inside of {self.name_of(self.macro)} only its own variable can be read, and {self.of.shown}"
                )
            self.reads.add(read)
            self.nodes += len(read.path)
            return Growth(len(read.path) + 1), extent
        match node:
            case Const():
                return ONE, _of_literal(node)
            case Name():
                if node.name not in self.variables and node.name.lstrip(".") not in _TYPES:
                    raise RuleError(f"{node.name} is not available")
                return ONE, self.variables.get(node.name, SMALL)
            case Select():
                steps, extent = self.visit(node.operand)
                return steps.plus(ONE), SMALL if node.is_test else extent.part
            case Loop():
                return self._loop(node)
            case Call():
                return self._call(node)
            case MakeList():
                steps, extents = self._all(node.items)
                return steps.plus(Growth(2 + len(extents))), _joined(extents, len(extents))
            case MakeMap():
                if node.message:
                    raise RuleError(f"{node.message} is not available; use maps, lists and plain values")
                steps, extents = self._all(node.entries)
                return steps.plus(Growth(2 + 2 * len(extents))), _joined(extents, len(extents) // 2)

    def _all(self, nodes: Iterable[Node]) -> tuple[Growth, list[Extent]]:
        found = [self.visit(node) for node in nodes]
        return Growth().plus(*(steps for steps, _ in found)), [extent for _, extent in found]

    def _loop(self, node: Loop) -> tuple[Growth, Extent]:
        """A macro: what its body costs, for each item of the list, plus what it costs for each unit of their weight."""
        if node.second_variable or not (isinstance(node.start, Const) and isinstance(node.start.value, bool | int)):
            raise RuleError(
                f"{self.name_of(node)} is not available, because it builds a list; use exists, all, exists_one"
            )
        if node.variable in self.of.names:
            raise RuleError(
                f"{self.name_of(node)}: only its own variable can be read inside of it: call it not `{node.variable}`"
            )
        if self.macro:
            raise RuleError(f"{self.name_of(self.macro)} holds another macro; for lists in lists use a path with [*]")
        before, over = self.visit(node.over)
        self.macro, self.variables = node, {node.variable: OF_VARIABLE, _RESULT: SMALL}
        body, extents = self._all((node.condition, node.step))
        if extents[1].weight != ONE:
            raise RuleError(f"{self.name_of(node)} is not available, because its result grows with the list")
        after, _ = self.visit(node.result)
        self.macro, self.variables = None, {}
        body = body.plus(Growth(3))
        turns = over.items.times(body.base).plus(over.weight.times(body.weight))
        self.parts.append((turns.usual, node.id))
        return before.plus(after, turns, Growth(3)), SMALL

    def _call(self, node: Call) -> tuple[Growth, Extent]:
        steps, extents = self._all(node.arguments)
        if not node.overloads:
            raise RuleError(f"{node.function} is not available")
        found = [self._operate(node, overload, extents) for overload in node.overloads]
        own = most(cost for cost, _ in found)
        if not self.macro:
            self.parts.append((own.usual, node.id))
        return steps.plus(own, ONE), widest(extent for _, extent in found)

    def _operate(self, node: Call, overload: str, of: list[Extent]) -> tuple[Growth, Extent]:
        """The steps and the result of one overload of a function for arguments of these extents."""
        if overload in _STEPS:
            return Growth(_STEPS[overload]), SMALL
        if overload in _TEXT_STEPS:
            base, by_unit = _TEXT_STEPS[overload]
            return of[0].text.times(by_unit).plus(Growth(base)), SMALL
        if overload in _COPIES:
            return of[0].text.times(2), Extent(of[0].text, of[0].text)
        if overload in _ORDERS:
            return least(of[0].text, of[1].text), SMALL
        match overload:
            case "equals" | "not_equals":
                return least(of[0].weight, of[1].weight), SMALL
            case "starts_with_string" | "ends_with_string":
                return least(of[0].text, of[1].text), SMALL
            case "in_list":
                each = of[1].items.times(1 + of[0].weight.base)
                return (each if of[0].weight == Growth(of[0].weight.base) else of[1].items.plus(of[1].weight)), SMALL
            case "in_map":
                return of[0].text, SMALL
            case "index_list" | "index_map":
                return of[1].text, of[0].part
            case "to_dyn":
                return ONE, of[0]
            case "conditional":
                return ONE, widest(of[1:])
            case "add_string" | "add_bytes":
                both = of[0].text.plus(of[1].text)
                return both.times(2), Extent(both, both)
            case "add_list":
                both = of[0].weight.plus(of[1].weight)
                return both, Extent(both, widest(of).text, of[0].items.plus(of[1].items), widest(of).inner)
            case "contains_string":
                return of[0].text.times(_SEARCH_STEPS + len(self._written_out(node)) / 25), SMALL
            case "matches" | "matches_string":
                return self._matching(node, of[0]), SMALL
        raise RuleError(_HINTS.get(overload, f"{node.function} is not available ({overload})"))

    def _written_out(self, node: Call) -> str:
        """The second argument of contains and matches, which has to be a literal."""
        sought = node.arguments[1]
        if isinstance(sought, Const) and isinstance(sought.value, str):
            return sought.value
        raise RuleError(f"the text after {node.function} has to be written out, as in x.{node.function}('abc')")

    def _matching(self, node: Call, subject: Extent) -> Growth:
        """A pattern is compiled at every evaluation, and takes time for each of its characters at each byte."""
        if self.macro:
            raise RuleError(
                f"matches is not available inside of {self.name_of(self.macro)}, because it would compile its pattern"
                " for every item; use ==, in, startsWith, endsWith, contains"
            )
        pattern = self._written_out(node)
        if len(pattern) > MAX_PATTERN or _DEAR.search(pattern):
            raise RuleError(
                f"pattern {pattern[:MAX_PATTERN]!r}: a pattern has at most {MAX_PATTERN} characters, no counted"
                " repetition such as {3}, and no class of Unicode such as \\pL"
            )
        return subject.text.times(24).plus(Growth(40)).times(len(pattern) + 1)

    def name_of(self, node: Loop) -> str:
        """The macro that a loop was expanded from, as the text has it before its parenthesis."""
        found = _MACRO.search(self.text[: self.tree.offsets.get(node.id, 0)])
        return found[1] if found else "a macro"


_HINTS: Final = {f"timestamp_to_{part}_with_tz": "times are read in UTC: leave the time zone out" for part in _PARTS}


def _read(node: Node, of: Variables) -> Read | None:
    """What of a variable a chain of fields such as `object.status.a['b']` reads; None if the node is no such chain."""
    is_test = isinstance(node, Select) and node.is_test
    path: list[str] = []
    while True:
        match node:
            case Name(name=name) if name.removeprefix(".") in of.names:
                path += [] if of.is_one else [name.removeprefix(".")]
                return Read(tuple(reversed(path)), is_test)
            case Select():
                if node.is_test and path:
                    return None
                path.append(node.field)
                node = node.operand
            case Call(function="_[_]", arguments=(inner, Const(value=str() as key))):
                path.append(key)
                node = inner
            case _:
                return None


def _of_literal(node: Const) -> Extent:
    size = len(node.value) if isinstance(node.value, bytes) else 0
    if isinstance(node.value, str):
        size = len(node.value.encode("utf-8", "replace"))
    units = Growth(1 + size / TEXT_UNIT)
    return Extent(units, units)


def _joined(extents: list[Extent], items: int) -> Extent:
    """A list or map that was written out."""
    weight = ONE.plus(*(extent.weight for extent in extents))
    of_all = widest([SMALL, *extents])
    return Extent(weight, of_all.text, Growth(items), most((of_all.items, of_all.inner)))
