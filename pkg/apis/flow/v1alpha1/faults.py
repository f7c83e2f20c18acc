"""What is wrong with a manifest, as values: where, what, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1.types import MAX_MESSAGE

#: So many faults of one manifest are reported. The others are counted.
MAX_FAULTS: Final = 50
_MAX_VALUE: Final = 200


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong: where (`spec.flows[3].retry.interval`), what and what would be right, and the value."""

    path: str
    message: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class Faults(tuple[Fault, ...]):
    """The faults of one manifest that are reported: the first MAX_FAULTS, each once, though two checks find it.
    `others` is the number of further ones.
    """

    others: int

    def __new__(cls, found: Iterable[Fault] = ()) -> Faults:
        listed: dict[Fault, None] = {}
        others = 0
        for fault in found:
            if len(listed) < MAX_FAULTS:
                listed[fault] = None
            elif fault not in listed:
                others += 1
        faults = super().__new__(cls, listed)
        faults.others = others
        return faults

    def __add__(self, more: tuple[Any, ...]) -> Faults:
        joined = Faults([*self, *more])
        joined.others += self.others + (more.others if isinstance(more, Faults) else 0)
        return joined


def fault(path: str, message: str, value: Any = "") -> Fault:
    """A fault with its value as JSON, cut if it is long."""
    return Fault(path, message, shortened(value))


def shortened(value: Any) -> str:
    """A value as text of at most 200 characters: a string as it is, anything else as JSON."""
    try:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    except RecursionError:
        return "(nested too deeply to be shown)"
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."


def summary(faults: Sequence[Fault], limit: int = MAX_MESSAGE) -> str:
    """The faults in one line of at most `limit` characters; those left out are counted."""
    total = len(faults) + (faults.others if isinstance(faults, Faults) else 0)
    text = ""
    for number, one in enumerate(faults):
        left = total - number
        tail = f" (and {left} more)"
        addition = ("; " if text else "") + str(one)
        if len(text) + len(addition) + (len(tail) if left > 1 else 0) > limit:
            return (text or addition)[: limit - len(tail)] + (tail if text or left > 1 else "")
        text += addition
    return text + (f" (and {total - len(faults)} more)" if total > len(faults) else "")
