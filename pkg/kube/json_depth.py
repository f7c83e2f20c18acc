"""Takes JSON apart without recursion: what is nested deeper than a decoder goes must not hide what is beside it.

The API server takes objects of 10,000 levels; decoders end at about 1,000. It is slow, and used only after one gave up.
"""

from __future__ import annotations

import json
import re

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],]', re.S)
_NAME = re.compile(rb'("(?:[^"\\]|\\.)*")\s*:\s*', re.S)


def elements(raw: bytes) -> list[bytes]:
    """The elements of a list (of an object: its members, `"name": value`), each as it stands in the text."""
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


def members(raw: bytes) -> dict[str, bytes]:
    """The members of an object by name, each value as it stands in the text."""
    named = [(name, part) for part in elements(raw) if (name := _NAME.match(part))]
    return {json.loads(name[1]): part[name.end() :] for name, part in named}
