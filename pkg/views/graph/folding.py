"""Draws flows that are alike as one box, so that a graph of thousands of flows stays readable.

Two flows are alike if they are in the same phase, wait for flows that are alike in the same way, and flows that are
alike wait for them. So parallel chains become one chain, and one that failed is a chain beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from pkg.apis.flow.v1alpha1.phases import Phase, fold
from pkg.views.graph.picture import Arrow, Box, Picture, merged

_MAX_ROUNDS: Final = 24
_NAMED: Final = 2


def fold_alike(picture: Picture) -> Picture:
    """The picture with one box for all flows that are alike.

    The classes begin with all flows of one phase, and are divided until the flows of each have neighbours of the same
    classes: what is left together is alike. The picture stays as it is if that takes too many rounds.
    """
    classes = _start(picture)
    for _ in range(_MAX_ROUNDS):
        finer = _divide(picture, classes)
        if len(set(finer.values())) == len(set(classes.values())):
            break
        classes = finer
    else:
        return picture
    return _join(picture, classes)


def _start(picture: Picture) -> dict[str, int]:
    waits: Counter[str] = Counter()
    waited: Counter[str] = Counter()
    for arrow in picture.arrows:
        waits[arrow.target] += 1
        waited[arrow.source] += 1
    return _numbered({box.name: (*_looks(box), waits[box.name] > 0, waited[box.name] > 0) for box in picture.boxes})


def _looks(box: Box) -> tuple[object, ...]:
    return box.phase, box.is_finally, box.is_approval, box.is_several


def _divide(picture: Picture, classes: Mapping[str, int]) -> dict[str, int]:
    """Classes in which each flow also has neighbours of the same classes, with arrows of the same kinds."""
    around: dict[str, set[tuple[object, ...]]] = {box.name: set() for box in picture.boxes}
    for arrow in picture.arrows:
        how = (arrow.kind, arrow.is_alternative)
        around[arrow.target].add(("from", *how, classes[arrow.source]))
        around[arrow.source].add(("to", *how, classes[arrow.target]))
    return _numbered({name: (classes[name], frozenset(found)) for name, found in around.items()})


def _numbered(keys: Mapping[str, object]) -> dict[str, int]:
    numbers: dict[object, int] = {}
    return {name: numbers.setdefault(key, len(numbers)) for name, key in keys.items()}


def _join(picture: Picture, classes: Mapping[str, int]) -> Picture:
    members: dict[int, list[Box]] = {}
    for box in picture.boxes:
        members.setdefault(classes[box.name], []).append(box)
    boxes = {number: _one_box(alike) for number, alike in members.items()}
    name_of = {box.name: boxes[classes[box.name]].name for box in picture.boxes}
    arrows = [
        Arrow(name_of[arrow.source], name_of[arrow.target], arrow.kind, arrow.label, arrow.is_alternative)
        for arrow in picture.arrows
    ]
    return replace(picture, boxes=tuple(boxes.values()), arrows=merged(_without_labels_of_many(arrows)))


def _without_labels_of_many(arrows: Iterable[Arrow]) -> list[Arrow]:
    """The arrows, without labels where joined ones have many different ones."""
    labels: dict[tuple[object, ...], set[str]] = {}
    found = list(arrows)
    for arrow in found:
        labels.setdefault((arrow.source, arrow.target, arrow.kind), set()).add(arrow.label)
    return [
        arrow if len(labels[arrow.source, arrow.target, arrow.kind]) <= _NAMED else replace(arrow, label="")
        for arrow in found
    ]


def _one_box(alike: list[Box]) -> Box:
    if len(alike) == 1:
        return alike[0]
    flows = tuple(flow for box in alike for flow in box.flows)
    counts = Counter(box.phase for box in alike if box.phase is not None)
    notes = [f"{len(flows)} flows"]
    notes += [f"{counts[phase]} {phase.value.lower()}" for phase in Phase if counts[phase]]
    phase = fold(counts) if counts else None
    return Box(f"{flows[0]} … {flows[-1]}", flows, ", ".join(notes), phase, alike[0].is_finally, alike[0].is_approval)
