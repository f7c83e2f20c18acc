"""The compiled DAG of one workflow: numbers instead of names, and every dependency as predicates.

Compiled once per generation; what depends on the state of tasks lives elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum

from pkg.apis.flow.v1alpha1 import defaults, durations
from pkg.apis.flow.v1alpha1.types import (
    DependsOn,
    Flow,
    Group,
    HTTPGet,
    OnSkipped,
    Probe,
    ProbedPhase,
    Retry,
    Strategy,
    TCPSocket,
    WorkflowSpec,
)


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


class Leads(Enum):
    """How naming a flow counts for the question which flows are leaves."""

    ON = "on"
    ASIDE = "aside"


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


def compile_graph(spec: WorkflowSpec, pod_ip_edges: Mapping[str, frozenset[str]]) -> Graph:
    """The DAG of a valid spec (validation has passed: names are known, there is no cycle).

    pod_ip_edges: flow name -> flows whose pod address its job needs.
    """
    by_name = {flow.name: number for number, flow in enumerate(spec.flows)}
    tolerant = tuple(flow.continue_on_fail for flow in spec.flows)
    requires = [_requires(flow, by_name, tolerant, pod_ip_edges.get(flow.name, frozenset())) for flow in spec.flows]

    dependents: list[dict[int, None]] = [{} for _ in spec.flows]
    recoveries: list[dict[int, None]] = [{} for _ in spec.flows]
    probed: set[int] = set()
    leads_on: set[int] = set()
    for number, clauses in enumerate(requires):
        for predicate in _flat(clauses):
            if isinstance(predicate, PreviousPredicate):
                dependents[number][number] = None
                continue
            dependents[predicate.flow][number] = None
            if isinstance(predicate, ProbePredicate | PodIPPredicate):
                probed.add(predicate.flow)
            if predicate.flow == number:
                continue
            if isinstance(predicate, StatusPredicate) and predicate.ask is Ask.FAILED:
                recoveries[predicate.flow][number] = None
            # A `finally` flow follows everything, so that its asking makes nobody a step on the way.
            if _leads(predicate) is Leads.ON and not spec.flows[number].finally_:
                leads_on.add(predicate.flow)

    ranks = _ranks(dependents)
    nodes = tuple(
        Node(
            number=number,
            flow=flow,
            size=max(1, flow.replicas),
            requires=requires[number],
            retry=_retry(flow.retry or Retry()),
            timeout=None if flow.timeout is None else durations.parse(flow.timeout),
            pending_timeout=None if flow.pending_timeout is None else durations.parse(flow.pending_timeout),
            parallelism=None if flow.for_ is None else flow.for_.parallelism,
            is_leaf=number not in leads_on and not flow.finally_,
            is_probed=number in probed,
            rank=ranks[number],
            dependents=tuple(dependents[number]),
            recoveries=tuple(other for other in recoveries[number] if not spec.flows[other].finally_),
        )
        for number, flow in enumerate(spec.flows)
    )
    return Graph(
        nodes=nodes,
        by_name=by_name,
        total=sum(node.size for node in nodes),
        critical=tuple(by_name[name] for name in dict.fromkeys(spec.success_policy.critical_flows)),
        leaves=tuple(node.number for node in nodes if node.is_leaf),
        finals=tuple(node.number for node in nodes if node.is_finally),
        timed=tuple(node.number for node in nodes if node.has_timers),
        probing=tuple(node.number for node in nodes if node.is_probing),
    )


def _flat(clauses: Iterable[Clause]) -> Iterator[Predicate]:
    for clause in clauses:
        for group in clause:
            yield from group


def _leads(predicate: Predicate) -> Leads:
    """Asking for a bad or any end does not make the asked flow a mere step on the way."""
    if isinstance(predicate, StatusPredicate) and predicate.ask in (Ask.FAILED, Ask.SKIPPED, Ask.FINISHED):
        return Leads.ASIDE
    return Leads.ON


def _retry(retry: Retry) -> RetryRule:
    return RetryRule(
        max_retries=retry.max_retries,
        interval=durations.parse(retry.interval),
        factor=retry.factor,
        max_interval=durations.parse(retry.max_interval),
        reasons=frozenset(retry.reasons),
    )


def _requires(
    flow: Flow, by_name: Mapping[str, int], tolerant: Sequence[bool], pod_ips: frozenset[str]
) -> tuple[Clause, ...]:
    clauses = []
    if flow.depends_on is not None:
        clauses.append(_clause(flow.depends_on, "dependsOn", flow.name, by_name, tolerant))
    if flow.for_ is not None and flow.for_.depends_on is not None:
        clauses.append(_clause(flow.for_.depends_on, "for.dependsOn", flow.name, by_name, tolerant))
    if pod_ips:
        clauses.append((tuple(PodIPPredicate(by_name[name]) for name in sorted(pod_ips)),))
    return tuple(clause for clause in clauses if any(clause))


def _clause(depends: DependsOn, path: str, own: str, by_name: Mapping[str, int], tolerant: Sequence[bool]) -> Clause:
    groups: list[tuple[Predicate, ...]] = []
    top = Group(targets=depends.targets, strategy=depends.strategy, probe=depends.probe)
    if top.targets or (top.probe is not None and not top.probe.is_empty):
        groups.append(_group(top, path, own, depends.on_skipped, by_name, tolerant))
    groups.extend(
        _group(group, f"{path}.orGroups[{position}]", own, depends.on_skipped, by_name, tolerant)
        for position, group in enumerate(depends.or_groups)
    )
    return tuple(groups)


def _group(
    group: Group, path: str, own: str, on_skipped: OnSkipped, by_name: Mapping[str, int], tolerant: Sequence[bool]
) -> tuple[Predicate, ...]:
    found: list[Predicate] = []

    def ask_status(name: str, ask: Ask, strategy: Strategy) -> None:
        found.append(PreviousPredicate(ask) if name == own else StatusPredicate(by_name[name], ask, strategy))

    every = defaults.strategy(group.strategy)
    for name in dict.fromkeys(group.targets):
        ask_status(name, _target(tolerant[by_name[name]], on_skipped is OnSkipped.IGNORE), every)
    probe = group.probe
    if probe is not None:
        for status in probe.task_status_list:
            ask_status(
                status.task_name, _PHASES[defaults.meant(status.phase)], defaults.strategy(group.strategy, status.phase)
            )
        fail_after = None if probe.fail_after is None else durations.parse(probe.fail_after)
        lists: tuple[tuple[str, tuple[HTTPGet | TCPSocket, ...]], ...] = (
            ("httpGetList", probe.http_get_list),
            ("tcpSocketList", probe.tcp_socket_list),
        )
        for key, items in lists:
            for position, item in enumerate(items):
                where = f"{path}.probe.{key}[{position}]"
                asked = by_name[item.task_name]
                is_own = item.task_name == own
                found.append(ProbePredicate(asked, where, every, item, probe, fail_after, is_previous=is_own))
    return tuple(found)


def _target(failed_counts: bool, skipped_counts: bool) -> Ask:
    return Ask(Ask.TARGET + (1 if failed_counts else 0) + (2 if skipped_counts else 0))


_PHASES = {
    ProbedPhase.PENDING: Ask.PENDING,
    ProbedPhase.RUNNING: Ask.RUNNING,
    ProbedPhase.COMPLETED: Ask.COMPLETED,
    ProbedPhase.FAILED: Ask.FAILED,
    ProbedPhase.SKIPPED: Ask.SKIPPED,
    ProbedPhase.FINISHED: Ask.FINISHED,
}


def _ranks(dependents: Sequence[Mapping[int, None]]) -> list[int]:
    """Topological positions, by Kahn's algorithm; a flow's edge to itself (the previous index) does not count."""
    waiting = [0] * len(dependents)
    for number, others in enumerate(dependents):
        for other in others:
            if other != number:
                waiting[other] += 1
    order = [number for number, count in enumerate(waiting) if count == 0]
    for number in order:
        for other in dependents[number]:
            if other != number:
                waiting[other] -= 1
                if waiting[other] == 0:
                    order.append(other)
    ranks = [0] * len(dependents)
    for rank, number in enumerate(order):
        ranks[number] = rank
    return ranks
