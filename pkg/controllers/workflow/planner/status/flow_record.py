"""What `status.record` says of one flow: what a later controller sees neither in its jobs nor in the rest of status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.cost import MAX_WAITS
from pkg.apis.flow.v1alpha1.indexes import pack_indexes
from pkg.apis.flow.v1alpha1.phases import BACKOFF, FAILED, PENDING, RUNNING, SUCCEEDED, SUSPENDED, WAITING
from pkg.apis.flow.v1alpha1.reasons import FAILED_BEFORE_CREATION, Reasons
from pkg.apis.flow.v1alpha1.records import NOTHING, FlowMemory
from pkg.apis.flow.v1alpha1.types import (
    MAX_ASKED,
    Action,
    Asked,
    FlowRecord,
    FlowStatus,
    Kept,
    Latch,
    ObjectOfTask,
    ObjectRecord,
    Start,
)
from pkg.apis.meta import timestamp
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.progress import FlowState, Task

_STANDING: Final = (WAITING, BACKOFF)


def flow_memory(node: Node, state: FlowState) -> FlowMemory:
    """What is to be recorded of one flow."""
    is_special = state.renamed or state.first_attempt or state.fan_out is not None or state.approvals
    hands_out = bool(node.outputs) or state.hands_out
    if not (is_special or hands_out or state.passed or node.is_approval or node.start_delay or len(state.tasks) > 1):
        task = state.tasks[0]
        if task.current.action is Action.CREATE and _is_all_in_phase(task, state.gvr):
            return FlowMemory(state.gvr, NOTHING.record, state.rules, state.later_gvrs)  # as of most flows
    kept, passed, asked = _kept(node, state), _latches(state), _asked(node, state)
    record = NOTHING.record
    starts = _starts(state) if node.start_delay else ()
    if kept or passed or asked or starts or hands_out or is_special:
        record = FlowRecord(
            flows="",
            renamed=state.renamed,
            first_attempt=state.first_attempt,
            approvals=state.approvals,
            asked=asked,
            starts=starts,
            tasks=state.fan_out,
            kept=kept,
            passed=passed,
            hands_out=hands_out,
        )
    return FlowMemory(state.gvr, record, state.rules, state.later_gvrs, objects_of(state))


def objects_of(state: FlowState) -> tuple[ObjectRecord, ...]:
    """The objects that the tasks of a flow applied, or found and delete."""
    found: dict[tuple[Action, str], list[ObjectOfTask]] = {}
    for index, task in enumerate(state.tasks):
        current = task.current
        if current.action is not Action.CREATE and current.job:
            one = ObjectOfTask(current.job, current.job_uid, index, task.attempt)
            found.setdefault((current.action, current.gvr), []).append(one)
    return tuple(ObjectRecord(0, gvr, action, tuple(objects)) for (action, gvr), objects in found.items())


def without_repeats(memory: FlowMemory, status: FlowStatus) -> FlowMemory:
    """The same, without reasons that the status of the flow has, too: they take room in a workflow of many flows."""
    kept = memory.record.kept
    if not any(item.reason and item.reason == status.reason for item in kept):
        return memory
    replace = msgspec.structs.replace
    unique = tuple(replace(item, reason="") if item.reason == status.reason else item for item in kept)
    return memory._replace(record=replace(memory.record, kept=unique))


def _latches(state: FlowState) -> tuple[Latch, ...]:
    """The probes that have passed, while they matter: until every task has a job."""
    if not state.passed or not state.count(WAITING):
        return ()
    return tuple(Latch(path, pack_indexes(sorted(indexes))) for path, indexes in sorted(state.passed.items()))


def _asked(node: Node, state: FlowState) -> tuple[Asked, ...]:
    """Since when tasks wait for a person, where a timeout counts from then.

    Tasks that were asked for at many different times are recorded together, with the last of the times: a timeout may
    come late, never early.
    """
    if not node.is_approval or node.timeout is None:
        return ()
    waiting = (task.released if task.phase is WAITING else None for task in state.tasks)
    return tuple(Asked(indexes, since) for indexes, since in _together(waiting))


def _starts(state: FlowState) -> tuple[Start, ...]:
    """When tasks are released that wait for startDelay; of many different times the last one of some."""
    dues = (task.due if task.phase is WAITING else None for task in state.tasks)
    return tuple(Start(indexes, due) for indexes, due in _together(dues))


def _together(times: Iterable[float | None]) -> Iterator[tuple[str, str]]:
    """The indexes of tasks with the same time, and that time. Above MAX_ASKED times, some share the last of theirs."""
    groups: dict[float, list[int]] = {}
    for index, time in enumerate(times):
        if time is not None:
            groups.setdefault(time, []).append(index)
    share = -(-len(groups) // MAX_ASKED)
    ordered = sorted(groups)
    for begin in range(0, len(ordered), max(1, share)):
        some = ordered[begin : begin + share]
        yield pack_indexes(sorted(index for time in some for index in groups[time])), timestamp(some[-1])


def _kept(node: Node, state: FlowState) -> tuple[Kept, ...]:
    """What the phase of a task alone does not say: the attempt, the reason, the due time, and whether it has run, was
    held by a queue, or had a job at all."""
    tasks, first = state.tasks, state.first_attempt
    groups: dict[tuple[Kept, bool], list[int]] = {}
    waits = _waits(tasks)
    for index, task in enumerate(tasks):
        if _is_all_in_phase(task, state.gvr):
            continue
        item, in_backoff = _kept_of(task, state.gvr), task.phase is BACKOFF
        if waits and (since := task.current.waits_since) is not None and task.phase in _STANDING:
            item = msgspec.structs.replace(item, waits_since=waits[since])
        has_failed = task.phase is FAILED and (
            node.is_indexed
            or (item.ran and task.reason != Reasons.FAILED)
            or item.unmade != seems_unmade(task.reason, task.attempt, first)
        )
        is_shown_by_phase = task.phase in (RUNNING, SUCCEEDED, FAILED)
        has_run = item.ran and not is_shown_by_phase
        if task.attempt or in_backoff or has_failed or has_run or item.held or item.gvr or item.waits_since:
            groups.setdefault((item, in_backoff), []).append(index)
    kept = []
    for (item, in_backoff), indexes in groups.items():
        due = max((tasks[index].due or 0.0 for index in indexes), default=0.0) if in_backoff else 0.0
        due_time = timestamp(due) if due else ""
        kept.append(msgspec.structs.replace(item, indexes=pack_indexes(indexes), due=due_time))
    return tuple(sorted(kept, key=lambda item: (item.attempt, item.reason, item.indexes)))


def _waits(tasks: Iterable[Task]) -> dict[float, str]:
    """Since when tasks wait for locks, as it is recorded. Those after the first few share the latest time: a later
    controller may let others pass them, and lets them pass nobody.
    """
    found = {task.current.waits_since for task in tasks if task.phase in _STANDING} - {None}
    if not found:
        return {}
    times = sorted(time for time in found if time is not None)
    first = times[: MAX_WAITS - 1] if len(times) > MAX_WAITS else times
    latest = timestamp(times[-1])
    return {**dict.fromkeys(times, latest), **{time: timestamp(time) for time in first}}


def _is_all_in_phase(task: Task, gvr: str) -> bool:
    """Whether the phase of a task says all there is to know, as for most tasks. gvr: as for `_kept_of`."""
    phase, current = task.phase, task.current
    if task.attempt or phase is FAILED or phase is BACKOFF:
        return False
    if current.was_held or current.waits_since is not None:
        return False
    is_run_shown = phase is RUNNING or phase is SUCCEEDED or not (task.ran or task.reported)
    return is_run_shown and (not current.gvr or current.gvr == gvr)


def _kept_of(task: Task, gvr: str) -> Kept:
    """What status keeps of one task, without its index and due time. gvr: the kind of the flow's first job."""
    return Kept(
        indexes="",
        attempt=task.attempt,
        reason=task.reason if task.has_verdict else "",
        # A wait for the phase Running is over once the task has run, or once a job reported its own failure.
        ran=task.ran or task.reported,
        began=task.current.began and task.phase in (PENDING, SUSPENDED),
        held=task.current.was_held and task.phase in (PENDING, RUNNING),
        unmade=task.phase in (FAILED, BACKOFF) and not task.had_job,
        # After the verdict nobody asks whether the job is missing.
        gvr=task.current.gvr if task.current.gvr != gvr and not task.has_verdict else "",
    )


def seems_unmade(reason: str, attempt: int, first: int) -> bool:
    """Whether reason and attempt alone say that a failed task never had a job."""
    return reason in FAILED_BEFORE_CREATION and attempt <= first
