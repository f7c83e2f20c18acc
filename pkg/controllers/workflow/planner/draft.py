"""The changes that one pass makes to a frozen Progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pkg.apis.flow.v1alpha1.phases import FINAL, Phase, advance, fold
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.progress import FlowState, Progress, Task, by_phase, count_in, phase_of


@dataclass(slots=True)
class _Open:
    """One flow while a pass changes it."""

    tasks: list[Task]
    tally: dict[int, int]


@dataclass(slots=True)
class Draft:
    """The changes of one pass over a frozen progress; every change of a task goes through `put`, which keeps the
    table of moves.
    """

    graph: Graph
    base: Progress
    _open: dict[int, _Open] = field(default_factory=dict)
    _edited: dict[int, FlowState] = field(default_factory=dict)
    counts: dict[Phase, int] = field(default_factory=dict)
    moved: set[int] = field(default_factory=set)
    unsettled: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    startable: set[int] = field(default_factory=set)
    touched: set[tuple[int, int]] = field(default_factory=set)
    changes: int = 0

    def __post_init__(self) -> None:
        self.counts = dict(self.base.counts)
        self.unsettled = set(self.base.unsettled)
        self.failed = set(self.base.failed)
        self.startable = set(self.base.startable)

    def task(self, flow: int, index: int) -> Task:
        opened = self._open.get(flow)
        return (opened.tasks if opened else self.base.flows[flow].tasks)[index]

    def tasks(self, flow: int) -> list[Task] | tuple[Task, ...]:
        """The tasks of a flow as they are now; not to be changed by the caller."""
        opened = self._open.get(flow)
        return opened.tasks if opened else self.base.flows[flow].tasks

    def tally(self, flow: int) -> Mapping[int, int]:
        opened = self._open.get(flow)
        return opened.tally if opened else self.base.flows[flow].tally

    def state(self, flow: int) -> FlowState:
        """What is known of a flow besides its tasks (why, gvr, renamed, passed ...)."""
        return self._edited.get(flow, self.base.flows[flow])

    def count(self, flow: int, *phases: Phase) -> int:
        return count_in(self.tally(flow), phases)

    def put(self, flow: int, index: int, task: Task) -> bool:
        """Changes one task; True if it differs. Raises IllegalMove for a move that the table does not know."""
        old = self.task(flow, index)
        if old == task:
            return False
        advance(old.phase, task.phase)
        opened = self._open.get(flow)
        if opened is None:
            state = self.base.flows[flow]
            opened = self._open[flow] = _Open(list(state.tasks), dict(state.tally))
        opened.tasks[index] = task
        self.changes += 1
        self.touched.add((flow, index))
        if task.phase is Phase.BACKOFF or (task.phase is Phase.WAITING and task.released is not None):
            self.startable.add(flow)
        before, after = old.standing, task.standing
        if before != after:
            self.moved.add(flow)
            opened.tally[before] -= 1
            if not opened.tally[before]:
                del opened.tally[before]
            opened.tally[after] = opened.tally.get(after, 0) + 1
        if old.phase is not task.phase:
            self.counts[old.phase] -= 1
            self.counts[task.phase] += 1
            if task.phase is Phase.FAILED:
                self.failed.add(flow)
            if task.is_final and all(phase_of(standing) in FINAL for standing in opened.tally):
                self.unsettled.discard(flow)
        return True

    def edit(self, flow: int, **changes: object) -> None:
        """Changes what is known of a flow besides its tasks."""
        state = self.state(flow)
        if any(getattr(state, name) != value for name, value in changes.items()):
            self._edited[flow] = replace(state, **changes)  # type: ignore[arg-type]

    def is_final(self, flow: int) -> bool:
        return flow not in self.unsettled

    def phase(self, flow: int) -> Phase:
        return fold(by_phase(self.tally(flow)))

    @property
    def changed(self) -> frozenset[int]:
        """Flows of which anything differs from the base."""
        return frozenset(self._open) | frozenset(self._edited)

    def freeze(self, flow: int, wakes: float) -> FlowState:
        """A flow as it is now, with the time of its next timer."""
        opened = self._open.get(flow)
        state = self.state(flow)
        if opened is None:
            return state if state.wakes == wakes else replace(state, wakes=wakes)
        return replace(state, tasks=tuple(opened.tasks), tally=opened.tally, wakes=wakes)
