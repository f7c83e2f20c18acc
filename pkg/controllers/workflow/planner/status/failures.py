"""How the pods of failed jobs ended, in the messages of their tasks, flows and workflow.

The pods are looked up after the verdict, off the worker threads. So the words come later than the verdict, perhaps
after the end of the workflow. They change messages and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import FlowStatus, ReplicaStatus, WorkflowStatus
from pkg.apis.meta import seconds
from pkg.controllers.workflow.planner.actions import Emit, FailedJob
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import Decision, JobEnding, Task, TaskKey

MAX_MESSAGE: Final = 512
#: Of so many failed tasks of one workflow the pods are looked up; status itemises about as many.
MAX_LOOKUPS: Final = 100
#: Seconds between the end of a workflow and the start of a controller that looks up pods of jobs that had failed.
RECENT: Final = 120.0
_EXPLAINED: Final = re.compile(r"job \S+(?:, (?:pod |its pods )| was taken off | was deleted before )")
_LOOKED_UP: Final = frozenset({Reasons.FAILED, Reasons.JOB_DELETED})

_replace = msgspec.structs.replace


def failure_message(job: str, said: str) -> str:
    """What a failed job says of itself. said: its reason and message, empty if it gives none."""
    return f"job {job}: {said}"[:MAX_MESSAGE] if said else f"job {job} failed"


def with_words(message: str, words: str) -> str:
    """The message of `failure_message` with how the pods ended; unchanged if it says so already."""
    if not words or not message.startswith("job ") or is_explained(message):
        return message
    if is_explained(words):  # about the job itself
        return words[:MAX_MESSAGE]
    head, _, said = message.partition(": ")
    head = head.removesuffix(" failed")
    if said in words or said == "Error":  # a job that is a pod says what its container says
        said = ""
    return f"{head}, {words}; {said}"[:MAX_MESSAGE] if said else f"{head}, {words}"[:MAX_MESSAGE]


def taken_off(job: str, what: str) -> str:
    """What a user reads of a job that a person took off its task. what: what was changed."""
    return f"job {job} was taken off the task before it ended: {what}. It was not deleted"


def was_deleted(job: str) -> str:
    """What a user reads of a job that somebody deleted."""
    return f"job {job} was deleted before it ended"


def is_gone(job: str) -> str:
    """What a user reads of a job that disappeared, before it is looked up. Its watch ends in the same way when it is
    deleted and when it loses the label by which jobs are watched."""
    return f"job {job} is gone: it was deleted before it ended, or taken off the task"


def is_explained(message: str) -> bool:
    """Whether the message of a failed task says how its pods ended."""
    return _EXPLAINED.match(message) is not None


def explained(task: Task, ending: JobEnding | None) -> Task:
    """A failed task with how its pods ended, once that is known."""
    if ending is None or ending.words is None or ending.attempt != task.attempt or not task.is_unexplained:
        return task
    return _replace(task, message=with_words(task.message, ending.words)).with_current(explained=True, lost=None)


def reworded(ctx: Context) -> Decision | None:
    """The decision of the last pass, with the messages of the tasks that this pass has explained."""
    draft, decision = ctx.draft, ctx.draft.base.decision
    if decision is None or decision.is_success:
        return decision
    for number, index in draft.touched:
        before, after = draft.base.flows[number].tasks[index].message, draft.task(number, index).message
        # A task that ran until now had no message, and the decision is not about it.
        if before and before != after and before in decision.message and is_explained(after):
            decision = replace(decision, message=decision.message.replace(before, after, 1))
    return decision


def needed_lookups(ctx: Context) -> tuple[FailedJob, ...]:
    """The failed jobs whose pods are to be looked up now; for each flow those that its status shows."""
    draft, graph = ctx.draft, ctx.graph
    if not draft.unexplained:
        return ()
    shown = _shown_per_flow(graph)
    found: list[FailedJob] = []
    for number in sorted({number for number, _ in draft.unexplained}):
        indexes = tuple(_shown(draft.tasks(number), shown))
        # Nobody would read the words about the others.
        draft.unexplained -= {one for one in draft.unexplained if one[0] == number and one[1] not in set(indexes)}
        for index in indexes:
            task = draft.task(number, index)
            if not task.is_unexplained:
                continue
            if len(found) == MAX_LOOKUPS:
                return tuple(found)
            node = graph.nodes[number]
            gvr = task.current.gvr or draft.state(number).gvr
            found.append(FailedJob(TaskKey(node.name, index), task.attempt, gvr, task.current.lost))
    return tuple(found)


def lookups_after_end(
    status: WorkflowStatus, since: float, endings: Mapping[TaskKey, JobEnding]
) -> tuple[FailedJob, ...]:
    """The failed jobs of a workflow that has ended, whose pods the controller before this one did not come to look up.

    It may have been killed right after the end, so only an end shortly before this controller began to act counts.
    since: when that was, in seconds since the epoch; endings: what was asked of the workflow. Of flows with `for`
    nothing is asked: status does not tell which attempt of an index was its last.
    """
    if endings or not status.completion_time or not 0 <= since - seconds(status.completion_time) <= RECENT:
        return ()
    memories = records.by_flow(status)
    found: list[FailedJob] = []
    for flow in status.flows:
        is_asked = flow.phase is Phase.FAILED and flow.reason == Reasons.FAILED and not flow.failed and flow.attempts
        if is_asked and flow.message.startswith("job ") and not is_explained(flow.message):
            memory = memories.get(flow.name, records.NOTHING)
            gvr = memory.later[-1] if memory.later else memory.gvr
            found.append(FailedJob(TaskKey(flow.name, 0), flow.attempts - 1, gvr))
    return tuple(found[:MAX_LOOKUPS])


def _shown_per_flow(graph: Graph) -> int:
    """How many failed tasks of a flow with `for` status itemises."""
    indexed = sum(node.is_indexed for node in graph.nodes)
    return max(1, min(MAX_LOOKUPS, 1_000 // max(1, indexed)))


def _shown(tasks: list[Task] | tuple[Task, ...], limit: int) -> Iterator[int]:
    """The indexes of the tasks that status itemises as failed or between two attempts."""
    left = limit
    for phase in (Phase.FAILED, Phase.BACKOFF):
        for index, task in enumerate(tasks):
            if left == 0:
                return
            if task.phase is phase:
                left -= 1
                yield index


def ready_events(
    events: Sequence[Emit], endings: Mapping[TaskKey, JobEnding]
) -> tuple[tuple[Emit, ...], tuple[Emit, ...]]:
    """The Events that can be sent now, with how pods ended; and those from the first on whose pods are still sought."""
    ready: list[Emit] = []
    texts: dict[str, str] = {}
    for event in events:
        about = event.failed
        ending = endings.get(about.task) if about is not None else None
        if about is not None and ending is not None and ending.attempt == about.attempt:
            if ending.words is None:
                break
            texts[about.message] = with_words(about.message, ending.words)
        # The decision and the end of the workflow quote the failure.
        for before, after in texts.items():
            if before in event.message:
                event = replace(event, message=event.message.replace(before, after, 1))
                break
        ready.append(event)
    return tuple(ready), tuple(events[len(ready) :])


def status_with_words(status: WorkflowStatus, endings: Mapping[TaskKey, JobEnding]) -> WorkflowStatus:
    """The status of a workflow that has ended, with how pods ended; the same object if it says all of it already."""
    flows, texts = list(status.flows), {}
    by_name = {flow.name: number for number, flow in enumerate(flows)}
    for key, ending in endings.items():
        number = by_name.get(key.flow)
        if number is None or not ending.words or flows[number].phase is not Phase.FAILED:
            continue
        flow = flows[number]
        changed, before, after = _flow_with_words(flow, key.index, ending.words)
        if changed is not flow:
            flows[number] = changed
            texts[before] = after
    if not texts:
        return status
    for before, after in texts.items():
        conditions = tuple(
            _replace(condition, message=condition.message.replace(before, after, 1)[: conds.MAX_MESSAGE])
            for condition in status.conditions
        )
        message = status.message.replace(before, after, 1)[: conds.MAX_MESSAGE]
        status = _replace(status, message=message, conditions=conditions)
    return _replace(status, flows=tuple(flows))


def _flow_with_words(flow: FlowStatus, index: int, words: str) -> tuple[FlowStatus, str, str]:
    """A flow with the words about one of its tasks, and the message of that task before and after."""
    if not flow.failed:  # no `for`
        after = with_words(flow.message, words) if flow.reason in _LOOKED_UP else flow.message
        return (flow if after == flow.message else _replace(flow, message=after)), flow.message, after
    prefix, before, after = f"index {index}: ", "", ""
    replicas: list[ReplicaStatus] = []
    for item in flow.replicas:
        if item.index == index and item.phase is Phase.FAILED and item.reason in _LOOKED_UP:
            before, after = item.message, with_words(item.message, words)[:256]
            item = _replace(item, message=after)
        replicas.append(item)
    message = flow.message
    if message.startswith(prefix):
        told = message.removeprefix(prefix)
        before, after = told, with_words(told, words)
        message = f"{prefix}{after}"[:MAX_MESSAGE]
    if before == after:
        return flow, before, after
    return _replace(flow, message=message, replicas=tuple(replicas)), before, after
