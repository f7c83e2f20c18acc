"""CEL in status rules: one boolean expression over `object`, compiled once, refused if its cost has no bound.

During an evaluation every other thread of the process waits, the one that renews the Lease too, and nothing can stop
it. `costs.py` says how the bound is computed, and docs/security.md what it means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel

from pkg.workloads.cel_tree import decode
from pkg.workloads.costs import MAX_STEPS, Estimate, estimate, snippet
from pkg.workloads.extents import SURE_ITEMS, SURE_TEXT, SURE_WEIGHT, Growth
from pkg.workloads.look import ENV, SHOW_STEPS, Look
from pkg.workloads.model import RuleError, RuleFault
from pkg.workloads.projection import TEXT_UNIT, Projection, needs_whole

MAX_LENGTH: Final = 1024
"""Characters of one expression."""
MAX_EXPRESSIONS: Final = 16
"""CEL expressions in the rules of one template."""
MAX_NODES: Final = 1_000
"""Nodes of the syntax trees of all of them."""
# What the library says of values, in words of people who do not know it.
_PLAIN: Final = (
    (re.compile(r'^Key not found in map : "(.*)"$'), r'there is no key "\1"'),
    (re.compile(r"^cannot convert string to int$"), "int(...) was given a text that is no whole number"),
    (re.compile(r"^cannot convert string to double$"), "double(...) was given a text that is no number"),
    (re.compile(r"^Index error: index=(-?\d+) size=(\d+)$"), r"there is no item at [\1]: the list has \2"),
    (re.compile(r"^Applying SELECT to non-message type$"), "it reads a key of what is no object"),
)
# The library quotes keys of the object in its messages; they may be of any length.
_MAX_QUOTED: Final = 400


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that may be used, and what it may cost."""

    text: str
    estimate: Estimate

    @property
    def needs_whole(self) -> bool:
        """Whether it reads more of an object than every cached job has."""
        return needs_whole(self.estimate.reads)

    @property
    def costliest(self) -> str:
        """The text of its costliest part."""
        return snippet(decode(program(self.text).serialize()), self.text, self.estimate.costliest)


def compile_expression(text: str, *, where: str) -> Expression:
    """Check an expression and estimate its cost; `where` is its path, for messages. Raises RuleError."""
    try:
        return _checked(text)
    except RuleError as error:
        raise RuleError(f"{where}: cel: {error}") from error


@lru_cache(maxsize=64)
def _checked(text: str) -> Expression:
    """Cached for a moment, because the rules of a template are checked, then compiled."""
    if len(text) > MAX_LENGTH:
        raise RuleError(f"{len(text):,} characters; an expression has at most {MAX_LENGTH:,}")
    compiled = program(text)
    result = compiled.return_type()
    if result not in (cel.Type.BOOL, cel.Type.DYN):
        raise RuleError(f"the expression gives {result.name()}; it has to give true or false")
    found = estimate(decode(compiled.serialize()), text)
    if not found.reads:
        raise RuleError("the expression does not look at `object`, so it would always say the same")
    return Expression(text, found)


@lru_cache(maxsize=512)
def program(text: str) -> Any:
    """The library's form of an expression. It takes up to 150 KB for 1 KB of text, so only some are kept; compiling
    one again takes less than a millisecond. Raises RuleError.
    """
    try:
        return ENV.compile(text)
    except RuntimeError as error:
        raise RuleError(reason(str(error))) from error


def check_together(expressions: Iterable[tuple[str, Expression]], where: str) -> None:
    """Refuse the expressions of one template if together they may cost too much; given with their paths.

    Raises RuleError, which names the costliest expression and its costliest part.
    """
    found = list(expressions)
    if len(found) > MAX_EXPRESSIONS:
        raise RuleError(f"{where}: {len(found)} predicates are cel; at most {MAX_EXPRESSIONS} may be")
    nodes = sum(one.estimate.nodes for _, one in found)
    if nodes > MAX_NODES:
        raise RuleError(f"{where}: cel: the syntax trees have {nodes:,} nodes; at most {MAX_NODES:,} are allowed")
    steps = Growth(weight=SHOW_STEPS).plus(*(one.estimate.steps for _, one in found)).usual
    if steps > MAX_STEPS:
        place, costliest = max(found, key=lambda one: one[1].estimate.steps.usual)
        raise RuleError(
            f"{place}: cel: the expressions of the template could take {int(steps):,} steps on an object of"
            f" {SURE_WEIGHT:,} values, with lists of {SURE_ITEMS} items and texts of {SURE_TEXT * TEXT_UNIT:,} bytes;"
            f" {MAX_STEPS:,} are allowed. The costliest expression is this one, with"
            f" {int(costliest.estimate.steps.usual):,}; what grows is `{costliest.costliest}`"
        )


def evaluate(expression: Expression, projection: Projection, *, where: str) -> Callable[[Look], Any]:
    """A test that returns True if the expression holds, else None. It raises RuleFault if it cannot be evaluated.

    `projection` covers what all expressions of the template read.
    """
    text, steps = expression.text, expression.estimate.steps

    def test(look: Look) -> Any:
        try:
            shown = look.shown(projection)
            look.spend(steps.at(shown.size))
            value = program(text).eval(shown.activation)
        except RuleFault as fault:
            raise RuleFault(f"{where}: {fault}" if str(fault) else "") from fault
        except (RuntimeError, ValueError, TypeError, OverflowError) as error:
            raise RuleFault(f"{where}: cel: {reason(str(error))}") from error
        kind = value.type()
        if kind != cel.Type.BOOL:
            why = reason(str(value)) if kind == cel.Type.ERROR else f"the result is {kind.name()}, not true or false"
            raise RuleFault(f"{where}: cel: {why}")
        return True if value.value() is True else None

    return test


def reason(text: str) -> str:
    """The library's message as one line, without its own codes and its drawing of the place."""
    line = text[:_MAX_QUOTED].split("\n", 1)[0].removesuffix("]")
    line = re.sub(r"^(?:[A-Z_]+: )?(?:ERROR: )?", "", line)
    line = re.sub(r"<input>:(\d+):(\d+): ", r"line \1, column \2: ", line.replace("<input>:-1:-1: ", ""))
    line = re.sub(r" \[[A-Z_]+$", "", line).removesuffix(" (in container '')")
    for pattern, plain in _PLAIN:
        line = pattern.sub(plain, line)
    return line
