"""What a flow hands out and under which condition it runs, compiled; and what it needs of others beside dependsOn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pkg.apis.flow.v1alpha1 import cost, raw
from pkg.apis.flow.v1alpha1.edges import Edge, Wait
from pkg.apis.flow.v1alpha1.end_use import uses
from pkg.apis.flow.v1alpha1.faults import Faults
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.types import Flow, WorkflowSpec, WorkTemplate
from pkg.controllers.workflow.planner.graph.model import Condition
from pkg.workloads.output_rules import OutputRule, expression_faults, output_rules
from pkg.workloads.when_expressions import compile_when


@dataclass(frozen=True, slots=True)
class Needs:
    """What jobs and condition of a flow need of other flows: pod addresses, outputs, or their end."""

    edges: tuple[Edge, ...] = ()


@dataclass(frozen=True, slots=True)
class Own:
    """What a flow hands out, and under which condition it runs."""

    outputs: tuple[OutputRule, ...] = ()
    when: Condition | None = None


def reads_end(reading: Reading, flow: Flow) -> bool:
    """Whether a flow is `finally` and uses how the workflow went."""
    return flow.finally_ and any(uses(reading, flow))


def beside_dependencies(reading: Reading, flow: Flow) -> Iterator[Edge]:
    """The edges that are not in dependsOn: those of variables and of the condition."""
    yield from reading.use.edges(flow)
    beside = (Wait.POD_IP, Wait.OUTPUT, Wait.WHEN)
    yield from (edge for edge in reading.mentions(flow) if edge.wait in beside)


def all_expression_faults(spec: WorkflowSpec) -> Faults:
    """Outputs that cannot be read, and conditions that cannot be judged."""
    return Faults(
        one
        for at, flow in enumerate(spec.flows)
        if has_own(flow)
        for one in expression_faults(flow, f"spec.flows[{at}]")
    )


def has_own(flow: Flow) -> bool:
    """Whether the flow has outputs or a condition. Most have none."""
    return flow.raw_outputs is not raw.ABSENT or bool(flow.when)


def rules_of(flow: Flow, listed: frozenset[tuple[str, str]]) -> tuple[OutputRule, ...]:
    """The outputs of a flow. A list of items may be longer than another output. Raises RuleError."""
    return tuple(
        replace(rule, limit=cost.MAX_LIST) if (flow.name, rule.name) in listed else rule for rule in output_rules(flow)
    )


def condition_of(flow: Flow, templates: Mapping[str, WorkTemplate]) -> Condition | None:
    """The condition of a flow. Raises RuleError."""
    if not flow.when:
        return None
    if flow.approval is not None:
        return Condition(compile_when(flow.when), ())  # it has no template
    template = templates.get(flow.template_name)
    spec = flow.template_spec if flow.template_spec is not None else template.spec if template is not None else None
    try:
        parameters = spec.parameters if spec is not None else None
    except raw.RawError:
        parameters = ()  # a fault of the template, which fails the tasks
    return Condition(compile_when(flow.when), parameters)
