"""The diagrams in ARCHITECTURE.md are those of the tables."""

from __future__ import annotations

import pytest

from hack.draw_phases import FILE, NoMarkers, diagram, drawn
from pkg.apis.flow.v1alpha1.phases import WORKFLOW_MOVES, WorkflowPhase

PLACES = "a\n<!-- drawn: task -->\nold\n<!-- end: task -->\nb\n<!-- drawn: workflow -->\n<!-- end: workflow -->\nc\n"


def test_every_move_is_an_arrow_and_final_states_lead_to_the_end() -> None:
    lines = diagram(WORKFLOW_MOVES, WorkflowPhase.PENDING).splitlines()
    assert lines[:3] == ["```mermaid", "stateDiagram-v2", "    [*] --> Pending"]
    assert "    Suspended --> Running" in lines
    assert "    Failed --> [*]" in lines
    moves = sum(map(len, WORKFLOW_MOVES.values()))
    assert len(lines) == 3 + moves + 2 + 1


def test_drawing_replaces_what_is_between_the_markers_and_nothing_else() -> None:
    text = drawn(PLACES)
    assert "old" not in text
    assert [line for line in text.splitlines() if len(line) == 1] == ["a", "b", "c"]
    assert drawn(text) == text


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(NoMarkers, match="drawn: task"):
        drawn("nothing here")


def test_the_committed_diagrams_are_current() -> None:
    text = FILE.read_text("utf-8")
    assert drawn(text) == text
