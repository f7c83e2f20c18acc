"""Which HTTP and TCP probes are needed now."""

from __future__ import annotations

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.controllers.workflow.planner.actions import ProbeRequest
from pkg.controllers.workflow.planner.dependency.predicates import is_serving
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import ProbeKey


def probes_wanted(graph: Graph, draft: Draft) -> list[ProbeRequest]:
    """Probes whose answer somebody still waits for, of replicas whose job may be asked."""
    wanted = []
    for number in graph.probing:
        node = graph.nodes[number]
        if draft.is_final(number) or not draft.count(number, Phase.WAITING):
            continue
        for predicate in node.probes():
            passed = draft.state(node.number).passed
            asked = graph.nodes[predicate.flow]
            for index, task in enumerate(draft.tasks(asked.number)):
                if (predicate.path, index) in passed or not (task.is_unfinished or is_serving(task)):
                    continue
                wanted.append(
                    ProbeRequest(
                        key=ProbeKey(node.name, predicate.path, index),
                        asked=TaskKey(asked.name, index),
                        attempt=task.attempt,
                        what=predicate.what,
                        period=float(predicate.probe.period_seconds),
                        timeout=float(predicate.probe.timeout_seconds),
                        threshold=predicate.probe.success_threshold,
                        role=predicate.probe.role,
                        pods=predicate.probe.pods,
                        gvr=draft.state(asked.number).gvr,
                    )
                )
    return wanted
