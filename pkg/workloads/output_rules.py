"""How the outputs of a flow are read: paths and expressions, compiled; and every fault in them and in `when`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pkg.apis.flow.v1alpha1.cost import MAX_OUTPUT
from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.output_faults import given_forms
from pkg.apis.flow.v1alpha1.raw import ABSENT, RawError
from pkg.apis.flow.v1alpha1.types import Flow, Output, TerminationMessage
from pkg.workloads.model import RuleError
from pkg.workloads.output_paths import Step, parse
from pkg.workloads.paths import PathError
from pkg.workloads.projection import KEPT_META, Read, needs_whole
from pkg.workloads.value_expressions import ValueExpression, compile_value
from pkg.workloads.when_expressions import compile_when

_ROOTS = ("status", "spec", "metadata")
_TYPE = ("apiVersion", "kind")


@dataclass(frozen=True, slots=True)
class OutputRule:
    """One output of a flow, ready to be read: its name, its default, and exactly one source.

    path: of the job, or into the termination message; empty for the whole message.
    """

    name: str
    default: str | None
    path: tuple[Step, ...] = ()
    cel: ValueExpression | None = None
    message: TerminationMessage | None = None
    #: Bytes of UTF-8.
    limit: int = MAX_OUTPUT

    @property
    def needs_whole(self) -> bool:
        """Whether it reads more of a job than every cached job has."""
        if self.cel is not None:
            return self.cel.needs_whole
        return self.message is None and _needs_whole(self.path)

    @property
    def asked(self) -> tuple[str, str]:
        """The role and the container whose termination message is read; empty for the lead pod and its first one."""
        return (self.message.role, self.message.container) if self.message is not None else ("", "")


def _needs_whole(path: tuple[Step, ...]) -> bool:
    return needs_whole([Read(tuple(step for step in path[:2] if isinstance(step, str)))])


def output_rules(flow: Flow) -> tuple[OutputRule, ...]:
    """The outputs of a flow. Raises RuleError for one that cannot be read, and RawError."""
    return () if flow.raw_outputs is ABSENT else tuple(_rule(output) for output in flow.outputs)


def _rule(output: Output) -> OutputRule:
    source = output.from_
    if source.cel:
        return OutputRule(output.name, output.default, cel=compile_value(source.cel))
    text = source.path if source.termination_message is None else source.termination_message.path
    try:
        path = parse(text) if text else ()
    except PathError as error:
        raise RuleError(str(error)) from error
    if source.termination_message is not None:
        return OutputRule(output.name, output.default, path, message=source.termination_message)
    if path[:1] == ("metadata",) and len(path) > 1 and _needs_whole(path):
        raise RuleError(f"{text!r}: of metadata only {', '.join(KEPT_META)} can be read")
    if not path or path[0] not in _ROOTS:
        raise RuleError(f"{text!r}: a path starts with {', '.join(_ROOTS[:-1])} or {_ROOTS[-1]}, without a leading dot")
    return OutputRule(output.name, output.default, path)


def expression_faults(flow: Flow, path: str) -> Iterator[Fault]:
    """Outputs that cannot be read, and a condition that cannot be judged. path: of the flow in the spec."""
    if flow.when:
        try:
            compile_when(flow.when)
        except RuleError as error:
            yield fault(f"{path}.when", str(error), flow.when)
    if flow.raw_outputs is ABSENT:
        return
    try:
        outputs = flow.outputs
    except RawError:
        return  # a fault of the list
    for at, output in enumerate(outputs):
        forms = given_forms(output.from_)
        if len(forms) != 1:
            continue  # another fault
        try:
            rule = _rule(output)
            if rule.cel is not None:
                _check_roots(rule.cel)
        except RuleError as error:
            place = f"{forms[0]}.path" if forms[0] == "terminationMessage" else forms[0]
            yield fault(f"{path}.outputs[{at}].from.{place}", str(error))


def _check_roots(expression: ValueExpression) -> None:
    """Refuse an expression that reads fields which are never looked at. Raises RuleError."""
    if others := sorted(expression.roots.difference(_ROOTS, _TYPE)):
        raise RuleError(
            f"object.{others[0]} cannot be read; an expression reads {', '.join(_ROOTS[:-1])} or {_ROOTS[-1]}"
        )
