"""The FlowStatus of one flow: what a user reads of it. A later controller recovers phases, attempts and times from it.

One object has a limited size, so the flows of a large workflow get shorter texts.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1.indexes import pack_indexes
from pkg.apis.flow.v1alpha1.phases import BACKOFF, CANCELLED, FAILED, PENDING, SKIPPED, SUSPENDED, WAITING, Phase
from pkg.apis.flow.v1alpha1.reasons import BLOCKING, Reasons
from pkg.apis.flow.v1alpha1.records import NOTHING
from pkg.apis.flow.v1alpha1.types import FlowRecord, FlowStatus, ReplicaStatus
from pkg.apis.meta import timestamp
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.outputs.record import recorded_outputs
from pkg.controllers.workflow.planner.progress import FlowState, Task
from pkg.controllers.workflow.planner.status.server_warnings import MAX_MESSAGE, WARNED

MAX_ITEMS: Final = 100
# With more flows than this, messages are cut short, so that the whole object stays well below etcd's limit.
MANY_FLOWS: Final = 500
# Bytes of the object for all flows together. The others are for the spec.
ROOM: Final = 860_000


def flow_status(
    node: Node, state: FlowState, record: FlowRecord, flows: int, indexed: int, room: int = ROOM
) -> FlowStatus:
    """The status of one flow. record: what is recorded of it elsewhere in the status.

    flows, indexed: how many flows the workflow has, and how many of them with `for`; room: bytes for all flows.
    """
    is_one_of_many = flows > MANY_FLOWS
    phase = state.phase
    limit = 512 if not is_one_of_many else 160 if phase is FAILED else 48
    reason, message = why(node, state, phase)
    tasks = state.tasks
    if len(tasks) == 1:
        one = tasks[0]
        started, finished, due = one.started, one.finished, one.due if one.phase is BACKOFF else None
        attempts = one.attempt + one.had_job
    else:
        started = min((task.started for task in tasks if task.started is not None), default=None)
        finished = max((task.finished for task in tasks if task.finished is not None), default=None)
        due = min((task.due for task in tasks if task.phase is BACKOFF and task.due is not None), default=None)
        attempts = max(task.attempt + task.had_job for task in tasks)
    status = FlowStatus(
        name=node.name,
        phase=phase,
        reason=reason,
        message=message[:limit],
        start_time="" if started is None else _time(started, is_one_of_many),
        completion_time=_time(finished, is_one_of_many) if phase.is_final and finished is not None else "",
        attempts=attempts,
        next_attempt_time="" if due is None else timestamp(due),
        outputs=recorded_outputs(tasks, is_indexed=node.is_indexed),
    )
    if not node.is_indexed:
        return status if flows <= MANY_FLOWS else _brief(status, record, min(ROOM, room) // flows)
    by_phase: dict[str, list[int]] = {}
    for index, task in enumerate(tasks):
        by_phase.setdefault(task.phase.field, []).append(index)
    items = _items(tasks, max(1, min(MAX_ITEMS, 1000 // max(1, indexed))))
    return msgspec.structs.replace(
        status, replicas=items, **{name: pack_indexes(indexes) for name, indexes in by_phase.items()}
    )


def _time(seconds: float, is_one_of_many: bool) -> str:
    """A time from which no timeout counts: whole seconds in a large workflow."""
    return f"{timestamp(seconds)[:19]}Z" if is_one_of_many else timestamp(seconds)


def _brief(status: FlowStatus, record: FlowRecord, room: int) -> FlowStatus:
    """The status in at most `room` bytes together with its record, if possible.

    It leaves out only what recovery does not need: the message first, then the times.
    """
    if record != NOTHING.record:
        room -= len(msgspec.json.encode(record))
    changes: tuple[dict[str, Any], ...] = (
        {"message": ""},
        {"next_attempt_time": ""},
        {"start_time": ""},
        {"completion_time": ""},
        {"attempts": 0} if record.kept else {},
    )
    for change in changes:
        if (excess := len(msgspec.json.encode(status)) - room) <= 0:
            break
        if "message" in change:
            change = {"message": status.message[: max(0, len(status.message) - excess)]}
        status = msgspec.structs.replace(status, **change)
    return status


def why(node: Node, state: FlowState, phase: Phase) -> tuple[str, str]:
    """Reason and message of a flow, and what the API server warned of.

    The warning stands alone if there is nothing else to say. It stands behind what a job waits for, because a field
    that was dropped may be why.
    """
    reason, message = _why_of_tasks(node, state, phase)
    if not state.server_warning:
        return reason, message
    if not reason and not message:
        return Reasons.SERVER_WARNING, state.server_warning
    if phase is PENDING:
        return reason, f"{message}{WARNED}{state.server_warning}"[:MAX_MESSAGE]
    return reason, message


def _why_of_tasks(node: Node, state: FlowState, phase: Phase) -> tuple[str, str]:
    """Reason and message of its one task, what waits for a person, its first failed task, or what it waits for."""
    tasks = state.tasks
    if phase is WAITING:
        return state.wait_reason, state.wait_message
    if not node.is_indexed or node.count is None:
        task = tasks[0]
        if phase is BACKOFF and task.current.makeable is not None and state.wait_reason:
            return state.wait_reason, state.wait_message
        return task.reason, task.message
    if (blocking := _blocking(state)) is not None:
        return blocking
    for wanted in (FAILED, BACKOFF, CANCELLED, SKIPPED):
        for index, task in enumerate(tasks):
            if task.phase is wanted:
                return task.reason, f"index {index}: {task.message}" if task.message else ""
    for index, task in enumerate(tasks):
        if task.reason and not task.phase.is_final:
            return task.reason, f"index {index}: {task.message}" if task.message else ""
    if state.count(WAITING):
        return state.wait_reason, state.wait_message
    return "", ""


def _blocking(state: FlowState) -> tuple[str, str] | None:
    """What of a flow with `for` waits for a person; None if nothing does."""
    if state.is_final:
        return None
    if state.wait_reason in BLOCKING and state.count(WAITING, BACKOFF):
        return state.wait_reason, state.wait_message
    for index, task in enumerate(state.tasks):
        if task.reason in BLOCKING and not task.is_final:
            return task.reason, f"index {index}: {task.message}"
    return None


def _items(tasks: tuple[Task, ...], limit: int) -> tuple[ReplicaStatus, ...]:
    """Replicas that did not succeed, failed ones first."""
    order = (FAILED, BACKOFF, CANCELLED, SKIPPED, SUSPENDED)
    found: list[ReplicaStatus] = []
    for phase in order:
        for index, task in enumerate(tasks):
            if task.phase is phase:
                if len(found) == limit:
                    return tuple(found)
                found.append(ReplicaStatus(index, phase, task.reason, task.message[:256]))
    return tuple(found)
