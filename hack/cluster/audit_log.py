"""Reads the API server's audit log: one JSON document per line for each finished request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def entries(log: Path, *, containing: str = "", offset: int = 0) -> Iterator[dict[str, Any]]:
    """The entries from byte `offset` on. Only lines with the text `containing` are decoded, since decoding is slow."""
    wanted = containing.encode()
    with log.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            if not line.endswith(b"\n"):
                return  # the API server is still writing this line
            if wanted in line:
                yield json.loads(line)
