"""Tekton's `matrix` as the items of a flow."""

from __future__ import annotations

import itertools
import json
from typing import Any

from pkg.convert.result import Object
from pkg.convert.source import Source
from pkg.convert.text import Words


def for_of_matrix(source: Source, words: Words, matrix: dict[str, str]) -> Object:
    """The `for` of a matrix. matrix: what each of its parameters is in a task, which is added.

    Every combination of the values is an item, and so is every entry of `include`.
    """
    lists: dict[str, list[Any]] = {}
    for param in source.list_of("params"):
        key, value = param.get("name"), param.get("value")
        if key is None or value is None:
            continue
        if value.is_list:
            lists[key.text()] = [words.copy(item) for item in value.items()]
            continue
        found = words.variable(value.word())
        if isinstance(found, str) and found.startswith("{{flows.") and len(source.list_of("params")) == 1:
            value.plain()
            matrix[f"matrix.params.{key.text()}"] = "{{item}}"
            return {"itemsFrom": found}
        try:
            lists[key.text()] = list(json.loads(found if isinstance(found, str) else ""))
            value.plain()
        except ValueError:
            value.lose("a list that only a run knows can be the only one: for.itemsFrom")
    items: list[Object] = [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]
    if not lists:
        items = []
    for extra in source.list_of("include"):
        extra.skip_fields("name", why="for people")
        items.append(
            {
                param.peek_text("name"): words.copy(value)
                for param in extra.list_of("params")
                if (value := param.get("value")) is not None and param.get("name").text()  # type: ignore[union-attr]
            }
        )
        if lists:
            extra.check("it becomes a task of its own, also where Tekton adds its values to others")
    keys = dict.fromkeys(key for item in items for key in item)
    for item in items:
        for missing in keys:
            item.setdefault(missing, "")
    matrix.update({f"matrix.params.{key}": f"{{{{item.{key}}}}}" for key in keys})
    return {"items": items}
