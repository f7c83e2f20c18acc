"""A picture as SVG: one file without scripts or fonts of its own, readable in light and dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.views.graph.colours import COLOURS
from pkg.views.graph.layout import Layout, Place, Point, Size, lay_out
from pkg.views.graph.picture import MEANINGS, Arrow, ArrowKind, Box, Picture, readable

_CHARACTER: Final = 7.3
_PADDING: Final = 24.0
_LINE: Final = 28.0
_TWO_LINES: Final = 42.0
_LONGEST: Final = 48
_TITLE: Final = 30.0
_LEGEND: Final = 26.0
#: With more arrows their labels would cover each other; each arrow still has its words as a tooltip.
_MAX_LABELS: Final = 200

_STYLE: Final = """
  text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #1b1f24 }
  .title { font-size: 15px; font-weight: 600 }
  .note, .label, .legend { font-size: 10.5px; fill: #57606a }
  .box rect { fill: #ffffff; stroke: #8c959f }
  .several rect.behind { fill: none }
  .finally rect { stroke-dasharray: 5 3 }
  .approval rect { stroke-width: 2 }
  .arrow { fill: none; stroke: #8c959f; stroke-width: 1.2; marker-end: url(#end) }
  .failure { stroke: #cf222e; stroke-dasharray: 6 4; marker-end: url(#end-failure) }
  .status { stroke-dasharray: 6 4 }
  .probe { stroke: #0969da; stroke-dasharray: 1.5 4; stroke-linecap: round; marker-end: url(#end-probe) }
  .value { stroke: #8250df; stroke-width: 1.8; marker-end: url(#end-value) }
  .or { stroke-opacity: 0.65 }
""".strip("\n")
_DARK: Final = """
  @media (prefers-color-scheme: dark) {
    .title, .legend, .label { fill: #d0d7de }
  }
""".strip("\n")
_ENDS: Final = {"end": "#8c959f", "end-failure": "#cf222e", "end-probe": "#0969da", "end-value": "#8250df"}


def svg(picture: Picture, *, is_downward: bool = False) -> str:
    """The picture as an SVG document. Raises ValueError if its arrows form a cycle."""
    numbers = {box.name: number for number, box in enumerate(picture.boxes)}
    arrows = [arrow for arrow in picture.arrows if arrow.source != arrow.target]
    layout = lay_out(
        [_size(box) for box in picture.boxes],
        [(numbers[arrow.source], numbers[arrow.target]) for arrow in arrows],
        last=[number for number, box in enumerate(picture.boxes) if box.is_finally],
        is_downward=is_downward,
    )
    kinds = tuple(kind for kind in ArrowKind if any(arrow.kind is kind for arrow in arrows))
    return "\n".join(_document(picture, arrows, layout, kinds, is_downward=is_downward)) + "\n"


def _document(
    picture: Picture, arrows: Sequence[Arrow], layout: Layout, kinds: Sequence[ArrowKind], *, is_downward: bool
) -> Iterator[str]:
    legend = [kind for kind in kinds if kind is not ArrowKind.TARGET]
    title = f"{picture.title} · {picture.subtitle}" if picture.subtitle else picture.title
    width = max(layout.width, 32 + len(title) * 9.0, 32 + sum(_legend_width(kind) for kind in legend))
    height = layout.height + _TITLE + (_LEGEND if legend else 0)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{_text(title)}">'
    )
    yield f"<style>\n{_STYLE}\n{''.join(_phase_styles(picture))}{_DARK}\n</style>"
    yield "<defs>"
    for name, colour in _ENDS.items():
        yield (
            f'<marker id="{name}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7"'
            f' orient="auto"><path d="M0 0.5 8 4 0 7.5z" fill="{colour}"/></marker>'
        )
    yield "</defs>"
    yield f'<text class="title" x="16" y="22">{_text(title)}</text>'
    yield f'<g transform="translate(0 {_TITLE:.0f})">'
    for arrow, points in zip(arrows, layout.lines, strict=True):
        yield _arrow(arrow, points, is_downward=is_downward, is_labelled=len(arrows) <= _MAX_LABELS)
    for box, place in zip(picture.boxes, layout.places, strict=True):
        yield _box(box, place)
    yield "</g>"
    at = 16.0
    for kind in legend:
        y = height - _LEGEND / 2
        yield f'<path class="arrow {kind.value}" d="M{at:.0f} {y:.1f}h36"/>'
        yield f'<text class="legend" x="{at + 44:.0f}" y="{y + 3.5:.1f}">{MEANINGS[kind]}</text>'
        at += _legend_width(kind)
    yield "</svg>"


def _legend_width(kind: ArrowKind) -> float:
    return 68 + len(MEANINGS[kind]) * 5.8


def _phase_styles(picture: Picture) -> Iterator[str]:
    for phase in Phase:
        if any(box.phase is phase for box in picture.boxes):
            colour = COLOURS[phase]
            yield f"  .{phase.value} rect {{ fill: {colour.fill}; stroke: {colour.line} }}\n"


def _size(box: Box) -> Size:
    longest = max(len(_short(box.name)), len(_short(box.note)) * 0.86)
    return Size(round(longest * _CHARACTER + _PADDING), _TWO_LINES if box.note else _LINE)


def _text(text: str) -> str:
    """Text as XML may have it."""
    return escape(readable(text))


def _short(text: str) -> str:
    text = readable(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _box(box: Box, place: Place) -> str:
    classes = ["box"]
    if box.phase is not None:
        classes.append(box.phase.value)
    if box.is_finally:
        classes.append("finally")
    if box.is_approval:
        classes.append("approval")
    x, y, middle = place.x, place.y, place.x + place.width / 2
    words = " ".join(filter(None, (box.name, box.phase.value if box.phase else "", box.note)))
    parts = [f'<g class="{" ".join(classes)}" data-flow="{_text(box.name)}"><title>{_text(words)}</title>']
    corners = place.height / 2 if box.is_approval else 6
    outline = f'width="{place.width:.0f}" height="{place.height:.0f}" rx="{corners:.0f}"'
    if box.is_several or "×" in box.note:
        parts.append(f'<rect x="{x + 4:.1f}" y="{y + 4:.1f}" {outline}/>')
    parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {outline}/>')
    first = y + place.height / 2 + (4 if not box.note else -3)
    parts.append(f'<text x="{middle:.1f}" y="{first:.1f}" text-anchor="middle">{escape(_short(box.name))}</text>')
    if box.note:
        note = escape(_short(box.note))
        parts.append(f'<text class="note" x="{middle:.1f}" y="{first + 14:.1f}" text-anchor="middle">{note}</text>')
    parts.append("</g>")
    return "".join(parts)


def _arrow(arrow: Arrow, points: Sequence[Point], *, is_downward: bool, is_labelled: bool) -> str:
    classes = f"arrow {arrow.kind.value}" if arrow.kind is not ArrowKind.TARGET else "arrow"
    classes += " or" if arrow.is_alternative else ""
    words = f"{arrow.source} → {arrow.target}: {MEANINGS[arrow.kind]}" + (f" ({arrow.label})" if arrow.label else "")
    path = f'<path class="{classes}" d="{_path(points, is_downward=is_downward)}"><title>{_text(words)}</title></path>'
    label = arrow.label or ("or" if arrow.is_alternative else "")
    if not label or not is_labelled:
        return path
    (x1, y1), (x2, y2) = points[-2], points[-1]
    x, y = (x1 + x2) / 2, (y1 + y2) / 2 - 4
    return f'{path}<text class="label" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(_short(label))}</text>'


def _path(points: Sequence[Point], *, is_downward: bool) -> str:
    """A line through the points: curves between the layers, straight through them."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    # Points come in pairs: the end of one layer, the start of the next one.
    for at in range(0, len(points) - 1, 2):
        (x1, y1), (x2, y2) = points[at], points[at + 1]
        if at:
            parts.append(f"L{x1:.1f} {y1:.1f}")
        if is_downward:
            middle = (y1 + y2) / 2
            parts.append(f"C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}")
        else:
            middle = (x1 + x2) / 2
            parts.append(f"C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}")
    return "".join(parts)
