"""The compiled DAG of one workflow: flows by number, and their dependencies as predicates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from pkg.apis.flow.v1alpha1.types import Flow, HTTPGet, Probe, Strategy, TCPSocket


class Ask(IntEnum):
    """A question about one task, answered from its standing alone."""

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
    """An HTTP or TCP probe of every (or any) replica of flow number `flow`; `path` is where the spec says so.

    is_previous: of the replica one index lower of the same flow instead; True at index 0.
    """

    flow: int
    path: str
    strategy: Strategy
    what: HTTPGet | TCPSocket
    probe: Probe
    fail_after: float | None
    is_previous: bool = False


@dataclass(frozen=True, slots=True)
class PodIPPredicate:
    """The lead pod of the same index (else 0) of flow number `flow` has an address."""

    flow: int


Predicate = StatusPredicate | PreviousPredicate | ProbePredicate | PodIPPredicate
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
class Node:
    """One flow. requires: AND of clauses; dependents: flows to look at again when this one changes;
    recoveries: flows that wait for the phase Failed of this one."""

    number: int
    flow: Flow
    size: int
    requires: tuple[Clause, ...]
    retry: RetryRule
    timeout: float | None
    pending_timeout: float | None
    parallelism: int | None
    is_leaf: bool
    is_probed: bool
    rank: int
    dependents: tuple[int, ...]
    recoveries: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.flow.name

    @property
    def is_indexed(self) -> bool:
        """Whether the flow has `for`, so that its jobs carry an index."""
        return self.flow.for_ is not None

    @property
    def is_empty(self) -> bool:
        return self.flow.replicas == 0

    @property
    def is_finally(self) -> bool:
        return self.flow.finally_

    @property
    def has_timers(self) -> bool:
        return bool(self.retry.max_retries) or self.timeout is not None or self.pending_timeout is not None

    @property
    def is_probing(self) -> bool:
        return any(isinstance(part, ProbePredicate | PodIPPredicate) for part in self.predicates())

    @property
    def needs_pod_ip(self) -> bool:
        return any(isinstance(part, PodIPPredicate) for part in self.predicates())

    def probes(self) -> tuple[ProbePredicate, ...]:
        """The HTTP and TCP probes that this flow waits for."""
        return tuple(dict.fromkeys(part for part in self.predicates() if isinstance(part, ProbePredicate)))

    def predicates(self) -> Iterator[Predicate]:
        for clause in self.requires:
            for group in clause:
                yield from group


@dataclass(frozen=True, slots=True)
class Graph:
    """All flows of a workflow, numbered as the spec lists them. finals: those with `finally`; timed: those with retries
    or timeouts; probing: those that wait for HTTP or TCP answers or pod addresses.
    """

    nodes: tuple[Node, ...]
    by_name: Mapping[str, int]
    total: int
    critical: tuple[int, ...]
    leaves: tuple[int, ...]
    finals: tuple[int, ...]
    timed: tuple[int, ...]
    probing: tuple[int, ...]

    def __getitem__(self, name: str) -> Node:
        return self.nodes[self.by_name[name]]
