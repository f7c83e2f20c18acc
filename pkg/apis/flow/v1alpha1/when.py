"""The names in the CEL expression of `when`: which flows, outputs and parameters it is about.

Only the names are found here, so that nothing is compiled to know the edges of a graph. They are written out:
`flows.train`, `flows['my-flow']`, `outputs.train.accuracy`, `params.limit`. An expression that names something in
another way is refused when it is compiled.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"(?P<blank>[\s]+|//[^\n]*)"
    r"|(?P<text>[rRbB]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'))"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_PLAIN_TEXT: Final = re.compile(r"'[^'\\]*'|\"[^\"\\]*\"")


class Names(NamedTuple):
    """What an expression names, each once, in order.

    flows: those that have to be finished, because their phase or counts are asked for, or whether there is an output;
    outputs: flow and name of those that are read; parameters: by name; workflow: what is read of the workflow.
    """

    flows: tuple[str, ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()
    parameters: tuple[str, ...] = ()
    workflow: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def names_in(text: str) -> Names:
    """The names in an expression; of a text that is no expression, whatever looks like one."""
    tokens = [found for found in _TOKEN.finditer(text) if found.lastgroup != "blank"]
    flows: dict[str, None] = {}
    outputs: dict[tuple[str, str], None] = {}
    parameters: dict[str, None] = {}
    workflow: dict[str, None] = {}
    for at, token in enumerate(tokens):
        root = token["name"]
        if root not in ("flows", "outputs", "params", "workflow") or _is_field(tokens, at):
            continue
        path = _path_after(tokens, at + 1, 2 if root == "outputs" else 1)
        if root == "params":
            parameters.update(dict.fromkeys(path))
        elif root == "workflow":
            workflow.update(dict.fromkeys(path))
        elif len(path) == 2 and not _is_asked_for(tokens, at):
            outputs[path[0], path[1]] = None
        elif path:
            flows[path[0]] = None
    return Names(tuple(flows), tuple(outputs), tuple(parameters), tuple(workflow))


def _is_field(tokens: list[re.Match[str]], at: int) -> bool:
    """Whether a name stands behind a dot. A dot at the very front of a name changes nothing in CEL."""
    if at == 0 or tokens[at - 1][0] != ".":
        return False
    before = tokens[at - 2] if at >= 2 else None
    return before is not None and (before.lastgroup in ("name", "text") or before[0] in ")]}")


def _path_after(tokens: list[re.Match[str]], at: int, most: int) -> list[str]:
    """The keys that follow a name: `.key` or `['key']`, at most so many."""
    path: list[str] = []
    while len(path) < most and at + 1 < len(tokens):
        if tokens[at][0] == "." and tokens[at + 1]["name"] is not None:
            path.append(tokens[at + 1][0])
            at += 2
        elif tokens[at][0] == "[" and _PLAIN_TEXT.fullmatch(tokens[at + 1][0]) and _closes(tokens, at + 2):
            path.append(tokens[at + 1][0][1:-1])
            at += 3
        else:
            break
    return path


def _closes(tokens: list[re.Match[str]], at: int) -> bool:
    return at < len(tokens) and tokens[at][0] == "]"


def _is_asked_for(tokens: list[re.Match[str]], at: int) -> bool:
    """Whether the name stands in `has(...)`, which asks only whether there is a value."""
    at -= 1
    while at >= 0 and tokens[at][0] == ".":
        at -= 1
    return at >= 1 and tokens[at][0] == "(" and tokens[at - 1][0] == "has"
