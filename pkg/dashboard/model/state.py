"""The state of a Workflow as a browser gets it: flows in the order of the scene, times in seconds since the epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.indexes import count_indexes
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import Flow, FlowStatus, Workflow
from pkg.views.durations import seconds_of
from pkg.views.workflow_view import BLOCKED


class ReplicaState(msgspec.Struct, frozen=True, array_like=True):
    """One replica with something to say."""

    index: int
    phase: Phase
    reason: str = ""
    message: str = ""


class FlowState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One flow. size: tasks; tasks: of a flow with `for`, the indexes in each phase that occurs, as ranges (0-3,7);
    tries: attempts of all its tasks; due: when the next attempt begins.
    """

    phase: Phase = Phase.WAITING
    size: int = 1
    reason: str = ""
    message: str = ""
    tries: int = 0
    started: float | None = None
    ended: float | None = None
    due: float | None = None
    tasks: Mapping[Phase, str] = {}
    replicas: tuple[ReplicaState, ...] = ()

    def count(self, phase: Phase) -> int:
        """How many of its tasks are in a phase."""
        if not self.tasks:
            return self.size if self.phase is phase else 0
        return count_indexes(self.tasks.get(phase, ""))


class Blocked(msgspec.Struct, frozen=True):
    """What waits for a person, and since when."""

    reason: str
    message: str
    since: float | None = None


class Head(msgspec.Struct, frozen=True):
    """What concerns a Workflow as a whole. shape: names the scene that it is drawn on; total, done: of its tasks."""

    namespace: str
    name: str
    uid: str
    shape: str
    phase: str = ""
    reason: str = ""
    message: str = ""
    total: int = 0
    done: int = 0
    running: int = 0
    failed: int = 0
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    blocked: Blocked | None = None
    suspended: bool = False
    shutdown: str = ""
    deleting: bool = False


class State(msgspec.Struct, frozen=True):
    """A Workflow at one moment."""

    head: Head
    flows: tuple[FlowState, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A Workflow and its state, kept so that the next one reuses what has not changed."""

    workflow: Workflow
    state: State


_NO_STATUS: Final = FlowStatus(name="", phase=Phase.WAITING)


def state_of(workflow: Workflow, before: Seen | None = None, mark: str = "") -> State:
    """The state; flows whose status is as in `before` are taken from there. mark: of its links, part of the shape."""
    names = flow_names(workflow)
    of_status = {flow.name: flow for flow in workflow.status.flows}
    of_spec = {flow.name: flow for flow in workflow.spec.flows}
    kept: dict[str, tuple[FlowStatus, FlowState]] = {}
    if before is not None and before.workflow.metadata.generation == workflow.metadata.generation:
        old = {flow.name: flow for flow in before.workflow.status.flows}
        for name, state in zip(flow_names(before.workflow), before.state.flows, strict=True):
            if name in old:
                kept[name] = (old[name], state)
    flows = []
    for name in names:
        status = of_status.get(name, _NO_STATUS)
        known = kept.get(name)
        same = known is not None and known[0] == status
        flows.append(known[1] if known is not None and same else flow_state(status, of_spec.get(name)))
    return State(_head(workflow, tuple(flows), mark), tuple(flows))


def flow_names(workflow: Workflow) -> tuple[str, ...]:
    """The flows in the order of scene and state: those of the spec, then those that only status knows any more."""
    known = {flow.name for flow in workflow.spec.flows}
    gone = tuple(flow.name for flow in workflow.status.flows if flow.name not in known)
    return (*(flow.name for flow in workflow.spec.flows), *gone)


def flow_state(status: FlowStatus, flow: Flow | None) -> FlowState:
    """One flow; `flow`: as the spec has it, None if it is not there any more."""
    tasks = {phase: text for phase in Phase if (text := status.indexes_in(phase))}
    size = max(1, flow.for_.count) if flow is not None and flow.for_ is not None else 1
    if tasks:
        size = sum(count_indexes(text) for text in tasks.values())
    return FlowState(
        phase=status.phase,
        size=size,
        reason=status.reason,
        message=status.message,
        tries=status.attempts,
        started=seconds_of(status.start_time),
        ended=seconds_of(status.completion_time),
        due=seconds_of(status.next_attempt_time),
        tasks=tasks,
        replicas=tuple(ReplicaState(one.index, one.phase, one.reason, one.message) for one in status.replicas),
    )


def _head(workflow: Workflow, flows: tuple[FlowState, ...], mark: str) -> Head:
    meta, spec, status = workflow.metadata, workflow.spec, workflow.status
    counts = status.tasks
    found = next((each for each in status.conditions if each.type == BLOCKED and each.status == "True"), None)
    blocked = None
    if found is not None:
        blocked = Blocked(found.reason, found.message, seconds_of(found.last_transition_time))
    return Head(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        shape=shape_of(workflow, flows, mark),
        phase=status.phase.value if status.phase is not None else "",
        reason=status.reason,
        message=status.message,
        total=counts.total or sum(flow.size for flow in flows),
        done=counts.succeeded + counts.failed + counts.skipped + counts.cancelled,
        running=counts.running,
        failed=counts.failed,
        created=seconds_of(meta.creation_timestamp),
        started=seconds_of(status.start_time),
        ended=seconds_of(status.completion_time),
        blocked=blocked,
        suspended=spec.suspend,
        shutdown=spec.shutdown.value if spec.shutdown is not None else "",
        deleting=meta.is_deleting,
    )


def shape_of(workflow: Workflow, flows: tuple[FlowState, ...], mark: str = "") -> str:
    """Names the scene: it differs if a flow, what it waits for, or how many tasks are drawn of it differs."""
    digest = hashlib.sha256(msgspec.json.encode(workflow.spec.flows))
    sizes = [(name, flow.size) for name, flow in zip(flow_names(workflow), flows, strict=True)]
    digest.update(msgspec.json.encode((sizes, mark) if mark else sizes))
    return digest.hexdigest()[:16]
