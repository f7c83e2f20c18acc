"""What is known of a workflow as its status, and back: the status is what survives a crash where no job tells.

Flows that did not change keep the FlowStatus last made of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import (
    FlowStatus,
    Kept,
    Latch,
    ReplicaStatus,
    TaskCounts,
    WorkflowStatus,
)
from pkg.apis.meta import Condition, timestamp
from pkg.controllers.workflow import ranges
from pkg.controllers.workflow.graph import Graph, Node
from pkg.controllers.workflow.progress import (
    NEVER_MADE,
    Decision,
    FlowState,
    Progress,
    Reasons,
    Task,
    empty_flow,
    from_flows,
    tally_of,
)
from pkg.controllers.workflow.snapshot import Snapshot
from pkg.workloads import RULE_FAULT

MAX_ITEMS: Final = 100
# From this many flows on, each one's message is cut short, so that the whole object stays well below etcd's limit.
MANY_FLOWS: Final = 500
# What all flows together may take of the object, in bytes; the rest is for the spec.
ROOM: Final = 860_000
_RANGES: Final = tuple(Phase)


def flow_status(node: Node, state: FlowState, flows: int, indexed: int) -> FlowStatus:
    """One flow. flows, indexed: how many flows the workflow has, and how many of these with `for`: they share the
    room.
    """
    is_one_of_many = flows > MANY_FLOWS
    limit = 48 if is_one_of_many else 512
    phase = state.phase
    reason, message = _why(node, state, phase)
    tasks = state.tasks
    started = min((task.started for task in tasks if task.started is not None), default=None)
    finished = max((task.finished for task in tasks if task.finished is not None), default=None)
    due = min((task.due for task in tasks if task.phase is Phase.BACKOFF and task.due is not None), default=None)
    status = FlowStatus(
        name=node.name,
        phase=phase,
        reason=reason,
        message=message[:limit],
        start_time="" if started is None else _told_time(started, is_one_of_many),
        completion_time=_told_time(finished, is_one_of_many) if phase.is_final and finished is not None else "",
        attempts=max(task.attempt + task.had_job for task in tasks),
        next_attempt_time="" if due is None else timestamp(due),
        gvr=state.gvr,
        passed=_latches(state) if state.count(Phase.WAITING) else (),
        renamed=state.renamed,
        first_attempt=state.first_attempt,
        kept=_kept(node, tasks, state.first_attempt),
    )
    if not node.is_indexed:
        return status if flows <= MANY_FLOWS else _brief(status, ROOM // flows)
    by_phase: dict[str, list[int]] = {}
    for index, task in enumerate(tasks):
        by_phase.setdefault(task.phase.value.lower(), []).append(index)
    items = _items(tasks, max(1, min(MAX_ITEMS, 1000 // max(1, indexed))))
    return msgspec.structs.replace(
        status, replicas=items, **{name: ranges.pack(indexes) for name, indexes in by_phase.items()}
    )


def _told_time(seconds: float, is_one_of_many: bool) -> str:
    """A time that no clock is derived from: whole seconds where thousands of flows share the room."""
    return f"{timestamp(seconds)[:19]}Z" if is_one_of_many else timestamp(seconds)


def _without_repeats(flows: Iterable[FlowStatus]) -> Iterator[FlowStatus]:
    """The flows, those that are final without a kind that a flow before them names: the set of kinds is what is
    needed of them after a restart.
    """
    known: set[str] = set()
    for flow in flows:
        is_repeat = flow.gvr in known and flow.phase.is_final
        known.add(flow.gvr)
        yield msgspec.structs.replace(flow, gvr="") if is_repeat and flow.gvr else flow


def _brief(status: FlowStatus, room: int) -> FlowStatus:
    """A flow in at most so many bytes, as far as leaving out what nothing is derived from can do it: what is told
    twice first, then the message, then the times."""
    told_twice = [
        msgspec.structs.replace(item, reason="") if item.reason == status.reason else item for item in status.kept
    ]
    changes: tuple[dict[str, Any], ...] = (
        {"kept": tuple(told_twice)},
        {"message": ""},
        {"next_attempt_time": ""},
        {"start_time": ""},
        {"completion_time": ""},
        {"attempts": 0} if status.kept else {},
    )
    for change in changes:
        if (excess := len(msgspec.json.encode(status)) - room) <= 0:
            break
        if "message" in change:
            change = {"message": status.message[: max(0, len(status.message) - excess)]}
        status = msgspec.structs.replace(status, **change)
    return status


def _why(node: Node, state: FlowState, phase: Phase) -> tuple[str, str]:
    """Reason and message of a flow: of its one task, of its first failed task, or what it waits for."""
    tasks = state.tasks
    if phase is Phase.WAITING:
        return state.why, state.message
    if not node.is_indexed:
        task = tasks[0]
        if phase is Phase.BACKOFF and task.makeable is not None and state.why:
            return state.why, state.message
        return task.reason, task.message
    for wanted in (Phase.FAILED, Phase.BACKOFF, Phase.CANCELLED, Phase.SKIPPED):
        for index, task in enumerate(tasks):
            if task.phase is wanted:
                return task.reason, f"index {index}: {task.message}" if task.message else ""
    for index, task in enumerate(tasks):
        if task.reason and not task.phase.is_final:
            return task.reason, f"index {index}: {task.message}" if task.message else ""
    if state.count(Phase.WAITING):
        return state.why, state.message
    return "", ""


def _items(tasks: tuple[Task, ...], limit: int) -> tuple[ReplicaStatus, ...]:
    """Replicas that did not succeed, failed ones first."""
    order = (Phase.FAILED, Phase.BACKOFF, Phase.CANCELLED, Phase.SUSPENDED)
    found: list[ReplicaStatus] = []
    for phase in order:
        for index, task in enumerate(tasks):
            if task.phase is phase:
                if len(found) == limit:
                    return tuple(found)
                found.append(ReplicaStatus(index, phase, task.reason, task.message[:256]))
    return tuple(found)


def _latches(state: FlowState) -> tuple[Latch, ...]:
    by_path: dict[str, list[int]] = {}
    for path, index in sorted(state.passed):
        by_path.setdefault(path, []).append(index)
    return tuple(Latch(path, ranges.pack(indexes)) for path, indexes in by_path.items())


def _kept(node: Node, tasks: tuple[Task, ...], first: int) -> tuple[Kept, ...]:
    """What the phase alone does not tell of tasks: the attempt, the reason, the due time, and whether one has run, was
    held by a queue, or had a job at all."""
    groups: dict[tuple[Kept, bool], list[int]] = {}
    for index, task in enumerate(tasks):
        item, in_backoff = _kept_of(task), task.phase is Phase.BACKOFF
        has_failed = task.phase is Phase.FAILED and (
            node.is_indexed
            or (item.ran and task.reason != Reasons.FAILED)
            or item.unmade != _seems_unmade(task.reason, task.attempt, first)
        )
        is_told_by_phase = task.phase in (Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED)
        has_run = item.ran and not is_told_by_phase
        if task.attempt or in_backoff or has_failed or has_run or item.held:
            groups.setdefault((item, in_backoff), []).append(index)
    kept = []
    for (item, in_backoff), indexes in groups.items():
        due = max((tasks[index].due or 0.0 for index in indexes), default=0.0) if in_backoff else 0.0
        told = timestamp(due) if due else ""
        kept.append(msgspec.structs.replace(item, indexes=ranges.pack(indexes), due=told))
    return tuple(sorted(kept, key=lambda item: (item.attempt, item.reason, item.indexes)))


def _kept_of(task: Task) -> Kept:
    """What is kept of one task, without its index and due time."""
    return Kept(
        indexes="",
        attempt=task.attempt,
        reason=task.reason if task.is_settled else "",
        # What makes a wait for the phase Running true, and stays true: it has run, or a job reported its own failure.
        ran=task.ran or task.reported,
        began=task.began and task.phase in (Phase.PENDING, Phase.SUSPENDED),
        held=task.was_held and task.phase in (Phase.PENDING, Phase.RUNNING),
        unmade=task.phase in (Phase.FAILED, Phase.BACKOFF) and not task.had_job,
    )


def _seems_unmade(reason: str, attempt: int, first: int) -> bool:
    """What reason and attempt alone tell of whether a failed task ever had a job."""
    return reason in NEVER_MADE and attempt <= first


def recover(snapshot: Snapshot, graph: Graph) -> Progress:
    """The progress that the recorded status amounts to; jobs are folded into it afterwards, as on any other day."""
    status = snapshot.workflow.status
    by_name = {flow.name: flow for flow in status.flows}
    flows = []
    for node in graph.nodes:
        recorded = by_name.get(node.name)
        flows.append(empty_flow(node) if recorded is None else _recover_flow(node, recorded, snapshot.now))
    progress = from_flows(flows)
    decided = conds.find(status.conditions, conds.DECIDED)
    if decided is not None and decided.status == conds.TRUE:
        decision = Decision(decided.reason, decided.message)
        return replace(progress, decision=decision, is_decision_acked=True)
    return progress


def _recover_flow(node: Node, recorded: FlowStatus, now: float) -> FlowState:
    fresh = empty_flow(node)
    tasks = list(fresh.tasks)
    if node.is_indexed:
        phases = {
            index: phase
            for phase in _RANGES
            for index in ranges.unpack(getattr(recorded, phase.value.lower()))
            if index < node.size
        }
    else:
        phases = {0: recorded.phase}
    kept = {index: item for item in recorded.kept for index in ranges.unpack(item.indexes)}
    told = {item.index: item for item in recorded.replicas}
    for index, phase in phases.items():
        item, replica = kept.get(index), told.get(index)
        single = not node.is_indexed
        reason = (
            item.reason if item and item.reason else replica.reason if replica else recorded.reason if single else ""
        )
        attempt = item.attempt if item else max(0, recorded.attempts - 1) if single else 0
        is_over = phase.is_final or phase is Phase.BACKOFF
        is_unmade = item.unmade if item else _seems_unmade(reason, attempt, recorded.first_attempt)
        was_held = phase is Phase.SUSPENDED or bool(item and item.held)
        # How long it was held nobody recorded: its clocks start anew.
        begin = now if was_held else None
        tasks[index] = Task(
            phase=phase,
            attempt=attempt,
            reason=reason if is_over else "",
            message=(replica.message if replica else recorded.message if single else "") if is_over else "",
            had_job=phase not in (Phase.WAITING, Phase.SKIPPED) and not is_unmade,
            ran=phase in (Phase.RUNNING, Phase.SUCCEEDED) or bool(item and item.ran),
            began=phase is Phase.RUNNING or bool(item and item.began),
            was_held=was_held,
            created=begin,
            makeable=begin,
            reported=reason == Reasons.FAILED,
            started=_seconds(recorded.start_time),
            finished=_seconds(recorded.completion_time) if phase.is_final else None,
            due=_seconds(item.due) if item and phase is Phase.BACKOFF else None,
        )
    return FlowState(
        tasks=tuple(tasks),
        tally=tally_of(tasks),
        why=recorded.reason if recorded.phase is Phase.WAITING else "",
        message=recorded.message if recorded.phase is Phase.WAITING else "",
        gvr=recorded.gvr,
        renamed=recorded.renamed,
        first_attempt=recorded.first_attempt,
        passed=frozenset((latch.probe, index) for latch in recorded.passed for index in ranges.unpack(latch.indexes)),
        wakes=0.0,  # the timers of what is recovered are still to be looked at
    )


def seconds(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time."""
    return datetime.fromisoformat(text).timestamp()


