"""Argo's `depends`: `a && (b.Succeeded || c.Failed) && !d` as a condition over flows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pkg.convert.conditions import CannotSay, Condition, both, either

_TOKEN: Final = re.compile(r"\s*(&&|\|\||!|\(|\)|[A-Za-z0-9_.-]+)")

#: What a task and a state come to; `negated` for the opposite.
Of = Callable[[str, str, bool], Condition]


def parse(text: str, of: Of) -> Condition:
    """The condition of an expression. Raises CannotSay, also for what is no such expression."""
    tokens: list[str] = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise CannotSay(f"{text[at:]!r} is not understood")
        tokens.append(match[1])
        at = match.end()
    found, rest = _either(tokens, of, negated=False)
    if rest:
        raise CannotSay(f"{' '.join(rest)!r} is not understood")
    return found


def _either(tokens: list[str], of: Of, *, negated: bool) -> tuple[Condition, list[str]]:
    found, tokens = _both(tokens, of, negated=negated)
    while tokens[:1] == ["||"]:
        other, tokens = _both(tokens[1:], of, negated=negated)
        found = both(found, other) if negated else either(found, other)
    return found, tokens


def _both(tokens: list[str], of: Of, *, negated: bool) -> tuple[Condition, list[str]]:
    found, tokens = _one(tokens, of, negated=negated)
    while tokens[:1] == ["&&"]:
        other, tokens = _one(tokens[1:], of, negated=negated)
        found = either(found, other) if negated else both(found, other)
    return found, tokens


def _one(tokens: list[str], of: Of, *, negated: bool) -> tuple[Condition, list[str]]:
    if not tokens:
        raise CannotSay("it ends too early")
    if tokens[0] == "!":
        return _one(tokens[1:], of, negated=not negated)
    if tokens[0] == "(":
        found, rest = _either(tokens[1:], of, negated=negated)
        if rest[:1] != [")"]:
            raise CannotSay("a bracket is not closed")
        return found, rest[1:]
    if tokens[0] in ("&&", "||", ")"):
        raise CannotSay(f"{tokens[0]!r} stands where a task belongs")
    task, _, state = tokens[0].partition(".")
    return of(task, state, negated), tokens[1:]
