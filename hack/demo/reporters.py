"""The output of the demo: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live

from hack.demo.screen import Happening, frame, line
from pkg.views.workflow_view import WorkflowView


class Reporter(Protocol):
    """Receives every step of the demo and every change of a workflow."""

    def step(self, what: str) -> AbstractContextManager[None]:
        """Shows that `what` begins, and at the end of the block how long it took."""

    def live(self) -> AbstractContextManager[None]:
        """The block in which `show` is called."""

    def show(self, views: Sequence[WorkflowView], new: Sequence[Happening], seconds: float) -> None:
        """What the workflows look like now, and what happened since the last call."""


class PlainReporter:
    """One printed line for everything that happens."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Prints a line at the end of the block."""
        started = time.monotonic()
        yield
        self._console.print(f"{what} ({time.monotonic() - started:.1f} s)", highlight=False)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Nothing to prepare."""
        yield

    def show(self, views: Sequence[WorkflowView], new: Sequence[Happening], seconds: float) -> None:
        """Prints what is new."""
        for happening in new:
            self._console.print(line(happening), soft_wrap=True)


class LiveReporter:
    """A screen that changes in place; its last state stays."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._happenings: list[Happening] = []
        self._live: Live | None = None

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A spinner, then a tick."""
        started = time.monotonic()
        with self._console.status(what):
            yield
        self._console.print(f"[green]✔[/] {what} [dim]({time.monotonic() - started:.1f} s)[/]", highlight=False)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Takes the terminal's lower part."""
        with Live(console=self._console, auto_refresh=False) as self._live:
            yield

    def show(self, views: Sequence[WorkflowView], new: Sequence[Happening], seconds: float) -> None:
        """Draws the screen again."""
        self._happenings.extend(new)
        if self._live is not None:
            width, height = self._console.size
            self._live.update(frame(views, self._happenings, seconds, width, height), refresh=True)


def reporter_for(console: Console) -> Reporter:
    """The live reporter for a terminal, else the plain one."""
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveReporter(console)
    return PlainReporter(console)
