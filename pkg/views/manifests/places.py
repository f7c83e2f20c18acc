"""Finds the field that a fault names in the tree of its document."""

from __future__ import annotations

import re
from typing import Final

from pkg.apis.flow.v1alpha1.variables import cut
from pkg.views.manifests.nodes import Mapping, Node, Position, Sequence, entries_of, followed

_INDEX: Final = re.compile(r"\[(\d+)\]")


def place_of(root: Node, path: str) -> Position:
    """Where `spec.flows[2].retry.interval` stands: of a field its key, of an item of a list its first character.

    Keys with dots may be written with or without `["..."]`. If the document lacks the field: the place of the nearest
    field around it.
    """
    at, _ = _find(root, path, root.at)
    return at


def _find(node: Node, path: str, at: Position) -> tuple[Position, int]:
    """The place, and how many characters of the path are left over. A key may have dots, so all that fit are tried."""
    best = (at, len(path))
    target = followed(node)
    if not path:
        return best
    if isinstance(target, Sequence):
        match = _INDEX.match(path)
        if match is not None and int(match[1]) < len(target.items):
            item = target.items[int(match[1])]
            return _find(item, path[match.end() :].removeprefix("."), item.at)
    elif isinstance(target, Mapping):
        for key, value in entries_of(target):
            rest = _after(path, key.value)
            if rest is not None:
                found = _find(value, rest, key.at)
                if found[1] < best[1]:
                    best = found
    return best


def _after(path: str, key: str) -> str | None:
    """What follows the key at the beginning of a path; None if the path does not begin with it."""
    for written in (key, f'["{cut(key)}"]', cut(key)):
        if path.startswith(written):
            rest = path[len(written) :]
            if not rest or rest[0] == "[":
                return rest
            if rest[0] == ".":
                return rest[1:]
    return None
