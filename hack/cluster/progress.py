"""Shows the progress of the build of the binaries.

A terminal shows one live line. Any other output gets plain lines, one every half minute while a component compiles, so
that a CI log shows that the build goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.status import Status

_HEARTBEAT_SECONDS = 30.0


class BuildProgress(Protocol):
    """The progress that a builder reports: which component it builds, and that it is still running."""

    def begin(self, number: int, name: str) -> None: ...

    def tick(self) -> None: ...

    def note(self, text: str) -> None: ...

    def waiting(self, folder: Path) -> None: ...

    def done(self, folder: Path) -> None: ...


def clock_text(seconds: float) -> str:
    """Elapsed seconds as `m:ss`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class _Base:
    def __init__(self, total: int) -> None:
        self.total = total
        self.started = time.monotonic()
        self.current = ""

    @property
    def elapsed(self) -> str:
        return clock_text(time.monotonic() - self.started)


class PlainProgress(_Base):
    """One printed line per step."""

    def __init__(self, total: int, console: Console) -> None:
        super().__init__(total)
        self._console = console
        self._last = self.started

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        self._console.print(text, highlight=False, soft_wrap=True)

    def begin(self, number: int, name: str) -> None:
        self.current = f"component {number} of {self.total}: {name}"
        self._say(f"building {self.current} (elapsed {self.elapsed})")

    def tick(self) -> None:
        if time.monotonic() - self._last >= _HEARTBEAT_SECONDS:
            self._say(f"still at {self.current or 'the start'} (elapsed {self.elapsed})")

    def note(self, text: str) -> None:
        self._say(text)

    def waiting(self, folder: Path) -> None:
        self.current = "waiting for the other build"
        self._say(f"another process is building in {folder}: waiting for it")

    def done(self, folder: Path) -> None:
        self._say(f"built {self.total} of {self.total} components in {self.elapsed}: {folder}")


class LiveProgress(_Base):
    """One line that changes, on a terminal."""

    def __init__(self, total: int, console: Console, status: Status) -> None:
        super().__init__(total)
        self._console = console
        self._status = status

    def begin(self, number: int, name: str) -> None:
        self.current = f"building component {number} of {self.total}: {name}"
        self.tick()

    def tick(self) -> None:
        self._status.update(f"{self.current} (elapsed {self.elapsed})")

    def note(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def waiting(self, folder: Path) -> None:
        self.current = f"waiting for another build in {folder}"
        self.tick()

    def done(self, folder: Path) -> None:
        self.note(f"built {self.total} of {self.total} components in {self.elapsed}: {folder}")


@contextmanager
def open_progress(total: int) -> Iterator[BuildProgress]:
    """Progress on standard error, live or plain as the stream is."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("preparing") as status:
            yield LiveProgress(total, console, status)
    else:
        yield PlainProgress(total, console)
