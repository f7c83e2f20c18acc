"""The error of this package."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class ImageError(Exception):
    """Something a person can act on: its text says what happened, where, and what to do."""


def run(command: Sequence[str], *, what: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> str:
    """Standard output of a command. Raises ImageError with the end of its output if it fails."""
    try:
        result = subprocess.run(
            command, cwd=cwd, env=environ, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise ImageError(f"{what} failed: there is no program {command[0]}") from error
    if result.returncode != 0:
        lines = [line.strip() for line in (result.stderr or result.stdout).splitlines() if line.strip()]
        raise ImageError(
            f"{what} failed: {' | '.join(lines[-4:]) or 'it printed nothing'} (`{' '.join(command[:4])} ...`)"
        )
    return result.stdout
