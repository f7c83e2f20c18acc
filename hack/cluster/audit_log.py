"""Reads the API server's audit log: one JSON document per line for each finished request.

The API server begins a new file after 100 MB, and gives the file before the time as part of its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def size(log: Path) -> int:
    """The bytes written so far, of all files."""
    return sum(part.stat().st_size for part in _parts(log))


def entries(log: Path, *, containing: str = "", offset: int = 0) -> Iterator[dict[str, Any]]:
    """The entries from byte `offset` of all files on. Only lines with the text `containing` are decoded, since decoding
    is slow.
    """
    wanted = containing.encode()
    for part in _parts(log):
        length = part.stat().st_size
        if offset >= length and part != log:
            offset -= length
            continue
        with part.open("rb") as lines:
            lines.seek(offset)
            offset = 0
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # the API server is still writing this line
                if wanted in line:
                    yield json.loads(line)


def _parts(log: Path) -> list[Path]:
    """The files in the order in which they were written."""
    older = sorted(log.parent.glob(f"{log.stem}-*{log.suffix}"))
    return [*older, log] if log.exists() else older