def _seconds(text: str) -> float | None:
    return seconds(text) if text else None


def workflow_status(
    snapshot: Snapshot, graph: Graph, progress: Progress, phase: WorkflowPhase
) -> tuple[WorkflowStatus, tuple[tuple[FlowState, FlowStatus] | None, ...]]:
    """The whole status, and the parts of it made per flow, to be kept for the next time."""
    old = snapshot.workflow.status
    indexed = sum(node.is_indexed for node in graph.nodes)
    rendered = []
    for node, state, made in zip(graph.nodes, progress.flows, progress.rendered, strict=True):
        is_same = made is not None and made[0] is state
        rendered.append(made if is_same else (state, flow_status(node, state, len(graph.nodes), indexed)))
    flows = (item[1] for item in rendered if item is not None)
    counts = {name.value.lower(): count for name, count in progress.counts.items()}
    finals = sum(count for name, count in progress.counts.items() if name.is_final)
    decision = progress.decision
    status = WorkflowStatus(
        phase=phase,
        reason=decision.reason if decision else "",
        message=decision.message[:1024] if decision else "",
        start_time=old.start_time or timestamp(snapshot.now),
        completion_time=(old.completion_time or timestamp(snapshot.now)) if phase.is_final else "",
        observed_generation=snapshot.workflow.metadata.generation,
        progress=f"{finals}/{graph.total}",
        tasks=TaskCounts(total=graph.total, **counts),
        conditions=_with_rule_faults(
            snapshot, graph, progress, phase, conditions(snapshot, old.conditions, phase, decision)
        ),
        flows=tuple(_without_repeats(flows) if len(graph.nodes) > MANY_FLOWS else flows),
        restarted_at=old.restarted_at,
        suspended_at=_suspended_at(snapshot, phase),
        suspended_seconds=suspended_seconds(snapshot) if not snapshot.workflow.spec.suspend else old.suspended_seconds,
        spec_hash=old.spec_hash or snapshot.spec_hash,
    )
    return status, tuple(rendered)


