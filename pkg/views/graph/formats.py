"""The text formats of a picture: mermaid, for Markdown and web pages, and dot, for Graphviz and other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.views.graph.colours import COLOURS
from pkg.views.graph.picture import Arrow, ArrowKind, Box, Picture, readable

#: What mermaid draws unless its page allows more.
MAX_MERMAID_ARROWS: Final = 500
MAX_MERMAID_TEXT: Final = 50_000

_MERMAID_LINES: Final[Mapping[ArrowKind, str]] = {
    ArrowKind.TARGET: "-->",
    ArrowKind.FAILURE: "-. {} .-x",
    ArrowKind.STATUS: "-. {} .->",
    ArrowKind.PROBE: "-- {} --o",
    ArrowKind.VALUE: "== {} ==>",
}
_DOT_STYLES: Final[Mapping[ArrowKind, str]] = {
    ArrowKind.TARGET: "",
    ArrowKind.FAILURE: 'style=dashed, color="#c0392b", fontcolor="#c0392b"',
    ArrowKind.STATUS: "style=dashed",
    ArrowKind.PROBE: "style=dotted, arrowhead=odot",
    ArrowKind.VALUE: "style=bold, arrowhead=vee",
}


def mermaid(picture: Picture, *, is_downward: bool = False) -> str:
    """A mermaid flowchart. Boxes are named n0, n1 ..., so that no name of a flow is read as syntax."""
    ids = {box.name: f"n{number}" for number, box in enumerate(picture.boxes)}
    lines = ["---", f"title: {_quoted_yaml(_title(picture))}", "---", f"flowchart {'TD' if is_downward else 'LR'}"]
    lines += [f"  {ids[box.name]}{_mermaid_box(box)}" for box in picture.boxes]
    lines += [_mermaid_arrow(arrow, ids) for arrow in picture.arrows]
    members: dict[Phase, list[str]] = {}
    for box in picture.boxes:
        if box.phase is not None:
            members.setdefault(box.phase, []).append(ids[box.name])
    for phase, boxes in members.items():
        colour = COLOURS[phase]
        lines.append(f"  classDef {phase.value} fill:{colour.fill},stroke:{colour.line},color:#1b1f24")
        lines.append(f"  class {','.join(boxes)} {phase.value}")
    return "\n".join(lines) + "\n"


def _mermaid_box(box: Box) -> str:
    text = _mermaid_text(box.name) + (f"<br/>{_mermaid_text(box.note)}" if box.note else "")
    if box.is_finally:
        return f'(["{text}"])'
    return f'{{{{"{text}"}}}}' if box.is_approval else f'["{text}"]'


def _mermaid_arrow(arrow: Arrow, ids: Mapping[str, str]) -> str:
    label = arrow.label or ("or" if arrow.is_alternative else "")
    line = _MERMAID_LINES[arrow.kind]
    if arrow.kind is ArrowKind.TARGET:
        line = f'-- "{_mermaid_text(label)}" -->' if label else "-->"
    else:
        line = line.format(f'"{_mermaid_text(label or arrow.kind.value)}"')
    return f"  {ids[arrow.source]} {line} {ids[arrow.target]}"


def _mermaid_text(text: str) -> str:
    """Text inside of quotes: what could end them, or be read as markup, is written as an entity."""
    text = readable(text)
    for character, entity in (("#", "#35;"), ("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return text


def dot(picture: Picture, *, is_downward: bool = False) -> str:
    """A digraph of Graphviz."""
    lines = [
        f"digraph {_quoted(picture.title)} {{",
        f"  label={_quoted(_title(picture))}; labelloc=t; rankdir={'TB' if is_downward else 'LR'};",
        '  node [shape=box, style="rounded,filled", fillcolor="#ffffff", fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=10];',
    ]
    lines += [_dot_box(box) for box in picture.boxes]
    lines += [_dot_arrow(arrow) for arrow in picture.arrows]
    lines.append("}")
    return "\n".join(lines) + "\n"


def _dot_box(box: Box) -> str:
    text = box.name + (f"\n{box.note}" if box.note else "")
    style = [f"label={_quoted(text)}"]
    if box.phase is not None:
        colour = COLOURS[box.phase]
        style.append(f'fillcolor="{colour.fill}", color="{colour.line}"')
    if box.is_finally:
        style.append('style="rounded,filled,dashed"')
    if box.is_approval:
        style.append("shape=hexagon")
    return f"  {_quoted(box.name)} [{', '.join(style)}];"


def _dot_arrow(arrow: Arrow) -> str:
    style = [_DOT_STYLES[arrow.kind]] if _DOT_STYLES[arrow.kind] else []
    label = arrow.label or ("or" if arrow.is_alternative else "")
    if label:
        style.append(f"label={_quoted(label)}")
    suffix = f" [{', '.join(style)}]" if style else ""
    return f"  {_quoted(arrow.source)} -> {_quoted(arrow.target)}{suffix};"


def _title(picture: Picture) -> str:
    return f"{picture.title} ({picture.subtitle})" if picture.subtitle else picture.title


def _quoted(text: str) -> str:
    """A string of dot; a line break is written as such."""
    lines = (readable(line).replace("\\", "\\\\").replace('"', '\\"') for line in text.split("\n"))
    return '"' + "\\n".join(lines) + '"'


def _quoted_yaml(text: str) -> str:
    return '"' + readable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
