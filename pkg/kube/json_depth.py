"""Splits JSON of any nesting depth at its first level, and cuts off levels that are too deep, without recursion.

The API server accepts objects of 10,000 levels, decoders about 1,000. One such object must not make the others of a
list unreadable. This is slow, and is used only after a decoder has failed.
"""

from __future__ import annotations

import contextlib
import json
import re
from array import array
from itertools import accumulate, compress
from typing import Final

# Possessive: otherwise the engine remembers a place for each character of a string, 160 MiB for a string of 1.4 MB.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(_STRING + rb"|[{}\[\],]", re.S)
_NAME = re.compile(rb"(" + _STRING + rb")\s*:\s*", re.S)


_BRACKETS = b"{[}]"
_OTHERS = bytes(set(range(256)) - set(_BRACKETS))
_IS_BRACKET = bytes(byte in _BRACKETS for byte in range(256))
_NO_BRACKETS = bytes.maketrans(_BRACKETS, b"____")
_DELTA = [1 if byte in b"{[" else -1 for byte in range(256)]

READABLE_LEVELS: Final = 400
"""What is below these levels is read as empty: decoders can read less than 1,000. Whoever uses such an object refuses
fewer levels (raw.MAX_DEPTH), so nothing is built from a part of it."""


def elements(raw: bytes) -> list[bytes]:
    """The raw elements of a list; for an object, its raw members (`"name": value`)."""
    found: list[bytes] = []
    depth = start = 0
    for token in _TOKEN.finditer(raw):
        match token[0]:
            case b"{" | b"[":
                depth += 1
                start = token.end() if depth == 1 else start
            case b"}" | b"]":
                depth -= 1
                if depth == 0:
                    last = raw[start : token.start()].strip()
                    return [*found, last] if last else found
            case b"," if depth == 1:
                found.append(raw[start : token.start()].strip())
                start = token.end()
    return found


def pruned(raw: bytes, levels: int) -> bytes:
    """The same JSON with an empty list for every object and list that is inside `levels` others or more.

    Each step below is one call that runs in C: a loop over the brackets of a large object would take a second.
    """
    flat = _without_text(raw)
    at = array("I", compress(range(len(flat)), flat.translate(_IS_BRACKET)))
    depths = list(accumulate(map(_DELTA.__getitem__, flat.translate(None, _OTHERS))))
    kept: list[bytes] = []
    start = bracket = 0
    with contextlib.suppress(ValueError):  # there is no other one
        while True:
            bracket = depths.index(levels + 1, bracket)
            kept += (raw[start : at[bracket]], b"[]")
            start = len(raw)
            bracket = depths.index(levels, bracket)
            start = at[bracket] + 1
    return b"".join((*kept, raw[start:]))


def _without_text(raw: bytes) -> bytes:
    """JSON of the same length without brackets in its strings."""
    parts = raw.replace(b"\\\\", b"__").replace(b'\\"', b"__").split(b'"')
    if len(parts) > 1:
        parts[1::2] = b'"'.join(parts[1::2]).translate(_NO_BRACKETS).split(b'"')
    return b'"'.join(parts)


def members(raw: bytes) -> dict[str, bytes]:
    """The raw values of an object, by name; a member whose name is no JSON is left out."""
    found: dict[str, bytes] = {}
    for part in elements(raw):
        if name := _NAME.match(part):
            with contextlib.suppress(ValueError):
                found[json.loads(name[1])] = part[name.end() :]
    return found