def restarted_status(
    snapshot: Snapshot, graph: Graph, progress: Progress, token: str
) -> tuple[WorkflowStatus, tuple[tuple[FlowState, FlowStatus] | None, ...]]:
    """The status as a restart begins: the clocks start anew, what was decided is forgotten."""
    forgotten = (conds.DECIDED, conds.FINISHED, conds.SUCCEEDED)
    old = snapshot.workflow.status
    fresh = msgspec.structs.replace(
        old,
        phase=WorkflowPhase.RUNNING,
        start_time=timestamp(snapshot.now),
        completion_time="",
        conditions=conds.without(old.conditions, *forgotten),
        restarted_at=token,
        suspended_at="",
        suspended_seconds=0.0,
    )
    workflow = msgspec.structs.replace(snapshot.workflow, status=fresh)
    return workflow_status(replace(snapshot, workflow=workflow), graph, progress, WorkflowPhase.RUNNING)


def _suspended_at(snapshot: Snapshot, phase: WorkflowPhase) -> str:
    if not snapshot.workflow.spec.suspend or phase.is_final:
        return ""
    return snapshot.workflow.status.suspended_at or timestamp(snapshot.now)


def suspended_seconds(snapshot: Snapshot) -> float:
    """How long the workflow has been suspended so far, in seconds."""
    status = snapshot.workflow.status
    since = _seconds(status.suspended_at)
    return status.suspended_seconds + (max(0.0, snapshot.now - since) if since is not None else 0.0)


