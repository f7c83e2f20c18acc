"""Who waits for whom: the edges of a workflow's graph as its spec writes them, and the cycles among them.

Targets, groups, probes and pod addresses all make a flow wait; validation, the compiled graph and the drawing of a
workflow take the edges from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1 import variables
from pkg.apis.flow.v1alpha1.types import DependsOn, Flow, Probe, WorkTemplateSpec


class Wait(StrEnum):
    """By what a flow waits for another."""

    TARGET = "target"
    HTTP = "http"
    TCP = "tcp"
    STATUS = "status"
    POD_IP = "podIP"


class Edge(msgspec.Struct, frozen=True):
    """One mention of a flow; `path` is relative to the flow that waits, such as `dependsOn.targets[0]`."""

    flow: str
    path: str
    wait: Wait
    own_index: bool = False  # inside for.dependsOn, where the flow's own name means the previous index


def mentions(flow: Flow, template: WorkTemplateSpec | None = None) -> Iterator[Edge]:
    """Every mention of a flow in another's dependsOn, for.dependsOn and patch, and in its template when given."""
    if flow.depends_on is not None:
        yield from _depends_on(flow.depends_on, "dependsOn", own_index=False)
    if flow.for_ is not None and flow.for_.depends_on is not None:
        yield from _depends_on(flow.for_.depends_on, "for.dependsOn", own_index=True)
    if flow.patch is not None:
        yield from _pod_ips(flow.patch, "patch")
    if template is not None:
        yield from _pod_ips(template.job_spec, "template.jobSpec")
        yield from _pod_ips(msgspec.to_builtins(template.metadata), "template.metadata")


def pod_ip_edges(flow: Flow, template: WorkTemplateSpec | None = None) -> frozenset[str]:
    """Names of the flows whose pod address the flow's patch, or its template, asks for."""
    names = variables.references(flow.patch)
    if template is not None:
        names |= variables.references(template.job_spec)
        names |= variables.references(msgspec.to_builtins(template.metadata))
    return names


def _depends_on(on: DependsOn, path: str, *, own_index: bool) -> Iterator[Edge]:
    for at, target in enumerate(on.targets):
        yield Edge(target, f"{path}.targets[{at}]", Wait.TARGET, own_index)
    yield from _probe(on.probe, f"{path}.probe", own_index)
    for number, group in enumerate(on.or_groups):
        place = f"{path}.orGroups[{number}]"
        for at, target in enumerate(group.targets):
            yield Edge(target, f"{place}.targets[{at}]", Wait.TARGET, own_index)
        yield from _probe(group.probe, f"{place}.probe", own_index)


def _probe(probe: Probe | None, path: str, own_index: bool) -> Iterator[Edge]:
    if probe is None:
        return
    for at, http in enumerate(probe.http_get_list):
        yield Edge(http.task_name, f"{path}.httpGetList[{at}].taskName", Wait.HTTP, own_index)
    for at, tcp in enumerate(probe.tcp_socket_list):
        yield Edge(tcp.task_name, f"{path}.tcpSocketList[{at}].taskName", Wait.TCP, own_index)
    for at, status in enumerate(probe.task_status_list):
        yield Edge(status.task_name, f"{path}.taskStatusList[{at}].taskName", Wait.STATUS, own_index)


def _pod_ips(tree: Any, path: str) -> Iterator[Edge]:
    for found in variables.scan(tree, path, holding=b".podIP"):
        if isinstance(found.token, variables.Known) and (flow := found.token.pod_ip_of) is not None:
            yield Edge(flow, found.path, Wait.POD_IP)


def cycles(waits: Mapping[str, Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """One cycle of each knot of flows that wait for each other, such as ("a", "b"): a waits for b, b for a.

    Names that are no key are ignored. Linear in flows and edges, and iterative, so that a chain of thousands of
    flows needs no deep stack.
    """
    knots: list[tuple[str, ...]] = []
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    for start in waits:
        if start in order:
            continue
        work: list[tuple[str, Iterator[str]]] = [(start, iter(waits[start]))]
        order[start] = low[start] = len(order)
        path.append(start)
        on_path.add(start)
        while work:
            name, rest = work[-1]
            for other in rest:
                if other not in waits:
                    continue
                if other not in order:
                    order[other] = low[other] = len(order)
                    path.append(other)
                    on_path.add(other)
                    work.append((other, iter(waits[other])))
                    break
                if other in on_path:
                    low[name] = min(low[name], order[other])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[name])
                if low[name] == order[name]:
                    at = path.index(name) if path[-1] != name else len(path) - 1
                    knot = path[at:]
                    del path[at:]
                    on_path.difference_update(knot)
                    if len(knot) > 1 or name in waits[name]:
                        knots.append(_walk_round(knot, waits))
    return tuple(knots)


def _walk_round(knot: list[str], waits: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """A cycle inside a knot, found by following one edge after the other until a flow comes again."""
    inside = set(knot)
    seen: dict[str, int] = {}
    walk: list[str] = []
    name = knot[0]
    while name not in seen:
        seen[name] = len(walk)
        walk.append(name)
        name = next(other for other in waits[name] if other in inside)
    return tuple(walk[seen[name] :])
