"""Which HTTP and TCP probes are needed now."""

from __future__ import annotations

from collections.abc import Iterator

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.controllers.workflow.planner.actions import ProbeRequest
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.predicates import is_serving
from pkg.controllers.workflow.planner.graph.model import Node, ProbePredicate
from pkg.controllers.workflow.planner.progress import Task, TaskKey
from pkg.controllers.workflow.planner.snapshot import ProbeKey


def needed_probes(ctx: Context) -> Iterator[ProbeRequest]:
    """The probes whose result a Waiting task needs, of replicas whose pods can be probed."""
    graph, draft = ctx.graph, ctx.draft
    for number in graph.probing:
        node = graph.nodes[number]
        if draft.is_final(number) or not draft.count(number, Phase.WAITING):
            continue
        passed = draft.state(number).passed
        for predicate in node.probes():
            for index, task in enumerate(draft.tasks(predicate.flow)):
                if (predicate.path, index) not in passed and (task.is_unfinished or is_serving(task)):
                    yield _request(ctx, node, predicate, index, task)


def _request(ctx: Context, node: Node, predicate: ProbePredicate, index: int, task: Task) -> ProbeRequest:
    asked = ctx.graph.nodes[predicate.flow]
    return ProbeRequest(
        key=ProbeKey(node.name, predicate.path, index),
        asked=TaskKey(asked.name, index),
        attempt=task.attempt,
        what=predicate.what,
        period=float(predicate.probe.period_seconds),
        timeout=float(predicate.probe.timeout_seconds),
        threshold=predicate.probe.success_threshold,
        role=predicate.probe.role,
        pods=predicate.probe.pods,
        gvr=ctx.draft.state(asked.number).gvr,
    )
