"""What is known of every task, frozen between two passes.

A pass changes few tasks of many. Flows that did not change keep the same FlowState object, and counts are updated
instead of counted again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from pkg.apis.flow.v1alpha1 import cost
from pkg.apis.flow.v1alpha1.phases import BACKOFF, FAILED, FINAL, SKIPPED, UNFINISHED, WAITING, Phase, fold
from pkg.apis.flow.v1alpha1.reasons import SUCCESSES, Reasons
from pkg.apis.flow.v1alpha1.records import FlowMemory
from pkg.apis.flow.v1alpha1.types import Action, EndRecord, FlowStatus
from pkg.apis.meta import Job
from pkg.apis.structs import OrderedValue, Value
from pkg.controllers.workflow.planner.graph.model import Node

NEVER: Final = math.inf


class TaskKey(OrderedValue, frozen=True, gc=False, order=True):
    """A task by the name of its flow and its index (0 without `for`)."""

    flow: str
    index: int


@dataclass(frozen=True, slots=True)
class ProbeKey:
    """One HTTP or TCP probe of one replica: flow and path of the question, and the probed index."""

    flow: str
    path: str
    index: int


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """How an HTTP or TCP probe fails: the last answer, of which pod, after at least how many tries, and since when
    (seconds since the epoch).
    """

    why: str
    pod: str
    address: str
    tries: int
    since: float


@dataclass(frozen=True, slots=True)
class JobEnding:
    """How the pods of a failed job ended. words: None while they are looked up, empty if there is nothing to say."""

    attempt: int
    words: str | None = None


def counterpart(asked: Node, index: int) -> TaskKey:
    """The task of flow `asked` whose pod address a task of this index uses: the one of the same index, else index 0."""
    return TaskKey(asked.name, index if index < asked.size else 0)


class Attempt(Value, frozen=True, gc=False):
    """What is known of the newest attempt alone, so that a new attempt is `Attempt()`. Times: seconds since the epoch.

    While the task is in Backoff these are the clocks of the attempt to come, and the job is still the failed one's.
    """

    #: Name of the job; empty while none was observed, and once it is gone.
    job: str = ""
    #: UID of that job.
    job_uid: str = ""
    #: Its kind, as `GVR.parse` reads it; empty while that is not known.
    gvr: str = ""
    #: Of a task that applies or deletes an object, which is then what is called its job here.
    action: Action = Action.CREATE
    #: The job was seen under deletion before it had reported an end: whatever it says now, it was deleted.
    doomed: bool = False
    #: The job as it last was, if it disappeared and no deletion was seen: is it still in the cluster?
    lost: Job | None = None
    #: When the job was created.
    created: float | None = None
    #: When the job was first observed running.
    ran_at: float | None = None
    #: The job has run. Status records this fact, but not since when.
    began: bool = False
    #: The job is a service that became ready.
    ready: bool = False
    #: Since when nothing inside the workflow (a slot, suspend) prevents the job; since when the task waits for locks.
    makeable: float | None = None
    waits_since: float | None = None
    #: The job is labelled for a queue, wherever the label came from: the queue may hold it.
    may_be_held: bool = False
    #: Since when a queue holds the job; None while it is not held.
    held_at: float | None = None
    #: Seconds for which a queue held the job before `held_at`.
    held: float = 0.0
    #: A queue has held the job. Status records this fact, but not for how long.
    was_held: bool = False
    #: How the pods of the failed job ended was looked up.
    explained: bool = False
    #: The job has succeeded, and the termination message with an output is awaited.
    is_ended: bool = False
    #: Reason and message of the failure that this attempt follows, as far as this process saw it. Status has neither.
    after: tuple[str, str] = ("", "")


class Task(Value, frozen=True, gc=False):
    """One task: its state, what its attempts so far add up to, and the newest one. Times: seconds since the epoch."""

    phase: Phase = WAITING
    #: Number of the newest attempt, from 0.
    attempt: int = 0
    #: Why the task failed, was skipped or cancelled, or why its job is pending.
    reason: str = ""
    message: str = ""
    #: Any attempt had a job.
    had_job: bool = False
    #: Any attempt has run.
    ran: bool = False
    #: The job of any attempt reported its own failure.
    reported: bool = False
    #: When the first job was created.
    started: float | None = None
    #: When the task became final.
    finished: float | None = None
    #: When the next attempt may begin, in Backoff; when startDelay is over, in Waiting. Nothing in other phases.
    due: float | None = None
    #: When the dependencies were found True.
    released: float | None = None
    #: Names and values of what was read from the job when the task succeeded.
    outputs: tuple[tuple[str, str], ...] = ()
    #: The newest attempt.
    current: Attempt = Attempt()

    @property
    def facts(self) -> int:
        """All that a status predicate reads, as bits: phase, had a job, has run, reported its own failure."""
        return _NUMBER[self.phase] | (self.had_job << 4) | (self.ran << 5) | (self.reported << 6)

    @property
    def is_final(self) -> bool:
        return self.phase in FINAL

    @property
    def is_unfinished(self) -> bool:
        return self.phase in UNFINISHED

    @property
    def has_verdict(self) -> bool:
        """Whether the newest attempt has ended for the task: the task is final, or waits for the next attempt."""
        return self.phase in FINAL or self.phase is BACKOFF

    @property
    def is_unexplained(self) -> bool:
        """Whether how the failed newest attempt ended is still to be looked up."""
        if not self.has_verdict or self.current.explained:
            return False
        has_failed = self.reason == Reasons.FAILED and bool(self.current.job)
        return has_failed or (self.reason == Reasons.JOB_DELETED and self.current.lost is not None)

    @property
    def output_bytes(self) -> int:
        """What its recorded outputs count, in bytes."""
        return sum(cost.output_bytes(value) for _, value in self.outputs)

    def with_current(self, **changes: object) -> Task:
        """The task with these fields of its newest attempt changed."""
        return msgspec.structs.replace(self, current=msgspec.structs.replace(self.current, **changes))


_PHASES: Final = tuple(Phase)
_NUMBER: Final = {phase: number for number, phase in enumerate(_PHASES)}


def phase_of(facts: int) -> Phase:
    """The phase within `Task.facts`."""
    return _PHASES[facts & 15]


class FlowState(Value, frozen=True, gc=False):
    """All tasks of one flow, and what is known of the flow as a whole."""

    #: By index.
    tasks: tuple[Task, ...]
    #: `Task.facts` -> number of tasks with these facts.
    tally: Mapping[int, int]
    #: Why the tasks that are Waiting, or due for a retry, have no job. Empty if nothing is known.
    wait_reason: str = ""
    wait_message: str = ""
    #: What the API server warned of when it created jobs of the flow; empty if of nothing.
    server_warning: str = ""
    #: The resource of its jobs, as `GVR.parse` reads it. Recorded with the first job.
    gvr: str = ""
    #: Those of later jobs, after the template got another kind. Recorded before the first of them is created.
    later_gvrs: tuple[str, ...] = ()
    #: Hashes of the rules that its jobs carry.
    rules: tuple[str, ...] = ()
    #: Suffix of its job names, if other objects have the regular names.
    renamed: str = ""
    #: How many tasks `for.itemsFrom` gave it in this run; None while that is not known, and for other flows.
    fan_out: int | None = None
    #: Attempts below this number belong to a run before the last restart.
    first_attempt: int = 0
    #: So do the first entries of spec.approvals, as many as this.
    approvals: int = 0
    #: It has outputs that a spec which was made up from status does not show.
    hands_out: bool = False
    #: HTTP and TCP probes that have passed: path of the probe in the spec -> indexes of the replicas that answered.
    passed: Mapping[str, frozenset[int]] = msgspec.field(default_factory=dict)
    #: When a retry becomes due or a timeout comes (seconds since the epoch, or NEVER).
    timer_at: float = NEVER

    @property
    def gvrs(self) -> tuple[str, ...]:
        """The kinds of all its jobs."""
        return (self.gvr, *self.later_gvrs) if self.gvr else ()

    def gvr_of(self, index: int) -> str:
        """The kind of the newest job of a task; empty if it has had none."""
        return self.tasks[index].current.gvr or self.gvr

    def count(self, *phases: Phase) -> int:
        """How many tasks are in one of the phases."""
        return count_in(self.tally, phases)

    @property
    def phase(self) -> Phase:
        return folded(self.tally)

    @property
    def is_final(self) -> bool:
        return all(phase_of(facts) in FINAL for facts, count in self.tally.items() if count)


class Rendered(NamedTuple):
    """What status says of a flow, and the FlowState that it was made from."""

    state: FlowState
    status: FlowStatus
    memory: FlowMemory


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome of a workflow. It is certain, although jobs may still run."""

    reason: str
    message: str

    @property
    def is_success(self) -> bool:
        return self.reason in SUCCESSES


