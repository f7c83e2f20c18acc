"""Judges `when`: once per task, when its dependencies are True. It reads nothing that can change afterwards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import raw
from pkg.apis.flow.v1alpha1.filling import plain_values
from pkg.apis.flow.v1alpha1.items import NO_ITEM
from pkg.apis.flow.v1alpha1.parameters import ALL, Resolved, Scopes, missing_message
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.variables import VariableError
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.model import Condition, Node, PodIPPredicate
from pkg.controllers.workflow.planner.outputs.end import fields_of
from pkg.controllers.workflow.planner.outputs.items import ItemsError, item_of
from pkg.controllers.workflow.planner.outputs.values import listed, output_of, variables_for
from pkg.controllers.workflow.planner.progress import Task, counterpart
from pkg.controllers.workflow.planner.render.hidden import outputs_in, without_values
from pkg.workloads.model import RuleFault
from pkg.workloads.when_expressions import holds

_PATHS: Final = ("template.parameters", "workflow.parameters", "parameters")
_QUOTED: Final = re.compile(r'"[^"]*"')
_ITEM: Final = re.compile(r"\bitem\b")
# What one evaluation costs of the budget of a pass, besides the values.
_UNITS: Final = 10


@dataclass(frozen=True, slots=True)
class Ends:
    """The task is not to run, or its condition cannot be judged."""

    phase: Phase
    reason: str
    message: str

    def applied(self, task: Task, now: float) -> Task:
        """The task after its end."""
        return msgspec.structs.replace(task, phase=self.phase, reason=self.reason, message=self.message, finished=now)


@dataclass(frozen=True, slots=True)
class Waits:
    """The condition cannot be judged yet."""

    reason: str
    message: str


class Judge:
    """Judges the condition of one flow, for all of its tasks in one pass."""

    def __init__(self, ctx: Context, node: Node, condition: Condition) -> None:
        self._ctx = ctx
        self._node = node
        self._condition = condition
        self._shared: dict[str, Any] | None = None
        self._known: Ends | Waits | bool | None = None

    def verdict(self, index: int) -> Ends | Waits | None:
        """What the condition comes to for one task; None if it holds."""
        found = self._known
        if found is None:
            self._ctx.budget.spend(_UNITS)
            found = self._judge(index)
            if not self._condition.expression.is_by_index:
                self._known = found
        return None if isinstance(found, bool) else found

    def _judge(self, index: int) -> Ends | Waits | bool:
        expression = self._condition.expression
        try:
            values = {**self._same_for_all(), **self._of_index(index)}
            if holds(expression, values):
                return True
        except _Missing as missing:
            return Waits(Reasons.TEMPLATE_NOT_FOUND, str(missing))
        except VariableError as error:
            outputs = variables_for(self._ctx, self._node, index)
            return _fault(f"{error.path}: {without_values(error.message, outputs_in(outputs))}")
        except RuleFault as error:
            return _fault(_without_quotes(str(error), expression.text) + self._hint())
        except (raw.RawError, ItemsError) as error:
            return _fault(str(error))
        text = f"when was false: {expression.text}"
        return Ends(Phase.SKIPPED, Reasons.WHEN_FALSE, text if len(text) <= 512 else f"{text[:509]}...")

    def _hint(self) -> str:
        """What may be the cause of a fault in the expression."""
        names_item = _ITEM.search(self._condition.expression.text) is not None
        return (
            "; item is null, because the flow has no for.items" if names_item and not self._node.flow.has_items else ""
        )

    def _same_for_all(self) -> dict[str, Any]:
        """The variables that are the same for all tasks of the flow."""
        if self._shared is None:
            ctx, expression = self._ctx, self._condition.expression
            meta = ctx.snapshot.workflow.metadata
            self._shared = {
                "outputs": self._outputs(),
                "flows": {name: self._flow(name) for name in expression.names.flows},
                "replicas": self._node.replicas,
                "workflow": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
            }
            if self._node.reads_end and ctx.draft.end is not None:
                self._shared["workflow"].update(fields_of(ctx.draft.end))
        return self._shared

    def _outputs(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for flow, name in self._condition.expression.outputs:
            node = self._ctx.graph[flow]
            tasks = self._ctx.draft.tasks(node.number)
            self._ctx.budget.spend(1 + len(tasks) // 4)
            value: Any = listed(tasks, name) if node.is_indexed else output_of(tasks[0], name)
            has_value = value is not None and (not node.is_indexed or any(one is not None for one in value))
            found.setdefault(flow, {}).update({name: value} if has_value else {})
        return found

    def _flow(self, name: str) -> dict[str, Any]:
        draft, number = self._ctx.draft, self._ctx.graph.by_name[name]
        return {
            "phase": draft.phase(number).value,
            "succeeded": draft.count(number, Phase.SUCCEEDED),
            "failed": draft.count(number, Phase.FAILED),
        }

    def _of_index(self, index: int) -> dict[str, Any]:
        """The variables that may differ between the tasks of the flow."""
        item = item_of(self._ctx, self._node, index)
        names = self._condition.expression.names.parameters
        return {
            "index": index,
            "item": None if item is NO_ITEM else item,
            "params": self._parameters(index, item) if names else {},
        }

    def _parameters(self, index: int, item: Any) -> Mapping[str, str]:
        ctx, node, flow = self._ctx, self._node, self._node.flow
        of_template = self._condition.parameters
        workflow = ctx.snapshot.workflow
        plain = plain_values(
            workflow.metadata,
            flow,
            index=index,
            replicas=node.replicas,
            attempt=0,
            pod_ips=_pod_ips(ctx, node, index),
            outputs=variables_for(ctx, node, index),
            item=item,
        )
        scopes = Scopes(of_template or (), workflow.spec.parameters, flow.parameters)
        values = Resolved(plain, lambda: scopes, _PATHS)
        found: dict[str, str] = {}
        for name in self._condition.expression.names.parameters:
            value = values.parameter(name, ALL)
            if value is None and of_template is None:
                text = (
                    f"there is no WorkTemplate {flow.template_name}, which may have a value for params.{name} in when"
                )
                raise _Missing(text)
            if value is None:
                raise VariableError("when", f"params.{name}", missing_message(name, scopes))
            found[name] = value
        return found


class _Missing(Exception):
    """The template that may have a value does not exist."""


def _pod_ips(ctx: Context, node: Node, index: int) -> dict[str, str]:
    """The pod addresses that values of parameters may use."""
    asked = [ctx.graph.nodes[part.flow] for part in node.predicates() if isinstance(part, PodIPPredicate)]
    found = {one.name: ctx.snapshot.pod_ips.get(counterpart(one, index), "") for one in asked}
    return {name: address for name, address in found.items() if address}


def _fault(message: str) -> Ends:
    return Ends(Phase.FAILED, Reasons.RENDER_ERROR, f"when cannot be judged: {message}"[:512])


def _without_quotes(message: str, text: str) -> str:
    """A message of the library without what it quotes, unless that stands in the expression: it may be an output."""
    return _QUOTED.sub(lambda found: found[0] if found[0][1:-1] in text else '"..."', message)
