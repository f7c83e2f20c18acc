"""A recording of a run: a first state and the frames after it, made from the jobs that are still there.

What no job tells any more comes from the status: when a flow began and ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.indexes import pack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase, fold
from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.dashboard.model.frames import Frame, frame
from pkg.dashboard.model.moves import phases
from pkg.dashboard.model.scene import Links, Scene, incoming_of, links_of, scene_of
from pkg.dashboard.model.state import FlowState, Head, State, flow_names, state_of
from pkg.views.attempts import AttemptView

#: The most frames of a recording made from jobs; what happens between two is shown as one.
MAX_FRAMES: Final = 1_500
#: Frames times tasks: each frame is computed from the tasks of the flows that it changes.
_MAX_COST: Final = 500_000
Attempts = Mapping[tuple[str, int], tuple[AttemptView, ...]]


class Mark(msgspec.Struct, frozen=True):
    """An Event, to be shown beside the time at which it was seen last."""

    at: float
    text: str
    warning: bool = False


class Recording(msgspec.Struct, frozen=True):
    """at: of the state, in seconds since the epoch. A page plays it, also from a file."""

    kind: str
    scene: Scene
    at: float
    state: State
    frames: tuple[Frame, ...]
    marks: tuple[Mark, ...] = ()


class Step(msgspec.Struct, frozen=True, order=True):
    """A task enters a phase. begins: how many attempts begin with it."""

    at: float
    flow: int
    index: int
    phase: str
    begins: int = 0


def recording_of(
    workflow: Workflow, attempts: Attempts, now: float, marks: Sequence[Mark] = (), links: Links | None = None
) -> Recording:
    """The run until `now`; links: its arrows, if they are known. Raises RawError, or ValueError for a cycle."""
    links = links_of(workflow) if links is None else links
    last = state_of(workflow, mark=links.mark)
    scene = scene_of(workflow, links)
    names = flow_names(workflow)
    incoming = incoming_of(names, links.arrows)
    # The run ends with its Workflow: the API server may write the end of a job later.
    until = last.head.ended or now
    taken = (step for at, name in enumerate(names) for step in steps(at, name, last.flows[at], attempts, now))
    found = sorted(msgspec.structs.replace(step, at=min(step.at, until)) for step in taken)
    began = last.head.started or last.head.created or now
    state = _before(last)
    first, running = state, _Run(state, last)
    frames: list[Frame] = []
    tasks = sum(flow.size for flow in last.flows)
    for group in _grouped(found, began, max(50, min(MAX_FRAMES, _MAX_COST // max(1, tasks)))):
        for step in group:
            running.apply(step)
        new = running.state()
        made = frame(state, new, incoming, group[-1].at, len(frames) + 1)
        state = new
        if made is not None:
            frames.append(made)
    ending = frame(state, last, incoming, until)
    if ending is not None:
        frames.append(msgspec.structs.replace(ending, number=len(frames) + 1))
    return Recording("workflow-recording/1", scene, began, first, tuple(frames), tuple(marks))


def steps(flow: int, name: str, state: FlowState, attempts: Attempts, now: float) -> Iterator[Step]:
    """What the tasks of one flow have done, as far as it is known. flow: its position."""
    ended = state.ended or now
    for index, phase in phases(state).items():
        known = attempts.get((name, index), ())
        if known:
            yield from _of_jobs(flow, index, phase, known, state)
        elif phase is Phase.SKIPPED:
            yield Step(ended, flow, index, phase)
        elif phase is not Phase.WAITING and state.started is not None:
            yield Step(state.started, flow, index, Phase.RUNNING, 1)
            if phase.is_final:
                yield Step(ended, flow, index, phase)


def _of_jobs(flow: int, index: int, phase: Phase, known: Sequence[AttemptView], state: FlowState) -> Iterator[Step]:
    if known[0].number > 0 and state.started is not None and state.started < known[0].started:
        yield Step(state.started, flow, index, Phase.RUNNING, known[0].number)  # jobs before the first are gone
        yield Step(known[0].started, flow, index, Phase.BACKOFF)
    for position, attempt in enumerate(known):
        yield Step(attempt.started, flow, index, Phase.RUNNING, 1)
        if position + 1 < len(known):
            after = known[position + 1].started
            yield Step(min(attempt.ended or after, after), flow, index, Phase.BACKOFF)
        elif phase.is_final:
            yield Step(max(attempt.started, attempt.ended or state.ended or attempt.started), flow, index, phase)
        elif phase is Phase.BACKOFF and attempt.ended is not None:
            yield Step(attempt.ended, flow, index, phase)


def _before(last: State) -> State:
    """The state in which nothing has begun."""
    head = msgspec.structs.replace(
        last.head, phase="Running", reason="", message="", done=0, running=0, failed=0, ended=None, blocked=None
    )
    flows = tuple(
        FlowState(size=flow.size, tasks={Phase.WAITING: pack_indexes(range(flow.size))} if flow.tasks else {})
        for flow in last.flows
    )
    return State(head, flows)


def _grouped(found: Sequence[Step], began: float, count: int) -> Iterator[list[Step]]:
    """Steps of the same moment together; of a long run, those of one part of it."""
    if not found:
        return
    part = max(0.001, (found[-1].at - began) / count)
    group: list[Step] = []
    for step in found:
        if group and step.at - group[0].at >= part:
            yield group
            group = []
        group.append(step)
    yield group


class _Run:
    """The phases of all tasks while they change."""

    def __init__(self, first: State, last: State) -> None:
        self._last = last
        self._flows = list(first.flows)
        self._head: Head = first.head
        self._phases = [phases(flow) for flow in first.flows]
        self._counts = Counter(phase for flow in self._phases for phase in flow.values())
        self._changed: dict[int, list[Step]] = {}
        self._begun: list[Counter[int]] = [Counter() for _ in first.flows]
        """How many attempts each task has had, by the index of the task; status has the highest of them."""

    def apply(self, step: Step) -> None:
        phase = Phase(step.phase)
        before = self._phases[step.flow].get(step.index, Phase.WAITING)
        self._counts[before] -= 1
        self._counts[phase] += 1
        self._phases[step.flow][step.index] = phase
        self._begun[step.flow][step.index] += step.begins
        self._changed.setdefault(step.flow, []).append(step)

    def state(self) -> State:
        for position, changes in self._changed.items():
            self._flows[position] = self._flow(position, changes)
        self._changed.clear()
        head = msgspec.structs.replace(
            self._head,
            done=sum(count for phase, count in self._counts.items() if phase.is_final),
            running=self._counts[Phase.RUNNING],
            failed=self._counts[Phase.FAILED],
        )
        return State(head, tuple(self._flows))

    def _flow(self, position: int, changes: Sequence[Step]) -> FlowState:
        last, before = self._last.flows[position], self._flows[position]
        now = self._phases[position]
        tries = max(self._begun[position].values(), default=0)
        if last.phase.is_final and now == phases(last):
            return last
        by_phase: dict[Phase, list[int]] = {}
        for index in sorted(now):
            by_phase.setdefault(now[index], []).append(index)
        tasks = {phase: pack_indexes(indexes) for phase, indexes in by_phase.items()} if last.tasks else {}
        started = before.started if before.started is not None else changes[0].at
        phase = fold({phase: len(indexes) for phase, indexes in by_phase.items()})
        return FlowState(phase=phase, size=last.size, tries=tries, started=started, tasks=tasks)
