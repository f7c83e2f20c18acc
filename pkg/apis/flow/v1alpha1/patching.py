"""Patches of a flow over what its template makes: JSON Patch (a list) or a merge patch that merges lists by name.

The object a patch sees is `{metadata: {labels, annotations}, spec}`. It lives with the API types because admission
tries a patch out before anything is made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import jsonpatch
import jsonpointer
import msgspec

from pkg.apis.flow.v1alpha1 import variables
from pkg.apis.flow.v1alpha1.variables import Place, below, inside

OPS: Final = ("add", "remove", "replace", "move", "copy", "test")
# Steps that copy what they copied double the object each time; no object of this size is accepted anyway.
MAX_COPIED: Final = 2_000_000
_BAD_ESCAPE: Final = re.compile(r"~(?![01])")


class PatchError(ValueError):
    """A patch that does not apply; `path` is relative to the patch, such as `[2].path`."""

    def __init__(self, path: str, value: Any, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.value = value
        self.message = message


def faults(patch: Any) -> list[PatchError]:
    """What is wrong with the form of a patch, whatever it is applied to."""
    if patch is None or isinstance(patch, dict):
        return []
    if not isinstance(patch, list):
        return [PatchError("", patch, "a patch is an object (merge patch) or a list (JSON Patch)")]
    found: list[PatchError] = []
    for at, step in enumerate(patch):
        if isinstance(step, dict):
            found.extend(_step_faults(f"[{at}]", step))
        else:
            found.append(PatchError(f"[{at}]", step, 'a step of a JSON Patch is an object such as {"op": "add", ...}'))
    return found


def _step_faults(place: str, step: dict[str, Any]) -> list[PatchError]:
    found: list[PatchError] = []
    op = step.get("op")
    if op not in OPS:
        found.append(PatchError(f"{place}.op", op, f"op must be one of {', '.join(OPS)}"))
    keys = ("path", "from") if op in ("move", "copy") else ("path",)
    for key in keys:
        pointer = step.get(key)
        if not isinstance(pointer, str):
            found.append(PatchError(f"{place}.{key}", pointer, f'{key} must be a JSON pointer such as "/spec/suspend"'))
        elif fault := _pointer_fault(pointer):
            found.append(PatchError(f"{place}.{key}", pointer, fault))
    if op in ("add", "replace", "test") and "value" not in step:
        found.append(PatchError(f"{place}.value", None, f"op {op} needs a value"))
    return found


def _pointer_fault(pointer: str) -> str:
    if pointer and not pointer.startswith("/"):
        return f'a JSON pointer begins with "/": write "/{pointer.replace(".", "/")}"'
    if _BAD_ESCAPE.search(pointer):
        return 'in a JSON pointer "~" is written "~0" and "/" inside a key "~1"'
    first = pointer[1:].split("/", 1)[0]
    if pointer and "{{" not in first and first not in ("metadata", "spec"):
        return f'a patch is written against {{metadata, spec}}: write "/spec{pointer}", or a path under "/metadata"'
    return ""


def apply(target: dict[str, Any], patch: Any) -> dict[str, Any]:
    """The object `{metadata, spec}` with a patch applied; both arguments may be changed and must not be used again.

    Raises PatchError where the patch does not apply, or leaves something else than `{metadata, spec}` of maps.
    """
    if patch is None:
        return target
    if isinstance(patch, list):
        patched = _apply_steps(target, patch)
    elif isinstance(patch, dict):
        patched = _merge_object(target, _aligned(patch))
    else:
        raise faults(patch)[0]
    return _checked(patched)


def _apply_steps(target: dict[str, Any], steps: list[Any]) -> Any:
    malformed = faults(steps)
    if malformed:
        raise malformed[0]
    copied = 0
    for at, step in enumerate(steps):
        try:
            if step["op"] == "copy":
                copied += len(msgspec.json.encode(jsonpointer.resolve_pointer(target, step["from"])))
                if copied > MAX_COPIED:
                    raise PatchError(f"[{at}]", step["from"], f"the patch copies more than {MAX_COPIED:,} bytes")
            target = jsonpatch.apply_patch(target, [step], in_place=True)
        except jsonpatch.JsonPatchTestFailed as error:
            raise PatchError(f"[{at}]", step["path"], f"the test at {step['path']!r} does not hold") from error
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, KeyError, TypeError) as error:
            message = f"cannot {step['op']} {step['path']!r}: {_briefly(error)}"
            raise PatchError(f"[{at}]", step["path"], message) from error
    return target


def _briefly(error: Exception) -> str:
    """What the library says, without all of the object that it looked at: that may be long, and hold secrets."""
    what, found, _ = str(error).partition(" not found in ")
    return f"{what} is not there" if found else what


def fill(patch: Any, values: Mapping[str, str], path: str) -> Any:
    """A fresh copy of a patch with the values of its variables put in, typed by the place that each value goes to.

    Raises variables.VariableError with a place below `path`.
    """
    if not isinstance(patch, list):
        return variables.substitute(patch, values, path)
    return [
        _fill_step(step, values, f"{path}[{at}]") if isinstance(step, dict) else step for at, step in enumerate(patch)
    ]


def _fill_step(step: dict[str, Any], values: Mapping[str, str], path: str) -> dict[str, Any]:
    rest = {key: value for key, value in step.items() if key != "value"}
    filled: dict[str, Any] = variables.substitute(rest, values, path, Place.TEXT)
    if "value" in step:
        place = _place(filled.get("path"))
        filled["value"] = variables.substitute(step["value"], values, f"{path}.value", place)
    return filled


def _place(pointer: Any) -> Place:
    place = Place.PLAIN
    for key in str(pointer).split("/")[1:]:
        is_item = place is Place.ENV_LIST and (key == "-" or key.isdigit())
        place = inside(place) if is_item else below(place, key)
    return place


def _checked(patched: Any) -> dict[str, Any]:
    if not isinstance(patched, dict):
        raise PatchError("", patched, "the patch leaves no object {metadata, spec}")
    for key in patched:
        if key not in ("metadata", "spec"):
            raise PatchError("", key, f"the patch adds {key!r} beside metadata and spec")
    for key in ("metadata", "spec"):
        if not isinstance(patched.get(key), dict):
            raise PatchError("", patched.get(key), f"the patch leaves no object under {key!r}")
    for key in ("labels", "annotations"):
        part = patched["metadata"].setdefault(key, {})
        if part is None:
            patched["metadata"][key] = {}
        elif not isinstance(part, dict):
            raise PatchError(f"metadata.{key}", part, f"the patch leaves no map under metadata.{key}")
    return patched


def _aligned(patch: dict[str, Any]) -> dict[str, Any]:
    """A merge patch over `{metadata, spec}`: `spec.jobSpec` is read as `spec`, other top-level keys as keys of it."""
    others = {key: value for key, value in patch.items() if key not in ("metadata", "spec")}
    spec = _object(patch, "spec")
    spec = merge(spec, others, keep_null=True) if others else spec
    if "jobSpec" in spec:
        rest = {key: value for key, value in spec.items() if key != "jobSpec"}
        spec = merge(rest, _object(spec, "jobSpec"), keep_null=True)
    aligned = {"spec": spec}
    if "metadata" in patch:
        aligned["metadata"] = _object(patch, "metadata")
    return aligned


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key, {})
    if not isinstance(value, dict):
        raise PatchError(key, value, f"{key} in a merge patch must be an object")
    return value


def merge(target: Any, patch: Any, *, keep_null: bool = False) -> Any:
    """A merge patch applied: objects deeply, lists by the `name` of their items where every item of both has one.

    Other lists are replaced, null deletes a key (with `keep_null` it stays, for merging two patches into one).
    `target` may be changed; parts of `patch` become parts of the result.
    """
    if isinstance(patch, dict):
        return _merge_object(target if isinstance(target, dict) else {}, patch, keep_null=keep_null)
    if isinstance(patch, list) and isinstance(target, list) and _all_named(target) and _all_named(patch):
        return _merge_named(target, patch, keep_null=keep_null)
    return patch


def _merge_object(target: dict[str, Any], patch: dict[str, Any], *, keep_null: bool = False) -> dict[str, Any]:
    for key, value in patch.items():
        if value is None and not keep_null:
            target.pop(key, None)
        elif type(value) is dict or type(value) is list:
            target[key] = merge(target.get(key), value, keep_null=keep_null)
        else:
            target[key] = value
    return target


def _all_named(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in items)


def _merge_named(target: list[Any], patch: list[Any], *, keep_null: bool) -> list[Any]:
    at = {item["name"]: number for number, item in enumerate(target)}
    merged = list(target)
    for item in patch:
        number = at.get(item["name"])
        if number is None:
            at[item["name"]] = len(merged)
            merged.append(item if keep_null else merge(None, item))
        else:
            merged[number] = merge(merged[number], item, keep_null=keep_null)
    return merged