class Progress(Value, frozen=True, gc=False):
    """All that one pass hands to the next. Flows are identified by their number in the graph."""

    flows: tuple[FlowState, ...]
    #: The flows as the last status that the API server acknowledged records them.
    acked: tuple[FlowState, ...]
    #: Number of tasks in each phase.
    counts: Mapping[Phase, int]
    #: Flows with a task that is not final.
    not_final: frozenset[int]
    #: Flows with a Failed task.
    failed: frozenset[int]
    #: Flows whose dependencies must be evaluated again.
    stale: frozenset[int]
    #: Flows that may have a task whose job can be created.
    startable: frozenset[int]
    #: Flows whose message may name an outdated phase of the flow that they wait for.
    outdated: frozenset[int] = frozenset()
    decision: Decision | None = None
    is_decision_acked: bool = False
    #: What status was made last to say of each flow.
    rendered: tuple[Rendered | None, ...] = ()
    #: When status was last written (seconds since the epoch).
    written_at: float = 0.0
    #: The HTTP and TCP probes that passed in the last pass.
    answers: frozenset[ProbeKey] = frozenset()
    #: How probes failed, as the last pass knew it.
    probe_answers: Mapping[ProbeKey, ProbeAnswer] = msgspec.field(default_factory=dict)
    #: The pod addresses that the last pass knew.
    addresses: Mapping[TaskKey, str] = msgspec.field(default_factory=dict)
    #: When the next probe gives up (seconds since the epoch, or NEVER).
    gives_up_at: float = NEVER
    #: Tasks whose jobs the last passes did not look at, because that exceeded their budgets.
    unfolded: frozenset[TaskKey] = frozenset()
    #: Failed tasks whose pods are still to be looked up: number of the flow, index.
    unexplained: frozenset[tuple[int, int]] = frozenset()
    #: What the last status names as waiting for a person, and where; None for nothing.
    blocked: tuple[str, str] | None = None
    #: What the recorded outputs count, in bytes.
    output_bytes: int = 0
    #: What the last status left out because the object has no room for it; empty for nothing.
    left_out: str = ""
    #: How the workflow went, once `finally` flows may read it; and whether the acknowledged status records it.
    end: EndRecord | None = None
    is_end_acked: bool = False
    #: How many entries of spec.approvals the last pass saw.
    approvals_seen: int = 0
    #: Status does not yet record everything.
    is_dirty: bool = True

    def acknowledged(self, now: float) -> Progress:
        """The progress after the API server acknowledged the status made from it."""
        return msgspec.structs.replace(
            self,
            acked=self.flows,
            is_decision_acked=self.decision is not None,
            is_end_acked=self.end is not None,
            written_at=now,
            is_dirty=False,
        )


