"""Which flow waits for which: the edges of a workflow's graph as its spec has them, and the cycles among them.

Targets, groups, probes, pod addresses, outputs and conditions make a flow wait. Validation and the compiled graph take
the edges from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import raw, variables
from pkg.apis.flow.v1alpha1.items import source_of
from pkg.apis.flow.v1alpha1.labels import MAX_RULES
from pkg.apis.flow.v1alpha1.types import DependsOn, Flow, Probe, WorkTemplateSpec
from pkg.apis.flow.v1alpha1.when import names_in


class Wait(StrEnum):
    """How a flow waits for another."""

    TARGET = "target"
    HTTP = "http"
    TCP = "tcp"
    STATUS = "status"
    POD_IP = "podIP"
    OUTPUT = "output"
    WHEN = "when"  # its condition asks for the phase or the counts: the other flow has to be finished


#: The path of the edge that for.itemsFrom makes.
ITEMS_FROM: Final = "for.itemsFrom"


class Edge(msgspec.Struct, frozen=True):
    """One mention of a flow; `path` is relative to the flow that waits, such as `dependsOn.targets[0]`."""

    flow: str
    path: str
    wait: Wait
    own_index: bool = False  # in for.dependsOn, where the flow's own name means the previous index
    output: str = ""  # the output that is needed
    pick: str = ""  # of which task: a number, `index`, or empty for all

    @property
    def variable(self) -> str:
        """The variable of an output, as templates write it."""
        return variables.name_of(variables.OutputOf(self.flow, self.output, self.pick))


class TemplateEdges:
    """The addresses and outputs that a template needs. The template is scanned once, however many flows use it.

    `edges` has one edge per address or output that is needed, and `flows` are their names; `kind` is the resource that
    the template creates, `size` the bytes of one job of it, `spec` the template; `carries` says whether its jobs carry
    rules or a completion; `is_readable`: it can be decoded. Raises RawError.
    """

    def __init__(self, template: WorkTemplateSpec) -> None:
        first: dict[tuple[str, str, str], Edge] = {}
        for edge in (
            *_in_variables(template.raw_job_spec, lambda: template.job_spec, "template.jobSpec"),
            *_in_variables(template.raw_metadata, lambda: msgspec.to_builtins(template.metadata), "template.metadata"),
        ):
            first.setdefault((edge.flow, edge.output, edge.pick), edge)
        self.spec: Final = template
        self.is_readable = True
        self.kind: Final = str(template.gvr.gvr)
        carried = min(len(bytes(template.raw_status_rules)), MAX_RULES) if template.has_status_rules else 0
        self.carries: Final = bool(carried) or template.completion is not None
        self.size: Final = len(bytes(template.raw_job_spec)) + len(bytes(template.raw_metadata)) + carried
        self.edges: Final = tuple(first.values())
        self.flows: Final = frozenset(edge.flow for edge in self.edges)

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The names of the parameters that the template uses, each with the path of a string that does."""
        found: dict[str, str] = {}
        for path, text, decode in (
            ("jobSpec", self.spec.raw_job_spec, lambda: self.spec.job_spec),
            ("metadata", self.spec.raw_metadata, lambda: msgspec.to_builtins(self.spec.metadata)),
        ):
            for name, place in parameters_in(text, decode, path):
                found.setdefault(name, place)
        return found

    @cached_property
    def item_place(self) -> str:
        """The path of the first string of the template that has `{{item}}` or a part of it; empty if none has."""
        metadata = item_in(self.spec.raw_metadata, lambda: msgspec.to_builtins(self.spec.metadata), "metadata")
        return item_in(self.spec.raw_job_spec, lambda: self.spec.job_spec, "jobSpec") or metadata

    @cached_property
    def end_place(self) -> tuple[str, str]:
        """The path of the first string that says how the workflow went, and the variable; both empty if none does."""
        spec, path = self.spec, "jobSpec"
        found = end_in(spec.raw_job_spec, lambda: spec.job_spec, path)
        return found or end_in(spec.raw_metadata, lambda: msgspec.to_builtins(spec.metadata), "metadata") or ("", "")


def read_edges(template: WorkTemplateSpec) -> TemplateEdges:
    """What a template needs of other flows; nothing if it cannot be decoded, which fails each of its tasks."""
    try:
        return TemplateEdges(template)
    except raw.RawError:
        found = TemplateEdges(msgspec.structs.replace(template, raw_job_spec=raw.ABSENT, raw_metadata=raw.ABSENT))
        found.is_readable = False
        return found


def parameters_in(text: msgspec.Raw, decode: Callable[[], Any], path: str) -> Iterator[tuple[str, str]]:
    """The names of parameters in a raw field, each with the path of the string that has it. Raises RawError."""
    if not variables.may_hold(text, b"params."):
        return
    for found in variables.scan(decode(), path):
        if isinstance(found.token, variables.Known) and (name := found.token.parameter) is not None:
            yield name, found.path


