"""Copies values whose strings have variables of another system."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pkg.convert.source import Source, text_of

#: What begins like one of our variables.
_OURS: Final = re.compile(r"\{\{(\s*(?:workflow|flow|flows|index|replicas|attempt|params|item)\b[^{}]*)\}\}")


def escaped(text: str) -> str:
    """The text with what looks like our variables as literal text."""
    return _OURS.sub(r"{{{{\1}}}}", text)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A variable that we have no word for; why: what to do instead."""

    why: str


#: What a variable becomes: text with variables of ours, or why that cannot be.
Resolve = Callable[[str], str | Unknown]


@dataclass(frozen=True, slots=True)
class Words:
    """How the variables of another system are found and what they become.

    pattern: a variable, its name in the group `name`.
    """

    pattern: re.Pattern[str]
    resolve: Resolve

    def convert(self, text: str, source: Source) -> str:
        """The text with our variables. A variable that we have no word for stays as literal text, and is lost."""
        parts = []
        end = 0
        for match in self.pattern.finditer(text):
            parts.append(escaped(text[end : match.start()]))
            end = match.end()
            found = self.resolve(match["name"].strip())
            if isinstance(found, Unknown):
                source.lose(f"{match[0]} has no word here: {found.why}")
                parts.append(escaped(match[0]))
            else:
                parts.append(found)
        parts.append(escaped(text[end:]))
        return "".join(parts)

    def has_unknown(self, text: str) -> bool:
        """Whether the text has a variable that we have no word for."""
        return any(isinstance(self.resolve(found["name"].strip()), Unknown) for found in self.pattern.finditer(text))

    def text(self, source: Source) -> str:
        """A value as text, converted."""
        return self.convert(source.text(), source)

    def copy(self, source: Source) -> Any:
        """A value with all that is in it; every string converted."""
        if source.is_object:
            found = {self.convert(item.key, item): self.copy(item) for item in source.fields()}
            if not found:
                source.plain()
            return found
        if source.is_list:
            return [self.copy(item) for item in source.items()]
        value = source.plain()
        return self.convert(value, source) if isinstance(value, str) else value

    def variable(self, text: str) -> str | Unknown | None:
        """What a text becomes that is one variable and nothing else; None if it is not."""
        match = self.pattern.fullmatch(text.strip())
        return None if match is None else self.resolve(match["name"].strip())


def shown(value: Any) -> str:
    """A value as it stands inside of text."""
    return text_of(value)
