"""The items of a flow with `for.items` or `for.itemsFrom`: what `{{item}}` and `{{item.key.sub}}` stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import raw
from pkg.apis.flow.v1alpha1.conversion import Json
from pkg.apis.flow.v1alpha1.faults import Fault, fault, shortened
from pkg.apis.flow.v1alpha1.types import For

#: A flow has no items.
NO_ITEM: Final = object()
_ITEM: Final = msgspec.json.Decoder()
# So many keys of an item are named in a message.
_MAX_KEYS: Final = 8


class ItemError(ValueError):
    """An item has not what a variable names; the message says so in words that follow the name of the variable."""


class WithItem:
    """The values of variables, with those of one item. `index`: its place in the list, for messages."""

    def __init__(self, plain: Mapping[str, str], item: Any, index: int) -> None:
        self._plain = plain
        self._item = item
        self._index = index

    def get(self, name: str, /) -> str | None:
        """The value, or None. Raises ItemError if the item does not have the key that the name leads to."""
        if name != "item" and not name.startswith("item."):
            return self._plain.get(name)
        return as_text(part_of(self._item, name.split(".")[1:], self._index))


def part_of(item: Any, keys: list[str], index: int) -> Any:
    """The value in an item that the keys lead to. `index`: of the item. Raises ItemError."""
    found = item
    for at, key in enumerate(keys):
        if not isinstance(found, dict) or key not in found:
            inner = ".".join(["item", *keys[:at]])
            raise ItemError(f"has no value in item {index}: {inner} {_described(found)}")
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


def item_faults(loop: For, path: str) -> Iterator[Fault]:
    """What is wrong with the items of a flow. `path` is that of `for`."""
    if loop.items is None:
        return
    if loop.replicas is not None:
        message = "a flow has either items or replicas; remove replicas, as there is one task for each item"
        yield fault(f"{path}.replicas", message, loop.replicas)
    for at in range(len(loop.items)):
        try:
            if item_at(loop, at) is None:
                message = "an empty item; write a string, a number or an object, or remove it"
                yield fault(f"{path}.items[{at}]", message)
        except raw.RawError as error:
            yield Fault(f"{path}.items[{at}]", str(error))
