"""Shows the progress of the build of the binaries: what is built, how much of all is done, and the time that is left.

A terminal shows one live line. Any other output gets plain lines, one every half minute while a component compiles, so
that a CI log shows that the build goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from hack.cluster.build_work import BuildWork, downloaded, left_text, usual_speed

_HEARTBEAT_SECONDS = 30.0


def clock_text(seconds: float) -> str:
    """Elapsed seconds as `m:ss`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class BuildProgress:
    """What a builder reports. Subclasses show it. `clock`: seconds that only grow, for tests."""

    def __init__(self, programs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._programs = programs
        self._clock = clock
        self._started = clock()
        self._planned = self._started
        self._work: BuildWork | None = None
        self._current = "looking for what has to be built"
        self._modules = 0

    # ---- what the builder calls

    def plan(self, packages: Mapping[str, int], programs: int) -> None:
        """`packages` have to be compiled (bytes of source by import path) and `programs` linked."""
        self._work = BuildWork(dict(packages), programs)
        self._planned = self._clock()

    def begin(self, number: int, name: str) -> None:
        """The build of a component begins, counted from 1."""
        self._current = f"{name} ({number} of {self._programs})"
        self._show_step()

    def line(self, text: str) -> None:
        """One line of the Go command: a package that is compiled, a module that is downloaded, or something else."""
        if (module := downloaded(text)) is not None:
            self._modules += 1
            if self._work is None:
                self._current = f"downloading Go modules, {self._modules} so far: {module}"
        elif self._work is not None:
            self._work.compiled([text])
        self.tick()

    def linked(self) -> None:
        """The program that was begun is complete."""
        if self._work is not None:
            self._work.linked()

    def waiting(self, folder: Path) -> None:
        """Another process builds; this one waits."""
        self._current = f"another process is building in {folder}: waiting for it"
        self._show_step()

    def note(self, text: str) -> None:
        """A line that stays."""
        raise NotImplementedError

    def tick(self) -> None:
        """Called at least once a second."""
        raise NotImplementedError

    def done(self, folder: Path) -> None:
        """Everything is built."""
        self.note(f"built {self._programs} of {self._programs} components in {self.elapsed}: {folder}")

    # ---- what subclasses show

    def _show_step(self) -> None:
        self.tick()

    @property
    def elapsed(self) -> str:
        return clock_text(self._clock() - self._started)

    @property
    def percent(self) -> int | None:
        """How much of all is done; None while that is not known."""
        return self._work.percent if self._work is not None else None

    def text(self) -> str:
        """Such as `kubectl (4 of 8), 62 % of all done, 3:10 so far, about 2 min left`."""
        if self._work is None:
            return f"{self._current}, {self.elapsed} so far"
        left = self._work.seconds_left(self._clock() - self._planned, usual_speed())
        return f"{self._current}, {self._work.percent} % of all done, {self.elapsed} so far, {left_text(left)}"


class PlainProgress(BuildProgress):
    """One printed line per step, and one every half minute."""

    def __init__(self, programs: int, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(programs, clock)
        self._console = console
        self._last = self._started

    def _show_step(self) -> None:
        self.note(f"building: {self.text()}")

    def note(self, text: str) -> None:
        self._last = self._clock()
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def tick(self) -> None:
        if self._clock() - self._last >= _HEARTBEAT_SECONDS:
            self.note(f"still building: {self.text()}")


class LiveProgress(BuildProgress):
    """A bar and a line that change, on a terminal."""

    def __init__(
        self, programs: int, progress: Progress, task: TaskID, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(programs, clock)
        self._progress, self._task = progress, task

    def note(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)

    def tick(self) -> None:
        total = None if self.percent is None else 100
        self._progress.update(self._task, total=total, completed=self.percent or 0, description=self.text())


@contextmanager
def open_progress(programs: int) -> Iterator[BuildProgress]:
    """Progress on standard error, live or plain as the stream is."""
    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield PlainProgress(programs, console)
        return
    columns = (BarColumn(bar_width=12), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as progress:
        yield LiveProgress(programs, progress, progress.add_task("", total=None))
