"""The compiled DAG of one workflow: flows by number, and their dependencies as predicates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from pkg.apis.flow.v1alpha1.cost import Cost
from pkg.apis.flow.v1alpha1.growth import Growth
from pkg.apis.flow.v1alpha1.locks import LockName
from pkg.apis.flow.v1alpha1.types import Flow, HTTPGet, Parameters, Probe, Strategy, TCPSocket
from pkg.workloads.output_rules import OutputRule
from pkg.workloads.when_expressions import WhenExpression


class Ask(IntEnum):
    """A question about one task, answered from `Task.facts` alone."""

    TARGET = 0
    TARGET_OR_FAILED = 1
    TARGET_OR_SKIPPED = 2
    TARGET_OR_FAILED_OR_SKIPPED = 3
    PENDING = 4
    RUNNING = 5
    COMPLETED = 6
    FAILED = 7
    SKIPPED = 8
    FINISHED = 9


_ENDS: Final = frozenset(Ask) - {Ask.PENDING, Ask.RUNNING}

# With more flows than this, messages are short, so that one change of a flow does not become thousands.
MANY_FLOWS: Final = 500


@dataclass(frozen=True, slots=True)
class StatusPredicate:
    """`ask` of every (or any) replica of flow number `flow`."""

    flow: int
    ask: Ask
    strategy: Strategy


@dataclass(frozen=True, slots=True)
class PreviousPredicate:
    """`ask` of the replica one index lower of the same flow; True at index 0."""

    ask: Ask


@dataclass(frozen=True, slots=True)
class ProbePredicate:
    """An HTTP or TCP probe of every (or any) replica of flow number `flow`."""

    flow: int
    #: Where the spec of the waiting flow has it.
    path: str
    strategy: Strategy
    what: HTTPGet | TCPSocket
    probe: Probe
    fail_after: float | None
    #: The flow and the path at which the spec has this question first. Probes that ask the same share one answer.
    asked_as: tuple[str, str]
    #: It asks the replica one index lower of the same flow; True at index 0.
    is_previous: bool = False

    @property
    def question(self) -> tuple[object, ...]:
        """All that decides what is asked, and how. Two probes with the same question get the same answer."""
        asked = self.probe
        how = (asked.period_seconds, asked.timeout_seconds, asked.success_threshold, asked.role, asked.pods)
        return (self.flow, self.what, *how)


@dataclass(frozen=True, slots=True)
class PodIPPredicate:
    """The lead pod of the same index (else 0) of flow number `flow` has an address."""

    flow: int


@dataclass(frozen=True, slots=True)
class OutputPredicate:
    """An output of flow number `flow` is recorded.

    pick: of which task: a number, `index` for the one of the same index, or empty for all tasks.
    """

    flow: int
    output: str
    pick: str = ""

    @property
    def is_by_index(self) -> bool:
        return self.pick == "index"

    def index_for(self, index: int) -> int:
        """The index of the task that is asked for, as seen from a task of this index."""
        return index if self.is_by_index else int(self.pick or 0)


Predicate = StatusPredicate | PreviousPredicate | ProbePredicate | PodIPPredicate | OutputPredicate
Clause = tuple[tuple[Predicate, ...], ...]  # OR of ANDs


@dataclass(frozen=True, slots=True)
class RetryRule:
    """`Retry` with seconds for durations."""

    max_retries: int
    interval: float
    factor: float
    max_interval: float
    reasons: frozenset[str]

    def delay(self, retry: int) -> float:
        """Seconds before the given retry, counted from 1."""
        if self.factor == 1.0 or self.interval == 0:
            return min(self.interval, self.max_interval)
        try:
            return min(self.interval * self.factor ** (retry - 1), self.max_interval)
        except OverflowError:
            return self.max_interval


@dataclass(frozen=True, slots=True)
class Condition:
    """The `when` of a flow. parameters: those of its template; None while the template does not exist."""

    expression: WhenExpression
    parameters: Parameters | None


@dataclass(frozen=True, slots=True)
class Node:
    """One flow of the graph."""

    #: Position in the spec.
    number: int
    flow: Flow
    #: Number of tasks, 0 for `for: {replicas: 0}` and for no items; None while only `for.itemsFrom` can tell it.
    count: int | None
    #: Number of tasks that exist: at least 1. That of a flow with count 0 is Skipped.
    size: int
    #: The dependencies: an AND of clauses.
    requires: tuple[Clause, ...]
    retry: RetryRule
    #: Timeouts of one attempt, in seconds.
    timeout: float | None
    pending_timeout: float | None
    #: Seconds from when the dependencies are met until a task is released; 0 for none.
    start_delay: float
    #: Unfinished jobs at once; None for no limit.
    parallelism: int | None
    #: No other flow depends on the success of this one.
    is_leaf: bool
    #: Another flow probes its pods, or needs their address.
    is_probed: bool
    #: Topological position.
    rank: int
    #: Flows whose dependencies must be evaluated when this one changes.
    dependents: tuple[int, ...]
    #: Flows that depend on the phase Failed of this one.
    recoveries: tuple[int, ...]
    #: What is read from its jobs when they succeed.
    outputs: tuple[OutputRule, ...] = ()
    #: Outputs of other flows that its jobs and its condition use.
    reads: tuple[OutputPredicate, ...] = ()
    #: Flows that it asks about, and whose verdicts depend on outputs or conditions: a job may not show them.
    follows_recorded: frozenset[int] = frozenset()
    when: Condition | None = None
    #: It is a `finally` flow that uses how the workflow went.
    reads_end: bool = False
    #: The output that gives it its items.
    items_from: OutputPredicate | None = None
    #: The locks of a task, in the order of taking them. Those of the workflow as a whole are in Graph.
    locks: tuple[LockName, ...] = ()
    #: What it costs with more tasks than one, if it has items_from.
    growth: Growth = field(default=Growth(), compare=False)
    #: What most flows wait for: each of these, whatever the index. None if it waits for anything else.
    plain: tuple[StatusPredicate, ...] | None = field(init=False, compare=False, repr=False)
    #: The flows whose pod addresses it waits for, and its jobs are rendered with.
    pod_ips: tuple[PodIPPredicate, ...] = field(init=False, compare=False, repr=False)
    is_probing: bool = field(init=False, compare=False, repr=False)
    # Fields and not properties, because each pass reads them many times.
    name: str = field(init=False, compare=False, repr=False)
    #: The flow has `for`, so that its jobs carry an index.
    is_indexed: bool = field(init=False, compare=False, repr=False)
    is_finally: bool = field(init=False, compare=False, repr=False)
    #: The flow waits for a person and makes no jobs.
    is_approval: bool = field(init=False, compare=False, repr=False)
    has_timers: bool = field(init=False, compare=False, repr=False)
    #: Whether it may start depends on nothing but the ends of other tasks.
    waits_for_ends: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = tuple(self.predicates())
        plain = tuple(part for part in parts if isinstance(part, StatusPredicate))
        is_plain = len(plain) == len(parts) and all(len(clause) == 1 for clause in self.requires)
        pod_ips = tuple(part for part in parts if isinstance(part, PodIPPredicate))
        asks_ends = is_plain and all(part.ask in _ENDS for part in plain)
        is_judged = self.flow.finally_ or self.when is not None or self.items_from is not None
        has_timeouts = self.timeout is not None or self.pending_timeout is not None
        for name, value in (
            ("plain", plain if is_plain else None),
            ("pod_ips", pod_ips),
            ("is_probing", bool(pod_ips) or any(isinstance(part, ProbePredicate) for part in parts)),
            ("name", self.flow.name),
            ("is_indexed", self.flow.for_ is not None),
            ("is_finally", self.flow.finally_),
            ("is_approval", self.flow.approval is not None),
            ("has_timers", bool(self.retry.max_retries) or has_timeouts or bool(self.start_delay)),
            ("waits_for_ends", asks_ends and not is_judged and not self.reads),
        ):
            object.__setattr__(self, name, value)

    @property
    def needs_pod_ip(self) -> bool:
        return bool(self.pod_ips)

    @property
    def is_empty(self) -> bool:
        return self.count == 0

    @property
    def replicas(self) -> int:
        """What `{{replicas}}` stands for."""
        return self.flow.replicas if self.items_from is None else self.count or 0

    def probes(self) -> tuple[ProbePredicate, ...]:
        """The HTTP and TCP probes that this flow waits for."""
        return tuple(dict.fromkeys(part for part in self.predicates() if isinstance(part, ProbePredicate)))

    def predicates(self) -> Iterator[Predicate]:
        for clause in self.requires:
            for group in clause:
                yield from group


@dataclass(frozen=True, slots=True)
class Graph:
    """All flows of a workflow. Flows are identified by their position in the spec."""

    nodes: tuple[Node, ...]
    by_name: Mapping[str, int]
    #: Number of tasks.
    total: int
    #: The critical flows.
    critical: tuple[int, ...]
    #: Flows on whose success no other flow depends.
    leaves: tuple[int, ...]
    #: Flows with `finally`.
    finals: tuple[int, ...]
    #: Flows with retries or timeouts.
    timed: tuple[int, ...]
    #: Flows that depend on HTTP or TCP probes, or on pod addresses.
    probing: tuple[int, ...]
    #: Flows with an output that is read from a termination message.
    reading_messages: tuple[int, ...] = ()
    #: Templates whose jobs have to be cached in full, because an output is read from their spec.
    read_in_full: frozenset[str] = frozenset()
    #: Flows with `for.itemsFrom`.
    fan_outs: tuple[int, ...] = ()
    #: The locks of the workflow as a whole.
    locks: tuple[LockName, ...] = ()
    #: All locks that somebody in it waits for.
    lock_names: tuple[LockName, ...] = ()
    #: Flows whose tasks wait for locks: all of them, if the workflow as a whole has some.
    locking: frozenset[int] = frozenset()
    #: `finally` flows that use how the workflow went.
    end_readers: tuple[int, ...] = ()
    #: Flows with `approval`, which have no jobs.
    approvals: tuple[int, ...] = ()
    #: What the workflow costs while each of these has one task.
    cost: Cost = field(default=Cost(), compare=False)
    #: Bytes of JSON that spec and metadata leave for the status. An edit that changes only this keeps the progress.
    status_room: int = field(default=0, compare=False)

    def asks_about_ends_alone(self) -> bool:
        """Whether a job that was just created, and has not run yet, can release no other task and has no timer."""
        parts = (part for node in self.nodes for part in node.predicates())
        return not self.timed and not self.probing and all(getattr(part, "ask", None) in _ENDS for part in parts)

    @property
    def is_large(self) -> bool:
        """Whether messages have to be short."""
        return len(self.nodes) > MANY_FLOWS

    def __getitem__(self, name: str) -> Node:
        return self.nodes[self.by_name[name]]
