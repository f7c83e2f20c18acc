"""Sentences for users: what a flow waits for, and why its dependencies cannot be met."""

from __future__ import annotations

from pkg.apis.flow.v1alpha1.types import HTTPGet, Strategy
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.model import (
    Ask,
    Graph,
    PodIPPredicate,
    Predicate,
    PreviousPredicate,
    ProbePredicate,
    StatusPredicate,
)

_ASKED = {
    Ask.TARGET: "to succeed",
    Ask.TARGET_OR_FAILED: "to succeed or fail",
    Ask.TARGET_OR_SKIPPED: "to succeed or be skipped",
    Ask.TARGET_OR_FAILED_OR_SKIPPED: "to end",
    Ask.PENDING: "to get its job",
    Ask.RUNNING: "to run",
    Ask.COMPLETED: "to succeed",
    Ask.FAILED: "to fail",
    Ask.SKIPPED: "to be skipped",
    Ask.FINISHED: "to end",
}


def waits_for(graph: Graph, blocker: Predicate) -> str:
    """One line that says which dependency a flow waits for."""
    match blocker:
        case StatusPredicate(flow, ask, strategy):
            node = graph.nodes[flow]
            some = "any replica of " if node.size > 1 and strategy is Strategy.ANY else ""
            return f"waits for {some}{node.name} {_ASKED[ask]}"
        case PreviousPredicate(ask):
            return f"waits for the previous index {_ASKED[ask]}"
        case ProbePredicate(flow, _, _, what):
            kind = f"{what.scheme} {what.path}" if isinstance(what, HTTPGet) else "TCP"
            return f"waits for {graph.nodes[flow].name} to answer {kind} on port {what.port}"
        case PodIPPredicate(flow):
            return f"waits for the pod address of {graph.nodes[flow].name}"


def cannot_be_met(ctx: Context, blocker: Predicate | None, is_timeout: bool) -> str:
    """One line that says why dependencies can never be met; is_timeout: because a probe timed out."""
    graph, draft = ctx.graph, ctx.draft
    match blocker:
        case ProbePredicate(flow, _, _, what, _, fail_after):
            name = graph.nodes[flow].name
            kind = f"HTTP {what.path}" if isinstance(what, HTTPGet) else "TCP"
            if not is_timeout:
                return f"{name} ended {draft.phase(flow)} before it answered {kind} on port {what.port}"
            limit = "before it ended" if fail_after is None else f"within {fail_after:g}s of running"
            return f"{name} did not answer {kind} on port {what.port} {limit}"
        case StatusPredicate(flow, ask):
            return f"{graph.nodes[flow].name} is {draft.phase(flow)} and was {_ASKED[ask]}"
        case PreviousPredicate(ask):
            return f"the previous index ended and was {_ASKED[ask]}"
        case PodIPPredicate(flow):
            return f"{graph.nodes[flow].name} ended before its pod had an address"
        case None:
            return "its dependencies cannot be met any more"
