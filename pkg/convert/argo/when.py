"""Argo's `when`, `{{tasks.flip.outputs.result}} == heads`, as an expression in CEL."""

from __future__ import annotations

import json
import re
from typing import Final

from pkg.convert.cel import reference
from pkg.convert.conditions import CannotSay
from pkg.convert.text import Unknown, Words

_TOKEN: Final = re.compile(
    r"\s*(&&|\|\||==|!=|>=|<=|=~|!~|[!<>()]|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\{\{[^{}]*\}\}|[^\s&|=!<>()\"']+)"
)
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_ORDER: Final = (">", "<", ">=", "<=")


def when(text: str, words: Words) -> str:
    """The expression in CEL. Raises CannotSay."""
    tokens: list[str] = []
    at, text = 0, text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise CannotSay(f"{text[at:]!r} is not understood")
        tokens.append(match[1])
        at = match.end()
    return _Parser(tokens, words).whole()


class _Parser:
    def __init__(self, tokens: list[str], words: Words) -> None:
        self._tokens = tokens
        self._words = words
        self._at = 0

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next()
        self._at += 1
        return token

    def whole(self) -> str:
        found = self._either()
        if self._next():
            raise CannotSay(f"{self._next()!r} is not understood")
        return found

    def _either(self) -> str:
        found = self._both()
        while self._next() == "||":
            self._take()
            found = f"{found} || {self._both()}"
        return found

    def _both(self) -> str:
        found = self._one()
        while self._next() == "&&":
            self._take()
            found = f"{found} && {self._one()}"
        return found

    def _one(self) -> str:
        if self._next() == "!":
            self._take()
            return f"!({self._one()})"
        if self._next() == "(":
            self._take()
            found = self._either()
            if self._take() != ")":
                raise CannotSay("a bracket is not closed")
            return f"({found})"
        left = self._take()
        operator = self._next()
        if operator not in ("==", "!=", "=~", "!~", *_ORDER):
            return _truth(self._operand(left), left)
        self._take()
        right = self._take()
        if not right:
            raise CannotSay("it ends too early")
        if operator in ("=~", "!~"):
            match = f"{self._operand(left)}.matches({self._operand(right)})"
            return match if operator == "=~" else f"!{match}"
        if operator in _ORDER:
            return f"{self._number(left)} {operator} {self._number(right)}"
        return f"{self._operand(left)} {operator} {self._operand(right)}"

    def _number(self, token: str) -> str:
        plain = token.strip("\"'")
        if _NUMBER.fullmatch(plain):
            return plain if "." in plain else f"{plain}.0"
        return f"double({self._operand(token)})"

    def _operand(self, token: str) -> str:
        """A value as text: every parameter and output is text here."""
        if not token or token in ("&&", "||", "==", "!=", ")"):
            raise CannotSay("a value is missing")
        plain = token[1:-1] if token[0] in "\"'" and token[-1] == token[0] and len(token) > 1 else token
        pieces = []
        end = 0
        for match in self._words.pattern.finditer(plain):
            if match.start() > end:
                pieces.append(json.dumps(plain[end : match.start()]))
            found = self._words.resolve(match["name"].strip())
            if isinstance(found, Unknown):
                raise CannotSay(f"{match[0]} has no word here: {found.why}")
            pieces.append(reference(found))
            end = match.end()
        if end < len(plain) or not pieces:
            pieces.append(json.dumps(plain[end:]))
        return " + ".join(pieces)


def _truth(found: str, token: str) -> str:
    plain = token.strip("\"'")
    if plain in ("true", "false"):
        return plain
    return f'{found} == "true"'
