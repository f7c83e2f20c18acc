"""Generates the state diagrams in ARCHITECTURE.md from the tables of legal moves.

`python -m hack.draw_phases` writes them between their markers; with --check it writes nothing and exits 1 if they are
out of date.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pkg.apis.flow.v1alpha1.phases import TASK_MOVES, WORKFLOW_MOVES, Phase, WorkflowPhase

FILE = Path(__file__).resolve().parents[1] / "ARCHITECTURE.md"


State = TypeVar("State", bound=StrEnum)


class NoMarkers(Exception):
    """The document has no markers for a diagram."""


def diagram(moves: Mapping[State, frozenset[State]], first: State) -> str:
    """A mermaid state diagram; states are in the order of their enum, final states lead to the end."""
    order = list(type(first))
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for now in order:
        lines += [f"    {now} --> {then}" for then in order if then in moves[now]]
    lines += [f"    {now} --> [*]" for now in order if not moves[now]]
    return "\n".join([*lines, "```"])


def diagrams() -> dict[str, str]:
    """Every diagram by the name in its markers."""
    return {
        "task": diagram(TASK_MOVES, Phase.WAITING),
        "workflow": diagram(WORKFLOW_MOVES, WorkflowPhase.PENDING),
    }


def drawn(text: str) -> str:
    """`text` with every diagram between its markers. Raises NoMarkers, naming the lines that are missing."""
    for name, picture in diagrams().items():
        begin, end = f"<!-- drawn: {name} -->\n", f"<!-- end: {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise NoMarkers(f"{FILE.name} has no lines `{begin.strip()}` and `{end}`: put them where the diagram goes")
        text = f"{before}{begin}{picture}\n{end}{after}"
    return text


def main(arguments: list[str]) -> int:
    """Writes the diagrams, or with --check compares them."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m hack.draw_phases [--check]", file=sys.stderr)
        return 2
    now = FILE.read_text("utf-8")
    try:
        then = drawn(now)
    except NoMarkers as error:
        print(error, file=sys.stderr)
        return 1
    if now == then:
        return 0
    if arguments:
        print(f"the diagrams in {FILE.name} are not what the tables say; run `make generate`", file=sys.stderr)
        return 1
    FILE.write_text(then, "utf-8")
    print(f"wrote the diagrams in {FILE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
