"""Where the boxes and arrows of a graph are: a layered layout, without another program.

Every box has a layer, which comes after the layers of all that it waits for. Inside the layers the boxes are ordered by
barycentres, so that few arrows cross, and placed as near to their neighbours as the boxes beside them allow. An arrow
over several layers passes between their boxes. The time is about linear in boxes and arrows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pkg.views.graph.ordering import order_layers
from pkg.views.graph.placing import place

#: Points that all arrows together may be led through; further long arrows go straight.
MAX_BENDS: Final = 20_000

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height of a box, in the units of the picture."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Spacing:
    """The room between two layers, between two boxes of one layer, and around everything."""

    layers: float = 60.0
    boxes: float = 16.0
    margin: float = 16.0


@dataclass(frozen=True, slots=True)
class Place:
    """A box: its layer, its left upper corner and its size."""

    layer: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is. lines: for each arrow, in the order given, the points from the one box to the other."""

    places: tuple[Place, ...]
    lines: tuple[tuple[Point, ...], ...]
    width: float
    height: float


def lay_out(
    sizes: Sequence[Size],
    arrows: Sequence[tuple[int, int]],
    *,
    last: Iterable[int] = (),
    is_downward: bool = False,
    spacing: Spacing | None = None,
) -> Layout:
    """The layout of boxes, which are identified by their position in `sizes`.

    arrows: pairs (from, to) without cycles; last: boxes that come after all others, as `finally` flows do;
    is_downward: the layers follow each other downwards instead of to the right. Raises ValueError for a cycle.
    """
    spacing = spacing or Spacing()
    layers = layers_of(len(sizes), arrows, frozenset(last))
    net = _with_bends(layers, arrows)
    rows = order_layers(net.layers, net.edges)
    extents = [size.width if is_downward else size.height for size in sizes]
    extents += [0.0] * (len(net.layers) - len(sizes))
    across = place(rows, net.edges, extents, spacing.boxes)
    depths = [size.height if is_downward else size.width for size in sizes]
    starts, total = _layer_starts(rows, depths, spacing)
    return _assemble(sizes, net, across, starts, total, spacing, is_downward=is_downward)


def layers_of(count: int, arrows: Sequence[tuple[int, int]], last: frozenset[int] = frozenset()) -> list[int]:
    """The layer of each box, from 0: the first one after all that it waits for. Raises ValueError for a cycle.

    A box that waits for nothing stands right before the first box that waits for it.
    """
    targets: list[list[int]] = [[] for _ in range(count)]
    sources = [0] * count
    for source, target in arrows:
        targets[source].append(target)
        sources[target] += 1
    layers = [0] * count
    waiting = list(sources)
    order = [box for box in range(count) if not sources[box]]
    for box in order:
        for target in targets[box]:
            layers[target] = max(layers[target], layers[box] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    if len(order) < count:
        raise ValueError("the arrows form a cycle")
    for box in range(count):
        if not sources[box] and targets[box] and box not in last:
            layers[box] = min(layers[target] for target in targets[box]) - 1
    if last:
        end = max((layers[box] for box in range(count) if box not in last), default=-1) + 1
        first = dict.fromkeys(last, end)
        for box in order:
            if box in last:
                for target in targets[box]:
                    if target in last:
                        first[target] = max(first[target], first[box] + 1)
        for box, layer in first.items():
            layers[box] = layer
    return layers


@dataclass(frozen=True, slots=True)
class _Net:
    """The boxes and the bends of long arrows. Bends have the numbers after the boxes.

    layers: of boxes and bends; edges: pairs one layer apart; routes: for each arrow the bends that it goes through.
    """

    layers: list[int]
    edges: list[tuple[int, int]]
    arrows: Sequence[tuple[int, int]]
    routes: list[tuple[int, ...]]


def _with_bends(layers: list[int], arrows: Sequence[tuple[int, int]]) -> _Net:
    """Divides arrows over several layers. All arrows of one box share their bends, so that they leave as one line."""
    net = _Net(list(layers), [], arrows, [()] * len(arrows))
    shared: dict[tuple[int, int], int] = {}
    seen: set[tuple[int, int]] = set()
    # Short arrows first: the bends go to those that gain most from them.
    for at in sorted(range(len(arrows)), key=lambda at: layers[arrows[at][1]] - layers[arrows[at][0]]):
        source, target = arrows[at]
        route = []
        between = range(layers[source] + 1, layers[target])
        missing = sum((source, layer) not in shared for layer in between)
        if missing and len(net.layers) - len(layers) + missing > MAX_BENDS:
            continue
        before = source
        for layer in between:
            bend = shared.get((source, layer))
            if bend is None:
                bend = shared[source, layer] = len(net.layers)
                net.layers.append(layer)
            route.append(bend)
            _add(net, seen, before, bend)
            before = bend
        _add(net, seen, before, target)
        net.routes[at] = tuple(route)
    return net


def _add(net: _Net, seen: set[tuple[int, int]], source: int, target: int) -> None:
    if (source, target) not in seen:
        seen.add((source, target))
        net.edges.append((source, target))


def _layer_starts(
    rows: Sequence[Sequence[int]], depths: Sequence[float], spacing: Spacing
) -> tuple[list[tuple[float, float]], float]:
    """Where each layer begins and how deep it is, and the whole depth."""
    found = []
    at = spacing.margin
    for row in rows:
        depth = max((depths[box] for box in row if box < len(depths)), default=0.0)
        found.append((at, depth))
        at += depth + spacing.layers
    return found, at - spacing.layers + spacing.margin if rows else 2 * spacing.margin


def _assemble(
    sizes: Sequence[Size],
    net: _Net,
    across: Mapping[int, float],
    starts: Sequence[tuple[float, float]],
    total: float,
    spacing: Spacing,
    *,
    is_downward: bool,
) -> Layout:
    """Turns distances along and across the layers into coordinates."""

    def point(along: float, beside: float) -> Point:
        return (beside, along) if is_downward else (along, beside)

    places = []
    ends: list[tuple[Point, Point]] = []
    breadth = 0.0
    for box, size in enumerate(sizes):
        start, depth = starts[net.layers[box]]
        middle = across[box] + spacing.margin
        own_depth, extent = (size.height, size.width) if is_downward else (size.width, size.height)
        along = start + (depth - own_depth) / 2
        x, y = point(along, middle - extent / 2)
        places.append(Place(net.layers[box], x, y, size.width, size.height))
        ends.append((point(along, middle), point(along + own_depth, middle)))
        breadth = max(breadth, middle + extent / 2)
    lines = []
    for (source, target), route in zip(net.arrows, net.routes, strict=True):
        bends: list[Point] = []
        for bend in route:
            start, depth = starts[net.layers[bend]]
            middle = across[bend] + spacing.margin
            breadth = max(breadth, middle)
            bends += [point(start, middle), point(start + depth, middle)]
        lines.append((ends[source][1], *bends, ends[target][0]))
    width, height = point(total, breadth + spacing.margin)
    return Layout(tuple(places), tuple(lines), width, height)
