"""CEL for outputs: an expression over `object` that gives a value of any type, with the cost bound of status rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel

from pkg.apis.meta import Job
from pkg.workloads.cel_tree import decode
from pkg.workloads.costs import MAX_STEPS, estimate, snippet
from pkg.workloads.expressions import MAX_LENGTH, program, reason
from pkg.workloads.extents import SURE_ITEMS, SURE_TEXT, SURE_WEIGHT, Growth
from pkg.workloads.look import SHOW_STEPS, Look
from pkg.workloads.model import RuleError, RuleFault
from pkg.workloads.output_paths import NoValue
from pkg.workloads.projection import TEXT_UNIT, Projection, needs_whole

# What JSON has, and lists and maps of it.
_JSON: Final = frozenset({"BOOL", "INT", "UINT", "DOUBLE", "STRING", "LIST", "MAP"})


@dataclass(frozen=True, slots=True)
class ValueExpression:
    """An expression that may be used.

    needs_whole: it reads more of an object than every cached job has; roots: the fields of the object it reads below.
    """

    text: str
    steps: Growth
    projection: Projection
    needs_whole: bool
    roots: frozenset[str]


@lru_cache(maxsize=512)
def compile_value(text: str) -> ValueExpression:
    """Check an expression and estimate its cost. Raises RuleError."""
    if len(text) > MAX_LENGTH:
        raise RuleError(f"{len(text):,} characters; an expression has at most {MAX_LENGTH:,}")
    tree = decode(program(text).serialize())
    found = estimate(tree, text)
    if not found.reads:
        raise RuleError("the expression does not look at `object`, so it would always say the same")
    check_cost(found.steps, snippet(tree, text, found.costliest))
    roots = frozenset(read.path[0] for read in found.reads if read.path)
    return ValueExpression(text, found.steps, Projection(found.reads), needs_whole(found.reads), roots)


def check_cost(steps: Growth, costliest: str) -> None:
    """Refuse an expression that may cost too much. Raises RuleError, which names its costliest part."""
    usual = Growth(weight=SHOW_STEPS).plus(steps).usual
    if usual > MAX_STEPS:
        raise RuleError(
            f"the expression could take {int(usual):,} steps on {SURE_WEIGHT:,} values, with lists of {SURE_ITEMS}"
            f" items and texts of {SURE_TEXT * TEXT_UNIT:,} bytes; {MAX_STEPS:,} are allowed. What grows is"
            f" `{costliest}`"
        )


def value_of(expression: ValueExpression, job: Job) -> Any:
    """The value for a job, as JSON has it. Raises NoValue, and RuleFault if the job has not been read in full."""
    try:
        shown = (look := Look(job)).shown(expression.projection)
        look.spend(expression.steps.at(shown.size))
        found = program(expression.text).eval(shown.activation)
        kind = found.type()
        if kind == cel.Type.ERROR:
            raise NoValue(reason(str(found.value())))
        name = kind.name().partition("<")[0]
        if name not in _JSON:
            raise NoValue("it gives null" if name == "NULL" else f"it gives {name}; write string(...) around it")
        return found.plain_value()
    except RuleFault as fault:
        if not str(fault):
            raise
        raise NoValue(str(fault)) from fault
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise NoValue(reason(str(error))) from error
