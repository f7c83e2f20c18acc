"""How far a command is that does one thing many times."""

from __future__ import annotations

import sys
import time
from typing import Final

import click

#: Below this number, the lines of the command are enough.
MANY: Final = 20
_EVERY: Final = 0.1


class Progress:
    """`1,200 of 5,000` on the last line of the terminal, where standard error is one; nothing elsewhere."""

    def __init__(self, total: int, what: str) -> None:
        self._total = total
        self._what = what
        self._is_shown = total >= MANY and sys.stderr.isatty()
        self._done = 0
        self._drawn_at = 0.0

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        now = time.monotonic()
        if self._is_shown and (now - self._drawn_at >= _EVERY or self._done == self._total):
            self._drawn_at = now
            click.echo(f"\r{self._done:,} of {self._total:,} {self._what}", nl=False, err=True)

    def clear(self) -> None:
        """Removes the line, before something else is printed."""
        if self._is_shown:
            click.echo("\r\x1b[K", nl=False, err=True)
