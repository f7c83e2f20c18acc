"""Argo's loops: `withItems`, `withSequence` and `withParam` as `for`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pkg.convert.result import Object
from pkg.convert.source import Source, text_of
from pkg.convert.text import Unknown, Words

_FORMAT: Final = re.compile(r"%(0?)([0-9]*)([dxXo])")
_MAX: Final = 10_000
_OUTPUT: Final = re.compile(r"\{\{flows\.[^{}]+\.outputs\.[^{}]+\}\}")


@dataclass(frozen=True, slots=True)
class Loop:
    """fields: of `for`, empty without a loop; items: what `item` and `item.KEY` are in each round, None if only a run
    knows; variables: what they are in the flow, None if they are variables here as well.
    """

    fields: Object = field(default_factory=dict)
    items: tuple[Mapping[str, str], ...] | None = ()
    variables: Mapping[str, str] | None = None
    source: Source | None = None


def read_loop(task: Source, words: Words, env: Mapping[str, str]) -> Loop:
    """The loop of a task or step."""
    if (items := task.get("withItems")) is not None:
        found = _of_items([words.copy(item) for item in items.items()])
        return Loop(found.fields, found.items, None, items)
    if (sequence := task.get("withSequence")) is not None:
        return _of_sequence(sequence, words)
    if (parameter := task.get("withParam")) is not None:
        return _of_parameter(parameter, words, env)
    return Loop()


def _of_items(values: list[Any]) -> Loop:
    return Loop({"items": values}, tuple(_variables(value) for value in values))


def _variables(value: Any) -> dict[str, str]:
    found = {"item": json.dumps(value) if isinstance(value, dict | list) else text_of(value)}
    if isinstance(value, dict):
        for key, inner in value.items():
            found[f"item.{key}"] = json.dumps(inner) if isinstance(inner, dict | list) else text_of(inner)
    return found


def _of_sequence(source: Source, words: Words) -> Loop:
    numbers: dict[str, int] = {}
    for key in ("count", "start", "end"):
        value = source.get(key)
        if value is None:
            continue
        text = words.text(value)
        if not re.fullmatch(r"-?[0-9]+", text):
            value.lose("replicas is a number that is known before the start; a list of a job works with for.itemsFrom")
            return Loop({"replicas": 1}, None)
        numbers[key] = int(text)
    form = source.get("format")
    start = numbers.get("start", 0)
    if "count" in numbers:
        whole = list(range(start, start + min(numbers["count"], _MAX)))
    else:
        end = numbers.get("end", start)
        whole = list(range(start, end + 1)) if end >= start else list(range(start, end - 1, -1))
    if form is None and start == 0 and whole == list(range(len(whole))):
        items = tuple({"item": str(value)} for value in whole)
        return Loop({"replicas": len(whole)}, items, {"item": "{{index}}"})
    values: list[str] = [str(value) for value in whole]
    if form is not None:
        pattern = form.text()
        match = _FORMAT.search(pattern)
        if match is None:
            form.lose("it is no format such as name-%02d; the numbers stand alone")
        else:
            spec = f"{match[1]}{match[2]}{match[3]}"
            values = [pattern[: match.start()] + format(value, spec) + pattern[match.end() :] for value in whole]
    return _of_items(list(values))


def _of_parameter(source: Source, words: Words, env: Mapping[str, str]) -> Loop:
    text = source.word()
    found = words.variable(text)
    if isinstance(found, Unknown):
        source.lose(f"{text} has no word here: {found.why}; the flow runs once")
        return Loop()
    value = text if found is None else found
    if _OUTPUT.fullmatch(value):
        source.plain()
        return Loop({"itemsFrom": value}, None)
    try:
        listed = json.loads(value)
    except ValueError:
        listed = None
    if isinstance(listed, list):
        source.plain()
        return _of_items(listed)
    source.lose("items come from for.items, or from an output of a flow (for.itemsFrom), not from a parameter")
    return Loop()
