"""The layout: layers follow the arrows, boxes never overlap, few arrows cross, and the largest graphs are laid out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.views.graph import layout as layout_module
from pkg.views.graph.layout import Layout, Size, lay_out, layers_of
from pkg.views.graph.ordering import crossings, order_layers
from pkg.views.graph.placing import place

Arrows = list[tuple[int, int]]


@pytest.mark.parametrize(
    ("count", "arrows", "last", "layers"),
    [
        pytest.param(0, [], [], [], id="nothing has no layers"),
        pytest.param(3, [], [], [0, 0, 0], id="boxes without arrows stand in the first layer"),
        pytest.param(3, [(0, 1), (1, 2)], [], [0, 1, 2], id="a chain has a layer for each box"),
        pytest.param(4, [(0, 1), (1, 2), (0, 2), (2, 3)], [], [0, 1, 2, 3], id="the longest way counts"),
        pytest.param(4, [(0, 1), (1, 2), (3, 2)], [], [0, 1, 2, 1], id="a start stands right before what waits for it"),
        pytest.param(3, [(0, 1)], [2], [0, 1, 2], id="a last box comes after all others"),
        pytest.param(4, [(0, 1), (2, 3)], [2, 3], [0, 1, 2, 3], id="last boxes that wait for each other follow"),
        pytest.param(2, [], [0, 1], [0, 0], id="last boxes alone begin at the first layer"),
    ],
)
def test_layers(count: int, arrows: Arrows, last: list[int], layers: list[int]) -> None:
    assert layers_of(count, arrows, frozenset(last)) == layers


def test_a_cycle_is_an_error() -> None:
    with pytest.raises(ValueError, match="cycle"):
        layers_of(3, [(0, 1), (1, 2), (2, 0)])


def test_two_lines_that_would_cross_are_uncrossed() -> None:
    rows = order_layers([0, 0, 1, 1], [(0, 3), (1, 2)])
    assert crossings(rows, [[3], [2], [], []]) == 0


def test_crossings_are_counted() -> None:
    assert crossings([[0, 1, 2], [3, 4, 5]], [[5], [4], [3], [], [], []]) == 3


def test_ordering_leaves_few_crossings_of_a_tree() -> None:
    """A tree can be drawn without any."""
    generator = random.Random(3)
    parents = [generator.randrange(max(1, box)) for box in range(1, 200)]
    arrows = [(parent, box + 1) for box, parent in enumerate(parents)]
    layers = [0] * 200
    for parent, box in arrows:
        layers[box] = layers[parent] + 1
    after: list[list[int]] = [[] for _ in layers]
    for parent, box in arrows:
        after[parent].append(box)
    assert crossings(order_layers(layers, arrows), after) == 0


def test_boxes_stand_in_the_middle_of_what_they_wait_for() -> None:
    found = place([[0, 1], [2]], [(0, 2), (1, 2)], [10, 10, 10], 20)
    assert found[2] == pytest.approx((found[0] + found[1]) / 2)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Size], Arrows, list[int]]:
    count = draw(st.integers(1, 25))
    sizes = draw(st.lists(st.builds(Size, st.integers(1, 99), st.integers(1, 40)), min_size=count, max_size=count))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    arrows = [(low, high) for low, high in draw(st.lists(pairs, max_size=60)) if low < high]
    last = draw(st.lists(st.integers(0, count - 1), max_size=3))
    return sizes, arrows, last


@given(graphs(), st.booleans())
def test_no_boxes_overlap_and_arrows_lead_forward(
    graph: tuple[list[Size], Arrows, list[int]], is_downward: bool
) -> None:
    sizes, arrows, last = graph
    arrows = [(low, high) for low, high in arrows if not (low in last and high not in last)]
    found = lay_out(sizes, arrows, last=last, is_downward=is_downward)
    _check(found, sizes, arrows, is_downward=is_downward)


def _check(found: Layout, sizes: Sequence[Size], arrows: Arrows, *, is_downward: bool) -> None:
    layers: dict[int, list[tuple[float, float]]] = {}
    for place_, size in zip(found.places, sizes, strict=True):
        assert (place_.width, place_.height) == (size.width, size.height)
        assert place_.x >= 0
        assert place_.y >= 0
        assert place_.x + place_.width <= found.width + 0.01
        assert place_.y + place_.height <= found.height + 0.01
        start, extent = (place_.x, place_.width) if is_downward else (place_.y, place_.height)
        layers.setdefault(place_.layer, []).append((start, start + extent))
    for row in layers.values():
        row.sort()
        for (_, end), (start, _) in pairwise(row):
            assert start >= end - 0.01, "two boxes of a layer overlap"
    for (source, target), line in zip(arrows, found.lines, strict=True):
        assert found.places[source].layer < found.places[target].layer
        along = [point[1 if is_downward else 0] for point in line]
        assert along == sorted(along), "an arrow leads back"


def test_the_largest_chain_with_arrows_over_all_of_it_has_bounded_bends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_module, "MAX_BENDS", 100)
    arrows = [(box, box + 1) for box in range(299)] + [(box, 299) for box in range(298)]
    found = lay_out([Size(10, 10)] * 300, arrows)
    assert sum(len(line) - 2 for line in found.lines) <= 2 * 100 * len(arrows)
    straight = [line for line in found.lines if len(line) == 2]
    assert len(straight) > len(arrows) / 2


def test_five_thousand_boxes() -> None:
    generator = random.Random(5)
    arrows = [(generator.randrange(max(0, box - 300), box), box) for box in range(20, 5000) for _ in range(2)]
    found = lay_out([Size(60, 28)] * 5000, arrows)
    assert len(found.places) == 5000
    assert len(found.lines) == len(arrows)
