"""One Workflow as people look at it: its flows with their replicas, times, and why they wait or failed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.edges import mentions
from pkg.apis.flow.v1alpha1.indexes import count_indexes, unpack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.records import by_flow
from pkg.apis.flow.v1alpha1.types import Flow, FlowStatus, OutputStatus, Workflow
from pkg.apis.meta import Condition
from pkg.views.attempts import AttemptView
from pkg.views.durations import elapsed, seconds_of

BLOCKED: Final = "Blocked"
#: Phases, those first that a person looks for.
LIVELY: Final = (
    Phase.RUNNING,
    Phase.FAILED,
    Phase.BACKOFF,
    Phase.SUSPENDED,
    Phase.PENDING,
    Phase.CANCELLED,
    Phase.WAITING,
    Phase.SUCCEEDED,
    Phase.SKIPPED,
)


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """One index of a flow with `for`. attempts: those whose jobs are there and were read, the oldest first."""

    index: int
    phase: Phase
    reason: str = ""
    message: str = ""
    attempts: tuple[AttemptView, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowView:
    """One flow.

    size: tasks; counts: of them in each phase that occurs; indexes: the same as ranges, only for a flow with `for`;
    seconds: from the first job to the end, or to now, None before it; retry_in: seconds to the next attempt;
    after: the flows that it waits for; replicas: those with something to say; attempts: jobs of a flow without `for`;
    first_attempt: those below it belong to a run before the last restart.
    """

    name: str
    phase: Phase
    reason: str
    message: str
    template: str
    size: int
    counts: Mapping[Phase, int]
    indexes: Mapping[Phase, str]
    has_for: bool
    is_finally: bool
    tries: int
    seconds: float | None
    started: float | None
    retry_in: float | None
    after: tuple[str, ...]
    replicas: tuple[ReplicaView, ...]
    attempts: tuple[AttemptView, ...]
    first_attempt: int = 0

    def strip(self, limit: int) -> tuple[Phase, ...]:
        """The phases of its tasks by index; of a flow with more than `limit` tasks, of so many, the liveliest first."""
        if self.size > limit:
            return tuple(phase for phase in LIVELY for _ in range(self.counts.get(phase, 0)))[:limit]
        found: dict[int, Phase] = {}
        for phase, text in self.indexes.items():
            found.update((index, phase) for index in unpack_indexes(text))
        return tuple(found[index] for index in sorted(found)) or (self.phase,) * self.size

    @property
    def running(self) -> int:
        """How many of its tasks run."""
        return self.counts.get(Phase.RUNNING, 0)

    @property
    def done(self) -> int:
        """How many of its tasks are final."""
        return sum(count for phase, count in self.counts.items() if phase.is_final)


@dataclass(frozen=True, slots=True)
class OutputView:
    """A value that a flow has handed out; of a flow with `for` the values as a JSON list, and how many there are."""

    flow: str
    name: str
    value: str
    count: int | None = None


@dataclass(frozen=True, slots=True)
class WorkflowView:
    """A Workflow at one moment. seconds: from its start to its end or to now; age: since its creation.

    phase: None while no controller has written one; blocked: the condition Blocked, if something waits for a person.
    """

    namespace: str
    name: str
    phase: WorkflowPhase | None
    reason: str
    message: str
    progress: str
    age: float | None
    seconds: float | None
    started: str
    ended: str
    blocked: Condition | None
    is_deleting: bool
    suspended: bool
    flows: tuple[FlowView, ...]
    outputs: tuple[OutputView, ...] = ()


def view(
    workflow: Workflow, now: float, attempts: Mapping[tuple[str, int], tuple[AttemptView, ...]] | None = None
) -> WorkflowView:
    """The workflow at `now` (seconds since the epoch). attempts: by flow and index (0 without `for`), where read."""
    status = workflow.status
    known = {flow.name: flow for flow in status.flows}
    of_spec = {flow.name for flow in workflow.spec.flows}
    jobs = attempts or {}
    first = {name: memory.record.first_attempt for name, memory in by_flow(status).items()}
    flows = [_flow(flow, known.get(flow.name), now, jobs, first.get(flow.name, 0)) for flow in workflow.spec.flows]
    # An edit that holds the workflow may have taken a flow out whose job still runs.
    gone = (flow for flow in status.flows if flow.name not in of_spec)
    flows += [_flow(Flow(name=flow.name), flow, now, jobs, first.get(flow.name, 0)) for flow in gone]
    return WorkflowView(
        namespace=workflow.metadata.namespace,
        name=workflow.metadata.name,
        phase=status.phase,
        reason=status.reason,
        message=status.message,
        progress=status.progress,
        age=elapsed(workflow.metadata.creation_timestamp, None, now),
        seconds=elapsed(status.start_time, status.completion_time, now),
        started=status.start_time,
        ended=status.completion_time,
        blocked=next((each for each in status.conditions if each.type == BLOCKED and each.status == "True"), None),
        is_deleting=workflow.metadata.is_deleting,
        suspended=workflow.spec.suspend,
        flows=tuple(flows),
        outputs=tuple(_outputs(status.flows)),
    )


def _outputs(flows: Iterable[FlowStatus]) -> Iterable[OutputView]:
    for flow in flows:
        for one in flow.outputs:
            if one.values:
                text = msgspec.json.encode(_placed(flow, one)).decode()
                yield OutputView(flow.name, one.name, text, len(one.values))
            else:
                yield OutputView(flow.name, one.name, one.value)


def _placed(flow: FlowStatus, one: OutputStatus) -> list[str | None]:
    """The values at the places of their tasks, as {{flows.N.outputs.X}} has them: None for a task without one."""
    with_one = unpack_indexes(one.indexes or flow.indexes_in(Phase.SUCCEEDED))
    values = dict(zip(with_one, one.values, strict=False))
    size = sum(count_indexes(flow.indexes_in(phase)) for phase in Phase)
    return [values.get(index) for index in range(size)] if len(values) == len(one.values) else list(one.values)


def _flow(
    flow: Flow,
    status: FlowStatus | None,
    now: float,
    jobs: Mapping[tuple[str, int], tuple[AttemptView, ...]],
    first_attempt: int,
) -> FlowView:
    found = status or FlowStatus(name=flow.name, phase=Phase.WAITING)
    has_for = flow.for_ is not None
    size = max(1, flow.for_.count) if flow.for_ is not None else 1
    indexes = {phase: text for phase in Phase if (text := found.indexes_in(phase))}
    if indexes:
        counts = {phase: count_indexes(text) for phase, text in indexes.items()}
        size = sum(counts.values())
        has_for = True
    else:
        counts = {found.phase: size}
    due = seconds_of(found.next_attempt_time)
    return FlowView(
        name=flow.name,
        phase=found.phase,
        reason=found.reason,
        message=found.message,
        template=flow.template_name if flow.approval is None else "approval",
        size=size,
        counts=counts,
        indexes=indexes,
        has_for=has_for,
        is_finally=flow.finally_,
        tries=found.attempts,
        seconds=elapsed(found.start_time, found.completion_time, now),
        started=seconds_of(found.start_time),
        retry_in=max(0.0, due - now) if due is not None else None,
        after=after(flow),
        replicas=tuple(_replicas(found, indexes, jobs)) if has_for else (),
        attempts=() if has_for else jobs.get((flow.name, 0), ()),
        first_attempt=first_attempt,
    )


def _replicas(
    found: FlowStatus, indexes: Mapping[Phase, str], jobs: Mapping[tuple[str, int], tuple[AttemptView, ...]]
) -> Iterable[ReplicaView]:
    """The replicas that status itemises, or of which jobs were read, by their index."""
    itemised = {item.index: item for item in found.replicas}
    phases = {index: phase for phase, text in indexes.items() for index in unpack_indexes(text)}
    read = {index for flow, index in jobs if flow == found.name}
    for index in sorted(itemised.keys() | (read & phases.keys())):
        item = itemised.get(index)
        phase = item.phase if item is not None else phases[index]
        reason, message = (item.reason, item.message) if item is not None else ("", "")
        yield ReplicaView(index, phase, reason, message, jobs.get((found.name, index), ()))


def after(flow: Flow) -> tuple[str, ...]:
    """The flows that a flow waits for, each once, in the order of the spec."""
    return tuple(dict.fromkeys(edge.flow for edge in mentions(flow) if edge.flow != flow.name))
