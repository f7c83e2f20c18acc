"""The scene: where the boxes of the flows and the arrows between them are. It has no states."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.types import Flow, Workflow, WorkTemplateSpec
from pkg.dashboard.model.moves import Incoming
from pkg.dashboard.model.state import flow_names, state_of
from pkg.views.graph.drawing import draw
from pkg.views.graph.layout import Size, Spacing, lay_out
from pkg.views.graph.picture import Arrow, ArrowKind

#: Cells that are drawn of one flow; a cell of a flow with more tasks stands for several.
MAX_CELLS: Final = 60
CELLS_IN_ROW: Final = 12
CELL: Final = 14.0
_CHARACTER: Final = 7.6
_BESIDE_NAME: Final = 52.0
_WIDEST: Final = 300.0
_NARROWEST: Final = 152.0
_HEIGHT: Final = 54.0
#: Room between boxes for the way back of a retry.
_SPACING: Final = Spacing(layers=88.0, boxes=34.0, margin=48.0)


class SceneBox(msgspec.Struct, frozen=True, omit_defaults=True):
    """A flow. template: its name, empty where it stands in the flow, or there is none; has_for: it has a cell per task;
    in_turn: its replicas wait for each other; last: it runs at the end; retries: how many attempts may follow a failed
    one; gate: something beside the flows before it lets it begin: the answer to a probe, a person, a lock.
    """

    name: str
    template: str
    x: float
    y: float
    w: float
    h: float
    layer: int
    size: int
    has_for: bool = False
    in_turn: bool = False
    last: bool = False
    retries: int = 0
    gate: bool = False


class SceneArrow(msgspec.Struct, frozen=True, omit_defaults=True):
    """By the positions of the flows. points: x and y by turns; alternative: it is part of an orGroup."""

    source: int
    target: int
    kind: ArrowKind
    points: tuple[float, ...]
    label: str = ""
    alternative: bool = False


class Scene(msgspec.Struct, frozen=True):
    """Boxes in the order of the flows of the state. cell, row: how large a cell is, and how many are in a row."""

    shape: str
    width: float
    height: float
    boxes: tuple[SceneBox, ...]
    arrows: tuple[SceneArrow, ...]
    cell: float = CELL
    row: int = CELLS_IN_ROW
    cells: int = MAX_CELLS


@dataclass(frozen=True, slots=True)
class Links:
    """The arrows between flows, by their names. mark: part of the shape, and empty unless templates were read."""

    arrows: tuple[Arrow, ...]
    mark: str = ""


NO_LINKS: Final = Links(())


def links_of(workflow: Workflow, templates: Mapping[str, WorkTemplateSpec] | None = None) -> Links:
    """The arrows of the spec, and those of its templates as far as they are given.

    Raises RawError for a dependsOn that cannot be read.
    """
    arrows = draw(workflow, templates, fold=False).arrows
    values = [(one.source, one.target, one.label) for one in arrows if one.kind is ArrowKind.VALUE]
    mark = hashlib.sha256(msgspec.json.encode(values)).hexdigest()[:16] if templates and values else ""
    return Links(arrows, mark)


def incoming_of(names: Sequence[str], arrows: Sequence[Arrow]) -> tuple[tuple[Incoming, ...], ...]:
    """The arrows to each flow, by the positions of the flows."""
    at = {name: position for position, name in enumerate(names)}
    found: list[list[Incoming]] = [[] for _ in names]
    for arrow in arrows:
        if arrow.source != arrow.target:
            found[at[arrow.target]].append(Incoming(at[arrow.source], arrow.kind))
    return tuple(tuple(one) for one in found)


def scene_of(workflow: Workflow, links: Links | None = None) -> Scene:
    """Lays a workflow out; links: its arrows, if they are known. Raises RawError, or ValueError for a cycle."""
    links = links_of(workflow) if links is None else links
    state = state_of(workflow, mark=links.mark)
    names = flow_names(workflow)
    at = {name: position for position, name in enumerate(names)}
    of_spec = {flow.name: flow for flow in workflow.spec.flows}
    all_arrows = links.arrows
    arrows = [arrow for arrow in all_arrows if arrow.source != arrow.target]
    in_turn = {arrow.source for arrow in all_arrows if arrow.source == arrow.target}
    has_for = [name not in of_spec or of_spec[name].for_ is not None for name in names]
    sizes = [
        _size(name, flow.size if several else 0)
        for name, flow, several in zip(names, state.flows, has_for, strict=True)
    ]
    last = [at[flow.name] for flow in workflow.spec.flows if flow.finally_]
    layout = lay_out(sizes, [(at[arrow.source], at[arrow.target]) for arrow in arrows], last=last, spacing=_SPACING)
    final = frozenset(last)
    gated = {arrow.target for arrow in arrows if arrow.kind is ArrowKind.PROBE}
    gated |= {flow.name for flow in workflow.spec.flows if flow.approval or flow.mutexes or flow.semaphores}
    boxes = [
        SceneBox(
            name=name,
            template=_template(of_spec.get(name)),
            x=round(place.x, 1),
            y=round(place.y, 1),
            w=place.width,
            h=place.height,
            layer=place.layer,
            size=state.flows[position].size,
            has_for=has_for[position],
            in_turn=name in in_turn,
            last=position in final,
            retries=_retries(of_spec.get(name)),
            gate=name in gated,
        )
        for position, (name, place) in enumerate(zip(names, layout.places, strict=True))
    ]
    lines = [
        SceneArrow(
            at[arrow.source],
            at[arrow.target],
            arrow.kind,
            tuple(round(number, 1) for point in line for number in point),
            arrow.label,
            arrow.is_alternative,
        )
        for arrow, line in zip(arrows, layout.lines, strict=True)
    ]
    width, height = round(layout.width, 1), round(layout.height, 1)
    return Scene(state.head.shape, width, height, tuple(boxes), tuple(lines))


def _template(flow: Flow | None) -> str:
    return "" if flow is None or flow.template_spec is not None or flow.approval is not None else flow.template_name


def _retries(flow: Flow | None) -> int:
    return flow.retry.max_retries if flow is not None and flow.retry is not None else 0


def _size(name: str, tasks: int) -> Size:
    """tasks: for which it has cells; 0 for a flow without `for`."""
    width = max(_NARROWEST, min(_WIDEST, len(name) * _CHARACTER + _BESIDE_NAME))
    if not tasks:
        return Size(width, _HEIGHT)
    cells = min(tasks, MAX_CELLS)
    rows = -(-cells // CELLS_IN_ROW)
    return Size(max(width, min(cells, CELLS_IN_ROW) * CELL + 24), _HEIGHT + rows * CELL + 8)
