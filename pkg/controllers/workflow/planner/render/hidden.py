"""Keeps outputs out of messages: messages are logged, and shown in Events, and outputs are not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1.items import texts_in

AN_OUTPUT: Final = "(an output)"
# So many characters of a long value messages quote at least.
_QUOTED: Final = 60
# A shorter value may be a part of any word. It is taken out where it is quoted, or called a value.
_SHORT: Final = 4


def without_values(message: str, values: Iterable[str]) -> str:
    """A message in which none of these values is quoted."""
    for value in sorted(values, key=len, reverse=True):
        # As JSON has it, too: that is how a text is quoted in which quotation marks stand. A value may be a `Json`.
        for shown in dict.fromkeys((value, msgspec.json.encode(str(value)).decode()[1:-1])):
            for quoted in (shown, shown[:_QUOTED]):
                if quoted and len(quoted) < _SHORT:
                    message = _without_short(message, quoted)
                elif quoted in message and quoted:
                    message = message.replace(quoted, AN_OUTPUT)
    return message


def _without_short(message: str, value: str) -> str:
    text = re.escape(value)
    return re.sub(rf'(?<=")({text})(?=")|(?<=alue: )({text})\b|(?<=Value:)({text})\b', AN_OUTPUT, message)


def outputs_in(variables: Mapping[str, str], item: Any = None, *, is_found: bool = False) -> tuple[str, ...]:
    """The outputs that a job is rendered with. variables: what only a run knows, by name, of which some are no outputs;
    item: of the task, which is an output, too, if a run found it (is_found).
    """
    found = [value for name, value in variables.items() if ".outputs." in name]
    return (*found, *(texts_in(item) if is_found else ()))