NO_PROGRESS: Final = Progress(
    flows=(), acked=(), counts={}, not_final=frozenset(), failed=frozenset(), stale=frozenset(), startable=frozenset()
)


def empty_flow(node: Node, attempt: int = 0) -> FlowState:
    """A flow at the start: all tasks Waiting, or the one Skipped task of `for: {replicas: 0}` and of no items.

    attempt: with which its tasks begin.
    """
    if node.is_empty:
        return _SKIPPED_ITEMS if node.flow.has_items else _SKIPPED
    return _WAITING if node.size == 1 and not attempt else _all_same(Task(attempt=attempt), node.size)


def _all_same(task: Task, size: int) -> FlowState:
    return FlowState(tasks=(task,) * size, tally={task.facts: size})


_NONE: Final = Task(phase=SKIPPED, reason=Reasons.NO_REPLICAS, message="for.replicas is 0")
# Flows of one task begin with the same value in memory: there are tens of thousands of them.
_WAITING: Final = _all_same(Task(), 1)
_SKIPPED: Final = _all_same(_NONE, 1)
_SKIPPED_ITEMS: Final = _all_same(msgspec.structs.replace(_NONE, message="for.items is an empty list"), 1)


def from_flows(flows: Iterable[FlowState]) -> Progress:
    """A new progress over these flows: everything is counted, and everything is to be evaluated."""
    states = tuple(flows)
    counts = dict.fromkeys(Phase, 0)
    for state in states:
        for facts, count in state.tally.items():
            counts[phase_of(facts)] += count
    return Progress(
        flows=states,
        acked=states,
        counts=counts,
        not_final=frozenset(number for number, state in enumerate(states) if not state.is_final),
        failed=frozenset(number for number, state in enumerate(states) if state.count(FAILED)),
        stale=frozenset(range(len(states))),
        startable=frozenset(range(len(states))),
        rendered=(None,) * len(states),
        output_bytes=sum(task.output_bytes for state in states for task in state.tasks if task.outputs),
    )


def count_in(tally: Mapping[int, int], phases: Iterable[Phase]) -> int:
    """How many tasks of a tally are in one of the phases."""
    wanted = 0
    for phase in phases:
        wanted |= 1 << _NUMBER[phase]
    return sum([count for facts, count in tally.items() if wanted >> (facts & 15) & 1])


def folded(tally: Mapping[int, int]) -> Phase:
    """The phase of a flow with this tally."""
    if len(tally) == 1:
        return phase_of(next(iter(tally)))  # all tasks are in this phase, and so is the flow
    return fold(by_phase(tally))


def by_phase(tally: Mapping[int, int]) -> dict[Phase, int]:
    """Number of tasks of a tally in each phase that occurs."""
    counts: dict[Phase, int] = {}
    for facts, count in tally.items():
        phase = phase_of(facts)
        counts[phase] = counts.get(phase, 0) + count
    return counts


def tally_of(tasks: Iterable[Task]) -> dict[int, int]:
    """`Task.facts` -> number of these tasks with the same facts."""
    return dict(Counter(task.facts for task in tasks))