def conditions(
    snapshot: Snapshot, old: tuple[Condition, ...], phase: WorkflowPhase, decision: Decision | None
) -> tuple[Condition, ...]:
    """Decided, Finished, Succeeded (only at the end), Suspended (once it ever was)."""
    found = old
    if decision is not None:
        found = _put(snapshot, found, conds.DECIDED, True, decision.reason, decision.message)
    if phase.is_final and decision is not None:
        found = _put(snapshot, found, conds.FINISHED, True, decision.reason, decision.message)
        found = _put(snapshot, found, conds.SUCCEEDED, decision.is_success, decision.reason, decision.message)
    is_suspended = snapshot.workflow.spec.suspend and not phase.is_final
    if is_suspended or conds.find(found, conds.SUSPENDED) is not None:
        reason = "SpecSuspend" if is_suspended else "Resumed"
        found = _put(
            snapshot, found, conds.SUSPENDED, is_suspended, reason, f"spec.suspend is {str(is_suspended).lower()}"
        )
    return found


def _with_rule_faults(
    snapshot: Snapshot, graph: Graph, progress: Progress, phase: WorkflowPhase, found: tuple[Condition, ...]
) -> tuple[Condition, ...]:
    """The condition StatusRulesFaulty: the rules of a template cannot be used, or fail on a job; its tasks go on."""
    if not snapshot.rules and conds.find(found, conds.STATUS_RULES_FAULTY) is None:
        return found
    for node, state in zip(graph.nodes, progress.flows, strict=True):
        if phase.is_final or node.name not in snapshot.rules:
            continue
        told = [task.message for task in state.tasks if task.reason == RULE_FAULT and not task.is_final]
        if state.why == RULE_FAULT and state.count(Phase.WAITING, Phase.BACKOFF):
            told.append(state.message)
        if told:
            return _put(snapshot, found, conds.STATUS_RULES_FAULTY, True, RULE_FAULT, f"{node.name}: {told[0]}")
    if conds.find(found, conds.STATUS_RULES_FAULTY) is None:
        return found
    return _put(snapshot, found, conds.STATUS_RULES_FAULTY, False, "RulesWork", "no rule of a template fails now")


def _put(
    snapshot: Snapshot, found: tuple[Condition, ...], type_: str, is_true: bool, reason: str, message: str
) -> tuple[Condition, ...]:
    condition = Condition(
        type=type_,
        status=conds.TRUE if is_true else conds.FALSE,
        reason=reason,
        message=message,
        last_transition_time=timestamp(snapshot.now)[:19] + "Z",
        observed_generation=snapshot.workflow.metadata.generation,
    )
    return conds.put(found, condition)


def diff(old: WorkflowStatus, new: WorkflowStatus) -> tuple[dict[str, Any], ...]:
    """JSON Patch from one status to the other, flows by list index; empty if they are equal."""
    if old.phase is None:
        return ({"op": "add", "path": "/status", "value": new},)
    operations: list[dict[str, Any]] = []
    defaults = WorkflowStatus()
    for field in msgspec.structs.fields(WorkflowStatus):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before == after:
            continue
        path = f"/status/{field.encode_name}"
        if field.name == "flows" and len(before) == len(after) and before:
            operations.extend(_flow_operations(path, before, after))
        elif after == getattr(defaults, field.name) and field.name != "tasks":
            operations.append({"op": "remove", "path": path})
        else:
            operations.append({"op": "add", "path": path, "value": after})
    return tuple(operations)


def _flow_operations(path: str, before: Iterable[FlowStatus], after: Iterable[FlowStatus]) -> list[dict[str, Any]]:
    return [
        {"op": "replace", "path": f"{path}/{number}", "value": new}
        for number, (old, new) in enumerate(zip(before, after, strict=True))
        if old is not new and old != new
    ]
