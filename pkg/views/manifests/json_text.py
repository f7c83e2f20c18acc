"""Reads JSON with positions. Its text is checked by Python's own reader first, which knows what is right and wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from pkg.apis.flow.v1alpha1.raw import MAX_DEPTH, TOO_DEEP
from pkg.views.manifests.nodes import ManifestError, Mapping, Node, Position, Scalar, Sequence

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[-+0-9.eE]+|true|false|null|[{}\[\]]')
_SPACE: Final = re.compile(r"\s*")


def is_json(text: str) -> bool:
    """Whether a text can only be meant as JSON, as kubectl sees it."""
    return text.lstrip().startswith("{")


def read_json(text: str) -> Iterator[Node]:
    """The objects of a text, one after the other. Raises ManifestError where the text is no JSON."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    at = _end_of_space(text, 0)
    while at < len(text):
        try:
            _, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise ManifestError(
                Position(error.lineno, error.colno), f"this is no JSON: {error.msg[:1].lower()}{error.msg[1:]}"
            ) from error
        except _ConstantError as error:
            raise ManifestError(_Places(starts).of(at), f"this is no JSON: it has no {error}") from error
        except RecursionError as error:
            raise ManifestError(_Places(starts).of(at), TOO_DEEP) from error
        yield _read(text, at, end, _Places(starts))
        at = _end_of_space(text, end)


class _ConstantError(ValueError):
    """NaN and Infinity, which Python reads and JSON does not have."""


def _refuse_constant(word: str) -> None:
    raise _ConstantError(word)


def _end_of_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found is not None else at


class _Places:
    """Line and column of offsets that only grow."""

    def __init__(self, starts: list[int]) -> None:
        self._starts = starts
        self._line = 0

    def of(self, offset: int) -> Position:
        while self._line + 1 < len(self._starts) and self._starts[self._line + 1] <= offset:
            self._line += 1
        return Position(self._line + 1, 1 + offset - self._starts[self._line])


def _read(text: str, start: int, end: int, places: _Places) -> Node:
    """The nodes of a text that is known to be JSON."""
    root: Node | None = None
    stack: list[Mapping | Sequence] = []
    key: list[Scalar | None] = []
    for match in _TOKEN.finditer(text, start, end):
        token = match.group()
        if token in "]}":
            stack.pop()
            key.pop()
            continue
        at = places.of(match.start())
        node: Node
        if token == "{":
            node = Mapping(at)
        elif token == "[":
            node = Sequence(at)
        else:
            node = Scalar(at, json.loads(token))
        if not stack:
            root = node
        elif isinstance(parent := stack[-1], Sequence):
            parent.items.append(node)
        elif (pending := key[-1]) is None:
            assert isinstance(node, Scalar), "keys of JSON are strings"
            key[-1] = node
            continue
        else:
            parent.entries.append((pending, node))
            key[-1] = None
        if isinstance(node, Mapping | Sequence):
            if len(stack) >= MAX_DEPTH:
                raise ManifestError(at, TOO_DEEP)
            stack.append(node)
            key.append(None)
    assert root is not None, "JSON has a value"
    return root
