"""What is known of each task, frozen between passes, and the draft in which one pass changes it.

A pass touches few tasks of many, so flows that did not change keep their very objects, and counts are carried along
instead of being taken again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import msgspec

from pkg.apis.flow.v1alpha1.phases import FINAL, UNFINISHED, Phase, fold
from pkg.apis.flow.v1alpha1.reasons import SUCCESSES, Reasons
from pkg.apis.flow.v1alpha1.types import FlowStatus
from pkg.controllers.workflow.planner.graph.model import Node

NEVER: Final = math.inf


class TaskKey(msgspec.Struct, frozen=True, order=True):
    """A task by the name of its flow and its index (0 without `for`)."""

    flow: str
    index: int


def counterpart(asked: Node, index: int) -> TaskKey:
    """The replica whose pod address is meant by a task of that index: the same index, else index 0."""
    return TaskKey(asked.name, index if index < asked.size else 0)


class Task(msgspec.Struct, frozen=True):
    """One task. Times are seconds since the epoch.

    attempt: newest attempt known; job / job_uid: its job, empty when none was seen; created, ran_at: of this attempt;
    released: when its dependencies were found True; makeable: since when nothing of the workflow's own (a slot,
    suspend) holds this attempt up; held_at, held: since when, and how long in all, a queue has held this attempt;
    began, was_held: this attempt has run, or was held, which status keeps though not since when; ran: any attempt has;
    ready: a service that became ready.
    """

    phase: Phase = Phase.WAITING
    attempt: int = 0
    reason: str = ""
    message: str = ""
    job: str = ""
    job_uid: str = ""
    had_job: bool = False
    ran: bool = False
    began: bool = False
    was_held: bool = False
    reported: bool = False
    ready: bool = False
    created: float | None = None
    ran_at: float | None = None
    started: float | None = None
    finished: float | None = None
    due: float | None = None
    released: float | None = None
    makeable: float | None = None
    held_at: float | None = None
    held: float = 0.0

    @property
    def standing(self) -> int:
        """Everything a status predicate may ask about, packed: state, had a job, has run, reported its own failure."""
        return _NUMBER[self.phase] | (self.had_job << 4) | (self.ran << 5) | (self.reported << 6)

    @property
    def is_final(self) -> bool:
        return self.phase in FINAL

    @property
    def is_unfinished(self) -> bool:
        return self.phase in UNFINISHED

    @property
    def is_settled(self) -> bool:
        """The newest attempt has its verdict."""
        return self.phase in FINAL or self.phase is Phase.BACKOFF


_PHASES: Final = tuple(Phase)
_NUMBER: Final = {phase: number for number, phase in enumerate(_PHASES)}


def phase_of(standing: int) -> Phase:
    """The state within a `Task.standing`."""
    return _PHASES[standing & 15]


class Standing(NamedTuple):
    phase: Phase
    had_job: bool
    ran: bool
    reported: bool


def unpack(standing: int) -> Standing:
    """The reverse of `Task.standing`."""
    return Standing(phase_of(standing), bool(standing & 16), bool(standing & 32), bool(standing & 64))


@dataclass(frozen=True, slots=True)
class FlowState:
    """All tasks of one flow. tally: standing -> how many tasks; passed: latched probes (path, replica);
    why / message: what its waiting tasks wait for; wakes: when time alone may next change one of its tasks."""

    tasks: tuple[Task, ...]
    tally: Mapping[int, int]
    why: str = ""
    message: str = ""
    gvr: str = ""
    renamed: str = ""
    first_attempt: int = 0
    passed: frozenset[tuple[str, int]] = frozenset()
    wakes: float = NEVER

    def count(self, *phases: Phase) -> int:
        return count_in(self.tally, phases)

    @property
    def phase(self) -> Phase:
        return fold(by_phase(self.tally))

    @property
    def is_final(self) -> bool:
        return all(phase_of(standing) in FINAL for standing, count in self.tally.items() if count)


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of a workflow, certain though perhaps not all is at rest."""

    reason: str
    message: str

    @property
    def is_success(self) -> bool:
        return self.reason in SUCCESSES


@dataclass(frozen=True, slots=True)
class Progress:
    """All that a pass leaves for the next one.

    flows: by number; acked: the flows as the last acknowledged status records them; counts: tasks per phase; unsettled:
    flows with tasks that are not final; failed: flows with a Failed task; rendered: the FlowStatus last made of each
    flow; stale: flows whose dependencies must be looked at; startable: flows that may have a task to be made;
    written_at: when status was last written.
    """

    flows: tuple[FlowState, ...]
    acked: tuple[FlowState, ...]
    counts: Mapping[Phase, int]
    unsettled: frozenset[int]
    failed: frozenset[int]
    stale: frozenset[int]
    startable: frozenset[int]
    decision: Decision | None = None
    is_decision_acked: bool = False
    rendered: tuple[tuple[FlowState, FlowStatus] | None, ...] = ()
    written_at: float = 0.0
    is_dirty: bool = True

    def acknowledged(self, now: float) -> Progress:
        """After the API server took the status made of this."""
        return replace(
            self, acked=self.flows, is_decision_acked=self.decision is not None, written_at=now, is_dirty=False
        )


def empty_flow(node: Node) -> FlowState:
    """A flow nobody has touched: all tasks Waiting, or the one Skipped task of `for: {replicas: 0}`."""
    nobody = Task(phase=Phase.SKIPPED, reason=Reasons.NO_REPLICAS, message="for.replicas is 0")
    task = nobody if node.is_empty else Task()
    return FlowState(tasks=(task,) * node.size, tally={task.standing: node.size})


def from_flows(flows: Iterable[FlowState]) -> Progress:
    """A progress made anew (at start, or from status), with every count taken and everything still to be looked at."""
    states = tuple(flows)
    counts = dict.fromkeys(Phase, 0)
    for state in states:
        for standing, count in state.tally.items():
            counts[phase_of(standing)] += count
    return Progress(
        flows=states,
        acked=states,
        counts=counts,
        unsettled=frozenset(number for number, state in enumerate(states) if not state.is_final),
        failed=frozenset(number for number, state in enumerate(states) if state.count(Phase.FAILED)),
        stale=frozenset(range(len(states))),
        startable=frozenset(range(len(states))),
        rendered=(None,) * len(states),
    )


def count_in(tally: Mapping[int, int], phases: Iterable[Phase]) -> int:
    """How many tasks of a tally are in one of the phases."""
    wanted = {_NUMBER[phase] for phase in phases}
    return sum(count for standing, count in tally.items() if standing & 15 in wanted)


def by_phase(tally: Mapping[int, int]) -> dict[Phase, int]:
    counts: dict[Phase, int] = {}
    for standing, count in tally.items():
        phase = phase_of(standing)
        counts[phase] = counts.get(phase, 0) + count
    return counts


def tally_of(tasks: Iterable[Task]) -> dict[int, int]:
    tally: dict[int, int] = {}
    for task in tasks:
        standing = task.standing
        tally[standing] = tally.get(standing, 0) + 1
    return tally
