"""Paths into JSON objects, as rules.yaml and `statusRules` write them.

A path is a list of names joined by dots, from the root of the object: `status.state.phase`. `[*]` selects every item of
a list, `.*` every value of a map, and `.` alone the root. A step that does not fit the value selects nothing and is no
error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from functools import lru_cache
from typing import Any


class Each(Enum):
    """The two wildcard steps."""

    ITEM = "[*]"
    VALUE = ".*"


Step = str | Each
Path = tuple[Step, ...]

_STEP = re.compile(r"(?P<key>[A-Za-z_][A-Za-z0-9_-]*)|(?P<value>\*)")


MAX_LENGTH = 512
"""Characters of a path."""


class PathError(ValueError):
    """A path that cannot be parsed; the text quotes it and says what would be right."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Path:
    """Parse a path; cached. Raises PathError."""
    if text == ".":
        return ()
    if len(text) > MAX_LENGTH:
        raise PathError(f"{text[:40]!r}... has {len(text):,} characters; a path has at most {MAX_LENGTH}")
    if text.startswith("."):
        raise PathError(f"{text!r} has a leading dot; write {text.lstrip('.')}")
    steps: list[Step] = []
    for part in text.split("."):
        name = part
        while name.endswith("[*]"):
            name = name[:-3]
        match = _STEP.fullmatch(name)
        if match is None:
            raise PathError(
                f"{text!r}: {part!r} is not a step of a path; write names joined by dots, with `[*]` for every item of"
                " a list and `*` for every value of a map, as in status.jobs[*].active"
            )
        steps.append(Each.VALUE if match["value"] else match["key"])
        steps.extend([Each.ITEM] * ((len(part) - len(name)) // 3))
    return tuple(steps)


def select(path: Path, root: Any, spend: Callable[[int], None] | None = None) -> list[Any]:
    """Every value at the path, in document order; empty if there is none. An explicit null is a value.

    `spend` is called with the number of values that a step visits, before it visits them.
    """
    found = [root]
    for step in path:
        if spend is not None:
            spend(_visited(step, found))
        if step is Each.ITEM:
            found = [item for node in found if isinstance(node, list) for item in node]
        elif step is Each.VALUE:
            found = [value for node in found if isinstance(node, dict) for value in node.values()]
        else:
            found = [node[step] for node in found if isinstance(node, dict) and step in node]
        if not found:
            return found
    return found


def _visited(step: Step, nodes: list[Any]) -> int:
    shape = list if step is Each.ITEM else dict if step is Each.VALUE else None
    return len(nodes) + (sum(len(node) for node in nodes if isinstance(node, shape)) if shape else 0)


def slots(path: Path, root: dict[str, Any], *, create: bool) -> Iterator[tuple[dict[str, Any], str]]:
    """The places of the field that the path names, as pairs (map, key) to assign to or delete from.

    With `create`, missing maps on the way are added, but no items of lists and no values under a wildcard. The last
    step must be a name, else PathError.
    """
    *way, last = path
    if not isinstance(last, str):
        raise PathError(f"{'.'.join(map(str, path))!r} ends in a wildcard; end it with the name of a field")
    nodes: list[Any] = [root]
    for step in way:
        if step is Each.ITEM or step is Each.VALUE:
            nodes = [value for node in nodes for value in select((step,), node)]
            continue
        following = []
        for node in nodes:
            if not isinstance(node, dict):
                continue
            if create and node.get(step) is None:
                node[step] = {}
            if step in node:
                following.append(node[step])
        nodes = following
    for node in nodes:
        if isinstance(node, dict):
            yield node, last
