"""The CEL expression of `when`: true or false, over what a run knows. Its cost is bounded like that of status rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel

from pkg.apis.flow.v1alpha1.when import Names, names_in
from pkg.workloads.cel_tree import decode
from pkg.workloads.costs import MAX_STEPS, estimate, snippet
from pkg.workloads.expressions import MAX_LENGTH, reason
from pkg.workloads.extents import RUN, Growth
from pkg.workloads.look import SHOW_STEPS
from pkg.workloads.model import RuleError, RuleFault
from pkg.workloads.projection import Read, measure
from pkg.workloads.text_comparisons import comparison_fault
from pkg.workloads.value_expressions import check_cost

_ENV: Final = cel.NewEnv(
    variables={name: cel.Type.INT if name in ("index", "replicas") else cel.Type.DYN for name in sorted(RUN.names)}
)
_OF_FLOW: Final = ("phase", "succeeded", "failed")
_OF_WORKFLOW: Final = ("name", "namespace", "uid", "phase", "reason", "message", "duration", "failures")
_WRITE: Final = {
    "params": "name one parameter, as in params.limit or params['my-limit']",
    "outputs": "name a flow and one of its outputs, as in outputs.train.accuracy or outputs['my-flow'].accuracy",
    "flows": f"name a flow and one of {', '.join(_OF_FLOW)}, as in flows.train.phase or flows['my-flow'].failed",
    "workflow": f"write one of {', '.join(f'workflow.{name}' for name in _OF_WORKFLOW)}",
}


@dataclass(frozen=True, slots=True)
class WhenExpression:
    """An expression that may be used.

    outputs: the flow and the name of those that it reads or asks for; is_by_index: tasks of one flow may differ.
    """

    text: str
    steps: Growth
    names: Names
    outputs: tuple[tuple[str, str], ...]
    is_by_index: bool


@lru_cache(maxsize=1024)
def compile_when(text: str) -> WhenExpression:
    """Check an expression and estimate its cost. Raises RuleError."""
    if len(text) > MAX_LENGTH:
        raise RuleError(f"{len(text):,} characters; an expression has at most {MAX_LENGTH:,}")
    if "{{" in text:
        raise RuleError("variables are written without braces here: params.x, index, outputs.FLOW.NAME")
    program = _program(text)
    result = program.return_type()
    if result not in (cel.Type.BOOL, cel.Type.DYN):
        raise RuleError(f"the expression gives {result.name()}; it has to give true or false")
    tree = decode(program.serialize())
    found = estimate(tree, text, RUN)
    for read in sorted(found.reads):
        _check(read)
    if fault := comparison_fault(tree):
        raise RuleError(fault)
    names = names_in(text)
    if _named(found.reads) != {*names.flows, *(flow for flow, _ in names.outputs), *names.parameters}:
        raise RuleError(f"flows and parameters have to be written out: {_WRITE['flows']}")
    if {read.path[1] for read in found.reads if read.path[0] == "workflow"} != set(names.workflow):
        raise RuleError(f"what is read of the workflow has to be written out: {_WRITE['workflow']}")
    check_cost(found.steps, snippet(tree, text, found.costliest))
    outputs = sorted(
        {(read.path[1], read.path[2]) for read in found.reads if read.path[0] == "outputs" and read.path[2:]}
    )
    is_by_index = any(read.path[0] in ("index", "item", "params") for read in found.reads)
    return WhenExpression(text, found.steps, names, tuple(outputs), is_by_index)


def _check(read: Read) -> None:
    """Refuses a read that does not say which flow, output or parameter it is about."""
    match read.path:
        case ("params", _, *_) | ("index" | "replicas" | "item", *_) | ("outputs", _, _, *_):
            return
        case ("outputs", _) if read.is_test:
            return
        case ("flows", _, what) if what in _OF_FLOW:
            return
        case ("workflow", what) if what in _OF_WORKFLOW:
            return
        case ("workflow", "failures", *_):
            return
    raise RuleError(f"{'.'.join(read.path)}: {_WRITE.get(read.path[0], 'is not available')}")


def _named(reads: Iterable[Read]) -> set[str]:
    return {read.path[1] for read in reads if read.path[0] in ("params", "outputs", "flows")}


@lru_cache(maxsize=512)
def _program(text: str) -> Any:
    try:
        return _ENV.compile(text)
    except RuntimeError as error:
        raise RuleError(reason(str(error))) from error


def holds(expression: WhenExpression, values: Mapping[str, Any]) -> bool:
    """Whether the expression is true. values: of its variables. Raises RuleFault with why it is neither."""
    size = measure(dict(values))
    if size is None or SHOW_STEPS * size.weight + expression.steps.at(size) > MAX_STEPS:
        raise RuleFault(f"it would take more than {MAX_STEPS:,} steps on these values; read fewer or shorter outputs")
    try:
        found = _program(expression.text).eval(_ENV.Activation(dict(values)))
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise RuleFault(reason(str(error))) from error
    kind = found.type()
    if kind != cel.Type.BOOL:
        raise RuleFault(
            reason(str(found.value())) if kind == cel.Type.ERROR else f"the result is {kind.name()}, not true or false"
        )
    return found.value() is True
