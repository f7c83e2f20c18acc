"""Paths of outputs: each leads to one value of a JSON object, and says where it ends if there is none.

Names are joined by dots, from the root: `status.results.accuracy`. `[0]` picks an item of a list, and
`[?(@.name=='x')]` the first item whose field has this text. A key with other characters is written `['my/key']`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pkg.workloads.paths import MAX_LENGTH, PathError

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_-]*"
_STEP: Final = re.compile(
    rf"(?P<dot>\.)?(?P<name>{_NAME})"
    r"|\[(?P<at>0|[1-9][0-9]{0,5})\]"
    r"|\[(?P<quote>['\"])(?P<key>[^'\"\]]+)(?P=quote)\]"
    rf"|\[\?\(\s*@\.(?P<field>{_NAME}(?:\.{_NAME})*)\s*==\s*(?P<mark>['\"])(?P<text>[^'\"]*)(?P=mark)\s*\)\]"
)
_HELP: Final = "write names joined by dots, [0] for an item of a list, or [?(@.name=='x')] for the item with this field"


class NoValue(Exception):
    """A path leads to nothing; the message says where it ends."""


@dataclass(frozen=True, slots=True)
class Where:
    """The first item of a list whose field, given by its names, has this text."""

    field: tuple[str, ...]
    text: str


Step = str | int | Where


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Step, ...]:
    """Parse a path; cached. Raises PathError."""
    if len(text) > MAX_LENGTH:
        raise PathError(f"{text[:40]!r}... has {len(text):,} characters; a path has at most {MAX_LENGTH}")
    steps: list[Step] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None or (found["name"] is not None and (found["dot"] is None) != (at == 0)):
            hint = "leave the leading dot out" if at == 0 and text.startswith(".") else _HELP
            raise PathError(f"{text!r} is no path at {text[at : at + 20]!r}; {hint}")
        if found["name"] is not None:
            steps.append(found["name"])
        elif found["at"] is not None:
            steps.append(int(found["at"]))
        elif found["key"] is not None:
            steps.append(found["key"])
        else:
            steps.append(Where(tuple(found["field"].split(".")), found["text"]))
        at = found.end()
    if not steps:
        raise PathError(f"an empty path; {_HELP}")
    return tuple(steps)


def find(path: tuple[Step, ...], root: Any) -> Any:
    """The value at the path. Raises NoValue where there is none; null counts as none."""
    value = root
    for at, step in enumerate(path):
        value = _below(path, at, step, value)
    if value is None:
        raise NoValue(f"{show(path)} is null")
    return value


def _below(path: tuple[Step, ...], at: int, step: Step, value: Any) -> Any:
    here = show(path[:at])
    if isinstance(step, str):
        if not isinstance(value, dict):
            raise NoValue(f"{here} is {_kind(value)}, no object" if here else "there is no object")
        if step not in value:
            raise NoValue(f"there is no {show(path[: at + 1])}")
        return value[step]
    if not isinstance(value, list):
        raise NoValue(f"{here} is {_kind(value)}, no list" if here else f"the text is {_kind(value)}, no list")
    if isinstance(step, int):
        if step >= len(value):
            raise NoValue(f"{here} has {len(value)} items, and none at [{step}]")
        return value[step]
    for item in value:
        if _text_at(step.field, item) == step.text:
            return item
    raise NoValue(f"{here} has no item with {'.'.join(step.field)} {step.text!r}")


def _text_at(field: tuple[str, ...], item: Any) -> Any:
    for name in field:
        if not isinstance(item, dict):
            return None
        item = item.get(name)
    return item


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


def show(path: tuple[Step, ...]) -> str:
    """A path as text."""
    text = ""
    for step in path:
        match step:
            case int():
                text += f"[{step}]"
            case Where(field, wanted):
                text += f"[?(@.{'.'.join(field)}=={wanted!r})]"
            case _ if re.fullmatch(_NAME, step):
                text += f".{step}" if text else step
            case _:
                text += f"[{step!r}]"
    return text