def item_in(text: msgspec.Raw, decode: Callable[[], Any], path: str) -> str:
    """The path of the first string in a raw field that has `{{item}}` or a part of it, or empty. Raises RawError."""
    if not variables.may_hold(text, b"item"):
        return ""
    return next(
        (
            found.path
            for found in variables.scan(decode(), path)
            if isinstance(found.token, variables.UnknownItem)
            or (isinstance(found.token, variables.Known) and found.token.is_item)
        ),
        "",
    )


def end_in(text: msgspec.Raw, decode: Callable[[], Any], path: str) -> tuple[str, str] | None:
    """The path of the first string in a raw field with a variable of OF_END, and the variable. Raises RawError."""
    if not variables.may_hold(text, b"workflow."):
        return None
    for found in variables.scan(decode(), path):
        if isinstance(found.token, variables.Known) and found.token.is_of_end:
            return found.path, found.token.name
    return None


def mentions(flow: Flow) -> Iterator[Edge]:
    """Every mention of a flow in the dependsOn, for.dependsOn, for.itemsFrom, patch and when of another.

    Raises RawError for dependsOn.
    """
    on = flow.depends_on
    if on is not None:
        yield from _depends_on(on, "dependsOn", own_index=False)
    on = flow.for_.depends_on if flow.for_ is not None else None
    if on is not None:
        yield from _depends_on(on, "for.dependsOn", own_index=True)
    yield from _patch_edges(flow)
    if flow.items_from and (of := source_of(flow.items_from)) is not None:
        yield Edge(of.flow, ITEMS_FROM, Wait.OUTPUT, output=of.output, pick=of.pick)
    if flow.when:
        names = names_in(flow.when)
        yield from (Edge(name, "when", Wait.WHEN) for name in names.flows)
        yield from (Edge(name, "when", Wait.OUTPUT, output=output) for name, output in names.outputs)


def _patch_edges(flow: Flow) -> tuple[Edge, ...]:
    """What a patch needs of other flows; nothing if it cannot be decoded, which fails the flow's tasks."""
    try:
        return tuple(_in_variables(flow.raw_patch, lambda: flow.patch, "patch"))
    except raw.RawError:
        return ()


def pod_ip_edges(edges: Iterable[Edge]) -> frozenset[str]:
    """Names of the flows whose pod address is needed, of all that a flow waits for."""
    return frozenset(edge.flow for edge in edges if edge.wait is Wait.POD_IP)


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


def _in_variables(text: msgspec.Raw, decode: Callable[[], Any], path: str) -> Iterator[Edge]:
    """The pod addresses and outputs in a raw field; `decode` is called only if there may be one."""
    if not (variables.may_hold(text, b".podIP") or variables.may_hold(text, b".outputs.")):
        return
    for found in variables.scan(decode(), path):
        if isinstance(found.token, variables.Known) and (edge := edge_of(found.token, found.path)) is not None:
            yield edge


def edge_of(token: variables.Known, path: str) -> Edge | None:
    """The edge that a variable makes; None for one that is about no other flow."""
    if (flow := token.pod_ip_of) is not None:
        return Edge(flow, path, Wait.POD_IP)
    if (of := token.output) is not None:
        return Edge(of.flow, path, Wait.OUTPUT, output=of.output, pick=of.pick)
    return None


def cycles(waits: Mapping[str, Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """A cycle of each strongly connected component, such as ("a", "b"): a waits for b, and b for a.

    Names that are no key are ignored. This is Tarjan's algorithm without recursion: linear in flows and edges, and a
    chain of thousands of flows needs no stack.
    """
    if not _may_have_cycle(waits):
        return ()
    components: list[tuple[str, ...]] = []
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
                    component = [path.pop()]
                    while component[-1] != name:
                        component.append(path.pop())
                    component.reverse()
                    on_path.difference_update(component)
                    if len(component) > 1 or name in waits[name]:
                        components.append(_walk_round(component, waits))
    return tuple(components)


def _may_have_cycle(waits: Mapping[str, Iterable[str]]) -> bool:
    """Whether taking away flows that no other one waits for leaves some. Cheaper than the search, and mostly enough."""
    waited_for = dict.fromkeys(waits, 0)
    for others in waits.values():
        for other in others:
            if other in waited_for:
                waited_for[other] += 1
    free = [name for name, count in waited_for.items() if not count]
    left = len(waited_for) - len(free)
    while free:
        for other in waits[free.pop()]:
            if other in waited_for:
                waited_for[other] -= 1
                if not waited_for[other]:
                    free.append(other)
                    left -= 1
    return left > 0


def _walk_round(component: list[str], waits: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """A cycle in a component, found by following one edge after the other until a flow occurs again."""
    inside = set(component)
    seen: dict[str, int] = {}
    walk: list[str] = []
    name = component[0]
    while name not in seen:
        seen[name] = len(walk)
        walk.append(name)
        name = next(other for other in waits[name] if other in inside)
    return tuple(walk[seen[name] :])
