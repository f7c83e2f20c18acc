"""Charts are well-formed, and their lines have the right form."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from hack.bench.plot import Line, draw

_SVG = "{http://www.w3.org/2000/svg}"


def lines_of(text: str) -> list[list[tuple[float, float]]]:
    found = ET.fromstring(text).iter(f"{_SVG}polyline")
    return [
        [(float(x), float(y)) for x, y in (pair.split(",") for pair in one.attrib["points"].split())] for one in found
    ]


def test_a_constant_line_is_level_and_a_growing_one_rises() -> None:
    level = Line("level", ((1.0, 5.0), (10.0, 5.0), (100.0, 5.0)))
    rising = Line("<rising>", ((1.0, 1.0), (10.0, 2.0), (100.0, 4.0)))
    flat, steep = lines_of(draw("a & b", "x", "y", [level, rising], logarithmic=True))
    assert len({y for _, y in flat}) == 1
    assert [y for _, y in steep] == sorted((y for _, y in steep), reverse=True)
    assert flat[1][0] - flat[0][0] == pytest.approx(flat[2][0] - flat[1][0], abs=0.2), "each power of ten is as wide"


def test_values_that_are_all_zero_or_one_point_can_be_drawn() -> None:
    assert lines_of(draw("t", "x", "y", [Line("one", ((3.0, 0.0),))])) == [[(344.0, 312.0)]]


def test_without_a_point_there_is_no_chart() -> None:
    with pytest.raises(ValueError, match="needs a point"):
        draw("t", "x", "y", [Line("none", ())])
