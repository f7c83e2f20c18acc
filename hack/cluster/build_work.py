"""How much of a build is done, and how long the rest will take: pure, from what `go list` and `go build -v` print.

The time that the compiler takes for a package is nearly proportional to the bytes of its source, so bytes are the unit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

LIST_FORMAT = r'{{if .Stale}}{{.ImportPath}}{{"\t"}}{{.Dir}}{{"\t"}}{{join .GoFiles "\t"}}{{end}}'
"""Of `go list -deps -f`: a line for each package that has to be compiled; `packages_to_compile` reads it."""
LINK_BYTES = 4_000_000
"""What linking one program takes, in bytes of source that could be compiled meanwhile."""
_DOWNLOAD = "go: downloading "
# Before the first packages are done their speed is not known. Until then the speed of common machines counts.
_USUAL_BYTES_PER_SECOND_AND_CORE = 120_000
_USUAL_SECONDS = 15.0


def packages_to_compile(listing: str, size: Callable[[Path], int] = lambda file: file.stat().st_size) -> dict[str, int]:
    """The bytes of Go source of each package in the output of `go list -f LIST_FORMAT`, by import path."""
    found = {}
    for line in filter(None, listing.splitlines()):
        package, folder, *files = line.split("\t")
        found[package] = sum(size(Path(folder, file)) for file in files if file)
    return found


def usual_speed(cores: int | None = None) -> float:
    """Bytes of source that a machine with that many cores compiles in a second; this machine's cores by default."""
    return _USUAL_BYTES_PER_SECOND_AND_CORE * (cores or os.cpu_count() or 1)


class BuildWork:
    """Counts what is done. `packages`: bytes by import path; `programs`: how many are linked."""

    def __init__(self, packages: dict[str, int], programs: int) -> None:
        self._waiting = dict(packages)
        self.total = sum(packages.values()) + programs * LINK_BYTES
        self.done = 0

    def compiled(self, lines: Iterable[str]) -> None:
        """Counts each line that is the name of a package; others, such as warnings, are ignored."""
        self.done += sum(self._waiting.pop(line.strip(), 0) for line in lines)

    def linked(self) -> None:
        """Counts one program."""
        self.done += LINK_BYTES

    @property
    def percent(self) -> int:
        """What is done, 0 to 100."""
        return 100 * self.done // self.total if self.total else 100

    def seconds_left(self, elapsed: float, speed: float) -> float:
        """An estimate after `elapsed` seconds: `speed` counts at first, what was measured counts more and more."""
        pace = (elapsed + _USUAL_SECONDS) / (self.done + _USUAL_SECONDS * speed)
        return (self.total - self.done) * pace


def downloaded(line: str) -> str | None:
    """The module that a line of the Go command says it downloads, such as `k8s.io/api v0.36.3`."""
    return line.removeprefix(_DOWNLOAD).strip() if line.startswith(_DOWNLOAD) else None


def left_text(seconds: float) -> str:
    """Such as `about 4 min left`."""
    return "less than a minute left" if seconds < 60 else f"about {round(seconds / 60)} min left"
