"""The order of boxes inside their layers: barycentres, forth and back, and the order with the fewest crossings wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: Sweeps over all layers, forth and back; fewer for large graphs.
_MAX_SWEEPS: Final = 12
_SWEEP_WORK: Final = 120_000


def order_layers(layers: Sequence[int], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The boxes of each layer in their order.

    layers: the layer of each box; edges: pairs of boxes one layer apart, the earlier layer first.
    """
    before: list[list[int]] = [[] for _ in layers]
    after: list[list[int]] = [[] for _ in layers]
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)
    rows = _first_order(layers, before, after)
    if not edges or len(rows) < 2:
        return rows
    best, fewest = [list(row) for row in rows], crossings(rows, after)
    for sweep in range(max(2, min(_MAX_SWEEPS, _SWEEP_WORK // (len(layers) + len(edges))))):
        if not fewest:
            break
        if sweep % 2 == 0:
            for at in range(1, len(rows)):
                _sort_row(rows, at, at - 1, before)
        else:
            for at in range(len(rows) - 2, -1, -1):
                _sort_row(rows, at, at + 1, after)
        found = crossings(rows, after)
        if found < fewest:
            best, fewest = [list(row) for row in rows], found
    return best


def _first_order(
    layers: Sequence[int], before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]
) -> list[list[int]]:
    """Boxes in the order in which a walk from each start along the arrows reaches them: chains begin side by side."""
    rows: list[list[int]] = [[] for _ in range(max(layers, default=-1) + 1)]
    seen = [False] * len(layers)
    for start in sorted(range(len(layers)), key=lambda box: layers[box]):
        if seen[start]:
            continue
        seen[start] = True
        stack = [start]
        while stack:
            box = stack.pop()
            rows[layers[box]].append(box)
            for other in reversed((*after[box], *before[box])):
                if not seen[other]:
                    seen[other] = True
                    stack.append(other)
    return rows


def _sort_row(rows: list[list[int]], at: int, beside: int, neighbours: Sequence[Sequence[int]]) -> None:
    """Sorts a layer by the mean positions of its boxes' neighbours; boxes without neighbours keep their place."""
    position = {box: float(number) for number, box in enumerate(rows[beside])}
    row = rows[at]
    keys: dict[int, float] = {}
    last = 0.0
    for box in row:
        found = neighbours[box]
        if found:
            last = sum(position[other] for other in found) / len(found)
        keys[box] = last
    row.sort(key=keys.__getitem__)


def crossings(rows: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> int:
    """How many pairs of edges between neighbouring layers cross: inversions, counted with a binary indexed tree."""
    total = 0
    for at in range(len(rows) - 1):
        position = {box: number for number, box in enumerate(rows[at + 1])}
        size = len(position)
        tree = [0] * (size + 1)
        counted = 0
        for box in rows[at]:
            ends = sorted(position[other] for other in after[box])
            for end in ends:
                place, smaller = end + 1, 0
                while place:
                    smaller += tree[place]
                    place &= place - 1
                total += counted - smaller
            for end in ends:
                place = end + 1
                while place <= size:
                    tree[place] += 1
                    place += place & -place
            counted += len(ends)
    return total
