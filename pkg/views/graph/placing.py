"""Where the boxes of a layer are, in a given order: each as near to its neighbours as the boxes beside it allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_SWEEPS: Final = 4
#: The room beside a bend, as a share of the room beside a box.
_BEND_ROOM: Final = 0.5


def place(
    rows: Sequence[Sequence[int]], edges: Sequence[tuple[int, int]], extents: Sequence[float], gap: float
) -> dict[int, float]:
    """The middle of each box across its layer, from 0.

    rows: the boxes of each layer in their order; extents: how wide each box is across its layer, 0 for a bend of an
    arrow; gap: the room between two boxes.
    """
    before: list[list[int]] = [[] for _ in extents]
    after: list[list[int]] = [[] for _ in extents]
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)
    offsets = [_offsets(row, extents, gap) for row in rows]
    middle = [0.0] * len(extents)
    for row, offset in zip(rows, offsets, strict=True):
        for box, at in zip(row, offset, strict=True):
            middle[box] = at
    forth, back = range(len(rows)), range(len(rows) - 1, -1, -1)
    for sweep in range(_SWEEPS):
        is_forth = sweep % 2 == 0
        neighbours = before if is_forth else after
        for at in forth if is_forth else back:
            row, offset = rows[at], offsets[at]
            wanted = []
            for box in row:
                found = neighbours[box]
                wanted.append(sum(middle[other] for other in found) / len(found) if found else middle[box])
            for box, found_at in zip(row, _nearest(wanted, offset), strict=True):
                middle[box] = found_at
    least = min((middle[box] - extents[box] / 2 for row in rows for box in row), default=0.0)
    return {box: at - least for box, at in enumerate(middle)}


def _offsets(row: Sequence[int], extents: Sequence[float], gap: float) -> list[float]:
    """The middles of the boxes of a layer if they are packed as tightly as they may be."""
    found: list[float] = []
    at = 0.0
    before: int | None = None
    for box in row:
        if before is not None:
            room = gap if extents[before] and extents[box] else gap * _BEND_ROOM
            at += extents[before] / 2 + room + extents[box] / 2
        found.append(at)
        before = box
    return found


def _nearest(wanted: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones, by the sum of squares, that keep the order and the room between boxes.

    Less their offsets the places only have to ascend, so this is an isotonic regression: neighbours that are in each
    other's way move as one block to the mean of what they want.
    """
    blocks: list[tuple[float, int]] = []  # sum of what its members want, and their number
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while blocks and blocks[-1][0] * count >= total * blocks[-1][1]:
            before_total, before_count = blocks.pop()
            total, count = total + before_total, count + before_count
        blocks.append((total, count))
    found: list[float] = []
    for total, count in blocks:
        found += [total / count] * count
    return [at + offset for at, offset in zip(found, offsets, strict=True)]
