"""What is printed: aligned columns, cut at the width of a terminal, with colours only where they are wanted.

Piped output has no colours and is never cut, so that scripts can rely on it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from unicodedata import east_asian_width

import click

if TYPE_CHECKING:
    from rich.console import Console

#: The colour of a phase, of a flow or a workflow.
COLOURS: Final = {
    "Running": "red",
    "Pending": "yellow",
    "Suspended": "yellow",
    "Terminating": "yellow",
    "Backoff": "yellow",
    "Succeeded": "green",
    "Failed": "bright_red",
    "Cancelled": "magenta",
    "Skipped": "bright_black",
    "Waiting": "bright_black",
}
_GAP: Final = 3


@dataclass(frozen=True, slots=True)
class Screen:
    """Where the output goes. width: columns, 0 without a limit."""

    width: int = 0
    colours: bool = False

    def paint(self, text: str, colour: str | None = None, *, bold: bool = False) -> str:
        """The text in a colour of `click.style`; unchanged where there are no colours."""
        return click.style(text, fg=colour, bold=bold or None) if self.colours and (colour or bold) else text

    def phase(self, text: str) -> str:
        """The text in the colour of the phase that it begins with."""
        return self.paint(text, COLOURS.get(text.split(" ", 1)[0]))

    def cut(self, text: str) -> str:
        """The text as it fits into a line, without colours; `…` says that it was cut."""
        return cut(text, self.width) if self.width else text


def screen() -> Screen:
    """Standard output as it is: a terminal has a width and, unless NO_COLOR is set, colours."""
    if not sys.stdout.isatty():
        return Screen()
    colours = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Screen(shutil.get_terminal_size().columns, colours)


def console() -> Console:
    """Rich's console on standard output, for what is drawn again and again; it follows NO_COLOR and TERM by itself."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], to: Screen, *, coloured: int = -1) -> list[str]:
    """Lines of aligned columns, without blanks at their ends. On a terminal the last column is cut to fit.

    `coloured` is the column that holds phases.
    """
    cells = [list(row) for row in (head, *rows)]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    lines = []
    for number, row in enumerate(cells):
        used = sum(widths[:-1]) + _GAP * (len(widths) - 1)
        last = row[-1]
        if to.width:
            last = cut(last, max(to.width - used, len(head[-1])))
        padded = [cell + " " * (size - width(cell)) for cell, size in zip(row[:-1], widths[:-1], strict=True)] + [last]
        if number and 0 <= coloured < len(padded):
            padded[coloured] = to.phase(padded[coloured])
        lines.append((" " * _GAP).join(padded).rstrip())
    return lines


def cut(text: str, limit: int) -> str:
    """The text in at most `limit` columns; `…` ends it if it was cut."""
    if len(text) * 2 <= limit or width(text) <= limit:
        return text
    kept, left = [], limit - 1
    for char in text:
        left -= _columns(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + "…" if limit > 0 else ""


def width(text: str) -> int:
    """The columns that the text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(char: str) -> int:
    return 2 if east_asian_width(char) in "WF" else 1


def printable(text: str) -> str:
    """The text as one line, without control characters: it may be another person's, and must not steer the terminal."""
    return clean(" ".join(text.split()))


def clean(line: str) -> str:
    """A line with its blanks as they are, and without control characters."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)


def echo(lines: Iterable[str]) -> None:
    """Print the lines."""
    text = "\n".join(lines)
    if text:
        click.echo(text)
