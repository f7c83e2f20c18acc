"""Splits JSON of any nesting depth at its first level, and cuts off levels that are too deep, without recursion.

The API server accepts objects of 10,000 levels, decoders about 1,000. One such object must not make the others of a
list unreadable. This is slow, and is used only after a decoder has failed.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import Final

# Possessive: otherwise the engine remembers a place for each character of a string, 160 MiB for a string of 1.4 MB.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(_STRING + rb"|[{}\[\],]", re.S)
_BRACKET = re.compile(_STRING + rb"|[{}\[\]]", re.S)
_NAME = re.compile(rb"(" + _STRING + rb")\s*:\s*", re.S)


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
    """The same JSON with an empty list for every object and list that is inside `levels` others or more."""
    kept: list[bytes] = []
    depth = start = 0
    for token in _BRACKET.finditer(raw):
        match token[0]:
            case b"{" | b"[":
                if depth == levels:
                    kept += (raw[start : token.start()], b"[]")
                depth += 1
            case b"}" | b"]":
                depth -= 1
                if depth == levels:
                    start = token.end()
    return b"".join((*kept, raw[start:]))


def members(raw: bytes) -> dict[str, bytes]:
    """The raw values of an object, by name; a member whose name is no JSON is left out."""
    found: dict[str, bytes] = {}
    for part in elements(raw):
        if name := _NAME.match(part):
            with contextlib.suppress(ValueError):
                found[json.loads(name[1])] = part[name.end() :]
    return found
