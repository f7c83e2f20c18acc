"""Termination messages with outputs: which are awaited, and what was found.

The pods are looked up off the worker threads. A job that is a pod shows its own messages.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pkg.controllers.workflow.planner.actions import AwaitedMessages
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob, PodMessages
from pkg.workloads.output_paths import NoValue
from pkg.workloads.output_rules import OutputRule
from pkg.workloads.pod_failure import PodStatus
from pkg.workloads.termination import message_in


class NotYet(Exception):
    """What an output is read from is not known yet."""


def message_of(rule: OutputRule, observed: ObservedJob, answer: PodMessages | None, *, is_gone: bool) -> str:
    """The termination message that an output is read from. Raises NoValue, and NotYet."""
    role, container = rule.asked
    if (observed.gvr.group, observed.gvr.resource) == ("", "pods"):
        found = message_in(_status_of(observed), container)
        if found is None:
            raise NoValue(f"{_of(container)} of the pod has no termination message")
        return found
    if answer is None or (rule.asked not in answer.texts and rule.asked not in answer.missing):
        if is_gone:
            raise NoValue("the job and its pods are gone")
        raise NotYet
    if rule.asked in answer.texts:
        return answer.texts[rule.asked]
    raise NoValue(answer.missing[role, container])


def _of(container: str) -> str:
    return f"container {container}" if container else "the first container"


def _status_of(observed: ObservedJob) -> PodStatus:
    try:
        return msgspec.convert(observed.job.status, PodStatus)
    except msgspec.ValidationError:
        return PodStatus()


def awaited(ctx: Context) -> Iterator[AwaitedMessages]:
    """The termination messages that tasks wait for whose jobs have succeeded."""
    for number in ctx.graph.reading_messages:
        if number not in ctx.draft.not_final:
            continue
        node, state = ctx.graph.nodes[number], ctx.draft.state(number)
        wanted = tuple(dict.fromkeys(rule.asked for rule in node.outputs if rule.message is not None))
        for index, task in enumerate(ctx.draft.tasks(number)):
            if task.current.is_ended:
                gvr = task.current.gvr or state.gvr
                yield AwaitedMessages(TaskKey(node.name, index), task.attempt, gvr, wanted)
