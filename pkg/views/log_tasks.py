"""Whose logs are asked for: the tasks of a flow, those whose pods are gone, and their last words. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import GROUP, WORKFLOWS, Workflow
from pkg.views.attempts import AttemptView
from pkg.views.log_address import Attempt
from pkg.views.unknown_flows import no_flow
from pkg.views.workflow_view import FlowView, WorkflowView

_NEVER_RAN = frozenset({Phase.WAITING, Phase.SKIPPED})


class TargetError(ValueError):
    """The text names no task of the workflow; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Target:
    """FLOW[/INDEX]. flow: empty for all flows; index: None for all."""

    flow: str = ""
    index: int | None = None


def parse_target(text: str, found: WorkflowView) -> Target:
    """The target that `text` names; empty text is everything. Raises TargetError."""
    if not text:
        return Target()
    name, slash, number = text.partition("/")
    flow = next((each for each in found.flows if each.name == name), None)
    if flow is None:
        raise TargetError(no_flow(found.name, name, [each.name for each in found.flows]))
    if not slash:
        return Target(name)
    if not (number.isascii() and number.isdecimal()) or int(number) >= flow.size:
        raise TargetError(f"flow {name} has the indexes 0 to {flow.size - 1}, not {number!r}")
    return Target(name, int(number))


@dataclass(frozen=True, slots=True)
class GoneTask:
    """A task that has had a job of which no pod is left. words: the last of it that status keeps, or empty."""

    flow: str
    index: int
    label: str
    phase: Phase
    words: str


def gone_tasks(found: WorkflowView, target: Target, seen: Collection[tuple[str, int]]) -> list[GoneTask]:
    """The tasks of the target that have had a job, and are not among those `seen`, whose pods are there."""
    tasks: list[GoneTask] = []
    for flow in _flows(found, target):
        tasks += [
            GoneTask(flow.name, index, label_of(flow, index), phase, _words(flow, index, phase))
            for index, phase in _phases(flow)
            if phase not in _NEVER_RAN and (flow.name, index) not in seen and target.index in (None, index)
        ]
    return tasks


def not_started(found: WorkflowView, target: Target) -> list[FlowView]:
    """The flows of the target of which no task has had a job."""
    return [flow for flow in _flows(found, target) if all(phase in _NEVER_RAN for phase in flow.counts)]


def label_of(flow: FlowView, index: int) -> str:
    """How a task is called: `train/3`, or `prepare` for a flow without `for`."""
    return f"{flow.name}/{index}" if flow.has_for else flow.name


def is_workflow(attempts: Sequence[AttemptView]) -> bool:
    """Whether the newest of a task's attempts is a nested Workflow, which has logs of its own flows."""
    return bool(attempts) and (attempts[-1].gvr.group, attempts[-1].gvr.resource) == (GROUP, WORKFLOWS.resource)


def describe(
    workflow: Workflow, task: GoneTask, attempts: Mapping[tuple[str, int], tuple[AttemptView, ...]], asked: int | None
) -> Attempt:
    """What an address of its log may name. attempts: whose jobs are there; asked: the attempt, None: the newest."""
    known = attempts.get((task.flow, task.index), ())
    one = next((each for each in reversed(known) if asked in (None, each.number)), None)
    tries = next((flow.attempts for flow in workflow.status.flows if flow.name == task.flow), 0)
    number = one.number if one is not None else asked if asked is not None else max(0, tries - 1)
    suffix = f"-{task.index}" if "/" in task.label else ""
    job = (
        one.job if one is not None else f"{workflow.metadata.name}-{task.flow}{suffix}" + (f"-r{number}" * bool(number))
    )
    return Attempt(
        namespace=workflow.metadata.namespace,
        workflow=workflow.metadata.name,
        uid=workflow.metadata.uid,
        flow=task.flow,
        index=str(task.index),
        attempt=str(number),
        job=job,
        pod=_pod_in(task.words) or job,
        start=_time(one.started) if one is not None else workflow.status.start_time,
        end=_time(one.ended) if one is not None and one.ended is not None else workflow.status.completion_time,
    )


def _flows(found: WorkflowView, target: Target) -> list[FlowView]:
    return [flow for flow in found.flows if target.flow in ("", flow.name)]


def _phases(flow: FlowView) -> Iterator[tuple[int, Phase]]:
    phases = flow.strip(flow.size)
    yield from enumerate(phases)


def _words(flow: FlowView, index: int, phase: Phase) -> str:
    if not flow.has_for:
        return flow.message if phase is not Phase.SUCCEEDED else ""
    return next((item.message for item in flow.replicas if item.index == index), "")


def _pod_in(words: str) -> str:
    """The name of the pod in the message of a failed job: `job x, pod y, container main: ...`."""
    _, mark, rest = words.partition(", pod ")
    return rest.split(",", 1)[0].split(":", 1)[0].strip() if mark else ""


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
