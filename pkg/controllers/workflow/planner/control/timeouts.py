"""Timeouts of attempts and of the whole workflow.

`timeout` limits an attempt from the creation of its job, and an approval from when people are asked. `pendingTimeout`
limits an attempt from its release until the job first runs. Neither clock runs while a queue holds the job. The clock
of the workflow stops while it is suspended, or held for an edit.
A timeout may come late, never early: a time that is not recorded counts from the start of this controller, and none
comes in the moments in which not all jobs are known, for those that are shown may have ended.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pkg.apis.flow.v1alpha1 import durations, records
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.meta import seconds
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.control import retry
from pkg.controllers.workflow.planner.control.retry import FailurePolicy
from pkg.controllers.workflow.planner.dependency import approvals, start_delay
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.progress import NEVER, Task
from pkg.controllers.workflow.planner.snapshot import Snapshot


def overdue_at(task: Task, node: Node, since: float) -> tuple[float, str]:
    """When the first timeout of the attempt comes (seconds since the epoch, or NEVER), and its reason.

    since: as in Snapshot. For how long a queue held the job before is not recorded.
    """
    if task.is_final or task.phase is Phase.SUSPENDED or task.current.is_ended:
        return NEVER, ""
    if node.is_approval:
        if task.released is None or node.timeout is None:
            return NEVER, ""
        return task.released + node.timeout, Reasons.DEADLINE_EXCEEDED
    current = task.current
    found: list[tuple[float, str]] = []
    if node.timeout is not None and task.is_unfinished and current.created is not None:
        begin = max(current.created, since) if current.may_be_held else current.created
        found.append((begin + current.held + node.timeout, Reasons.DEADLINE_EXCEEDED))
    if node.pending_timeout is not None and current.makeable is not None and not current.began:
        begin = max(current.makeable, since) if current.may_be_held else current.makeable
        found.append((begin + current.held + node.pending_timeout, Reasons.PENDING_TIMEOUT))
    return min(found, default=(NEVER, ""))


def expire(ctx: Context, policy: FailurePolicy) -> None:
    """Fails the attempts that have exceeded a timeout. Their jobs are deleted by the control step."""
    draft, changed, is_full = ctx.draft, ctx.draft.changed, ctx.snapshot.dirty is None
    for number in ctx.graph.timed:
        node = ctx.graph.nodes[number]
        is_due = is_full or number in changed or draft.base.flows[number].timer_at <= ctx.now
        if draft.is_final(number) or not is_due or _is_put_off(ctx, node):
            continue
        for index, task in enumerate(tuple(draft.tasks(number))):
            when, reason = overdue_at(task, node, ctx.snapshot.since)
            if when > ctx.now:
                continue
            if not node.is_approval:
                draft.put(number, index, _expired(ctx, node, task, reason, policy))
            elif not approvals.has_answer(ctx, node, index):  # which may have come in time
                draft.put(number, index, approvals.timed_out(task, node, ctx.now))


def _expired(ctx: Context, node: Node, task: Task, reason: str, policy: FailurePolicy) -> Task:
    state = ctx.draft.state(node.number)
    # What it waited for says why: the last words about its job, or why it had none.
    waited = task.message if task.is_unfinished else state.wait_message
    if task.phase is Phase.BACKOFF:  # the attempt that never began is the next one
        before = (task.reason, task.message)
        task = msgspec.structs.replace(task, attempt=task.attempt + 1).with_current(job="", job_uid="", after=before)
    limit = node.flow.timeout if reason == Reasons.DEADLINE_EXCEEDED else node.flow.pending_timeout
    what = "did not end" if reason == Reasons.DEADLINE_EXCEEDED else "did not begin to run"
    name = f"job {task.current.job}" if task.current.job else f"attempt {task.attempt}"
    last = f"; last: {waited}" if waited and reason == Reasons.PENDING_TIMEOUT else ""
    return retry.after_failure(
        task,
        node.retry,
        first_attempt=state.first_attempt,
        reason=reason,
        message=f"{name} {what} within {limit}{last}"[:512],
        now=ctx.now,
        may_retry=policy.may_retry_flow(node),
    )


def _is_put_off(ctx: Context, node: Node) -> bool:
    """Whether timeouts of jobs wait until all jobs are known. Every task is read again then."""
    return not node.is_approval and ctx.snapshot.is_settling and ctx.may_hide_jobs(node)


def next_timer(ctx: Context, node: Node, tasks: Sequence[Task]) -> float:
    """When a retry becomes due, a startDelay is over or a timeout comes (seconds since the epoch, or NEVER)."""
    if not node.has_timers:
        return NEVER
    snapshot, is_put_off = ctx.snapshot, _is_put_off(ctx, node)
    soonest = start_delay.next_start(tasks, snapshot.now) if node.start_delay else NEVER
    for task in tasks:
        if task.is_final:
            continue
        if task.phase is Phase.BACKOFF and task.due is not None and task.due > snapshot.now:
            soonest = min(soonest, task.due)
        if not is_put_off:
            soonest = min(soonest, overdue_at(task, node, snapshot.since)[0])
    return soonest


def workflow_overdue_at(snapshot: Snapshot) -> float:
    """When the timeout of the workflow comes (seconds since the epoch, or NEVER)."""
    spec, recorded = snapshot.workflow.spec, snapshot.workflow.status
    if spec.timeout is None or is_paused(snapshot) or snapshot.is_settling or not recorded.start_time:
        return NEVER
    return seconds(recorded.start_time) + suspended_seconds(snapshot) + durations.parse(spec.timeout)


def is_paused(snapshot: Snapshot) -> bool:
    """Whether the clock of the workflow stands still: it is suspended, or held for an edit of its spec."""
    return snapshot.workflow.spec.suspend or snapshot.is_held


def suspended_seconds(snapshot: Snapshot) -> float:
    """For how many seconds the clock of the workflow has stood still so far."""
    record = records.record_of(snapshot.workflow.status)
    since = seconds(record.suspended_at) if record.suspended_at else None
    return record.suspended_seconds + (max(0.0, snapshot.now - since) if since is not None else 0.0)
