"""Names as Kubernetes takes them, each given once."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_OTHER: Final = re.compile(r"[^a-z0-9-]+")
_MAX: Final = 63


def label(text: str, limit: int = _MAX) -> str:
    """A DNS label: lower case letters, digits and dashes. A long one is cut, with 8 hex digits of its hash."""
    found = _OTHER.sub("-", text.lower()).strip("-") or "x"
    if len(found) <= limit:
        return found
    return f"{found[: limit - 9].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


class Names:
    """Gives each name once; another thing of the same name gets a number."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def new(self, text: str) -> str:
        """A DNS label that was not given before."""
        wanted = found = label(text)
        number = 2
        while found in self._given:
            found = label(f"{wanted}-{number}")
            number += 1
        self._given.add(found)
        return found


def parameter_name(name: str) -> str:
    """A name as our parameters may have it."""
    found = re.sub(r"[^A-Za-z0-9_.-]", "-", name)
    return found if re.match(r"[A-Za-z_]", found) else f"_{found}"
