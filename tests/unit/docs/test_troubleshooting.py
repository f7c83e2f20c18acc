"""docs/troubleshooting.md explains every reason, says what to do, and does not explain what no longer exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pkg.apis.flow.v1alpha1.reasons import BLOCKING, Reasons

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "troubleshooting.md").read_text("utf-8")
REASONS = sorted({value for name, value in vars(Reasons).items() if name.isupper()})
#: The first cell of each row that has three, with what it means and what to do.
ROWS = re.findall(r"^\| (`[A-Z][^|]*) \| ([^|]+) \| ([^|]+(?:\|[^|]*)?) \|$", TEXT, re.MULTILINE)


def explained() -> dict[str, list[tuple[bool, str, str]]]:
    """reason -> for each row: whether it has a star, its meaning, and what to do."""
    found: dict[str, list[tuple[bool, str, str]]] = {}
    for cell, meaning, action in ROWS:
        for reason in re.findall(r"`(\w+)`", cell):
            found.setdefault(reason, []).append((cell.endswith("*"), meaning, action))
    return found


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_explained_with_what_to_do(reason: str) -> None:
    rows = explained().get(reason, [])
    assert rows, f"{reason} has no row in docs/troubleshooting.md"
    assert all(meaning.strip() and action.strip() for _, meaning, action in rows)


def test_every_explained_reason_exists() -> None:
    assert set(explained()) - set(REASONS) == set()


def test_the_star_marks_what_makes_a_workflow_blocked() -> None:
    starred = {reason for reason, rows in explained().items() if any(star for star, _, _ in rows)}
    assert starred == {*BLOCKING, Reasons.SPEC_CHANGED, Reasons.RESTORED}
