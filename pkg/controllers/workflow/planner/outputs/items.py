"""The items of a flow: those of its spec, or those of the recorded output that `for.itemsFrom` names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import raw
from pkg.apis.flow.v1alpha1.items import NO_ITEM, item_at, kind_of
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.outputs.values import text_of

# So many lists are kept decoded: the jobs of one flow are rendered in many passes.
_KEPT: Final = 16
_RULE: Final = 'must be a JSON list, such as ["a","b"]'


class ItemsError(ValueError):
    """A flow has no such items. The message says where they were read, what was found, and what would be right; it does
    not quote an output.
    """

    reason: Final = Reasons.RENDER_ERROR


def items_of(ctx: Context, node: Node) -> Sequence[Any]:
    """The items that the output named by `for.itemsFrom` has. Raises ItemsError."""
    if node.number not in ctx.items:
        ctx.items[node.number] = _read(ctx, node)
    return ctx.items[node.number]


def _read(ctx: Context, node: Node) -> Sequence[Any]:
    assert node.items_from is not None
    text = text_of(ctx, node.items_from, 0)
    where = f"for.itemsFrom ({node.flow.items_from})"
    if text is None:
        raise ItemsError(f"{where}: no value is recorded")
    try:
        found = _decoded(text)
    except RecursionError as error:
        raise ItemsError(f"{where} is {raw.TOO_DEEP}") from error
    except ValueError as error:
        raise ItemsError(f"{where} {_RULE}, and is no JSON: {error}") from error
    if not isinstance(found, tuple):
        raise ItemsError(f"{where} {_RULE}, and is {kind_of(found)}")
    return found


def item_of(ctx: Context, node: Node, index: int) -> Any:
    """What `{{item}}` stands for at an index of a flow; NO_ITEM if the flow has no items. Raises ItemsError."""
    if node.items_from is not None:
        found = items_of(ctx, node)
        if index >= len(found):
            raise ItemsError(
                f"for.itemsFrom ({node.flow.items_from}) has {len(found):,} items since the last restart, and none for"
                f" index {index}; name the flow in spec.restart.flows to run it with the new list"
            )
        return found[index]
    try:
        return NO_ITEM if node.flow.for_ is None else item_at(node.flow.for_, index)
    except raw.RawError as error:
        raise ItemsError(f"for.items[{index}]: {error}") from error


@lru_cache(maxsize=_KEPT)
def _decoded(text: str) -> Any:
    """The JSON value; a list as a tuple. Raises ValueError and RecursionError."""
    found = msgspec.json.decode(text)
    if raw.is_too_deep(found):
        raise ValueError(raw.TOO_DEEP)
    return tuple(found) if isinstance(found, list) else found
