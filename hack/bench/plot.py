"""Line charts as SVG, for the documentation: what a table says, seen at a glance. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

Point = tuple[float, float]
_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 40, 48
_COLOURS: Final = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e")
_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name and its points, ascending by x."""

    name: str
    points: tuple[Point, ...]


def draw(title: str, x: str, y: str, lines: Sequence[Line], *, logarithmic: bool = False) -> str:
    """The chart. x, y: what the axes show; logarithmic: the x axis, whose values are above 0 then. y begins at 0."""
    points = [point for line in lines for point in line.points]
    if not points:
        raise ValueError("a chart needs a point")
    scale = math.log10 if logarithmic else float
    low, high = scale(min(at for at, _ in points)), scale(max(at for at, _ in points))
    top = _round_up(max(value for _, value in points))

    def place(point: Point) -> tuple[float, float]:
        share = (scale(point[0]) - low) / (high - low) if high > low else 0.5
        right = _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
        return right, _HEIGHT - _BOTTOM - point[1] / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        _text(_WIDTH / 2, 20, title, "middle", 14),
        _text(_WIDTH / 2, _HEIGHT - 10, x, "middle"),
        _text(8, _TOP - 10, y, "start"),
    ]
    for number in range(_TICKS + 1):
        value = top * number / _TICKS
        _, at = place((points[0][0], value))
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(_text(_LEFT - 6, at + 4, f"{value:,.4g}", "end"))
    for value in _marks([at for at, _ in points]):
        at, _ = place((value, 0.0))
        parts.append(f'<path d="M{at:.1f} {_HEIGHT - _BOTTOM}v4" stroke="#333"/>')
        parts.append(_text(at, _HEIGHT - _BOTTOM + 18, f"{value:,.6g}", "middle"))
    for number, line in enumerate(lines):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{right:.1f},{down:.1f}" for right, down in map(place, line.points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(line.points) <= 20:
            parts.extend(
                f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in map(place, line.points)
            )
        parts.append(_text(_WIDTH - _RIGHT, _TOP + 16 * number, line.name, "end", colour=colour))
    return "\n".join((*parts, "</svg>", ""))


def _text(right: float, down: float, text: str, anchor: str, size: int = 12, colour: str = "#333") -> str:
    return (
        f'<text x="{right:.1f}" y="{down:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
        f"{escape(text)}</text>"
    )


def _round_up(value: float) -> float:
    """The next number of one digit and a half: 1, 1.5, 2, 2.5, 3, 4, 5, ... times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= value * 0.999_999)


def _marks(values: Sequence[float]) -> list[float]:
    """The values themselves if they are few, else some from the first to the last."""
    found = sorted(set(values))
    if len(found) <= _TICKS + 1:
        return found
    return [found[0] + (found[-1] - found[0]) * number / _TICKS for number in range(_TICKS + 1)]
