"""The clocks: how long an attempt may take from its creation, and from its release until it first runs; and how long
the whole workflow may take.

While a queue holds the job neither of the attempt's runs, and while the workflow is suspended its own stands still.
What was not recorded counts from the controller's start: a timeout may come late, never early.
"""

from __future__ import annotations

import msgspec

from pkg.apis.flow.v1alpha1 import durations
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.meta import seconds
from pkg.controllers.workflow.planner.control import retry
from pkg.controllers.workflow.planner.control.retry import Verdicts
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.model import Graph, Node
from pkg.controllers.workflow.planner.progress import NEVER, Task
from pkg.controllers.workflow.planner.snapshot import Snapshot


def overdue_at(task: Task, node: Node, since: float, *, may_be_held: bool) -> tuple[float, str]:
    """When the attempt's first timeout comes (seconds since the epoch, or NEVER), and its reason."""
    if task.is_final or task.phase is Phase.SUSPENDED:
        return NEVER, ""
    found: list[tuple[float, str]] = []
    if node.timeout is not None and task.is_unfinished and task.created is not None:
        begin = max(task.created, since) if may_be_held else task.created
        found.append((begin + task.held + node.timeout, Reasons.DEADLINE_EXCEEDED))
    if node.pending_timeout is not None and task.makeable is not None and not task.began:
        begin = max(task.makeable, since) if may_be_held else task.makeable
        found.append((begin + task.held + node.pending_timeout, Reasons.PENDING_TIMEOUT))
    return min(found, default=(NEVER, ""))


def expire(snapshot: Snapshot, graph: Graph, draft: Draft, verdicts: dict[bool, Verdicts]) -> None:
    """Fails the attempts whose time is over; their jobs are deleted by the control reconciler."""
    changed = draft.changed
    for number in graph.timed:
        node = graph.nodes[number]
        if draft.is_final(number) or (number not in changed and draft.base.flows[number].wakes > snapshot.now):
            continue
        for index, task in enumerate(tuple(draft.tasks(number))):
            when, reason = overdue_at(task, node, snapshot.since, may_be_held=may_be_held(snapshot))
            if when > snapshot.now:
                continue
            if task.phase is Phase.BACKOFF:  # the attempt that never began is the next one
                task = msgspec.structs.replace(task, attempt=task.attempt + 1, job="", job_uid="")
            limit = node.flow.timeout if reason == Reasons.DEADLINE_EXCEEDED else node.flow.pending_timeout
            what = "did not end" if reason == Reasons.DEADLINE_EXCEEDED else "did not begin to run"
            ended = retry.after_failure(
                task,
                node.retry,
                first_attempt=draft.state(number).first_attempt,
                reason=reason,
                message=f"attempt {task.attempt} {what} within {limit}",
                now=snapshot.now,
                may_retry=verdicts[node.is_finally].may_retry,
            )
            draft.put(number, index, ended)


def may_be_held(snapshot: Snapshot) -> bool:
    """Whether a queue may have held jobs before this controller looked, for a time nobody recorded."""
    return bool(snapshot.workflow.spec.queue_name)


def next_wake(snapshot: Snapshot, node: Node, tasks: list[Task] | tuple[Task, ...]) -> float:
    """When time alone may next change a task of this flow: a retry that is due, or a timeout."""
    if not node.has_timers:
        return NEVER
    held = may_be_held(snapshot)
    wakes = NEVER
    for task in tasks:
        if task.is_final:
            continue
        if task.phase is Phase.BACKOFF and task.due is not None and task.due > snapshot.now:
            wakes = min(wakes, task.due)
        wakes = min(wakes, overdue_at(task, node, snapshot.since, may_be_held=held)[0])
    return wakes


def workflow_overdue_at(snapshot: Snapshot) -> float:
    """When the workflow's timeout comes, with the clock standing still while it is suspended."""
    spec, recorded = snapshot.workflow.spec, snapshot.workflow.status
    if spec.timeout is None or spec.suspend or not recorded.start_time:
        return NEVER
    return seconds(recorded.start_time) + suspended_seconds(snapshot) + durations.parse(spec.timeout)


def suspended_seconds(snapshot: Snapshot) -> float:
    """How long the workflow has been suspended so far, in seconds."""
    status = snapshot.workflow.status
    since = seconds(status.suspended_at) if status.suspended_at else None
    return status.suspended_seconds + (max(0.0, snapshot.now - since) if since is not None else 0.0)
