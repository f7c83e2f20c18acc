"""Merge patches: objects merge deeply, lists by the key that identifies their items."""

from __future__ import annotations

from typing import Any, Final

from pkg.apis.flow.v1alpha1.variables import Trail, cut, show

#: The field that identifies the items of a list, by the name of the list. In other lists it is `name`.
IDENTITIES: Final = {"volumeMounts": "mountPath", "volumeDevices": "devicePath", "hostAliases": "ip"}


class MergeError(ValueError):
    """Two items of one list have the same key; `path` is the list, such as `spec.template.spec.containers`."""

    def __init__(self, path: str, value: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.value = value
        self.message = message


def merge_object(
    target: dict[str, Any], patch: dict[str, Any], *, keep_null: bool = False, trail: Trail = (None, "")
) -> dict[str, Any]:
    """`target` after a merge patch; null deletes a key. `target` is changed, and parts of `patch` become parts of it.

    Two lists merge by the field that identifies their items (see IDENTITIES) if every item of both has it as a string.
    Other lists are replaced. `keep_null`: null stays, to merge two patches into one. `trail` leads to the object.
    Raises MergeError if a key occurs twice in a list that would be merged: one of the two items would be lost.
    """
    for key, value in patch.items():
        if value is None and not keep_null:
            target.pop(key, None)
        elif type(value) is dict:
            old = target.get(key)
            inner = old if isinstance(old, dict) else {}
            target[key] = merge_object(inner, value, keep_null=keep_null, trail=(trail, key))
        elif type(value) is list:
            target[key] = _merge_list(target.get(key), value, keep_null, (trail, key))
        else:
            target[key] = value
    return target


def _merge_list(target: Any, patch: list[Any], keep_null: bool, trail: Trail) -> list[Any]:
    field = IDENTITIES.get(trail[1], "name")
    if not (isinstance(target, list) and _all_have(target, field) and _all_have(patch, field)):
        return patch
    merged = list(target)
    at = _index(target, field, "the template's list", trail)
    for key, number in _index(patch, field, "the patch's list", trail).items():
        item = patch[number]
        old = at.get(key)
        inner: dict[str, Any] = {} if old is None else merged[old]
        if old is None and keep_null:
            merged.append(item)
            continue
        result = merge_object(inner, item, keep_null=keep_null, trail=(trail, len(merged) if old is None else old))
        if old is None:
            merged.append(result)
    return merged


def _index(items: list[Any], field: str, whose: str, trail: Trail) -> dict[str, int]:
    """The position of each item by its key."""
    at: dict[str, int] = {}
    for number, item in enumerate(items):
        if at.setdefault(item[field], number) != number:
            path = show(trail)
            message = (
                f'{whose} "{path}" has two items with the {field} "{cut(item[field])}", so they cannot be merged;'
                f" give each its own {field}, or use a JSON Patch"
            )
            raise MergeError(path, item[field], message)
    return at


def _all_have(items: list[Any], field: str) -> bool:
    return bool(items) and all(isinstance(item, dict) and isinstance(item.get(field), str) for item in items)
