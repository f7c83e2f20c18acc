"""What the lines of a log are about: the key that the thread, or the call that it makes for another, works on.

It is set for each reconcile and read for each line that is really written, which are far fewer. So setting it has to be
cheap, and the fields of a line are only made for the line.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

Reconcile: TypeAlias = tuple[str, str, str, int]
"""The name of the field with the key, the key, and the queue and the number that are the id of the reconcile."""

RECONCILE: Final[ContextVar[Reconcile | None]] = ContextVar("reconcile", default=None)


def add_reconcile(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog: the key and the id of the reconcile, for a line that has no such fields itself."""
    found = RECONCILE.get()
    if found is not None:
        subject, key, queue, number = found
        event.setdefault(subject, key)
        event.setdefault("reconcile", f"{queue}-{number}")
    return event
