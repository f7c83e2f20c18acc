"""From a Workflow, with its status if it has one, to the picture of its graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Final

from pkg.apis.flow.v1alpha1 import defaults
from pkg.apis.flow.v1alpha1.edges import Wait, read_edges
from pkg.apis.flow.v1alpha1.indexes import count_indexes, unpack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.types import (
    DependsOn,
    Flow,
    FlowStatus,
    Group,
    Probe,
    ProbedPhase,
    Workflow,
    WorkTemplateSpec,
)
from pkg.views.graph.folding import fold_alike
from pkg.views.graph.picture import Arrow, ArrowKind, Box, Picture, merged

#: So many replicas of one flow are drawn one by one; the others of the flow share one box.
MAX_UNFOLDED: Final = 100
#: From so many flows on, flows that are alike are drawn as one unless somebody says otherwise.
MANY_FLOWS: Final = 150
_DRAWN_FROM_DEPENDS_ON: Final = frozenset({Wait.TARGET, Wait.HTTP, Wait.TCP, Wait.STATUS})
_WORDS: Final = {"podIP": "pod address"}


def draw(
    workflow: Workflow,
    templates: Mapping[str, WorkTemplateSpec] | None = None,
    *,
    unfold: bool = False,
    fold: bool | None = None,
) -> Picture:
    """The picture of a workflow. Its boxes have phases if the workflow has a status.

    templates: those that are known, by name, for the values that they need of flows; unfold: a box for each replica;
    fold: draw flows that are alike as one box, by default from MANY_FLOWS flows on. Raises RawError for a dependsOn
    that cannot be read.
    """
    states = {status.name: status for status in workflow.status.flows}
    known = {flow.name for flow in workflow.spec.flows}
    boxes: list[Box] = []
    of_flow: dict[str, tuple[str, ...]] = {}
    for flow in workflow.spec.flows:
        made = tuple(_replicas(flow, states.get(flow.name))) if unfold else (_box(flow, states.get(flow.name)),)
        boxes += made
        of_flow[flow.name] = tuple(box.name for box in made)
    edges = [edge for edge in _arrows(workflow, templates or {}) if edge.source in known]
    arrows = merged(_between_boxes(edges, of_flow))
    status = workflow.status
    subtitle = f"{status.phase.value} {status.progress}".strip() if status.phase is not None else ""
    picture = Picture(workflow.metadata.name or workflow.metadata.generate_name, tuple(boxes), arrows, subtitle)
    if fold if fold is not None else not unfold and len(picture.boxes) > MANY_FLOWS:
        return fold_alike(picture)
    return picture


def _box(flow: Flow, status: FlowStatus | None) -> Box:
    notes = [f"×{flow.replicas}"] if flow.for_ is not None else []
    if status is not None and flow.for_ is not None:
        notes += _counts(status)
    return Box(flow.name, (flow.name,), ", ".join(notes), status.phase if status else None, flow.finally_)


def _counts(status: FlowStatus) -> Iterator[str]:
    for phase in Phase:
        count = count_indexes(status.indexes_in(phase))
        if count:
            yield f"{count} {phase.value.lower()}"


def _replicas(flow: Flow, status: FlowStatus | None) -> Iterator[Box]:
    """A box per replica, and one for those after the first MAX_UNFOLDED."""
    if flow.for_ is None or flow.replicas == 0:
        yield _box(flow, status)
        return
    whole = status.phase if status is not None else None
    phases: dict[int, Phase] = {}
    if status is not None:
        for phase in Phase:
            phases.update(dict.fromkeys(unpack_indexes(status.indexes_in(phase)), phase))
    for index in range(min(flow.replicas, MAX_UNFOLDED)):
        yield Box(f"{flow.name}/{index}", (flow.name,), "", phases.get(index, whole), flow.finally_)
    left = flow.replicas - MAX_UNFOLDED
    if left > 0:
        yield Box(f"{flow.name}/{MAX_UNFOLDED}-{flow.replicas - 1}", (flow.name,), f"×{left}", whole, flow.finally_)


def _between_boxes(arrows: Iterable[Arrow], of_flow: Mapping[str, tuple[str, ...]]) -> Iterator[Arrow]:
    """The arrows between flows as arrows between their boxes. One from a replica to the next one goes in a row."""
    for arrow in arrows:
        sources, targets = of_flow[arrow.source], of_flow[arrow.target]
        if arrow.source == arrow.target:
            pairs: Iterable[tuple[str, str]] = pairwise(sources)
        elif len(sources) > 1 and len(targets) > 1 and len(sources) * len(targets) > MAX_UNFOLDED:
            pairs = [(sources[-1], targets[0])]  # thousands of arrows between two flows say no more than one
        else:
            pairs = ((source, target) for source in sources for target in targets)
        for source, target in pairs:
            yield Arrow(source, target, arrow.kind, arrow.label, arrow.is_alternative)


def _arrows(workflow: Workflow, templates: Mapping[str, WorkTemplateSpec]) -> Iterator[Arrow]:
    """The arrows between flows, by the names of the flows, which need not exist."""
    reading = Reading(workflow.spec, {name: read_edges(spec) for name, spec in templates.items()})
    for flow in workflow.spec.flows:
        for on in (flow.depends_on, flow.for_.depends_on if flow.for_ is not None else None):
            if on is not None:
                yield from _depends_on(flow.name, on)
        for edge in (*reading.mentions(flow), *reading.use.edges(flow)):
            if edge.wait not in _DRAWN_FROM_DEPENDS_ON and edge.flow != flow.name:
                yield Arrow(edge.flow, flow.name, ArrowKind.VALUE, _WORDS.get(edge.wait.value, edge.wait.value))


def _depends_on(waiting: str, on: DependsOn) -> Iterator[Arrow]:
    is_alternative = bool(on.or_groups)
    groups: tuple[DependsOn | Group, ...] = (on, *on.or_groups)
    for group in groups:
        for target in group.targets:
            yield Arrow(target, waiting, ArrowKind.TARGET, "", is_alternative)
        if group.probe is not None:
            yield from _probe(waiting, group.probe, is_alternative=is_alternative)


def _probe(waiting: str, probe: Probe, *, is_alternative: bool) -> Iterator[Arrow]:
    for status in probe.task_status_list:
        phase = defaults.meant(status.phase)
        kind = ArrowKind.FAILURE if phase is ProbedPhase.FAILED else ArrowKind.STATUS
        yield Arrow(status.task_name, waiting, kind, phase.value, is_alternative)
    for http in probe.http_get_list:
        label = f"{http.scheme.value} :{http.port}{http.path}"
        yield Arrow(http.task_name, waiting, ArrowKind.PROBE, label, is_alternative)
    for tcp in probe.tcp_socket_list:
        yield Arrow(tcp.task_name, waiting, ArrowKind.PROBE, f"TCP :{tcp.port}", is_alternative)
