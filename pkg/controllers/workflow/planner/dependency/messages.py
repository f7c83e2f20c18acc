"""Sentences for users: what a flow waits for, and why its dependencies cannot be met."""

from __future__ import annotations

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import HTTPGet, Strategy
from pkg.apis.meta import timestamp
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.probes import Silence
from pkg.controllers.workflow.planner.graph.model import (
    Ask,
    Node,
    OutputPredicate,
    PodIPPredicate,
    Predicate,
    PreviousPredicate,
    ProbePredicate,
    StatusPredicate,
)
from pkg.controllers.workflow.planner.progress import ProbeKey, counterpart

_NO_ADDRESS = (
    "none of its pods runs and has an address, or none can be found by the labels of its job; look at the pods of {0},"
    " or take {{{{flows.{0}.podIP}}}} out"
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


def waits_for(
    ctx: Context, node: Node, blocker: Predicate, index: int, silence: Silence | None = None
) -> tuple[str, str]:
    """Reason and one line that say which dependency an index of a flow waits for, and the state of what it waits for.

    silence: the replica that has not answered, if the dependency is a probe; or that has no address.
    """
    graph, draft = ctx.graph, ctx.draft
    match blocker:
        case StatusPredicate(flow, ask, strategy):
            asked = graph.nodes[flow]
            some = "any replica of " if asked.size > 1 and strategy is Strategy.ANY else ""
            text = f"waits for {some}{asked.name} {_ASKED[ask]}{_now(ctx, draft.phase(flow))}"
        case PreviousPredicate(ask):
            phase = draft.task(node.number, index - 1).phase
            text = f"index {index} waits for the previous index {_ASKED[ask]}{_now(ctx, phase)}"
        case ProbePredicate():
            return _waits_for_probe(ctx, blocker, silence)
        case PodIPPredicate(flow):
            asked = graph.nodes[flow]
            phase = draft.task(flow, counterpart(asked, index).index).phase
            text = f"waits for the pod address of {asked.name}{_now(ctx, phase)}"
            if silence is not None and silence.is_long:
                return Reasons.NO_POD_ADDRESS, f"{text}; {_NO_ADDRESS.format(asked.name)}"
        case OutputPredicate(flow, output):
            asked = graph.nodes[flow]
            phase = draft.phase(flow)
            text = f"waits for output {output} of {asked.name}{_now(ctx, phase)}"
    return Reasons.WAITING_FOR_DEPENDENCIES, text


def _waits_for_probe(ctx: Context, probe: ProbePredicate, silence: Silence | None) -> tuple[str, str]:
    """What a gate waits for: the state of the pod's task while it does not run, and then how the probe fails."""
    asked = ctx.graph.nodes[probe.flow]
    what = f"{probe.what.scheme} {probe.what.path}" if isinstance(probe.what, HTTPGet) else "TCP"
    index = silence.index if silence is not None else 0
    name = f"{asked.name}, index {index}," if asked.is_indexed and silence is not None else asked.name
    text = f"waits for {name} to answer {what} on port {probe.what.port}"
    if silence is None or not silence.is_running:
        return Reasons.WAITING_FOR_PROBE, text + _now(ctx, ctx.draft.task(probe.flow, index).phase)
    answer = ctx.snapshot.answers.get(ProbeKey(*probe.asked_as, index))
    if answer is not None:
        pod = f"pod {answer.pod} ({answer.address})" if answer.pod else answer.address
        since = f"{timestamp(answer.since)[:19]}Z"
        text = f"{text}; {answer.why} from {pod}, at least {answer.tries} times since {since}"
    elif silence.is_long:
        text = f"{text}; none of its pods that may be asked runs and has an address"
    if not silence.is_long:
        return Reasons.WAITING_FOR_PROBE, text
    return Reasons.PROBE_UNANSWERED, f"{text}; correct the probe or the pod, or set failAfter to give up"


def _now(ctx: Context, phase: Phase) -> str:
    """The state of what is waited for. In a large workflow it is left out: thousands may wait for the same flow."""
    return "" if ctx.graph.is_large else f" (now {phase})"


def cannot_be_met(ctx: Context, blocker: Predicate | None, index: int, is_timeout: bool) -> str:
    """One line that says why the dependencies of a task with this index can never be met; is_timeout: because a probe
    timed out.
    """
    graph, draft = ctx.graph, ctx.draft
    match blocker:
        case ProbePredicate(flow, _, _, what, _, fail_after):
            name = graph.nodes[flow].name
            kind = f"HTTP {what.path}" if isinstance(what, HTTPGet) else "TCP"
            if not is_timeout:
                return f"{name} ended {draft.phase(flow)} before it answered {kind} on port {what.port}"
            limit = "before it ended" if fail_after is None else f"within {fail_after:g}s of running"
            return f"{name} did not answer {kind} on port {what.port} {limit}{_last_answer(ctx, blocker)}"
        case StatusPredicate(flow, ask):
            return f"it waited for {graph.nodes[flow].name} {_ASKED[ask]}, which is {draft.phase(flow)}"
        case PreviousPredicate(ask):
            return f"it waited for the previous index {_ASKED[ask]}, which ended otherwise"
        case PodIPPredicate(flow):
            return f"{graph.nodes[flow].name} ended before its pod had an address"
        case OutputPredicate():
            return _without_output(ctx, blocker, index)
        case None:
            return "its dependencies cannot be met any more"


def _without_output(ctx: Context, asked: OutputPredicate, index: int) -> str:
    """Why an output is not recorded and never will be."""
    node = ctx.graph.nodes[asked.flow]
    if not asked.pick:
        return f"it needs output {asked.output} of {node.name}, which is {ctx.draft.phase(asked.flow)} without it"
    at = asked.index_for(index)
    needs = f"it needs output {asked.output} of {node.name} at index {at}, which"
    if at >= node.size:
        return f"{needs} does not exist: {node.name} has {node.count or 0:,} tasks"
    return f"{needs} is {ctx.draft.task(asked.flow, at).phase} without it"


def _last_answer(ctx: Context, probe: ProbePredicate) -> str:
    """How the probe failed the last time that somebody was told."""
    for index in range(ctx.graph.nodes[probe.flow].size):
        answer = ctx.snapshot.answers.get(ProbeKey(*probe.asked_as, index))
        if answer is not None:
            return f"; last: {answer.why} from {f'pod {answer.pod}' if answer.pod else answer.address}"
    return ""
