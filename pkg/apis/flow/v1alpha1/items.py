"""The items of a flow with `for.items` or `for.itemsFrom`: what `{{item}}` and `{{item.key.sub}}` stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import raw
from pkg.apis.flow.v1alpha1.conversion import Json
from pkg.apis.flow.v1alpha1.faults import Fault, fault, shortened
from pkg.apis.flow.v1alpha1.types import For, WorkflowSpec
from pkg.apis.flow.v1alpha1.variables import TOKEN, Known, OutputOf, classify, cut

#: A flow has no items.
NO_ITEM: Final = object()
_ITEM: Final = msgspec.json.Decoder()
# So many keys of an item are named in a message.
_MAX_KEYS: Final = 8


class ItemError(ValueError):
    """An item has not what a variable names; the message says so in words that follow the name of the variable."""


class WithItem:
    """The values of variables, with those of one item.

    `index`: its place in the list; `is_shown`: messages may quote it, because the spec has it.
    """

    def __init__(self, plain: Mapping[str, str], item: Any, index: int, *, is_shown: bool = True) -> None:
        self._plain = plain
        self._item = item
        self._index = index
        self._is_shown = is_shown

    def get(self, name: str, /) -> str | None:
        """The value, or None. Raises ItemError if the item does not have the key that the name leads to."""
        if name != "item" and not name.startswith("item."):
            return self._plain.get(name)
        return as_text(self._part(name.split(".")[1:]))

    def _part(self, keys: list[str]) -> Any:
        """The value in the item that the keys lead to. Raises ItemError."""
        found = self._item
        for at, key in enumerate(keys):
            if not isinstance(found, dict) or key not in found:
                inner = ".".join(["item", *keys[:at]])
                why = _described(found) if self._is_shown else f"is {kind_of(found)} without the key {cut(key)}"
                raise ItemError(f"has no value in item {self._index}: {inner} {why}")
            found = found[key]
        return found


def _described(value: Any) -> str:
    """What a value is that does not have a key."""
    if not isinstance(value, dict):
        return f"is {shortened(value)}, which has no keys"
    if not value:
        return "has no keys"
    names = sorted(value)
    more = f" and {len(names) - _MAX_KEYS} more" if len(names) > _MAX_KEYS else ""
    return f"has the keys {', '.join(names[:_MAX_KEYS])}{more}"


def kind_of(value: Any) -> str:
    """What a JSON value is, for a message that must not quote it."""
    for kind, words in ((bool, "true or false"), (str, "text"), (dict, "an object"), (list | tuple, "a list")):
        if isinstance(value, kind):
            return words
    return "null" if value is None else "a number"


def texts_in(item: Any) -> Iterator[str]:
    """The texts of an item and of all of its parts, as messages quote them."""
    left = [item]
    while left:
        value = left.pop()
        yield as_text(value)
        if isinstance(value, dict | list):
            left.extend(value.values() if isinstance(value, dict) else value)


def as_text(value: Any) -> str:
    """A value as variables have it: text as it is, anything else as JSON that keeps its type where it stands alone."""
    return value if isinstance(value, str) else Json(msgspec.json.encode(value).decode())


def item_at(loop: For, index: int) -> Any:
    """One of the items that a spec lists; NO_ITEM if the flow has none. Raises RawError."""
    if loop.items is None:
        return NO_ITEM
    text = loop.items[index]
    try:
        found = _ITEM.decode(text)
    except RecursionError as error:
        raise raw.RawError(raw.TOO_DEEP) from error
    if raw.is_too_deep(found):
        raise raw.RawError(raw.TOO_DEEP)
    return found


def source_of(text: str) -> OutputOf | None:
    """The output that `for.itemsFrom` names; None if it is anything else than one output."""
    match = TOKEN.fullmatch(text)
    token = classify(match[2]) if match is not None and match[2] is not None else None
    if not isinstance(token, Known) or token.conversion or token.output is None or token.output.pick == "index":
        return None
    return token.output


def lists_of(spec: WorkflowSpec) -> frozenset[tuple[str, str]]:
    """Flow and name of each output that some `for.itemsFrom` reads."""
    sources = (source_of(flow.items_from) for flow in spec.flows if flow.items_from)
    return frozenset((source.flow, source.output) for source in sources if source is not None)


def item_faults(loop: For, path: str) -> Iterator[Fault]:
    """What is wrong with the items of a flow. `path` is that of `for`."""
    given = [name for name in ("replicas", "items") if getattr(loop, name) is not None]
    given += ["itemsFrom"] if loop.items_from else []
    if len(given) > 1:
        last = given[-1]
        message = f"a flow has one of replicas, items and itemsFrom, and this one has {' and '.join(given)}; keep one"
        yield fault(f"{path}.{last}", message)
    if loop.items_from and source_of(loop.items_from) is None:
        message = (
            'must be one output of another flow, such as "{{flows.list.outputs.files}}", or one task\'s with [3]; no'
            " other text, no conversion and no [index], as there is no index yet"
        )
        yield fault(f"{path}.itemsFrom", message, loop.items_from)
    if loop.items is None:
        return
    for at in range(len(loop.items)):
        try:
            if item_at(loop, at) is None:
                message = "an empty item; write a string, a number or an object, or remove it"
                yield fault(f"{path}.items[{at}]", message)
        except raw.RawError as error:
            yield Fault(f"{path}.items[{at}]", str(error))
