"""From a Workflow, with its status if it has one, to the picture of its graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Final

from pkg.apis.flow.v1alpha1 import defaults
from pkg.apis.flow.v1alpha1.edges import Wait, read_edges
from pkg.apis.flow.v1alpha1.indexes import count_indexes, unpack_indexes
from pkg.apis.flow.v1alpha1.locks import names_of
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.types import (
    Action,
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
_ACTIONS: Final[Mapping[Action, tuple[str, ...]]] = {
    Action.CREATE: (),
    Action.APPLY: ("applied",),
    Action.DELETE: ("deletes",),
}
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
        action = _action_of(flow, templates or {})
        box = _box(flow, states.get(flow.name), action)
        made = tuple(_replicas(flow, states.get(flow.name), box)) if unfold else (box,)
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


def _action_of(flow: Flow, templates: Mapping[str, WorkTemplateSpec]) -> Action:
    """What the flow does with its object; Create where its template is not known."""
    spec = flow.template_spec or templates.get(flow.template_name)
    return spec.action if spec is not None else Action.CREATE


def _box(flow: Flow, status: FlowStatus | None, action: Action) -> Box:
    notes = [f"×{flow.replicas}"] if flow.for_ is not None and not flow.items_from else []
    if flow.items_from and status is None:
        notes.append("×?")
    elif flow.items_from and status is not None:
        notes.append(f"×{sum(count_indexes(status.indexes_in(phase)) for phase in Phase) or '?'}")
    if status is not None and flow.for_ is not None:
        notes += _counts(status)
    notes += _ACTIONS[action]
    notes += _waits(flow)
    phase = status.phase if status else None
    return Box(flow.name, (flow.name,), ", ".join(notes), phase, flow.finally_, flow.approval is not None)


def _waits(flow: Flow) -> Iterator[str]:
    """What a flow waits for besides other flows."""
    if flow.approval is not None:
        yield "approval"
    if flow.when:
        yield "when"
    if flow.start_delay:
        yield f"after {flow.start_delay}"
    yield from (f"{lock.kind} {lock.name}" for lock in names_of(flow))


def _counts(status: FlowStatus) -> Iterator[str]:
    for phase in Phase:
        count = count_indexes(status.indexes_in(phase))
        if count:
            yield f"{count} {phase.value.lower()}"


def _replicas(flow: Flow, status: FlowStatus | None, whole: Box) -> Iterator[Box]:
    """A box per replica, and one for those after the first MAX_UNFOLDED. whole: the box of all."""
    if flow.for_ is None or flow.replicas == 0 or flow.items_from:
        yield whole
        return
    phases: dict[int, Phase] = {}
    if status is not None:
        for phase in Phase:
            phases.update(dict.fromkeys(unpack_indexes(status.indexes_in(phase)), phase))
    for index in range(min(flow.replicas, MAX_UNFOLDED)):
        name, phase_of = f"{flow.name}/{index}", phases.get(index, whole.phase)
        yield replace(whole, name=name, note=", ".join(_waits(flow)), phase=phase_of)
    left = flow.replicas - MAX_UNFOLDED
    if left > 0:
        name = f"{flow.name}/{MAX_UNFOLDED}-{flow.replicas - 1}"
        yield replace(whole, name=name, note=", ".join([f"×{left}", *_waits(flow)]))


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
