"""Compiles a spec and its templates to the graph, or to the list of their faults.

The graph depends on the spec and on nothing else. It is compiled once per generation.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from types import MappingProxyType
from typing import Final, TypeAlias

from pkg.apis.flow.v1alpha1 import approvals, cost, defaults, durations, edges, validation
from pkg.apis.flow.v1alpha1.edges import Edge, Wait
from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.growth import Growth, growths
from pkg.apis.flow.v1alpha1.items import lists_of
from pkg.apis.flow.v1alpha1.locks import names_of
from pkg.apis.flow.v1alpha1.types import (
    DependsOn,
    Flow,
    Group,
    HTTPGet,
    OnSkipped,
    ProbedPhase,
    Retry,
    Strategy,
    TCPSocket,
    WorkflowSpec,
    WorkTemplate,
)
from pkg.apis.meta import ObjectMeta
from pkg.controllers.workflow.planner.graph.model import (
    Ask,
    Clause,
    Graph,
    Node,
    OutputPredicate,
    PodIPPredicate,
    Predicate,
    PreviousPredicate,
    ProbePredicate,
    RetryRule,
    StatusPredicate,
)
from pkg.controllers.workflow.planner.graph.own import (
    Needs,
    Own,
    all_expression_faults,
    beside_dependencies,
    condition_of,
    has_own,
    reads_end,
    rules_of,
)
from pkg.workloads.model import RuleError
from pkg.workloads.never import never_faults

# A workflow that has started keeps running with more edges than a new one may have, but not with any number of them.
_MAX_EDGES_LATER: Final = 4 * cost.MAX_EDGES
_NO_COST: Final = cost.Cost()

Compiled: TypeAlias = Graph | tuple[Fault, ...]


def compile_spec(
    spec: WorkflowSpec,
    templates: Mapping[str, WorkTemplate],
    *,
    metadata: ObjectMeta | None = None,
    is_started: bool = False,
) -> Compiled:
    """The graph of a spec, or the faults for which it can never run. templates: those that exist, by name.

    is_started: the workflow was found valid before, so its cost is no fault any more; metadata: a part of the cost.
    Only what makes the whole workflow senseless counts here; what is wrong with one job fails its task when it is made.
    """
    # A restart that names unknown flows is refused with an Event. It must not end a running workflow.
    reading = validation.read(spec, {name: template.spec for name, template in templates.items()})
    faults = validation.validate_workflow(reading, with_restart=False, with_patches=not is_started)
    if not is_started:
        faults += validation.validate_nesting(spec, metadata)
    if faults:
        return faults
    if not is_started and metadata is not None and metadata.generation == 1 and spec.approvals:
        return tuple(approvals.creation_faults(spec))
    found = cost.estimate_reading(reading, metadata)
    if not is_started and (faults := cost.faults(found) or validation.validate_values(reading)):
        return faults
    if not is_started and (faults := all_expression_faults(spec) or Faults(never_faults(reading))):
        return faults
    if found.edges > _MAX_EDGES_LATER:
        # A template that was edited later. The tasks that need its addresses fail when they are rendered.
        reading = validation.read(spec)
    needs: dict[str, Needs] = {}
    for flow in spec.flows:
        if wanted := [edge for edge in beside_dependencies(reading, flow) if edge.flow in reading.names]:
            needs[flow.name] = Needs(tuple(wanted))
    if needs and (faults := validation.validate_cycles(reading)):
        return faults
    try:
        listed = lists_of(spec)
        own = {
            flow.name: Own(rules_of(flow, listed), condition_of(flow, templates))
            for flow in spec.flows
            if has_own(flow)
        }
    except RuleError as error:  # an expression that an earlier controller took
        return (Fault("spec.flows", str(error)),)
    room = cost.MAX_OBJECT - found.spec - found.metadata
    readers = frozenset(flow.name for flow in spec.flows if reads_end(reading, flow))
    growing = growths(reading)
    return compile_graph(spec, needs, own, status_room=room, costs=found, growing=growing, end_readers=readers)


def compile_graph(
    spec: WorkflowSpec,
    needs: Mapping[str, Needs] = MappingProxyType({}),
    own: Mapping[str, Own] = MappingProxyType({}),
    *,
    status_room: int = cost.MAX_OBJECT,
    costs: cost.Cost = _NO_COST,
    growing: Mapping[str, Growth] = MappingProxyType({}),
    end_readers: Set[str] = frozenset(),
) -> Graph:
    """The DAG of a valid spec: validation has passed, so names are known and there is no cycle.

    needs: by the name of a flow what its jobs and its condition need of other flows; own: its outputs and condition;
    end_readers: names of `finally` flows that use how the workflow went;
    costs: of the workflow, in which a flow with `for.itemsFrom` has one task; growing: what these cost beyond that.
    """
    by_name = {flow.name: number for number, flow in enumerate(spec.flows)}
    tolerant = tuple(flow.continue_on_fail for flow in spec.flows)
    requires = [_requires(flow, by_name, tolerant, needs.get(flow.name, Needs())) for flow in spec.flows]
    requires = _with_shared_questions(requires)
    found = _edges(spec, requires)
    ranks = _ranks(found.dependents)
    asking = tuple(number for number, flow in enumerate(spec.flows) if flow.approval is not None)
    # No job shows the verdict on a flow with outputs, a condition or an approval.
    unshown = _unshown(requires, ranks, {*(by_name[name] for name in own), *asking})
    nodes = tuple(
        _node(spec, number, requires[number], found, ranks[number], own.get(flow.name, Own()), unshown)
        for number, flow in enumerate(spec.flows)
    )
    nodes = tuple(
        _with_items(node, needs[node.name], by_name, growing.get(node.name, Growth())) if node.flow.items_from else node
        for node in nodes
    )
    if end_readers:
        nodes = tuple(replace(node, reads_end=True) if node.name in end_readers else node for node in nodes)
    return Graph(
        nodes=nodes,
        by_name=by_name,
        total=sum(node.size for node in nodes),
        critical=tuple(by_name[name] for name in dict.fromkeys(spec.success_policy.critical_flows)),
        leaves=tuple(node.number for node in nodes if node.is_leaf),
        finals=tuple(node.number for node in nodes if node.is_finally),
        timed=tuple(node.number for node in nodes if node.has_timers),
        probing=tuple(node.number for node in nodes if node.is_probing),
        reading_messages=tuple(n.number for n in nodes if any(rule.message is not None for rule in n.outputs)),
        read_in_full=frozenset(n.flow.template_name for n in nodes if any(rule.needs_whole for rule in n.outputs)),
        fan_outs=tuple(node.number for node in nodes if node.items_from is not None),
        locks=names_of(spec),
        lock_names=names_of(spec) or tuple(sorted({lock for node in nodes for lock in node.locks})),
        locking=frozenset(node.number for node in nodes if node.locks or spec.mutexes or spec.semaphores),
        approvals=asking,
        end_readers=tuple(node.number for node in nodes if node.reads_end),
        cost=costs,
        status_room=status_room,
    )


def _with_items(node: Node, needs: Needs, by_name: Mapping[str, int], growth: Growth) -> Node:
    """The node of a flow with `for.itemsFrom`. Its jobs are rendered with an item, and not with the whole list."""
    others = {_needed(edge, by_name) for edge in needs.edges if edge.output and edge.path != edges.ITEMS_FROM}
    items = next(_needed(edge, by_name) for edge in needs.edges if edge.path == edges.ITEMS_FROM)
    assert isinstance(items, OutputPredicate)
    reads = tuple(part for part in node.reads if part in others)
    return replace(node, count=None, size=1, items_from=items, reads=reads, growth=growth)


@dataclass(frozen=True, slots=True)
class _Edges:
    """The dependencies of all flows, by the flow that is depended on. Inner dicts are ordered sets."""

    #: Flows to evaluate again when this one changes.
    dependents: tuple[dict[int, None], ...]
    #: Flows that wait for the phase Failed of this one.
    recoveries: tuple[dict[int, None], ...]
    #: Flows whose pods are probed, or whose pod address is used.
    probed: frozenset[int]
    #: Flows that are no leaves, because another flow depends on their success.
    inner: frozenset[int]


def _edges(spec: WorkflowSpec, requires: Sequence[tuple[Clause, ...]]) -> _Edges:
    dependents: tuple[dict[int, None], ...] = tuple({} for _ in requires)
    recoveries: tuple[dict[int, None], ...] = tuple({} for _ in requires)
    probed: set[int] = set()
    inner: set[int] = set()
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
            # A `finally` flow follows every other flow, so naming a flow there leaves it a leaf.
            if _makes_inner(predicate) and not spec.flows[number].finally_:
                inner.add(predicate.flow)
    return _Edges(dependents, recoveries, frozenset(probed), frozenset(inner))


def _node(
    spec: WorkflowSpec,
    number: int,
    requires: tuple[Clause, ...],
    found: _Edges,
    rank: int,
    own: Own,
    unshown: Set[int],
) -> Node:
    flow = spec.flows[number]
    return Node(
        number=number,
        flow=flow,
        count=flow.replicas,
        size=max(1, flow.replicas),
        requires=requires,
        retry=_retry(flow.retry or Retry()),
        timeout=None if flow.timeout is None else durations.parse(flow.timeout),
        pending_timeout=None if flow.pending_timeout is None else durations.parse(flow.pending_timeout),
        start_delay=0.0 if flow.start_delay is None else durations.parse(flow.start_delay),
        parallelism=None if flow.for_ is None else flow.for_.parallelism,
        is_leaf=number not in found.inner and not flow.finally_,
        is_probed=number in found.probed,
        rank=rank,
        dependents=tuple(found.dependents[number]),
        recoveries=tuple(other for other in found.recoveries[number] if not spec.flows[other].finally_),
        outputs=own.outputs,
        when=own.when,
        reads=tuple(part for part in _flat(requires) if isinstance(part, OutputPredicate)),
        follows_recorded=frozenset(_asked(requires, number) & unshown) if unshown else frozenset(),
        locks=names_of(flow),
    )


def _unshown(requires: Sequence[tuple[Clause, ...]], ranks: Sequence[int], own: Set[int]) -> Set[int]:
    """The flows whose verdicts jobs may not show. own: those of which jobs do not show it; others follow them."""
    found = set(own)
    for number in sorted(range(len(requires)), key=ranks.__getitem__) if own else ():
        if not found.isdisjoint(_asked(requires[number], number)):
            found.add(number)
    return found


def _asked(requires: tuple[Clause, ...], number: int) -> set[int]:
    """The flows that the predicates of flow `number` are about."""
    return {number if isinstance(part, PreviousPredicate) else part.flow for part in _flat(requires)}


def _with_shared_questions(requires: Sequence[tuple[Clause, ...]]) -> list[tuple[Clause, ...]]:
    """The dependencies, with every probe naming the first probe that asks the same question."""
    first: dict[tuple[object, ...], tuple[str, str]] = {}

    def shared(predicate: Predicate) -> Predicate:
        if not isinstance(predicate, ProbePredicate):
            return predicate
        asked_as = first.setdefault(predicate.question, predicate.asked_as)
        return predicate if asked_as == predicate.asked_as else replace(predicate, asked_as=asked_as)

    return [tuple(tuple(tuple(map(shared, group)) for group in clause) for clause in clauses) for clauses in requires]


def _flat(clauses: Iterable[Clause]) -> Iterator[Predicate]:
    for clause in clauses:
        for group in clause:
            yield from group


def _makes_inner(predicate: Predicate) -> bool:
    """Whether the named flow is no leaf. A flow that depends on its failure, its skip or any end does not count."""
    return not (isinstance(predicate, StatusPredicate) and predicate.ask in (Ask.FAILED, Ask.SKIPPED, Ask.FINISHED))


@functools.lru_cache(maxsize=256)
def _retry(retry: Retry) -> RetryRule:
    # Most flows have the same rule, and share one value in memory.
    return RetryRule(
        max_retries=retry.max_retries,
        interval=durations.parse(retry.interval),
        factor=float(retry.factor),
        max_interval=durations.parse(retry.max_interval),
        reasons=frozenset(retry.reasons),
    )


def _requires(flow: Flow, by_name: Mapping[str, int], tolerant: Sequence[bool], needs: Needs) -> tuple[Clause, ...]:
    clauses = []
    for owner, path in ((flow, "dependsOn"), (flow.for_, "for.dependsOn")):
        depends = owner.depends_on if owner is not None else None
        if depends is not None:
            clauses.append(_clause(depends, path, flow.name, by_name, tolerant))
    if pod_ips := edges.pod_ip_edges(needs.edges):
        clauses.append((tuple(PodIPPredicate(by_name[name]) for name in sorted(pod_ips)),))
    if others := tuple(dict.fromkeys(_needed(edge, by_name) for edge in needs.edges if edge.wait is not Wait.POD_IP)):
        clauses.append((others,))
    return tuple(clause for clause in clauses if any(clause))


def _needed(edge: Edge, by_name: Mapping[str, int]) -> Predicate:
    """The predicate for an output that is used, or for a flow whose end a condition asks for."""
    number = by_name[edge.flow]
    if edge.wait is Wait.OUTPUT:
        return OutputPredicate(number, edge.output, edge.pick)
    return StatusPredicate(number, Ask.FINISHED, Strategy.ALL)


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
                asked_as = (own, where)
                found.append(ProbePredicate(asked, where, every, item, probe, fail_after, asked_as, is_own))
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
    """The topological position of each flow. A flow's edge to itself (the previous index) does not count."""
    sorter: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(range(len(dependents)), ()))
    for number, others in enumerate(dependents):
        for other in others:
            if other != number:
                sorter.add(other, number)
    ranks = [0] * len(dependents)
    for rank, number in enumerate(sorter.static_order()):
        ranks[number] = rank
    return ranks
