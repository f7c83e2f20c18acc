"""The changes that one pass makes to a frozen Progress."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from pkg.apis.flow.v1alpha1.phases import BACKOFF, FAILED, FINAL, WAITING, Phase, advance
from pkg.apis.flow.v1alpha1.types import EndRecord
from pkg.apis.structs import Value, is_equal
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import (
    Decision,
    FlowState,
    Progress,
    Task,
    TaskKey,
    count_in,
    folded,
    phase_of,
)


class _Open(Value, frozen=True, gc=False):
    """The tasks of one flow that this pass has changed."""

    tasks: list[Task]
    tally: dict[int, int]


@dataclass(slots=True)
class Draft:
    """A progress that is being changed. Only `put` changes a task, and it refuses moves that the table of phases lacks.

    Flows are identified by their number in the graph.
    """

    graph: Graph
    base: Progress
    #: Number of tasks in each phase.
    counts: dict[Phase, int] = field(init=False)
    #: Flows with a task that is not final.
    not_final: set[int] = field(init=False)
    #: Flows with a Failed task.
    failed: set[int] = field(init=False)
    #: Flows that may have a task whose job can be created.
    startable: set[int] = field(init=False)
    #: Flows in which a fact that predicates ask about has changed since the dependencies were last evaluated.
    moved: set[int] = field(default_factory=set)
    #: Those of them in which a task has ended.
    ended: set[int] = field(default_factory=set)
    #: Flows whose message may name an outdated phase of the flow that they wait for.
    outdated: set[int] = field(init=False)
    #: Tasks that have changed: number of the flow, index.
    touched: set[tuple[int, int]] = field(default_factory=set)
    #: Failed tasks whose pods are still to be looked up: number of the flow, index.
    unexplained: set[tuple[int, int]] = field(init=False)
    #: What the recorded outputs count, in bytes.
    output_bytes: int = field(init=False)
    #: How the workflow went, once `finally` flows may read it.
    end: EndRecord | None = field(init=False)
    _open: dict[int, _Open] = field(default_factory=dict)
    _edited: dict[int, FlowState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counts = dict(self.base.counts)
        self.not_final = set(self.base.not_final)
        self.failed = set(self.base.failed)
        self.startable = set(self.base.startable)
        self.outdated = set(self.base.outdated)
        self.unexplained = set(self.base.unexplained)
        self.output_bytes = self.base.output_bytes
        self.end = self.base.end

    def task(self, flow: int, index: int) -> Task:
        """One task as it is now."""
        opened = self._open.get(flow)
        return (opened.tasks if opened else self.base.flows[flow].tasks)[index]

    def tasks(self, flow: int) -> list[Task] | tuple[Task, ...]:
        """The tasks of a flow as they are now. The caller must not change the list."""
        opened = self._open.get(flow)
        return opened.tasks if opened else self.base.flows[flow].tasks

    def tally(self, flow: int) -> Mapping[int, int]:
        """`Task.facts` -> number of tasks of the flow with these facts."""
        opened = self._open.get(flow)
        return opened.tally if opened else self.base.flows[flow].tally

    def state(self, flow: int) -> FlowState:
        """What is known of a flow besides its tasks: wait_reason, gvr, renamed, passed and so on."""
        edited = self._edited.get(flow)
        return self.base.flows[flow] if edited is None else edited

    def count(self, flow: int, *phases: Phase) -> int:
        """How many tasks of the flow are in one of the phases."""
        opened = self._open.get(flow)
        tally = self.base.flows[flow].tally if opened is None else opened.tally
        if len(tally) == 1:
            ((facts, number),) = tally.items()
            return number if phase_of(facts) in phases else 0
        return count_in(tally, phases)

    def put(self, flow: int, index: int, task: Task) -> bool:
        """Replaces one task; True if it differs. Raises IllegalMove for a move that the table of phases lacks."""
        old = self.task(flow, index)
        if is_equal(old, task):
            return False
        was, phase = old.phase, advance(old.phase, task.phase)
        opened = self._open.get(flow)
        if opened is None:
            state = self.base.flows[flow]
            opened = self._open[flow] = _Open(list(state.tasks), dict(state.tally))
        opened.tasks[index] = task
        self.touched.add((flow, index))
        if phase is BACKOFF or (phase is WAITING and task.released is not None):
            self.startable.add(flow)
        if task.reason or self.unexplained:
            (self.unexplained.add if task.is_unexplained else self.unexplained.discard)((flow, index))
        if task.outputs is not old.outputs:
            self.output_bytes += task.output_bytes - old.output_bytes
        before, after = old.facts, task.facts
        if before != after:
            self.moved.add(flow)
            if phase in FINAL:
                self.ended.add(flow)
            tally = opened.tally
            tally[before] -= 1
            if not tally[before]:
                del tally[before]
            tally[after] = tally.get(after, 0) + 1
        if was is not phase:
            self.counts[was] -= 1
            self.counts[phase] += 1
            if phase is FAILED:
                self.failed.add(flow)
            if phase in FINAL and all(phase_of(facts) in FINAL for facts in opened.tally):
                self.not_final.discard(flow)
        return True

    def edit(self, flow: int, **changes: object) -> None:
        """Changes fields of `state(flow)`."""
        state = self.state(flow)
        if any(getattr(state, name) != value for name, value in changes.items()):
            self._edited[flow] = msgspec.structs.replace(state, **changes)

    def take_moved(self) -> set[int]:
        """The flows whose dependencies may have another value because of `moved`, which is empty then.

        Most flows wait for ends alone. Of the others' progress they only show how far it is (`outdated`).
        """
        nodes, found = self.graph.nodes, set[int]()
        is_shown = not self.graph.is_large  # messages of large workflows name no phase
        for number in self.moved:
            dependents = nodes[number].dependents
            if number in self.ended:
                found.update(dependents)
                continue
            for other in dependents:
                if not nodes[other].waits_for_ends:
                    found.add(other)
                elif is_shown:
                    self.outdated.add(other)
        self.moved.clear()
        self.ended.clear()
        return found

    def explain(self, flow: int, reason: str, message: str) -> None:
        """Shows why the tasks of a flow have no job; both empty for nothing. As `edit`, which takes longer."""
        state = self.state(flow)
        if state.wait_reason != reason or state.wait_message != message:
            self._edited[flow] = msgspec.structs.replace(state, wait_reason=reason, wait_message=message)

    def is_final(self, flow: int) -> bool:
        """Whether every task of the flow is final."""
        return flow not in self.not_final

    def phase(self, flow: int) -> Phase:
        """The phase of the flow, folded from its tasks."""
        return folded(self.tally(flow))

    @property
    def is_end_known(self) -> bool:
        """Whether `finally` flows may read how the workflow went."""
        return self.end is not None

    @property
    def changed(self) -> frozenset[int]:
        """Flows that differ from the base."""
        return frozenset(self._open) | frozenset(self._edited)

    def freeze_flow(self, flow: int, timer_at: float) -> FlowState:
        """A flow as it is now, with the time of its next timer."""
        opened = self._open.get(flow)
        state = self.state(flow)
        if opened is None:
            return state if state.timer_at == timer_at else msgspec.structs.replace(state, timer_at=timer_at)
        return msgspec.structs.replace(
            state, tasks=tuple(opened.tasks), tally=compact_tally(opened.tally), timer_at=timer_at
        )

    def freeze(
        self,
        timers: Mapping[int, float],
        decision: Decision | None,
        stale: Iterable[int],
        unfolded: frozenset[TaskKey] = frozenset(),
    ) -> Progress:
        """The progress after this pass.

        timers: time of the next timer of each flow that changed or whose timer has come; stale: flows whose
        dependencies the next pass must evaluate; unfolded: tasks whose jobs it must look at.
        """
        base, flows = self.base, list(self.base.flows)
        is_new = bool(self._open or self._edited) or decision != base.decision or self.end is not base.end
        for number, when in timers.items():
            flows[number] = self.freeze_flow(number, when)
        return msgspec.structs.replace(
            base,
            flows=tuple(flows) if timers else base.flows,
            counts=self.counts,
            not_final=frozenset(self.not_final),
            failed=frozenset(self.failed),
            startable=frozenset(self.startable),
            stale=frozenset(stale),
            outdated=frozenset(self.outdated),
            unfolded=unfolded,
            unexplained=frozenset(self.unexplained),
            output_bytes=self.output_bytes,
            end=self.end,
            is_end_acked=base.is_end_acked and self.end is base.end,
            decision=decision,
            is_decision_acked=base.is_decision_acked and decision == base.decision,
            is_dirty=base.is_dirty or is_new,
        )


def compact_tally(tally: Mapping[int, int]) -> Mapping[int, int]:
    """The same tally; those of tasks that all have the same facts share one value in memory."""
    if len(tally) != 1:
        return tally
    ((facts, count),) = tally.items()
    return _uniform_tally(facts, count)


@functools.lru_cache(maxsize=1024)
def _uniform_tally(facts: int, count: int) -> Mapping[int, int]:
    return {facts: count}
