"""The FlowStatus of one flow: what a user reads of it, and what a later controller needs to recover it.

One object has a limited size, so the flows of a large workflow get shorter texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1.indexes import pack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import BLOCKING, FAILED_BEFORE_CREATION, Reasons
from pkg.apis.flow.v1alpha1.types import FlowStatus, Kept, Latch, ReplicaStatus
from pkg.apis.meta import timestamp
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.progress import FlowState, Task

MAX_ITEMS: Final = 100
# With more flows than this, messages are cut short, so that the whole object stays well below etcd's limit.
MANY_FLOWS: Final = 500
# Bytes of the object for all flows together. The others are for the spec.
ROOM: Final = 860_000


def flow_status(node: Node, state: FlowState, flows: int, indexed: int, room: int = ROOM) -> FlowStatus:
    """The status of one flow. flows, indexed: how many flows the workflow has, and how many of them with `for`.

    room: bytes for all flows together.
    """
    is_one_of_many = flows > MANY_FLOWS
    limit = 48 if is_one_of_many else 512
    phase = state.phase
    reason, message = why(node, state, phase)
    tasks = state.tasks
    started = min((task.started for task in tasks if task.started is not None), default=None)
    finished = max((task.finished for task in tasks if task.finished is not None), default=None)
    due = min((task.due for task in tasks if task.phase is Phase.BACKOFF and task.due is not None), default=None)
    status = FlowStatus(
        name=node.name,
        phase=phase,
        reason=reason,
        message=message[:limit],
        start_time="" if started is None else _time(started, is_one_of_many),
        completion_time=_time(finished, is_one_of_many) if phase.is_final and finished is not None else "",
        attempts=max(task.attempt + task.had_job for task in tasks),
        next_attempt_time="" if due is None else timestamp(due),
        gvr=state.gvr,
        passed=_latches(state) if state.count(Phase.WAITING) else (),
        renamed=state.renamed,
        first_attempt=state.first_attempt,
        kept=_kept(node, tasks, state.first_attempt),
    )
    if not node.is_indexed:
        return status if flows <= MANY_FLOWS else _brief(status, min(ROOM, room) // flows)
    by_phase: dict[str, list[int]] = {}
    for index, task in enumerate(tasks):
        by_phase.setdefault(task.phase.value.lower(), []).append(index)
    items = _items(tasks, max(1, min(MAX_ITEMS, 1000 // max(1, indexed))))
    return msgspec.structs.replace(
        status, replicas=items, **{name: pack_indexes(indexes) for name, indexes in by_phase.items()}
    )


def _time(seconds: float, is_one_of_many: bool) -> str:
    """A time from which no timeout counts: whole seconds in a large workflow."""
    return f"{timestamp(seconds)[:19]}Z" if is_one_of_many else timestamp(seconds)


def without_repeats(flows: Iterable[FlowStatus]) -> Iterator[FlowStatus]:
    """The flows; a final one without its kind if an earlier flow has the same.

    A controller that starts needs the set of kinds, not the kind of each flow.
    """
    known: set[str] = set()
    for flow in flows:
        is_repeat = flow.gvr in known and flow.phase.is_final
        known.add(flow.gvr)
        yield msgspec.structs.replace(flow, gvr="") if is_repeat and flow.gvr else flow


def _brief(status: FlowStatus, room: int) -> FlowStatus:
    """The status in at most `room` bytes, if possible.

    It leaves out only what recovery does not need: repetitions first, then the message, then the times.
    """
    unique = [
        msgspec.structs.replace(item, reason="") if item.reason == status.reason else item for item in status.kept
    ]
    changes: tuple[dict[str, Any], ...] = (
        {"kept": tuple(unique)},
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


def why(node: Node, state: FlowState, phase: Phase) -> tuple[str, str]:
    """Reason and message of a flow; what the API server warned of where there is nothing more important to say."""
    reason, message = _why_of_tasks(node, state, phase)
    if state.server_warning and not reason and not message:
        return Reasons.SERVER_WARNING, state.server_warning
    return reason, message


def _why_of_tasks(node: Node, state: FlowState, phase: Phase) -> tuple[str, str]:
    """Reason and message of its one task, what waits for a person, its first failed task, or what it waits for."""
    tasks = state.tasks
    if phase is Phase.WAITING:
        return state.wait_reason, state.wait_message
    if not node.is_indexed:
        task = tasks[0]
        if phase is Phase.BACKOFF and task.current.makeable is not None and state.wait_reason:
            return state.wait_reason, state.wait_message
        return task.reason, task.message
    if (blocking := _blocking(state)) is not None:
        return blocking
    for wanted in (Phase.FAILED, Phase.BACKOFF, Phase.CANCELLED, Phase.SKIPPED):
        for index, task in enumerate(tasks):
            if task.phase is wanted:
                return task.reason, f"index {index}: {task.message}" if task.message else ""
    for index, task in enumerate(tasks):
        if task.reason and not task.phase.is_final:
            return task.reason, f"index {index}: {task.message}" if task.message else ""
    if state.count(Phase.WAITING):
        return state.wait_reason, state.wait_message
    return "", ""


def _blocking(state: FlowState) -> tuple[str, str] | None:
    """What of a flow with `for` waits for a person; None if nothing does."""
    if state.is_final:
        return None
    if state.wait_reason in BLOCKING and state.count(Phase.WAITING, Phase.BACKOFF):
        return state.wait_reason, state.wait_message
    for index, task in enumerate(state.tasks):
        if task.reason in BLOCKING and not task.is_final:
            return task.reason, f"index {index}: {task.message}"
    return None


def _items(tasks: tuple[Task, ...], limit: int) -> tuple[ReplicaStatus, ...]:
    """Replicas that did not succeed, failed ones first."""
    order = (Phase.FAILED, Phase.BACKOFF, Phase.CANCELLED, Phase.SKIPPED, Phase.SUSPENDED)
    found: list[ReplicaStatus] = []
    for phase in order:
        for index, task in enumerate(tasks):
            if task.phase is phase:
                if len(found) == limit:
                    return tuple(found)
                found.append(ReplicaStatus(index, phase, task.reason, task.message[:256]))
    return tuple(found)


def _latches(state: FlowState) -> tuple[Latch, ...]:
    return tuple(Latch(path, pack_indexes(sorted(indexes))) for path, indexes in sorted(state.passed.items()))


def _kept(node: Node, tasks: tuple[Task, ...], first: int) -> tuple[Kept, ...]:
    """What the phase of a task alone does not say: the attempt, the reason, the due time, and whether it has run, was
    held by a queue, or had a job at all."""
    groups: dict[tuple[Kept, bool], list[int]] = {}
    for index, task in enumerate(tasks):
        item, in_backoff = _kept_of(task), task.phase is Phase.BACKOFF
        has_failed = task.phase is Phase.FAILED and (
            node.is_indexed
            or (item.ran and task.reason != Reasons.FAILED)
            or item.unmade != seems_unmade(task.reason, task.attempt, first)
        )
        is_shown_by_phase = task.phase in (Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED)
        has_run = item.ran and not is_shown_by_phase
        if task.attempt or in_backoff or has_failed or has_run or item.held:
            groups.setdefault((item, in_backoff), []).append(index)
    kept = []
    for (item, in_backoff), indexes in groups.items():
        due = max((tasks[index].due or 0.0 for index in indexes), default=0.0) if in_backoff else 0.0
        due_time = timestamp(due) if due else ""
        kept.append(msgspec.structs.replace(item, indexes=pack_indexes(indexes), due=due_time))
    return tuple(sorted(kept, key=lambda item: (item.attempt, item.reason, item.indexes)))


def _kept_of(task: Task) -> Kept:
    """What status keeps of one task, without its index and due time."""
    return Kept(
        indexes="",
        attempt=task.attempt,
        reason=task.reason if task.has_verdict else "",
        # A wait for the phase Running is over once the task has run, or once a job reported its own failure.
        ran=task.ran or task.reported,
        began=task.current.began and task.phase in (Phase.PENDING, Phase.SUSPENDED),
        held=task.current.was_held and task.phase in (Phase.PENDING, Phase.RUNNING),
        unmade=task.phase in (Phase.FAILED, Phase.BACKOFF) and not task.had_job,
    )


def seems_unmade(reason: str, attempt: int, first: int) -> bool:
    """Whether reason and attempt alone say that a failed task never had a job."""
    return reason in FAILED_BEFORE_CREATION and attempt <= first
